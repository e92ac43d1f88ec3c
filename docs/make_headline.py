"""Make docs/headline.md and its figure: the headline test on the shipped generators.

OMP_NUM_THREADS=1 python docs/make_headline.py ../shared [--count 500]
"""

import argparse
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import matplotlib as mpl

import caloforge
from caloforge.evaluation.classifiers.strong import strong_test
from caloforge.evaluation.classifiers.strong_result import (
    HEADLINE_THRESHOLDS,
    StrongProtocol,
    StrongResult,
)
from caloforge.evaluation.features.studied import StudiedShowers
from caloforge.runtime import artefact_names, load_card
from caloforge.showers import Showers, read_showers
from caloforge.web.figures import save

mpl.use("Agg")
from matplotlib.figure import Figure

DOCS = Path(__file__).parent
FILES = {"e+": "eplus.h5", "gamma": "gamma.h5", "pi+": "piplus.h5"}
FLOOR = "Geant4 (floor)"
OLD = "train and the first test rows"
COUNT, SHOWER_SEED, SEED = 10_000, 7, 1
TOLD = {0.01: 4, 1.0: 4}  # clues by threshold
TOLD_OF_ROWS = {0.0: 3, 0.01: 2, 1.0: 2}
HEAD = """# The headline test

Can anything tell generated showers from Geant4's? This is the first number of every evaluation,
leaderboard and card: the area under the ROC curve (AUC) of a classifier that was made to find
differences. It is 0.5 where there is nothing to find and 1 where every shower gives itself away;
it is the chance that of one shower of Geant4 and one of the generator the classifier says rightly
which is which. It says nothing of whether a difference matters to an analysis: distances of
observables and the response do that.

## What it found of the shipped generators

{count:,} generated showers of 1 to 100 GeV of e+, gamma and pi+ each against as many train rows of
Geant4. The floor are two halves of the train rows, {halves} showers each. Deposits below a
threshold are set to zero in both samples, before anything is looked at.

{train}
![AUC against the threshold, and how many cells have which energy](images/headline.png)

*Above: AUC against the threshold. Below: cells of a shower in windows of energy, layer 1; Geant4
in grey.*

What gives them away:

{clues}
## Train rows and test rows are not of one simulation

Most test rows were added later than all others. {count:,} train rows against as many test rows,
and against the first test rows, which are as old as the train rows ({old} showers):

{rows}
What tells the later rows of Geant4 from the train rows:

{told}
So a generator that was made from train rows is judged here against train rows. Anvil is
not: it settles on showers of today's `caloforge geant4`, and what tells these tells it, too.
{{doc}}`leaderboard` has the test rows, which nothing was fitted, chosen or tuned on, with what the
headline test says of Geant4 itself beside them.

## How it is done

For each threshold:

1. **Numbers of a shower**, in each layer (of detectors of more than eight: in eight groups of
   adjacent layers): how many cells there are in {windows} windows of energy; the energy of the
   n-th hottest cell and the share of the n hottest ones at 16 n; how many cells have the energy of
   another one within 0.4%; energies, centres and widths. And cells beside each other: pairs of hit
   cells that touch along either axis, at ten levels of energy; hit cells that touch no other;
   cells hotter than all that touch them; blocks of 2 x 2; single gaps; how much touching cells
   differ; cells that lie behind each other in adjacent layers. {columns} numbers for the CaloGAN
   detector and every deposit.
2. **Three folds**, cut by a hash of what is in a row: equal rows, and rows of the same incident
   energy, are in one fold, and the order of the rows of a file does not matter at all. Each fold
   is scored by members that were trained on the other two.
3. **Two members.** Trees ({trees} of at most 15 leaves, histogram-based) on the 150 numbers that
   alone tell most of the rows that are trained on; a network with one hidden layer (256 units,
   dropout, 15 epochs) on all of them. Where a single cell differs by more than six errors between
   the classes on the rows that are trained on, it is among the numbers. The score is the sum of
   the two logarithms of the odds.
4. **AUC** = mean over the folds of P(score of Geant4 > score of the sample), ties count one half.
   Its error is that of a bootstrap of the rows of each fold, or of the scatter of the folds where
   that is larger.

No edge of a window lies within a tenth of a line of Geant4's spectrum of cells (1 keV, where
tracking stops, 0.511 and 1.022 MeV), energies of single cells below 2 MeV are seen on a grid in
whose middles the lines lie, and all other numbers are rounded to three decimals: whether energies
are stored with 12 bits or 24, and whether the share of a layer is off by 0.02 of its standard
deviation, is not seen (`tests/test_strong.py`). 1 MeV is a threshold, though, and the line at
1.022 MeV is near it.

What gives a sample away are the numbers that alone differ most, of all rows, if they differ by
five errors at least and say something that those before them do not; adjacent windows are told as
one. `metrics.json` has all of them, and by how much the AUC falls where all numbers of a kind are
shuffled among the showers.

At most 10,000 showers of each class are used (4,000 with `--quick`), and at most 33 million
deposits, which are 5,178 showers of 6,480 voxels: the AUC of a difference that is there grows with
the number of showers, so compare numbers of equal ones.

## How it was measured

`python docs/make_headline.py SHARED{options}`, on one thread ({machine}): showers with seed
{shower_seed}, test with seed {seed}. One test of {count:,} + {count:,} showers at all four
thresholds took {cpu} s of processor time (the numbers of the reference are computed once for each
particle). The settings of the test were chosen on train rows of Geant4 and other showers of the
generators.
"""


