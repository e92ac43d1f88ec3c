"""Make docs/leaderboard.md and docs/reports/: the shipped generators against Geant4.

python docs/make_leaderboard.py ../shared
"""

import argparse
import shutil
import tempfile
from pathlib import Path

import caloforge
from caloforge.evaluation import evaluate, leaderboard, load_reference, markdown, write_report
from caloforge.runtime import artefact_names, load_card

DOCS = Path(__file__).parent
FILES = {"e+": "eplus.h5", "gamma": "gamma.h5", "pi+": "piplus.h5"}
COUNT = 5000
HEAD = """# Leaderboard

The shipped generators, {count:,} showers each of 1 to 100 GeV, against the test rows of Geant4,
judged with `--quick`; *Geant4 (floor)* is {count:,} of its train rows, judged in the same way. Made
with `python docs/make_leaderboard.py SHARED` (showers with seed 7, judged with seed 1).

"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shared", type=Path, help="folder with data/")
    data = parser.parse_args().shared / "data"
    reports = DOCS / "reports"
    reports.mkdir(exist_ok=True)
    found, links = [], []
    with tempfile.TemporaryDirectory() as folder:
        for name in artefact_names():
            card = load_card(name)
            file = Path(folder) / f"{name}.h5"
            caloforge.generate(
                file, model=name, particle=card.particle, energy="1:100", count=COUNT, seed=7
            )
            reference = load_reference(data / FILES[card.particle], seed=1)
            command = f"python docs/make_leaderboard.py: {name}"
            model = caloforge.load(name)
            evaluation, judged = evaluate(reference, [file], models=[model], command=command)
            page = write_report(Path(folder) / name, evaluation, judged, model.detector)
            shutil.copy(page, reports / f"{name}.html")
            links.append(f'- <a href="{name}.html">Report on {name}</a>\n')
            found.append(evaluation)
    # A column per sample is easier to read than one per number.
    rows = [list(row) for row in zip(*leaderboard(found), strict=True)]
    page = HEAD.format(count=COUNT) + markdown(rows) + "\n" + "".join(links)
    (DOCS / "leaderboard.md").write_text(page, "utf-8")


if __name__ == "__main__":
    main()
