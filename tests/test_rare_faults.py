"""What an AUC does not see: outliers, layers that do not fit, too much energy, copies."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import caloforge
from caloforge.detector import load_detector
from caloforge.evaluation import SECTIONS
from caloforge.evaluation.distances.alignment import compare_alignment
from caloforge.evaluation.distances.memorisation import memorisation
from caloforge.evaluation.distances.tails import UNLIKELY, compare_tails, extreme_chance
from caloforge.evaluation.faults import FAULTS, Good
from caloforge.evaluation.results import SampleInfo, SampleResult
from caloforge.evaluation.sections.headline import headline_section
from caloforge.evaluation.sections.pair import Finding, Pair
from caloforge.evaluation.verdicts import beside_floor, told_apart
from caloforge.showers import Showers, read_showers

COUNT = 2500
RARE = ("conservation", "tails", "alignment")
TOLD = [name for name, fault in FAULTS.items() if fault.verdicts[:1] == ("told apart",)]


class Sample:
    """Showers of Geant4: a reference, good ones, and those that a generator was made from."""

    def __init__(self, path: Path) -> None:
        train = read_showers(path, split="train")
        half = len(train) // 2
        self.training, self.good = train[:half], train[half : half + COUNT]
        self.reference = train[half + COUNT :]


@pytest.fixture(scope="module")
def positrons(shared: Path) -> Sample:
    return Sample(shared / "data/eplus.h5")


def spoiled(sample: Sample, name: str) -> Showers:
    rng = np.random.default_rng(5)
    return FAULTS[name].spoil(Good(sample.good, sample.training, rng))


def result(found: dict[str, Finding]) -> SampleResult:
    """What the judge makes of the findings of a sample."""
    info = SampleInfo(
        file="", sha256="", showers=1, available=1, rows="", particle="", detector="", energy=(1, 2)
    )
    return SampleResult(
        name="sample",
        info=info,
        headlines=tuple(line for each in found.values() for line in each.headlines),
        sections={},
        verdicts=tuple(word for each in found.values() for word in each.verdicts),
        warnings=tuple(text for each in found.values() for text in each.warnings),
        seconds=0,
    )


def changed(showers: Showers, deposits: NDArray[np.floating]) -> Showers:
    return replace(showers, deposits=deposits.astype(np.float32))


def find(reference: Showers, showers: Showers) -> dict[str, Finding]:
    pair = Pair(reference, showers, None, 1, quick=True)
    return {name: SECTIONS[name](pair) for name in RARE}


def warned(found: dict[str, Finding]) -> set[str]:
    return {name for name, finding in found.items() if finding.warnings}


@pytest.mark.parametrize("particle", ["eplus", "gamma", "piplus"])
@pytest.mark.parametrize("readout", ["", "-voxels"])
def test_geant4_is_not_suspected(shared: Path, particle: str, readout: str) -> None:
    sample = Sample(shared / f"data/{particle}{readout}.h5")
    found = find(sample.reference, sample.good)
    assert not warned(found)
    for finding in found.values():
        (headline,) = finding.headlines
        assert headline.value is not None
        assert headline.error is not None
        assert headline.error > 0


def test_a_generator_that_is_fine_in_these_is_not_suspected(positrons: Sample) -> None:
    showers = caloforge.load("atlas-vae-eplus").sample(positrons.good.energy, seed=3)
    assert not warned(find(positrons.reference, showers))


def test_a_mirrored_shower_is_a_shower(positrons: Sample) -> None:
    mirror = positrons.good.detector.symmetries["eta"]
    assert not warned(
        find(positrons.reference, changed(positrons.good, positrons.good.deposits[:, mirror]))
    )


def test_one_per_cent_of_absurd_showers(positrons: Sample) -> None:
    deposits = positrons.good.deposits.copy()
    deposits[: COUNT // 100] *= 100
    found = find(positrons.reference, changed(positrons.good, deposits))
    assert warned(found) == {"conservation", "tails"}
    assert "25 of 2,500 showers deposit more than there is" in found["conservation"].warnings[0]
    assert found["conservation"].headlines[0].value == pytest.approx(0.01)
    assert found["tails"].warnings[0].startswith("outliers: ")
    assert "above all" in found["tails"].warnings[0]


def test_three_per_cent_of_outliers_in_a_cell(positrons: Sample) -> None:
    deposits = positrons.good.deposits.copy()
    part = positrons.good.detector.slices[1]
    rows = np.arange(3 * COUNT // 100)
    deposits[rows, part.start + deposits[rows, part].argmax(axis=1)] *= 5
    tails = compare_tails(positrons.reference, changed(positrons.good, deposits))
    assert len(tails.unlikely) > 3
    assert tails.tails[0].chance < 1e-15
    assert "layer 1" in tails.tails[0].observable.title
    assert tails.share.value > 0.03


def test_a_transposed_layer(positrons: Sample) -> None:
    deposits = positrons.good.deposits.copy()
    part = positrons.good.detector.slices[1]
    image = deposits[:, part].reshape(-1, 12, 12)
    deposits[:, part] = image.transpose(0, 2, 1).reshape(len(deposits), -1)
    found = find(positrons.reference, changed(positrons.good, deposits))
    assert warned(found) == {"alignment"}
    assert "centres of layers 0 and 1 along eta go together less" in found["alignment"].warnings[0]


def test_a_layer_of_other_showers(positrons: Sample) -> None:
    deposits = positrons.good.deposits.copy()
    part = positrons.good.detector.slices[1]
    deposits[:, part] = np.roll(deposits[:, part], 1, axis=0)
    worst = max(
        compare_alignment(positrons.reference, changed(positrons.good, deposits)),
        key=lambda each: each.difference.value,
    )
    assert worst.seen
    assert abs(worst.showers.value) < 0.1


@pytest.mark.parametrize(("count", "n", "m"), [(1, 3, 1), (2, 2, 2), (2, 3, 4), (3, 1, 5)])
def test_chance_of_extremes_is_counted(count: int, n: int, m: int) -> None:
    orders = list(combinations(range(n + m), m))  # where the showers of the sample are
    top = set(range(n + m - count, n + m))
    expected = np.mean([top <= set(order) for order in orders])
    assert extreme_chance(count, n, m) == pytest.approx(expected)


def test_chances_are_chances() -> None:
    """Of samples of one kind hardly any has showers that are unlikely."""
    detector = load_detector("calogan")
    rng = np.random.default_rng(1)
    for _ in range(10):
        samples = []
        for n in (300, 200):
            shares = rng.dirichlet(np.full(detector.n_cells, 0.1), n)
            energy = rng.uniform(1, 100, n)
            deposits = (1e3 * energy[:, None] * shares).astype(np.float32)
            samples.append(Showers(detector, energy, deposits, "e+"))
        tails = compare_tails(samples[0], samples[1])
        assert all(tail.chance > UNLIKELY for tail in tails.tails)
        assert 0 < tails.beyond < 200


@pytest.mark.parametrize("particle", ["eplus", "gamma", "piplus"])
@pytest.mark.parametrize(("noise", "count"), [(0.01, COUNT // 100), (0.1, COUNT // 50)])
def test_few_copies_among_many(shared: Path, particle: str, noise: float, count: int) -> None:
    """One per cent, or two where each cell is off by a tenth."""
    sample = Sample(shared / f"data/{particle}.h5")
    rng = np.random.default_rng(1)
    options: dict[str, Any] = {"max_showers": 1500}
    honest = memorisation(sample.training, sample.reference, sample.good, rng, **options)
    assert not honest.memorised
    assert honest.pulled <= 1
    copied = sample.training[:count]
    factors = np.maximum(0, 1 + noise * rng.standard_normal(copied.deposits.shape))
    mixed = Showers.concatenate([sample.good[count:], changed(copied, copied.deposits * factors)])
    found = memorisation(sample.training, sample.reference, mixed, rng, **options)
    assert found.copies == 0
    assert found.memorised
    assert 6 <= found.pulled <= count


@pytest.mark.parametrize("name", FAULTS)
def test_verdicts_that_are_cheap(name: str, positrons: Sample) -> None:
    showers = spoiled(positrons, name)
    assert (showers is positrons.good) == (name == "nothing")
    pair = Pair(positrons.reference, showers, positrons.training, 1, quick=True)
    sections = (*RARE, "memorisation")
    found = {word for each in sections for word in SECTIONS[each](pair).verdicts}
    wanted = {*FAULTS[name].verdicts} - {"told apart"}
    if wanted:
        assert found & wanted
    assert not {"memorised", "collapsed"} & (found - wanted)
    if not FAULTS[name].verdicts:
        assert not found


@pytest.fixture(scope="module")
def floor(positrons: Sample) -> SampleResult:
    """Geant4 showers of the headline test beside others."""
    reference = positrons.reference[:1300]
    pair = Pair(reference, positrons.reference[1300:2600], None, 1, quick=True)
    return result({"headline": headline_section(pair)})


@pytest.mark.slow
@pytest.mark.parametrize("name", [*TOLD, "nothing", "mirrored in x and y"])
def test_verdict_of_the_headline(name: str, positrons: Sample, floor: SampleResult) -> None:
    pair = Pair(positrons.reference, spoiled(positrons, name), None, 1, quick=True)
    sample = result({"headline": headline_section(pair)})
    judged = beside_floor([floor, sample])[1]
    assert judged.verdicts == (("told apart",) if name in TOLD else ())
    assert bool(told_apart(sample, floor)) == (name in TOLD)
