"""The test with boosted trees: out of fold, seeded, blind to equal samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_info, threadpool_limits

from caloforge.detector import load_detector
from caloforge.errors import CaloforgeError, ShowersError
from caloforge.evaluation.classifiers.trees import TreesProtocol, trees_test
from caloforge.showers import Showers, read_showers

FEW = TreesProtocol(trees=20, folds=2)


@pytest.fixture(scope="module")
def positrons(shared: Path) -> Showers:
    return read_showers(shared / "data" / "eplus.h5", split="train")


def changed(showers: Showers, deposits: NDArray[np.floating]) -> Showers:
    return Showers(showers.detector, showers.energy, deposits, showers.particle)


def halves(showers: Showers, size: int, seed: int) -> tuple[Showers, Showers]:
    order = np.random.default_rng(seed).permutation(len(showers))
    return showers[order[:size]], showers[order[size : 2 * size]]


def made_up(n: int, seed: int = 0) -> Showers:
    detector = load_detector("calogan")
    rng = np.random.default_rng(seed)
    energy = rng.uniform(1, 100, n)
    shares = rng.dirichlet(np.full(detector.n_cells, 0.1), n)
    return Showers(detector, energy, (1e3 * energy[:, None] * shares).astype(np.float32), "e+")


def test_seeds_reproduce() -> None:
    samples = made_up(150), made_up(130, seed=1)
    first, second, other = (trees_test(*samples, FEW, seed=seed) for seed in (1, 1, 2))
    assert first.model_dump(exclude={"seconds"}) == second.model_dump(exclude={"seconds"})
    assert first.fold_auc != other.fold_auc
    assert (first.n_showers, first.n_available, first.n_features) == (130, (150, 130), 26)
    assert first.auc == pytest.approx(np.mean(first.fold_auc))


def test_every_shower_is_scored_out_of_fold() -> None:
    """Trees that could see what they score would tell copies of random showers apart."""
    samples = made_up(200), made_up(200, seed=1)
    greedy = TreesProtocol(trees=60, showers_per_leaf=1, l2=0, folds=2)
    result = trees_test(*samples, greedy, seed=1)
    assert abs(result.auc - 0.5) < 4 * result.auc_error


@pytest.mark.slow
@pytest.mark.parametrize("particle", ["eplus", "gamma", "piplus"])
def test_floor(shared: Path, particle: str) -> None:
    showers = read_showers(shared / "data" / f"{particle}.h5", split="train")
    results = [trees_test(*halves(showers, 1500, seed), seed=seed) for seed in range(3)]
    aucs = np.array([result.auc for result in results])
    errors = np.array([result.auc_error for result in results])
    assert abs(aucs.mean() - 0.5) < 3 * errors.mean() / np.sqrt(3)
    assert np.abs((aucs - 0.5) / errors).max() < 4


@pytest.mark.parametrize(("change", "at_least"), [("scale", 0.9), ("smear", 0.8), ("mean", 0.99)])
def test_sensitivity(positrons: Showers, change: str, at_least: float) -> None:
    reference, showers = halves(positrons, 1500, seed=3)
    deposits = showers.deposits
    if change == "scale":
        deposits = deposits * np.float32(1.01)
    elif change == "smear":
        factor = 1 + 0.05 * np.random.default_rng(1).standard_normal(deposits.shape)
        deposits = np.maximum(deposits * factor, 0).astype(np.float32)
    else:
        deposits = np.broadcast_to(deposits.mean(axis=0), deposits.shape)
    result = trees_test(reference, changed(showers, deposits), TreesProtocol(folds=2), seed=1)
    assert result.auc > at_least
    assert result.auc - 0.5 > 4 * result.auc_error
    assert result.warnings == ()


def test_trees_take_the_threads_that_they_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[set[int]] = []
    fit = HistGradientBoostingClassifier.fit

    def spy(self: object, *arguments: object) -> object:
        seen.append({int(pool["num_threads"]) for pool in threadpool_info()})
        return fit(self, *arguments)

    monkeypatch.setattr(HistGradientBoostingClassifier, "fit", spy)
    samples = made_up(150), made_up(130, seed=1)
    with threadpool_limits(3):  # as many as a machine has, whatever the environment says
        alone = trees_test(*samples, FEW, seed=1)
        assert seen == [{1}, {1}]
        two = trees_test(*samples, FEW, seed=1, threads=2)
        assert {pool["num_threads"] for pool in threadpool_info()} == {3}
    assert seen[2:] == [{2}, {2}]
    assert two.auc == pytest.approx(alone.auc, abs=0.02)
    with pytest.raises(CaloforgeError, match="threads: got 0, must be at least 1"):
        trees_test(*samples, FEW, seed=1, threads=0)


def test_different_spectra_are_said() -> None:
    showers = made_up(400)
    hard = showers[showers.energy > 30]
    assert "Kolmogorov-Smirnov" in trees_test(made_up(400, seed=1), hard, FEW, seed=1).warnings[0]


def test_bad_input_is_refused() -> None:
    showers = made_up(100)
    with pytest.raises(ShowersError, match="got 30 of each class, must be at least 20 in each"):
        trees_test(showers, showers[:30], FEW, seed=1)
    gamma = Showers(showers.detector, showers.energy, showers.deposits, "gamma")
    with pytest.raises(ShowersError, match="must be of the same particle"):
        trees_test(showers, gamma, FEW, seed=1)
    with pytest.raises(CaloforgeError, match="seed"):
        trees_test(showers, showers, FEW, seed=-1)
