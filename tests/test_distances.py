"""Histograms and distances: identities, known values, scipy, the Geant4 floor."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import stats

from caloforge.detector import Detector, RectangularLayer, load_detector
from caloforge.errors import CaloforgeError, ShowersError
from caloforge.evaluation.distances.energy_chi2 import fastcalogan_energy_chi2
from caloforge.evaluation.distances.histograms import Histogram, bin_edges, fill, ratio
from caloforge.evaluation.distances.single import (
    ChiSquare,
    bootstrap_error,
    chi2_test,
    kolmogorov_smirnov,
    resample,
    separation_power,
    wasserstein,
)
from caloforge.evaluation.distances.table import compare_observables, compare_values
from caloforge.evaluation.features.observables import compute, observables
from caloforge.evaluation.plain import plain
from caloforge.showers import Showers, read_showers

Floats = NDArray[np.float64]

SMALL = Detector(
    "small",
    (
        RectangularLayer(None, (-10.0, 0.0, 10.0), (-30.0, -10.0, 10.0, 30.0)),
        RectangularLayer(None, (-10.0, 0.0, 10.0), (-5.0, 5.0)),
    ),
)
numbers = st.floats(-100, 100, allow_subnormal=False)
samples = arrays(np.float64, st.integers(4, 30), elements=numbers)


def weights(*inside: float, variances: tuple[float, ...] | None = None) -> Histogram:
    """A histogram with these bins and nothing outside."""
    sums = np.array([0.0, *inside, 0.0])
    squares = sums if variances is None else np.array([0.0, *variances, 0.0])
    return Histogram(np.arange(len(inside) + 1.0), sums, squares)


def make_showers(count: int, seed: int, energies: tuple[float, ...] = ()) -> Showers:
    rng = np.random.default_rng(seed)
    energy = rng.choice(energies, count) if energies else rng.uniform(10, 20, count)
    deposits = rng.exponential(100.0 * energy[:, None], (count, SMALL.n_cells))
    return Showers(SMALL, energy, deposits.astype(np.float32), "e+")


# --- histograms -------------------------------------------------------------------------------


@given(values=samples, seed=st.integers(0, 9))
def test_fill_agrees_with_numpy_and_loses_nothing(values: Floats, seed: int) -> None:
    edges = np.array([-50.0, -1.0, 0.0, 3.0, 50.0])
    w = np.random.default_rng(seed).random(len(values))
    histogram = fill(values, edges, w)
    np.testing.assert_allclose(histogram.inside, np.histogram(values, edges, weights=w)[0])
    np.testing.assert_allclose(
        histogram.variances[1:-1], np.histogram(values, edges, weights=w**2)[0]
    )
    assert histogram.total == pytest.approx(w.sum())
    assert histogram.weights[0] == pytest.approx(w[values < -50].sum())
    assert histogram.weights[-1] == pytest.approx(w[values > 50].sum())


def test_fill_counts_what_is_not_defined() -> None:
    histogram = fill(np.array([0.5, np.nan, 2.0, np.inf]), np.array([0.0, 1.0, 2.0]))
    assert histogram.weights.tolist() == [0, 1, 1, 1]
    assert histogram.undefined == 1
    assert histogram.total == 3
    np.testing.assert_allclose(histogram.density, [1 / 3, 1 / 3])
    np.testing.assert_allclose(histogram.density_errors, [1 / 3, 1 / 3])
    assert fill(np.empty(0), np.array([0.0, 1.0])).density.tolist() == [0]


@pytest.mark.parametrize("edges", [[1.0], [1.0, 1.0], [2.0, 1.0], [0.0, np.nan]])
def test_edges_that_are_none_are_refused(edges: list[float]) -> None:
    with pytest.raises(CaloforgeError, match="edges"):
        fill(np.ones(3), np.array(edges))


@given(values=arrays(np.float64, st.integers(0, 200), elements=numbers), log=st.booleans())
def test_bin_edges_increase(values: Floats, log: bool) -> None:
    edges = bin_edges(values, logarithmic=log)
    assert len(edges) >= 2
    assert (np.diff(edges) > 0).all()
    assert np.isfinite(edges).all()
    fill(values, edges)


def test_bin_edges_are_robust_and_hold_nearly_all() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=20_000)
    edges = bin_edges(np.append(values, [1e6, np.nan, np.inf]))
    assert len(edges) == 51
    assert edges[-1] < 10
    inside = fill(values, edges).inside.sum() / len(values)
    assert inside > 0.997
    energies = bin_edges(np.append(10 ** rng.normal(size=5000), [0.0, 0.0]), logarithmic=True)
    np.testing.assert_allclose(np.diff(np.log10(energies)), np.diff(np.log10(energies))[0])


def test_discrete_values_get_bins_of_their_own() -> None:
    np.testing.assert_allclose(bin_edges(np.array([0.0, 2.0, 1.0, 1.0])), [-0.5, 0.5, 1.5, 2.5])
    assert len(bin_edges(np.ones(100))) == 2


def test_ratio_and_its_error() -> None:
    value, error = ratio(weights(4, 16, 0), weights(8, 8, 4))
    np.testing.assert_allclose(value[:2], [0.5, 2.0])
    np.testing.assert_allclose(error[:2], value[:2] * np.sqrt([1 / 4 + 1 / 8, 1 / 16 + 1 / 8]))
    assert value[2] == 0
    assert np.isnan(error[2])
    assert np.isnan(ratio(weights(4, 1), weights(4, 0))[0][1])
    with pytest.raises(CaloforgeError, match="2 and 3 bins"):
        ratio(weights(1, 2), weights(1, 2, 3))


# --- chi-square -------------------------------------------------------------------------------


def test_chi2_worked_by_hand() -> None:
    # W = 10 and 20: ((20*4 - 10*6)^2 / (100*6 + 400*4)) + ((20*6 - 10*14)^2 / (100*14 + 400*6))
    found = chi2_test(weights(4, 6, 0), weights(6, 14, 0))
    assert found.value == pytest.approx(400 / 2200 + 400 / 3800)
    assert found.ndf == 1  # three bins, minus one, minus one that is empty in both
    assert found.sparse_bins == 2
    weighted = chi2_test(weights(4, 6, variances=(8, 9)), weights(6, 14, variances=(3, 7)))
    expected = 400 / (100 * 3 + 400 * 8) + 400 / (100 * 7 + 400 * 9)
    assert weighted.value == pytest.approx(expected)


counts = arrays(np.float64, 12, elements=st.integers(0, 50).map(float))


@given(first=counts, second=counts, factor=st.floats(0.01, 100))
def test_chi2_identities(first: Floats, second: Floats, factor: float) -> None:
    first[0] = second[0] = 5.0
    a, b = weights(*first), weights(*second)
    found = chi2_test(a, b)
    assert chi2_test(b, a).value == pytest.approx(found.value)
    assert chi2_test(a, a).value == 0
    assert chi2_test(a, a).ndf == (first > 0).sum() - 1
    # Scaling one of them, weights by f and squared weights by f^2, changes nothing.
    scaled = Histogram(a.edges, factor * a.weights, factor**2 * a.variances)
    assert chi2_test(scaled, b).value == pytest.approx(found.value)
    # The form with unit weights of the FastCaloGAN code.
    w1, w2, filled = first.sum(), second.sum(), first + second > 0
    y1, y2 = first[filled], second[filled]
    expected = ((w1 * y2 - w2 * y1) ** 2 / (w1**2 * y2 + w2**2 * y1)).sum()
    assert found.value == pytest.approx(expected)
    assert found.ndf == len(first) - 1 - (~filled).sum()


def test_chi2_agrees_with_scipy_for_equal_totals() -> None:
    first, second = np.array([10.0, 25, 30, 35]), np.array([20.0, 20, 25, 35])
    expected = stats.chi2_contingency(np.stack([first, second]), correction=False)
    found = chi2_test(weights(*first), weights(*second))
    assert found.value == pytest.approx(expected.statistic)
    assert found.ndf == expected.dof
    assert found.p_value == pytest.approx(expected.pvalue)


def test_p_value_of_the_example_in_the_documentation_of_root() -> None:
    # TH1::Chi2Test: histograms of 20 bins, chi2 32.33, p-value 0.029.
    assert ChiSquare(32.33, 19).p_value == pytest.approx(0.029, abs=5e-4)


def test_chi2_of_empty_histograms_is_undefined() -> None:
    found = chi2_test(weights(0, 0), weights(1, 2))
    assert np.isnan([found.reduced, found.reduced_error, found.p_value]).all()


def test_chi2_outside_is_two_more_bins() -> None:
    edges = np.array([0.0, 1.0, 2.0])
    a, b = np.array([-1.0, 0.5, 0.5, 1.5, 3.0]), np.array([0.5, 1.5, 1.5, 3.0, 3.0])
    inside, everything = (
        chi2_test(fill(a, edges), fill(b, edges), outside=outside) for outside in (False, True)
    )
    assert (inside.ndf, everything.ndf) == (1, 3)
    assert inside.value == pytest.approx(1 / 3 + 1 / 3)
    assert everything.value == pytest.approx(1 + 1 / 3 + 1 / 3 + 1 / 3)


def test_error_of_the_reduced_chi2() -> None:
    rng = np.random.default_rng(3)
    for p in (np.full(20, 0.05), np.linspace(0.03, 0.07, 20)):
        tests = [
            chi2_test(weights(*rng.poisson(2000 * p)), weights(*rng.poisson(100, 20)))
            for _ in range(400)
        ]
        spread = np.std([test.reduced for test in tests])
        assert np.mean([test.reduced_error for test in tests]) == pytest.approx(spread, rel=0.15)


# --- separation power, Wasserstein, Kolmogorov-Smirnov -------------------------------------------


@given(first=counts, second=counts)
def test_separation_power_identities(first: Floats, second: Floats) -> None:
    first[0] = second[0] = 5.0
    a, b = weights(*first), weights(*second)
    found = separation_power(a, b)
    assert 0 <= found < 1
    assert separation_power(b, a) == pytest.approx(found)
    assert separation_power(a, a) == 0


def test_separation_power_known_values() -> None:
    assert separation_power(weights(3, 0), weights(0, 7)) == 1
    expected = 0.5 * (0.25**2 / 0.75 + 0.25**2 / 1.25)
    assert separation_power(weights(1, 1), weights(1, 3)) == pytest.approx(expected)
    assert np.isnan(separation_power(weights(0, 0), weights(1, 1)))


def test_separation_power_that_drops_what_is_outside_is_blind() -> None:
    rng = np.random.default_rng(0)
    edges = np.linspace(0, 1, 11)
    good = rng.random(5000)
    bad = np.concatenate([good[:500], np.full(4500, 7.0)])
    a, b = fill(good, edges), fill(bad, edges)
    assert separation_power(a, b, outside=False) < 0.02
    assert separation_power(a, b) > 0.5
    densities = [np.histogram(v, edges, density=True)[0] * 0.1 for v in (good, bad)]
    expected = 0.5 * ((densities[0] - densities[1]) ** 2 / (densities[0] + densities[1])).sum()
    assert separation_power(a, b, outside=False) == pytest.approx(expected)


@given(first=samples, second=samples)
def test_value_distances_agree_with_scipy(first: Floats, second: Floats) -> None:
    expected = stats.wasserstein_distance(first, second)
    assert wasserstein(first, second) == pytest.approx(expected, abs=1e-9)
    found = kolmogorov_smirnov(first, second)
    test = stats.ks_2samp(first, second, method="asymp")
    assert found.statistic == pytest.approx(test.statistic, abs=1e-12)
    assert wasserstein(first, first) == pytest.approx(0, abs=1e-12)


@given(values=samples, shift=st.floats(-10, 10))
def test_wasserstein_of_a_shift(values: Floats, shift: float) -> None:
    assert wasserstein(values, values + shift) == pytest.approx(abs(shift), abs=1e-9)
    twice = np.repeat(values, 2)  # the same distribution, another size
    assert wasserstein(twice, values) == pytest.approx(0, abs=1e-9)


def test_p_value_agrees_with_scipy() -> None:
    rng = np.random.default_rng(2)
    first, second = rng.normal(size=4000), rng.normal(0.03, 1, size=3000)
    expected = stats.ks_2samp(first, second, method="asymp")
    assert kolmogorov_smirnov(first, second).p_value == pytest.approx(expected.pvalue, rel=0.03)


def test_empty_samples_are_refused() -> None:
    with pytest.raises(ShowersError, match="0 and 3"):
        wasserstein(np.empty(0), np.ones(3))


def test_bootstrap() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=2000), rng.normal(0.5, 1, size=1000)

    def difference(a: Floats, b: Floats) -> float:
        return float(b.mean() - a.mean())

    errors = [
        bootstrap_error(difference, first, second, np.random.default_rng(7), replicas=200)
        for _ in range(2)
    ]
    assert errors[0] == errors[1]
    assert errors[0] == pytest.approx(np.sqrt(1 / 2000 + 1 / 1000), rel=0.15)
    draw = resample(1000, rng)
    assert draw.sum() == 1000
    assert draw.var() == pytest.approx(1, abs=0.15)


# --- FastCaloGAN ------------------------------------------------------------------------------


def naive_fastcalogan(
    reference: Showers, showers: Showers, a: float, b: float
) -> tuple[float, int]:
    """As selectBestEpoch_Energy.py does it, in MeV."""
    value, ndf = 0.0, 0
    for energy in np.unique(reference.energy):
        mev = 1000 * energy
        geant4 = reference.total_energy[reference.energy == energy]
        other = showers.total_energy[showers.energy == energy]
        counts, edges = np.histogram(geant4, 100, (0, 2 * mev))
        highest = counts.argmax()
        mode = 0.5 * (edges[highest] + edges[highest + 1])
        rms = geant4[(geant4 > 0) & (geant4 < 2 * mev)].std()
        limits = (max(0, mode - a * rms), mode + b * rms)
        y1, y2 = (np.histogram(v, 30, limits)[0].astype(float) for v in (geant4, other))
        w1, w2 = y1.sum(), y2.sum()
        ndf += 29
        for first, second in zip(y1, y2, strict=True):
            if first == second == 0:
                ndf -= 1
            else:
                value += (w1 * second - w2 * first) ** 2 / (w1**2 * second + w2**2 * first)
    return value, ndf


@pytest.mark.parametrize("factors", [None, (4.0, 3.5)])
def test_fastcalogan_at_discrete_energies(factors: tuple[float, float] | None) -> None:
    reference, showers = (make_showers(1500, seed, (1.0, 2.0, 8.0)) for seed in (0, 1))
    found = fastcalogan_energy_chi2(reference, showers, factors=factors)
    value, ndf = naive_fastcalogan(reference, showers, *(factors or (3.0, 3.0)))
    assert found.chi2.value == pytest.approx(value)
    assert found.chi2.ndf == ndf
    assert [point.energy[0] for point in found.points] == pytest.approx([1, 2, 8], rel=1e-4)
    assert not found.continuous
    assert sum(point.counts[0] for point in found.points) == 1500


def test_fastcalogan_of_a_continuous_spectrum() -> None:
    reference, showers = make_showers(3000, 0), make_showers(2500, 1)
    found = fastcalogan_energy_chi2(reference, showers)
    assert found.continuous
    assert len(found.points) == 7
    assert found.chi2.reduced == pytest.approx(1, abs=0.25)
    assert sum(point.counts[1] for point in found.points) + found.left_out == 2500
    scaled = Showers(SMALL, showers.energy, showers.deposits * np.float32(1.2), "e+")
    assert fastcalogan_energy_chi2(reference, scaled).chi2.reduced > 2


def test_fastcalogan_refuses_what_it_cannot_compare() -> None:
    reference = make_showers(100, 0, (1.0, 2.0))
    with pytest.raises(ShowersError, match="incident energy of 1"):
        fastcalogan_energy_chi2(reference, make_showers(100, 0, (2.0,)))
    with pytest.raises(ShowersError, match="got 100 showers of the reference and 0"):
        fastcalogan_energy_chi2(reference, reference[:0])


# --- all observables --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["eplus", "gamma", "piplus"])
def test_geant4_against_geant4_is_one(shared: Path, name: str) -> None:
    """The floor: chi2/NDF of random halves, on average over 25."""
    showers = read_showers(shared / "data" / f"{name}.h5")
    wanted = {"total_energy", "response", *(f"layer_fraction_{i}" for i in range(3))}
    chosen = [o for o in observables(showers.detector) if o.name in wanted]
    values = compute(showers, chosen)
    rng = np.random.default_rng(11)
    found: dict[str, list[float]] = {o.name: [] for o in chosen}
    energy = []
    for _ in range(25):
        order = rng.permutation(len(showers))
        first, second = np.array_split(order, 2)
        for observable in chosen:
            value = values[observable.name]
            edges = bin_edges(value[first], logarithmic=observable.logarithmic)
            pair = [fill(value[half], edges) for half in (first, second)]
            found[observable.name].append(chi2_test(*pair, outside=True).reduced)
        energy.append(fastcalogan_energy_chi2(showers[first], showers[second]).chi2.reduced)
    for key, reduced in {**found, "fastcalogan": energy}.items():
        assert np.mean(reduced) == pytest.approx(1, abs=0.2), (key, reduced)


def test_table_of_geant4_showers(shared: Path) -> None:
    showers = read_showers(shared / "data" / "eplus.h5")[:6000]
    reference, floor, good = showers[:2000], showers[2000:4000], showers[4000:]
    bad = Showers(good.detector, good.energy, good.deposits * np.float32(1.01), good.particle)
    found = compare_observables(reference, bad, np.random.default_rng(1))
    again = compare_observables(reference, bad, np.random.default_rng(1))
    clean = compare_observables(reference, floor, np.random.default_rng(1))
    assert json.dumps(plain(found), allow_nan=False) == json.dumps(plain(again))
    assert len(found.rows) == len(observables(showers.detector))
    for row, other in zip(found.rows, clean.rows, strict=True):
        for distances in (row.distances, other.distances):
            assert distances.counts <= (2000, 2000)
            assert distances.histogram.total == distances.counts[1]
            for estimate in (distances.wasserstein, distances.kolmogorov_smirnov):
                assert estimate.value >= 0
                assert estimate.error > 0 or row.spread == 0
    # One per cent of energy is seen where the resolution allows it, and nowhere else.
    response = found["response"]
    assert response.distances.chi2.p_value < 1e-10 < clean["response"].distances.chi2.p_value
    shift = response.distances.wasserstein
    assert shift.value == pytest.approx(0.01, abs=5 * shift.error)
    fraction = found["layer_fraction_0"].distances
    assert fraction.chi2.p_value > 1e-4
    with pytest.raises(KeyError):
        found["no such observable"]


def test_undefined_values_are_counted_apart() -> None:
    reference, showers = make_showers(300, 0), make_showers(200, 1)
    empty = showers.deposits.copy()
    empty[:100, SMALL.slices[1]] = 0
    half = Showers(SMALL, showers.energy, empty, "e+")
    row = compare_observables(reference, half, np.random.default_rng(0))["width_phi_1"]
    assert row.distances.undefined == (0, 0.5)
    assert row.distances.counts == (300, 100)
    empty[:, SMALL.slices[1]] = 0
    none = Showers(SMALL, showers.energy, empty, "e+")
    table = compare_observables(reference, none, np.random.default_rng(0))
    assert table["width_phi_1"].distances.undefined == (0, 1)
    assert np.isnan(table["width_phi_1"].distances.wasserstein.value)
    assert table["layer_energy_1"].distances.separation.value == 1
    json.dumps(plain(table), allow_nan=False)


def test_errors_are_those_of_repeated_samples() -> None:
    chosen = [o for o in observables(SMALL) if o.name in {"response", "layer_fraction_0"}]
    reference = compute(make_showers(2000, 0), chosen)
    tables = []
    for seed in range(1, 31):
        sample = make_showers(2000, seed)
        sample = Showers(SMALL, sample.energy, sample.deposits * np.float32(1.1), "e+")
        values = compute(sample, chosen)
        tables.append(compare_values(chosen, reference, values, np.random.default_rng(seed)))
    distances = [table["response"].distances for table in tables]
    # The reference is the same in all of them: half of the variance.
    spread = np.sqrt(2) * np.std([d.wasserstein.value for d in distances])
    assert np.mean([d.wasserstein.error for d in distances]) == pytest.approx(spread, rel=0.35)


def test_samples_that_do_not_fit_are_refused() -> None:
    showers = make_showers(10, 0)
    rng = np.random.default_rng(0)
    with pytest.raises(ShowersError, match="of the reference and 0 to compare"):
        compare_observables(showers, showers[:0], rng)
    with pytest.raises(CaloforgeError, match="replicas"):
        compare_observables(showers, showers, rng, replicas=1)
    other = Showers(SMALL, showers.energy, showers.deposits, "pi+")
    with pytest.raises(ShowersError, match=r"got showers of pi\+, must be of the same particle"):
        compare_observables(showers, other, rng)
    calogan = load_detector("calogan")
    strange = Showers(calogan, np.ones(10), np.ones((10, 504), dtype=np.float32), "e+")
    with pytest.raises(ShowersError, match="calogan"):
        compare_observables(showers, strange, rng)
