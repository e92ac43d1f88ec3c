"""Make docs/amplification.md: how many showers of Geant4 is a generated sample worth.

OMP_NUM_THREADS=1 python docs/make_amplification.py ../shared
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import caloforge
from caloforge.evaluation.distances.amplification import Worth, worth
from caloforge.evaluation.features.observables import compute, observables
from caloforge.export import train_library
from caloforge.incident.spectrum import Spectrum
from caloforge.runtime import Generator
from caloforge.showers import Showers, read_part

PAGE = Path(__file__).with_name("amplification.md")
PARTICLE, FILE, SEED = "e+", "eplus.h5", 11
COUNT, BLOCK = 200_000, 5_000
FEWER = {"fastcalosim-eplus": 20_000}
SIZES = (1_000, 10_000, 50_000, COUNT)
HEAD = """# Amplification

How many showers of Geant4 is a generated sample worth? A generator that was made from {train:,}
showers makes any number of them; that many more histogram entries are not that much more knowledge
([arXiv:2008.06545](https://arxiv.org/abs/2008.06545)). In each observable the {test:,} test rows of
{particle} are the truth: their ten quantiles in each of eight slices of the incident energy. A
sample is worth as many Geant4 showers as are, on average, as far from the truth in the shares of
these 80 bins (`caloforge.evaluation.distances.amplification.worth`). In brackets one
standard deviation; *more than* where the distance is not seen, which is two standard deviations
away. A truth of {test:,} showers sees no number far beyond its own.

## What generated showers are worth

{summary}"""
TEXT = """
*Geant4 (train rows)* is the check: {train:,} showers must be worth {train:,}. Where they are worth
less, train and test rows differ by more than chance, and no generator made of these train rows can
be asked for more. The [shower library](library.md) keeps all train rows and invents nothing: it is
worth what they are, but for what its mirrors and exact energies add. Of {chosen} observables one or
two are two standard deviations off by chance alone, and they are not independent of each other.

## More showers

Median over the observables, by how many showers are made: what is wrong with a generator, or with
the showers that it was made from, does not become less with more of them.

{growth}
## Each observable

{table}
Made with `python docs/make_amplification.py SHARED` in {cpu:.0f} s of processor time on one thread
(seed {seed}{fewer}). The test rows are the truth of this page and chose nothing.
"""

Columns = dict[str, NDArray[np.float64]]


def columns(blocks: Iterator[Showers]) -> tuple[Columns, NDArray[np.float64]]:
    """All observables, and the incident energies, of showers that come in blocks."""
    energies: list[NDArray[np.float64]] = []
    first = next(blocks)

    def noted() -> Iterator[Showers]:
        for block in chain([first], blocks):
            energies.append(block.energy)
            yield block

    found = compute(noted(), observables(first.detector))
    return found, np.concatenate(energies)


def made(generator: Generator, count: int) -> Iterator[Showers]:
    """Showers of a generator, uniform in 1 to 100 GeV."""
    spectrum = Spectrum.parse("1:100")
    for start in range(0, count, BLOCK):
        size = min(BLOCK, count - start)
        yield generator.sample(spectrum.sample(SEED, start, size), seed=SEED, first=start)


def text(found: Worth) -> str:
    """A number with its range, or the least number."""
    if not found.is_seen:
        return f"more than {rounded(found.least)}"
    low, high = (1 / (found.inverse.value + sign * found.inverse.error) for sign in (1, -1))
    return f"{rounded(found.showers)} ({rounded(low)} to {rounded(high)})"


def rounded(number: float) -> str:
    """Two digits, as the errors allow."""
    return f"{float(f'{number:.2g}'):,.0f}"


def median(found: list[Worth]) -> float:
    """The number of which half of the observables are worth more."""
    inverse = float(np.median([each.inverse.value for each in found]))
    return 1 / inverse if inverse > 0 else float("inf")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shared", type=Path, help="folder with data/")
    path = parser.parse_args().shared / "data" / FILE
    start = time.process_time()
    train, test = (read_part(path, part, PARTICLE) for part in ("train", "test"))
    truth = columns(iter([test]))
    samples = {"Geant4 (train rows)": columns(iter([train]))}
    with tempfile.TemporaryDirectory() as folder:
        library = train_library(
            Path(folder) / "library-eplus", {PARTICLE: [path]}, energy_range=(1, 100)
        )
        for name in (library, "atlas-vae-eplus", "fastcalosim-eplus"):
            generator = caloforge.load(name)
            count = FEWER.get(generator.card.name, COUNT)
            samples[generator.card.name] = columns(made(generator, count))
            print(generator.card.name, "made", flush=True)

    def judged(name: str, size: int) -> dict[str, Worth]:
        values, energy = samples[name]
        each = {
            key: worth(truth[0][key], truth[1], values[key][:size], energy[:size]) for key in values
        }
        return {key: found for key, found in each.items() if found is not None}

    found = {name: judged(name, COUNT) for name in samples}
    summary = (
        "| | showers | worth, median of the observables | least and most of them | worth more "
    )
    summary += f"than {len(train):,} |\n|---|---|---|---|---|\n"
    for name, each in found.items():
        numbers = sorted(each.values(), key=lambda item: -item.inverse.value)
        best = max(numbers, key=lambda item: item.least)
        above = sum(item.least > len(train) for item in numbers)
        below = sum(item.is_seen and item.showers < len(train) for item in numbers)
        summary += (
            f"| {name} | {len(samples[name][1]):,} | {amount(median(numbers))} "
            f"| {text(numbers[0])}; {text(best)} "
            f"| {above} of {len(numbers)} by two errors, {len(numbers) - above - below} perhaps |\n"
        )
    heads = [f"{size:,}" for size in SIZES]
    growth = f"| | {' | '.join(heads)} |\n|---|{'---|' * len(SIZES)}\n"
    for name in list(samples)[1:]:
        sizes = [size for size in SIZES if size <= len(samples[name][1])]
        cells = [amount(median(list(judged(name, size).values()))) for size in sizes]
        growth += f"| {name} | {' | '.join(cells + [''] * (len(SIZES) - len(cells)))} |\n"
    table = f"| | {' | '.join(found)} |\n|---|{'---|' * len(found)}\n"
    for item in observables(test.detector):
        if all(item.name in each for each in found.values()):
            cells = [text(each[item.name]) for each in found.values()]
            table += f"| {item.title} | {' | '.join(cells)} |\n"
    page = HEAD.format(
        train=len(train), test=len(test), particle=PARTICLE, summary=summary
    ) + TEXT.format(
        train=len(train),
        chosen=len(found["atlas-vae-eplus"]),
        growth=growth,
        table=table,
        seed=SEED,
        cpu=time.process_time() - start,
        fewer="".join(f"; {count:,} of {name}" for name, count in FEWER.items()),
    )
    PAGE.write_text(page, "utf-8")


def amount(number: float) -> str:
    return rounded(number) if np.isfinite(number) else "not seen"


if __name__ == "__main__":
    main()
