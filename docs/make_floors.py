"""Make docs/floors.md: what the judge says of Geant4 against Geant4, over several seeds.

python docs/make_floors.py ../shared
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from caloforge.evaluation import evaluate
from caloforge.evaluation.classifiers.network_test import classifier_test, find_protocol
from caloforge.evaluation.classifiers.protocols import PROTOCOLS
from caloforge.evaluation.samples import Reference, load_reference
from caloforge.random import Purpose, stream

PAGE = Path(__file__).with_name("floors.md")
FILES = {"e+": "eplus.h5", "gamma": "gamma.h5", "pi+": "piplus.h5"}
QUICK, FULL = 5000, 500  # showers of each of the two samples
SEEDS = 10
HEAD = """# The floor

Geant4 against Geant4, over {seeds} seeds: each draws two samples without a common shower from the
train rows of a particle, which judge each other. A cell has the mean over the seeds with its error
(from the spread of the seeds) and, in brackets, how large that spread is in units of the error that
the judge itself states: 1 where errors are what they should be.

Made with `python docs/make_floors.py SHARED{options}`.

## Quick: {quick:,} showers in each sample

"""
FULL_HEAD = """
## Classifiers at their published size: {full:,} showers in each sample

"""

Numbers = dict[str, tuple[float, float]]


def halves(path: Path, size: int, seed: int) -> Reference:
    """Two samples of Geant4 showers, the second to be judged against the first."""
    reference = load_reference(path, seed=seed)
    assert reference.training is not None
    train = reference.training
    rows = stream(seed, Purpose.FLOOR).permutation(len(train))
    return Reference(
        replace(reference.sample, showers=train[rows[:size]]),
        replace(reference.floor, showers=train[rows[size : 2 * size]]),
        None,
    )


def quick(path: Path, seed: int) -> Numbers:
    pair = halves(path, QUICK, seed)
    floor = evaluate(pair, [], seed=seed, quick=True)[0].floor
    chi2 = [row["chi2_ndf"]["value"] for row in floor.sections["observables"]["observables"]]
    found = {"chi2/NDF, mean of all observables": (float(np.mean(chi2)), float("nan"))}
    for item in floor.headlines:
        found[item.label] = (float(item.value or 0.0), float(item.error or 0.0))
    return found


def full(path: Path, seed: int) -> Numbers:
    pair = halves(path, FULL, seed)
    results = [
        classifier_test(
            pair.sample.showers, pair.floor.showers, find_protocol(name, quick=False), seed=seed
        )
        for name in PROTOCOLS
    ]
    return {f"AUC, {result.name}": (result.auc, result.auc_error) for result in results}


def table(found: dict[str, list[Numbers]]) -> str:
    """Lines of numbers, columns of particles."""
    text = f"| | {' | '.join(found)} |\n|---|{'---|' * len(found)}\n"
    for label in next(iter(found.values()))[0]:
        cells = []
        for seeds in found.values():
            values, errors = np.array([numbers[label] for numbers in seeds]).T
            spread = values.std(ddof=1)
            pull = "" if np.isnan(errors).any() else f" ({spread / errors.mean():.1f})"
            cells.append(f"{values.mean():.4f} ± {spread / np.sqrt(len(values)):.4f}{pull}")
        text += f"| {label} | {' | '.join(cells)} |\n"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shared", type=Path, help="folder with data/")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--workers", type=int, default=2, help="processes, of one thread each")
    options = parser.parse_args()
    seeds = range(options.seeds)
    jobs = [*product((quick,), FILES, seeds), *product((full,), ("e+",), seeds)]
    with ProcessPoolExecutor(
        options.workers, get_context("spawn"), torch.set_num_threads, (1,)
    ) as pool:
        futures = [
            pool.submit(kind, options.shared / "data" / FILES[particle], seed)
            for kind, particle, seed in jobs
        ]
        done = dict(zip(jobs, (future.result() for future in futures), strict=True))
    page, given = "", "" if len(seeds) == SEEDS else f" --seeds {len(seeds)}"
    for kind, head in ((quick, HEAD), (full, FULL_HEAD)):
        page += head.format(seeds=len(seeds), quick=QUICK, full=FULL, options=given)
        particles = dict.fromkeys(name for each, name, _ in jobs if each is kind)
        page += table({name: [done[kind, name, seed] for seed in seeds] for name in particles})
    PAGE.write_text(page, "utf-8")


if __name__ == "__main__":
    main()
