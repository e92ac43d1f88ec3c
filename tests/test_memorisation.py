"""Memorisation: copies are found, showers that were held out are not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from caloforge.detector import Detector, RectangularLayer
from caloforge.errors import ShowersError
from caloforge.evaluation.distances.memorisation import Memorisation, memorisation, scaled_cells
from caloforge.evaluation.plain import plain
from caloforge.showers import Showers, open_showers

LAYERS = Detector("two", tuple(RectangularLayer(None, (-1, 0, 1), (0, 1, 2, 3)) for _ in range(2)))


def make_showers(count: int, seed: int) -> Showers:
    """Showers whose cells fluctuate independently about a common pattern."""
    rng = np.random.default_rng(seed)
    energy = rng.uniform(1, 100, count)
    shape = np.linspace(1, 4, LAYERS.n_cells)
    share = rng.gamma(shape, size=(count, LAYERS.n_cells)) / shape.sum()
    deposits = (1000 * energy[:, None] * share).astype(np.float32)
    return Showers(LAYERS, energy, deposits, "e+")


def judge(generated: Showers, *, training: int = 1200, seed: int = 0) -> Memorisation:
    rng = np.random.default_rng(seed)
    return memorisation(make_showers(training, 1), make_showers(600, 2), generated, rng)


def smeared(showers: Showers, width: float) -> Showers:
    factor = np.random.default_rng(9).normal(1, width, showers.deposits.shape)
    return replace(showers, deposits=(showers.deposits * factor.clip(0)).astype(np.float32))


def test_independent_showers_are_not_suspected() -> None:
    pulls = []
    for seed in range(5):
        found = judge(make_showers(600, 100 + seed), seed=seed)
        assert not found.memorised
        assert not found.collapsed
        assert found.copies == found.duplicates == found.empty == 0
        assert found.test.p_value > 1e-4
        assert abs(found.median_ratio.value - 1) < 5 * found.median_ratio.error
        assert abs(found.close_share.value - 0.01) < 5 * found.close_share.error + 0.005
        assert found.expected_preference == pytest.approx(2 / 3)
        pulls.append((found.preference.value - 2 / 3) / found.preference.error)
    assert np.abs(pulls).max() < 4


def test_the_training_set_is_caught() -> None:
    found = judge(make_showers(1200, 1)[:600])
    assert found.memorised
    assert not found.collapsed
    assert found.copies == 600
    assert found.test.statistic == pytest.approx(1)
    assert found.close_share.value == 1
    assert found.median_ratio.value == 0
    assert found.preference.value == 1


def test_scaled_copies_are_caught() -> None:
    training = make_showers(1200, 1)[:600]
    louder = replace(
        training, energy=1.3 * training.energy, deposits=np.float32(1.3) * training.deposits
    )
    assert judge(louder).copies == 600


def test_mirrored_and_scaled_copies_are_caught() -> None:
    """A shower library whose every shower is a mirror image, of an energy that it does not have."""
    training = make_showers(1200, 1)[:600]
    mirrored = training.deposits[:, LAYERS.symmetries["phi"]]
    assert not (mirrored == training.deposits).all(axis=1).any()
    scaled = replace(training, energy=1.02 * training.energy, deposits=np.float32(1.02) * mirrored)
    found = judge(scaled)
    assert found.copies == 600
    assert found.memorised
    few = judge(Showers.concatenate([smeared(scaled[:60], 0.02), make_showers(540, 3)]))
    assert few.copies == 0
    assert few.memorised


@pytest.mark.parametrize("copied", [600, 120])
def test_noisy_copies_are_caught_where_not_one_is_exact(copied: int) -> None:
    noisy = smeared(make_showers(1200, 1)[:copied], 0.05)
    found = judge(Showers.concatenate([noisy, make_showers(600 - copied, 3)]))
    assert found.copies == 0
    assert found.memorised


def test_a_blurred_sample_is_close_but_not_a_copy() -> None:
    showers = make_showers(600, 3)
    mean = scaled_cells(make_showers(1200, 1)).mean(axis=0) ** 2 * 1000 * showers.energy[:, None]
    blurred = replace(showers, deposits=(0.5 * showers.deposits + 0.5 * mean).astype(np.float32))
    found = judge(blurred)
    assert found.median_ratio.value < 0.8
    assert found.close_share.value > 0.05
    assert found.diversity.value < 0.8
    assert not found.memorised


def test_the_mean_shower_for_all_is_caught() -> None:
    showers = make_showers(600, 3)
    mean = scaled_cells(showers).mean(axis=0) ** 2 * 1000 * showers.energy[:, None]
    found = judge(replace(showers, deposits=mean.astype(np.float32)))
    assert found.collapsed
    assert not found.memorised
    assert found.duplicates == 600
    assert found.diversity.value < 0.01


def test_duplicates_are_counted() -> None:
    showers = make_showers(600, 3)
    rows = np.arange(600)
    rows[:20] = 599
    found = judge(showers[rows])
    assert found.duplicates == 21
    assert found.collapsed


def test_empty_showers_are_counted_and_left_out() -> None:
    showers = make_showers(600, 3)
    deposits = showers.deposits.copy()
    deposits[:100] = 0
    found = judge(replace(showers, deposits=deposits))
    assert found.empty == 100
    assert found.counts == (1200, 600, 500)
    assert found.duplicates == 0


def test_examples_name_rows_of_the_samples_given() -> None:
    training, generated = make_showers(1200, 1), make_showers(600, 3)
    found = judge(generated)
    assert len(found.examples) == 5
    mine, theirs = scaled_cells(generated), scaled_cells(training)
    for pair in found.examples:
        distances = np.linalg.norm(theirs - mine[pair.generated], axis=1)
        assert pair.training == distances.argmin()
        assert pair.distance == pytest.approx(distances.min(), rel=1e-5)
    steps: NDArray[np.float64] = np.diff([pair.distance for pair in found.examples])
    assert (steps > 0).all()
    assert found.examples[0].distance == found.distances.min()
    assert found.examples[-1].distance == found.distances.max()


def test_the_same_seed_gives_the_same_json() -> None:
    generated = make_showers(600, 3)
    first, second = (json.dumps(plain(judge(generated)), allow_nan=False) for _ in range(2))
    assert first == second


def test_wrong_samples_are_refused() -> None:
    showers = make_showers(100, 1)
    rng = np.random.default_rng(0)
    with pytest.raises(ShowersError, match="generated: has 10 showers with energy"):
        memorisation(showers, showers, showers[:10], rng)
    other = Detector("other", (RectangularLayer(None, (0, 1), (0, 1)),))
    wrong = Showers(other, np.ones(50), np.ones((50, 1), np.float32), "e+")
    with pytest.raises(ShowersError, match="held_out: got showers in the detector 'other'"):
        memorisation(showers, wrong, showers, rng)


def test_geant4_showers(shared: Path) -> None:
    with open_showers(shared / "data" / "eplus.h5") as file:
        showers = file.read(0, 3000)
    training, held_out, others = showers[:2000], showers[2000:2500], showers[2500:]
    rng = np.random.default_rng(1)
    sound = memorisation(training, held_out, others, rng)
    assert not sound.memorised
    assert not sound.collapsed
    copied = memorisation(training, held_out, smeared(training[:500], 0.05), rng)
    assert copied.memorised
    assert copied.median_ratio.value < 0.5