Found = dict[str, dict[str, StrongResult]]
"""By particle and sample."""


def generated(name: str, particle: str, count: int) -> Showers:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "showers.h5"
        caloforge.generate(
            path, model=name, particle=particle, energy="1:100", count=count, seed=SHOWER_SEED
        )
        return read_showers(path)


def judge(data: Path, count: int, times: list[float]) -> Found:
    """What was found of the floor and of all shipped generators against train rows."""
    found: Found = {}
    for particle, file in FILES.items():
        train = read_showers(data / file, split="train")
        studied = StudiedShowers.of(train[:count])
        found[particle] = {FLOOR: judged(train[0::2], train[1::2], count, times)}
        for name in artefact_names():
            if particle in load_card(name).particles:
                result = judged(studied, generated(name, particle, count), count, times)
                found[particle][system(name)] = result
        for name, result in found[particle].items():
            aucs = ", ".join(f"{each.auc:.4f}" for each in result.thresholds)
            print(f"{particle}, {name}: {aucs}", flush=True)
    return found


def judged(
    reference: Showers, showers: Showers, count: int, times: list[float] | None = None
) -> StrongResult:
    start = time.process_time()
    result = strong_test(reference, showers, StrongProtocol(showers=count), seed=SEED)
    if times is not None:
        times.append(time.process_time() - start)
    return result


def system(name: str) -> str:
    """Name of an artefact without its particles."""
    ends = tuple(f"-{Path(file).stem}" for file in FILES.values())
    while name.endswith(ends):
        name = name.rpartition("-")[0]
    return name


def parts_of_geant4(data: Path, count: int) -> Found:
    """Train rows against test rows, and against those as old: as many as validation rows."""
    found: Found = {}
    for particle, file in FILES.items():
        path = data / file
        old = len(read_showers(path, split="validation"))
        train, rows = (read_showers(path, split=part) for part in ("train", "test"))
        found[particle] = {
            "train and test rows": judged(rows, train, count),
            OLD: judged(rows[:old], train, count),
        }
    return found


def listed(counts: list[int]) -> str:
    *most, last = (f"{count:,}" for count in counts)
    return f"{', '.join(most)} and {last}"


def said(threshold: float) -> str:
    return f"{1e3 * threshold:g} keV" if threshold < 0.1 else f"{threshold:g} MeV"


def table(found: Found) -> str:
    heads = ["every deposit", *(f"> {said(each)}" for each in HEADLINE_THRESHOLDS[1:])]
    text = f"| AUC | | {' | '.join(heads)} |\n|---|---|{'---|' * len(heads)}\n"
    for particle, results in found.items():
        for name, result in results.items():
            cells = [number(each.auc, each.auc_error) for each in result.thresholds]
            text += f"| {particle} | {name} | {' | '.join(cells)} |\n"
    return text


