"""Time and memory of a whole evaluation, with its report.

    python benchmarks/evaluate.py [--detector calochallenge-ds2] [--count 20000] [--full]
                                  [--without-classifiers]

Judges COUNT made-up showers against COUNT others, with COUNT more as the floor: what an evaluation
costs depends on their number, not on what they look like. Prints the largest resident memory of the
process, wall time and processor time.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from caloforge.detector import Detector, load_detector
from caloforge.evaluation import evaluate
from caloforge.evaluation.sections import SECTIONS
from caloforge.showers import Showers, write_showers
from caloforge.web.report import write_report

BLOCK = 1000


def showers(detector: Detector, count: int, seed: int) -> Showers:
    """Exponential deposits that fall off around the axis; a third of the cells are empty."""
    rng = np.random.default_rng(seed)
    energy = rng.uniform(1.0, 100.0, count)
    share = np.exp(-np.hypot(*detector.centres[:, :2].T) / 30.0)
    deposits = np.empty((count, detector.n_cells), dtype=np.float32)
    for first in range(0, count, BLOCK):
        part = deposits[first : first + BLOCK]
        part[:] = rng.standard_exponential(part.shape, dtype=np.float32) * share
        part[rng.random(part.shape, dtype=np.float32) < 1 / 3] = 0
        part *= (900 * energy[first : first + BLOCK] / part.sum(axis=1))[:, None]
    return Showers(detector, energy, deposits, "e+")


def judge(folder: Path, *, quick: bool, classifiers: bool) -> None:
    """The evaluation: a process of its own."""
    sections = [name for name in SECTIONS if classifiers or name != "classifiers"]
    evaluation, shown = evaluate(
        folder / "reference.h5", [folder / "sample.h5"], quick=quick, sections=sections
    )
    write_report(folder / "report", evaluation, shown, load_detector((folder / "name").read_text()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--detector", default="calochallenge-ds2")
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--without-classifiers", action="store_true")
    parser.add_argument("--judge", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.judge:
        judge(options.judge, quick=not options.full, classifiers=not options.without_classifiers)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        detector = load_detector(options.detector)
        (folder / "name").write_text(options.detector)
        for name, count, seed in (
            ("reference", 2 * options.count, 1),
            ("sample", options.count, 2),
        ):
            write_showers(folder / f"{name}.h5", showers(detector, count, seed))
        start = time.perf_counter()
        subprocess.run([sys.executable, *sys.argv, "--judge", str(folder)], check=True)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        print(
            f"{options.detector}, 3 x {options.count:,}: {used.ru_maxrss / 1e6:.2f} GB, "
            f"{time.perf_counter() - start:.0f} s, "
            f"{used.ru_utime + used.ru_stime:.0f} s of processor time"
        )


if __name__ == "__main__":
    main()
