"""Make docs/leaderboard.md and docs/reports/: the shipped generators against Geant4.

python docs/make_leaderboard.py ../shared
"""

import argparse
import shutil
import tempfile
from pathlib import Path

import caloforge
from caloforge.evaluation import evaluate, leaderboard, load_reference, markdown
from caloforge.runtime import artefact_names, load_card
from caloforge.web.report import write_report

DOCS = Path(__file__).parent
FILES = {"e+": "eplus.h5", "gamma": "gamma.h5", "pi+": "piplus.h5"}
COUNT = 5000
HEAD = """# Leaderboard

The shipped generators, {count:,} showers each of 1 to 100 GeV, against the test rows of Geant4,
judged with `--quick`; *Geant4 (floor)* is {count:,} of its train rows, judged in the same way: no
generator can be better. An AUC of 0.5 cannot be told from Geant4. Made with
`python docs/make_leaderboard.py SHARED` (showers with seed 7, judged with seed 1).
"""
PART = """
## {particle}

{table}
<a href="{page}">All figures: the report on {particle}</a>
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shared", type=Path, help="folder with data/")
    data = parser.parse_args().shared / "data"
    reports = DOCS / "reports"
    shutil.rmtree(reports, ignore_errors=True)
    reports.mkdir()
    page = HEAD.format(count=COUNT)
    with tempfile.TemporaryDirectory() as scratch:
        for particle, file in FILES.items():
            names = [name for name in artefact_names() if particle in load_card(name).particles]
            samples = [Path(scratch) / f"{name}.h5" for name in names]
            for name, sample in zip(names, samples, strict=True):
                caloforge.generate(
                    sample, model=name, particle=particle, energy="1:100", count=COUNT, seed=7
                )
            evaluation, shown = evaluate(
                load_reference(data / file, seed=1),
                samples,
                models=[caloforge.load(name) for name in names],
                command=f"python docs/make_leaderboard.py: {particle}",
            )
            folder = Path(scratch) / Path(file).stem
            report = write_report(folder, evaluation, shown, caloforge.load(names[0]).detector)
            name = f"{Path(file).stem}.html"
            shutil.copy(report, reports / name)
            # A column per sample is easier to read than one per number.
            table = markdown([list(row) for row in zip(*leaderboard([evaluation]), strict=True)])
            page += PART.format(particle=particle, table=table, page=name)
            print(particle, "done", flush=True)
    (DOCS / "leaderboard.md").write_text(page, "utf-8")


if __name__ == "__main__":
    main()