def number(auc: float, error: float) -> str:
    digits = 5 if error < 5e-5 else 4 if error < 5e-4 else 3
    return f"{auc:.{digits}f} ± {max(error, 10**-digits):.{digits}f}"


def clues(
    found: Found, names: Iterable[str], told: Mapping[float, int], *, heads: bool = True
) -> str:
    lines = []
    for name in names:
        if heads:
            lines.append(f"### {name}\n")
        for particle, results in found.items():
            for each in results[name].thresholds if name in results else ():
                first = each.clues[: told.get(each.threshold, 0)]
                if first:
                    which = f"deposits above {said(each.threshold)}"
                    lines.append(f"{particle}, {which if each.threshold else 'every deposit'}:\n")
                    lines += [f"- {clue.text} (AUC of this alone {clue.auc:.2f})" for clue in first]
                    lines.append("")
    return "\n".join(lines)


def figure(found: Found) -> Figure:
    drawn = Figure(figsize=(12, 7), layout="constrained")
    axes = drawn.subplots(2, len(found))
    labels = ["all", *(said(each) for each in HEADLINE_THRESHOLDS[1:])]
    for (particle, results), upper, lower in zip(found.items(), axes[0], axes[1], strict=True):
        for i, (name, result) in enumerate(results.items()):
            colour = "#8a95a5" if name == FLOOR else f"C{i - 1}"
            upper.errorbar(
                range(len(labels)),
                [each.auc for each in result.thresholds],
                [each.auc_error for each in result.thresholds],
                fmt="o-",
                color=colour,
                label=name,
            )
            cells = [each for each in result.windows if each.place == "layer 1"]
            at = [
                (max(low, 1e-5) * min(high, 1e5)) ** 0.5 for low, high in (c.window for c in cells)
            ]
            if name != FLOOR:
                lower.plot(at, [c.showers for c in cells], ".-", color=colour, label=name)
            else:
                lower.plot(at, [c.reference for c in cells], ".-", color=colour, linewidth=3)
        upper.set(title=particle, ylabel="AUC", ylim=(0.45, 1.02), xlabel="deposits above")
        upper.set_xticks(range(len(labels)), labels)
        lower.set(xscale="log", yscale="log", ylim=(3e-3, 50))
        lower.set(xlabel="energy of the cells / MeV", ylabel="cells in a window, layer 1")
    axes[0, 0].legend(fontsize=8)
    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shared", type=Path, help="folder with data/")
    parser.add_argument("--count", type=int, default=COUNT, help="showers of each class")
    parser.add_argument("--docs", type=Path, default=DOCS, help="where headline.md goes")
    options = parser.parse_args()
    data, count = options.shared / "data", options.count
    times: list[float] = []
    train, rows = judge(data, count, times), parts_of_geant4(data, count)
    (options.docs / "images").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        picture, _ = save(figure(train), Path(folder), "headline")
        shutil.copy(picture, options.docs / "images")
    first = train["e+"][FLOOR]
    systems = dict.fromkeys(name for results in train.values() for name in results)
    page = HEAD.format(
        count=count,
        halves=listed([results[FLOOR].n_showers for results in train.values()]),
        train=table(train),
        rows=table(rows),
        clues=clues(train, [name for name in systems if name != FLOOR], TOLD),
        told=clues(rows, ["train and test rows"], TOLD_OF_ROWS, heads=False),
        old=listed([results[OLD].n_showers for results in rows.values()]),
        windows=len({each.window for each in first.windows}),
        columns=first.thresholds[0].n_columns,
        trees=first.protocol.trees,
        machine=f"{os.cpu_count()} cores, {platform.machine()}, beside other work",
        options="" if count == COUNT else f" --count {count}",
        shower_seed=SHOWER_SEED,
        seed=SEED,
        cpu=f"{min(times):.0f} to {max(times):.0f}",
    )
    (options.docs / "headline.md").write_text(page, "utf-8")


if __name__ == "__main__":
    main()
