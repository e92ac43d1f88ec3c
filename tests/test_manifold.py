"""Distances in high dimension: against jetnet and prdc, known Gaussians, naive loops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from caloforge.errors import CaloforgeError, ShowersError
from caloforge.evaluation.distances import coverage as neighbours
from caloforge.evaluation.distances import physics as manifold
from caloforge.evaluation.distances.coverage import log_cells, nearest, prdc
from caloforge.evaluation.distances.physics import PhysicsDistance, fpd, gaussian_frechet, kpd
from caloforge.evaluation.features.calochallenge import high_level
from caloforge.showers import read_showers

DATA = Path(__file__).parent / "data"
Floats = NDArray[np.float64]


def rng(seed: int = 42) -> np.random.Generator:
    return np.random.default_rng(seed)


def small_fpd(first: Floats, second: Floats, seed: int = 42) -> PhysicsDistance:
    return fpd(first, second, rng(seed), min_samples=1000, max_samples=4000)


@pytest.fixture(scope="module")
def gaussians() -> tuple[Floats, Floats]:
    """Correlated features, and others a little wider and shifted."""
    draw = rng(11)
    mix = draw.normal(size=(6, 6))
    return draw.normal(size=(4000, 6)) @ mix, draw.normal(0.15, 1.1, size=(3500, 6)) @ mix


@pytest.fixture(scope="module")
def features() -> tuple[Floats, Floats]:
    """High-level features of 60 positrons and 60 photons."""
    files = (DATA / "eplus-calogan.h5", DATA / "gamma-calogan.h5")
    first, second = (high_level(read_showers(file)) for file in files)
    return np.asarray(first, np.float64), np.asarray(second, np.float64)


def test_fpd_is_that_of_jetnet(gaussians: tuple[Floats, Floats]) -> None:
    # jetnet 0.2.5, fpd(..., min_samples=1000, max_samples=4000): the same rows are drawn. Its fit
    # stops before the least squares are reached, the more so the smaller the distance.
    found = small_fpd(*gaussians)
    assert found.value == pytest.approx(0.013607628703037963, abs=0.1 * 0.0005875824663060386)
    assert found.error == pytest.approx(0.0005875824663060386, rel=0.01)
    assert found.counts == (4000, 3500)
    first = gaussians[0]
    itself = small_fpd(first[:2000], first[2000:])
    assert itself.value == pytest.approx(0.0006946548379432347, abs=0.0001096647248264525)


def test_kpd_is_that_of_jetnet(gaussians: tuple[Floats, Floats]) -> None:
    # jetnet 0.2.5, kpd(..., num_batches=1, batch_size=1000): the same rows are drawn.
    one = kpd(*gaussians, rng(), num_batches=1, batch_size=1000)
    assert one.value == pytest.approx(0.0062099125864283344, rel=1e-9)
    # With more batches other rows are.
    many = kpd(*gaussians, rng(), num_batches=20, batch_size=1000)
    assert many.value == pytest.approx(0.0062478294737386975, abs=0.0013896095187384337)
    assert many.error == pytest.approx(0.0013896095187384337, rel=0.5)


def test_features_of_showers_give_the_numbers_of_jetnet(features: tuple[Floats, Floats]) -> None:
    assert small_fpd(*features).value == pytest.approx(6.715910993342928, rel=1e-4)
    one = kpd(*features, rng(), num_batches=1, batch_size=1000)
    assert one.value == pytest.approx(16.880042546834513, rel=1e-6)


def test_gaussians_of_known_distance() -> None:
    # |shift|^2 + sum over axes of (s - s')^2, as the covariances commute.
    widths, others = np.array([1.0, 2.0, 0.5]), np.array([1.5, 2.0, 0.0])
    expected = 9.0 + np.sum((widths - others) ** 2)
    shift = np.array([0.0, 3.0, 0.0])
    turn = np.linalg.qr(rng().normal(size=(3, 3)))[0]
    found = gaussian_frechet(
        np.zeros(3), turn @ np.diag(widths**2) @ turn.T, shift, turn @ np.diag(others**2) @ turn.T
    )
    assert found == pytest.approx(expected, rel=1e-6)
    draw = rng(3)
    first = draw.normal(size=(20_000, 3)) * widths
    second = draw.normal(size=(20_000, 3)) * others + shift
    sampled = fpd(first, second, rng(), normalise=False)
    assert sampled.value == pytest.approx(expected, rel=0.03)


@given(st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_the_distance_is_symmetric_and_zero_for_the_same(dimension: int, seed: int) -> None:
    draw = rng(seed)
    roots = draw.normal(size=(2, dimension, dimension + 1)) * (draw.random((2, dimension, 1)) < 0.7)
    one, other = roots @ roots.transpose(0, 2, 1)
    means = draw.normal(size=(2, dimension))
    there = gaussian_frechet(means[0], one, means[1], other)
    assert there == pytest.approx(gaussian_frechet(means[1], other, means[0], one), abs=1e-5)
    assert there > -1e-5
    assert gaussian_frechet(means[0], one, means[0], one) == pytest.approx(0, abs=1e-5)


def test_identical_samples_are_no_distance_apart(gaussians: tuple[Floats, Floats]) -> None:
    first = gaussians[0]
    found = small_fpd(first, first)
    assert 0 <= found.value < 3e-4
    kernel = kpd(first, first, rng(), batch_size=1000)
    assert abs(kernel.value) < 3 * kernel.error + 1e-4


def test_the_same_seed_gives_the_same_numbers(gaussians: tuple[Floats, Floats]) -> None:
    assert small_fpd(*gaussians) == small_fpd(*gaussians)
    assert small_fpd(*gaussians) != small_fpd(*gaussians, seed=1)


def test_blocks_do_not_change_the_numbers(
    gaussians: tuple[Floats, Floats], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = small_fpd(*gaussians), kpd(*gaussians, rng(), num_batches=2, batch_size=500)
    monkeypatch.setattr(manifold, "_BLOCK", 1000)
    parts = small_fpd(*gaussians), kpd(*gaussians, rng(), num_batches=2, batch_size=500)
    for one, other in zip(whole, parts, strict=True):
        assert one.value == pytest.approx(other.value, rel=1e-9)


def test_diverged_rows_are_counted_and_cut(gaussians: tuple[Floats, Floats]) -> None:
    first, second = gaussians
    bad = second.copy()
    bad[3, 1], bad[10, 0], bad[20, 5], bad[30, 2] = np.nan, np.inf, -1e300, 1e6
    broken = first.copy()
    broken[7, 2] = np.nan
    kept = np.delete(second, [3, 10, 20, 30], axis=0)
    found = small_fpd(broken, bad)
    assert found.diverged == (1, 4)
    assert found.counts == (3999, 3496)
    assert found.value == small_fpd(np.delete(first, 7, axis=0), kept).value
    kernel = kpd(broken, bad, rng(), batch_size=500)
    assert kernel.diverged == (1, 4)
    assert np.isfinite([found.value, found.error, kernel.value, kernel.error]).all()


def test_what_is_far_off_but_did_not_diverge_is_not_cut(gaussians: tuple[Floats, Floats]) -> None:
    first, second = gaussians
    found = small_fpd(first, 20 * second)
    assert found.diverged == (0, 0)
    assert found.value > 1


def test_features_without_width_are_no_trouble() -> None:
    draw = rng()
    constant = np.column_stack([draw.normal(size=500), np.zeros(500), np.ones(500)])
    mean = np.repeat(constant.mean(axis=0, keepdims=True), 500, axis=0)
    found = small_fpd(constant, mean)
    assert np.isfinite([found.value, found.error]).all()
    assert found.value > 0.05


def test_samples_without_rows_are_refused(gaussians: tuple[Floats, Floats]) -> None:
    first = gaussians[0]
    with pytest.raises(ShowersError, match="sample: has 0 rows besides 50 that diverged"):
        small_fpd(first, np.full((50, 6), np.nan))
    with pytest.raises(ShowersError, match="must be"):
        kpd(first, first[:, :3], rng())
    with pytest.raises(CaloforgeError, match="min_samples < max_samples"):
        fpd(first, first, rng(), min_samples=10, max_samples=10)
    with pytest.raises(CaloforgeError, match="batch_size"):
        kpd(first, first, rng(), batch_size=1)


def naive_prdc(real: Floats, fake: Floats, k: int) -> list[float]:
    """The definitions, literally."""

    def distances(x: Floats, y: Floats) -> Floats:
        return np.asarray(np.linalg.norm(x[:, None] - y[None], axis=2))

    real_radii = np.sort(distances(real, real), axis=1)[:, k]
    fake_radii = np.sort(distances(fake, fake), axis=1)[:, k]
    between = distances(real, fake)
    inside = between < real_radii[:, None]
    return [
        float(inside.any(axis=0).mean()),
        float((between < fake_radii[None]).any(axis=1).mean()),
        float(inside.sum(axis=0).mean() / k),
        float((between.min(axis=1) < real_radii).mean()),
    ]


def values(scores: neighbours.ManifoldScores) -> list[float]:
    return [getattr(scores, n).value for n in ("precision", "recall", "density", "coverage")]


def test_prdc_is_that_of_the_package_prdc(gaussians: tuple[Floats, Floats]) -> None:
    real, fake = gaussians[0][:600], gaussians[1][:500]
    found = prdc(real, fake, rng())
    # prdc 0.2, compute_prdc(real, fake, 5)
    assert values(found) == pytest.approx([0.96, 0.9883333333333333, 0.8588, 0.8883333333333333])
    assert found.counts == (600, 500)
    single = prdc(real.astype(np.float32), fake.astype(np.float32), rng())
    assert values(single) == pytest.approx(values(found), abs=0.002)


@pytest.mark.parametrize("k", [1, 5])
def test_prdc_against_naive_loops(
    gaussians: tuple[Floats, Floats], k: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, fake = gaussians[0][:150], gaussians[1][:120]
    monkeypatch.setattr(neighbours, "_BLOCK_BYTES", 8 * 150 * 7)  # seven rows at a time
    assert values(prdc(real, fake, rng(), nearest_k=k)) == pytest.approx(naive_prdc(real, fake, k))


def test_equal_distributions_and_their_errors() -> None:
    densities = []
    for seed in range(8):
        x = rng(seed).normal(size=(800, 4))
        found = prdc(x[:400], x[400:], rng(seed))
        densities.append((found.density.value - 1) / found.density.error)
        assert abs(found.coverage.value - (1 - 2**-5)) < 6 * found.coverage.error + 0.02
    assert np.std(densities) < 3
    assert np.abs(densities).max() < 6


def test_a_copy_has_density_one(gaussians: tuple[Floats, Floats]) -> None:
    # The k-th neighbour is on the surface of the ball, and not in it.
    real = gaussians[0][:300]
    assert values(prdc(real, real.copy(), rng())) == [1.0, 1.0, pytest.approx(1.0, abs=1e-3), 1.0]


def test_a_collapsed_sample_has_no_recall(gaussians: tuple[Floats, Floats]) -> None:
    real = gaussians[0][:300]
    found = prdc(real, np.repeat(real.mean(axis=0, keepdims=True), 200, axis=0), rng())
    assert found.recall.value == 0
    assert found.coverage.value < 0.1
    assert found.precision.value == 1


def test_prdc_counts_rows(gaussians: tuple[Floats, Floats]) -> None:
    real, fake = gaussians[0][:300].copy(), gaussians[1][:400].copy()
    fake[5] = np.nan
    found = prdc(real, fake, rng(), max_rows=200)
    assert found.counts == (200, 200)
    assert found.diverged == (0, 1)
    assert np.isfinite(values(found)).all()
    with pytest.raises(ShowersError, match="must have at least 48"):
        prdc(real, fake[:40], rng())
    with pytest.raises(CaloforgeError, match="nearest_k"):
        prdc(real, fake, rng(), nearest_k=0)


def test_nearest_neighbours() -> None:
    points = np.array([[0.0], [1.0], [3.0], [7.0]])
    distances, indices = nearest(points, points, k=2, same=True)
    assert indices.tolist() == [[1, 2], [0, 2], [1, 0], [2, 1]]
    assert distances.tolist() == [[1, 3], [1, 2], [2, 3], [4, 6]]
    with pytest.raises(ShowersError, match="points: got 4, must be more than 4"):
        nearest(points, points, k=4, same=True)


def test_log_cells() -> None:
    showers = read_showers(DATA / "eplus-calogan.h5")
    found = log_cells(showers, threshold=1.0)
    assert found.dtype == np.float32
    empty = showers.deposits < 1.0
    assert (found[empty] == -1).all()
    np.testing.assert_allclose(10.0 ** found[~empty], showers.deposits[~empty], rtol=1e-5)
