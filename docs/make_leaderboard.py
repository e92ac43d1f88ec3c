"""Make docs/leaderboard.md, docs/reports/ and the first table of the README.

OMP_NUM_THREADS=1 python docs/make_leaderboard.py ../shared [--geant4 FILE...]
"""

import argparse
import math
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

import caloforge
from caloforge.evaluation import evaluate, leaderboard, load_reference, load_sample, markdown
from caloforge.evaluation.classifiers.clues import Clue
from caloforge.evaluation.results import FLOOR, Evaluation, Headline, SampleResult
from caloforge.evaluation.samples import Sample
from caloforge.evaluation.verdicts import auc_text, headline_aucs
from caloforge.incident.spectrum import Spectrum
from caloforge.models.library import NUMBERS, Library, LibraryConfig
from caloforge.random import Purpose, Streams
from caloforge.runtime import artefact_names, load_card
from caloforge.showers import ShowerFile, Showers, read_part, write_showers
from caloforge.web.report import write_report

DOCS = Path(__file__).parent
README = DOCS.parent / "README.md"
START, END = "<!-- headline table: docs/make_leaderboard.py -->\n", "<!-- end of the table -->\n"
FILES = {"e+": "eplus.h5", "gamma": "gamma.h5", "pi+": "piplus.h5"}
TODAY, LIBRARY = "Geant4 of today", "shower library"
COUNT, SHOWER_SEED, SEED = 5000, 7, 1
TOLD = {0.0: 3, 1.0: 3}  # clues by threshold
HEAD = """# Leaderboard

Can anything tell the shipped generators' showers from Geant4's? The {{doc}}`headline`: AUC of a
classifier that was made to find differences, 0.5 where there is nothing to find and 1 where every
shower gives itself away. {count:,} generated showers of 1 to 100 GeV each against the test rows of
Geant4 ({rows}), judged with `--quick`: {used:,} of either in the headline test.

{table}
*Geant4 (floor)* is {floors} train rows, judged in the same way: no generator that was made from
train rows alone can be expected to do better; Anvil was not, it settles on showers of today. Where
it is not 0.5, train and test rows are not of one simulation: most test rows were added later.

{today}

## What gives each generator away

{clues}"""
FRESH = """*Geant4 of today* is {counts} showers that `caloforge geant4 --fast-em` of this version
made ({files}), judged in the same way: what a generator of such showers can reach. Some test rows
are as old as the train rows, so it is a little above 0.5, too."""
PART = """
## All numbers: {particle}

{table}
<a href="{page}">All figures: the report on {particle}</a>
"""
FOOT = """
Made with `python docs/make_leaderboard.py SHARED{options}` (showers with seed {shower_seed}, judged
with seed {seed}) in {cpu:.0f} s of processor time on one thread. No number here chose anything:
nothing was fitted or tuned on test rows.
"""


def system(name: str) -> str:
    """Name of an artefact without its particles."""
    ends = tuple(f"-{Path(file).stem}" for file in FILES.values())
    while name.endswith(ends):
        name = name.rpartition("-")[0]
    return name


def generated(particle: str, count: int, folder: Path) -> Iterator[Sample]:
    """Showers of each artefact that makes this particle."""
    for name in artefact_names():
        if particle in load_card(name).particles:
            path = folder / f"{name}-{Path(FILES[particle]).stem}.h5"
            caloforge.generate(
                path, model=name, particle=particle, energy="1:100", count=count, seed=SHOWER_SEED
            )
            yield load_sample(path, name, seed=SEED)
            path.unlink()


def copies(particle: str, data: Path, count: int, folder: Path) -> Iterator[Sample]:
    """Train rows again, mirrored and scaled: a library that is not shipped."""
    kept = Library.of(read_part(data / FILES[particle], "train", particle))
    energy = Spectrum.parse("1:100").sample(SHOWER_SEED, 0, count)
    streams = Streams(SHOWER_SEED, np.arange(count), Purpose.GENERATOR)
    deposits, _ = kept.draw(energy, streams.uniform(NUMBERS), LibraryConfig().nearest)
    path = folder / "library.h5"
    write_showers(path, Showers(kept.detector, energy, deposits, particle))
    yield load_sample(path, LIBRARY, seed=SEED)
    path.unlink()


def geant4(particle: str, files: Iterable[Path]) -> Iterator[Sample]:
    """Those of the files that hold this particle, as one sample."""
    chosen = []
    for path in files:
        with ShowerFile(path) as file:
            if file.particle == particle:
                chosen.append(path)
    if chosen:
        yield load_sample(chosen, TODAY, seed=SEED)


def judge(
    particle: str, data: Path, samples: Sequence[Sample], count: int, reports: Path | None
) -> Evaluation:
    reference = load_reference(data / FILES[particle], seed=SEED)
    stem = Path(FILES[particle]).stem
    evaluation, shown = evaluate(
        reference,
        samples,
        seed=SEED,
        models=[
            caloforge.load(each.name, particle)
            for each in samples
            if each.name not in (TODAY, LIBRARY)
        ],
        command=f"python docs/make_leaderboard.py: {particle}, {count} showers",
    )
    if reports is not None:
        with tempfile.TemporaryDirectory() as folder:
            page = write_report(folder, evaluation, shown, reference.sample.showers.detector)
            shutil.copy(page, reports / f"{stem}.html")
    return evaluation


def ranked(evaluation: Evaluation) -> list[SampleResult]:
    """The floors, then the generators, the best first."""
    floors = [each for each in evaluation.samples if each.name in (FLOOR, TODAY)]
    others = [each for each in evaluation.samples if each.name not in (FLOOR, TODAY)]
    return [*floors, *sorted(others, key=lambda each: [_value(a) for a in headline_aucs(each)])]


def whole_table(found: dict[str, Evaluation]) -> str:
    """Every sample of every particle, with errors."""
    text = ""
    for particle, evaluation in found.items():
        for sample in ranked(evaluation):
            aucs = headline_aucs(sample)
            if not text:
                heads = [each.label.removeprefix("AUC, ") for each in aucs]
                text = f"| AUC | | {' | '.join(heads)} |\n|---|---|{'---|' * len(heads)}\n"
            cells = " | ".join(map(auc_text, aucs))
            text += f"| {particle} | {system(sample.name)} | {cells} |\n"
    return text


def short_table(found: dict[str, Evaluation]) -> str:
    """A row for each system, all particles in a cell."""
    rows: dict[str, dict[str, tuple[Headline, ...]]] = {}
    for particle, evaluation in found.items():
        for sample in ranked(evaluation):
            rows.setdefault(system(sample.name), {})[particle] = headline_aucs(sample)
    heads = [each.label.removeprefix("AUC, ") for each in next(iter(rows[FLOOR].values()))]
    lines = [f"| AUC: {', '.join(found)} | {' | '.join(heads)} |", "|---|" + "---|" * len(heads)]
    for name, aucs in rows.items():
        cells = [
            ", ".join(f"{_value(aucs[each][i]):.3f}" if each in aucs else "-" for each in found)
            for i in range(len(heads))
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _value(item: Headline) -> float:
    return math.nan if item.value is None else item.value


def clues(found: dict[str, Evaluation]) -> str:
    """By system and particle, what differs most."""
    text: dict[str, str] = {}
    for particle, evaluation in found.items():
        for sample in ranked(evaluation):
            if sample.name != FLOOR:
                name = system(sample.name)
                text[name] = text.get(name, f"### {name}\n\n") + told(particle, sample)
    return "".join(sorted(text.values(), key=lambda each: each.startswith(f"### {TODAY}")))


def told(particle: str, sample: SampleResult) -> str:
    text = ""
    for item, each in zip(
        headline_aucs(sample), sample.sections["headline"]["thresholds"], strict=True
    ):
        first = [Clue.model_validate(clue) for clue in each["clues"]][: TOLD.get(each["threshold"])]
        if each["threshold"] in TOLD and first:
            text += f"{particle}, {item.label.removeprefix('AUC, ')}:\n\n"
            text += "".join(f"- {clue.text} (AUC of this alone {clue.auc:.2f})\n" for clue in first)
            text += "\n"
    return text or f"{particle}: no number alone differs by five errors.\n\n"


def write_readme(path: Path, found: dict[str, Evaluation], count: int) -> None:
    """Put the short table between its markers."""
    before, rest = path.read_text("utf-8").split(START)
    behind = rest.split(END)[1]
    errors = [
        item.error or 0.0
        for evaluation in found.values()
        for sample in evaluation.samples
        for item in headline_aucs(sample)
    ]
    about = (
        f"AUC of the headline test, {count:,} showers of each particle against test rows of Geant4 "
        "(0.5: not to be told, 1: every shower gives itself away; errors at most "
        f"{max(errors):.3f}; columns: deposits looked at). *Geant4 (floor)* are train rows, which "
        "were simulated earlier than most test rows: what a generator made from them alone can "
        "reach.\n"
    )
    table = short_table(found)
    path.write_text(f"{before}{START}{table}\n{about}{END}{behind}", "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shared", type=Path, help="folder with data/")
    parser.add_argument(
        "--geant4", type=Path, nargs="+", default=[], help="files of fresh Geant4 showers"
    )
    parser.add_argument("--count", type=int, default=COUNT, help="showers of each generator")
    parser.add_argument("--particles", nargs="+", default=list(FILES), choices=list(FILES))
    parser.add_argument("--docs", type=Path, default=DOCS, help="where leaderboard.md goes")
    parser.add_argument("--readme", type=Path, default=README)
    options = parser.parse_args()
    reports = options.docs / "reports"
    shutil.rmtree(reports, ignore_errors=True)
    reports.mkdir(parents=True)
    start = time.process_time()
    found: dict[str, Evaluation] = {}
    for particle in options.particles:
        with tempfile.TemporaryDirectory() as folder:
            samples = [
                *generated(particle, options.count, Path(folder)),
                *copies(particle, options.shared / "data", options.count, Path(folder)),
                *geant4(particle, options.geant4),
            ]
        found[particle] = judge(particle, options.shared / "data", samples, options.count, reports)
        print(f"{particle}: {time.process_time() - start:.0f} s", flush=True)
    (options.docs / "leaderboard.md").write_text(page(found, options, start), "utf-8")
    write_readme(options.readme, found, options.count)


def page(found: dict[str, Evaluation], options: argparse.Namespace, start: float) -> str:
    evaluations = found.values()
    used = max(each.samples[1].sections["headline"]["n_showers"] for each in evaluations)
    fresh = {
        particle: sample.info
        for particle, evaluation in found.items()
        for sample in evaluation.samples
        if sample.name == TODAY
    }
    files = "; ".join(info.file for info in fresh.values())
    counts = ", ".join(f"{info.showers:,} ({particle})" for particle, info in fresh.items())
    today = FRESH.format(counts=counts, files=files) if fresh else ""
    text = HEAD.format(
        count=options.count,
        rows=", ".join(f"{each.reference.showers:,} of {p}" for p, each in found.items()),
        used=used,
        table=whole_table(found),
        floors=", ".join(f"{each.floor.info.showers:,} ({p})" for p, each in found.items()),
        today=today,
        clues=clues(found),
    )
    for particle, evaluation in found.items():
        # A column per sample is easier to read than one per number.
        table = markdown([list(row) for row in zip(*leaderboard([evaluation]), strict=True)])
        text += PART.format(
            particle=particle, table=table, page=f"{Path(FILES[particle]).stem}.html"
        )
    given = (" --geant4 FILES" if options.geant4 else "") + (
        f" --count {options.count}" if options.count != COUNT else ""
    )
    cpu = time.process_time() - start
    return text + FOOT.format(options=given, shower_seed=SHOWER_SEED, seed=SEED, cpu=cpu)


if __name__ == "__main__":
    main()
