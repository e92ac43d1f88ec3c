"""Observables: by hand, against naive loops, against the published definitions."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from caloforge.detector import CylindricalLayer, Detector, RectangularLayer, load_detector
from caloforge.errors import CaloforgeError, DetectorError, ShowersError
from caloforge.evaluation.distances.calochallenge import (
    Dataset,
    calochallenge_separations,
    find_dataset,
)
from caloforge.evaluation.distances.cells import (
    brightest_cells,
    cell_correlations,
    cell_spectrum,
    compare_spectra,
    layer_correlations,
    spectrum_edges,
)
from caloforge.evaluation.distances.single import separation_power
from caloforge.evaluation.features import shapes
from caloforge.evaluation.features.calochallenge import (
    high_level,
    high_level_names,
    low_level,
    low_level_normalised,
)
from caloforge.evaluation.features.observables import compute, observables
from caloforge.showers import Showers, read_showers

Floats = NDArray[np.float64]

CELLS = Detector(
    "cells",
    (
        RectangularLayer(None, (-10.0, 0.0, 10.0), (-30.0, -10.0, 10.0, 30.0)),
        RectangularLayer(None, (-10.0, 10.0), (-5.0, 5.0)),
    ),
)
VOXELS = Detector(
    "voxels",
    (CylindricalLayer(None, (0.0, 4.0, 10.0), 1), CylindricalLayer(None, (0.0, 2.0, 6.0), 4)),
)


def make_showers(detector: Detector, count: int, seed: int = 0) -> Showers:
    """Random showers with empty cells and layers."""
    rng = np.random.default_rng(seed)
    deposits = rng.exponential(20.0, (count, detector.n_cells))
    deposits *= rng.random(deposits.shape) < 0.6
    deposits[:, detector.slices[-1]] *= rng.random((count, 1)) < 0.7
    return Showers(detector, rng.uniform(1, 2, count), deposits.astype(np.float32), "e+")


@pytest.fixture(scope="module")
def golden() -> Showers:
    """One shower with numbers that can be followed by hand, and an empty one."""
    first = [[1.0, 2.0, 1.0], [0.0, 4.0, 0.0]]  # x (phi) down, y (eta) across; 8 MeV
    deposits = np.array([[*np.ravel(first), 2.0], np.zeros(7)], dtype=np.float32)
    return Showers(CELLS, np.array([0.02, 1.0]), deposits, "e+")


def test_values_worked_by_hand(golden: Showers) -> None:
    values = compute(golden, observables(CELLS))
    expected = {
        "total_energy": 10.0,
        "response": 0.5,
        "depth": 1.0,
        "depth_weighted_energy": 2.0,
        "shower_depth": 0.2,
        "shower_depth_width": np.sqrt(0.2 - 0.04),
        "layer_energy_0": 8.0,
        "layer_energy_1": 2.0,
        "layer_fraction_0": 0.8,
        "layer_fraction_1": 0.2,
        "centre_eta_0": 0.0,  # (-20 * 1 + 20 * 1) / 8
        "width_eta_0": 10.0,  # sqrt(400 * 2 / 8)
        "centre_phi_0": 0.0,  # (-5 * 4 + 5 * 4) / 8
        "width_phi_0": 5.0,
        "centre_r_0": (2 * np.hypot(5, 20) + 6 * 5) / 8,
        "energy_ratio_0": (4 - 2) / (4 + 2),
        "brightest_1_0": 0.5,
        "brightest_2_0": 0.25,
        "brightest_3_0": 0.125,
        "occupancy_0_0": 4 / 6,
        "occupancy_0.1_0": 4 / 6,
        "occupancy_0_1": 1.0,
    }
    for name, value in expected.items():
        assert values[name][0] == pytest.approx(value, rel=1e-12, abs=1e-12), name
    # What cannot vary in a layer of one cell is not there.
    assert not {"width_eta_1", "energy_ratio_1", "brightest_1_1"} & values.keys()


def test_undefined_values_are_nan(golden: Showers) -> None:
    values = compute(golden, observables(CELLS))
    undefined = {name for name, value in values.items() if np.isnan(value[1])}
    zero = {name for name, value in values.items() if value[1] == 0}
    assert undefined | zero == values.keys()
    assert zero == {
        *("total_energy", "response", "depth_weighted_energy", "layer_energy_0", "layer_energy_1"),
        *("occupancy_0_0", "occupancy_0.1_0", "occupancy_0_1", "occupancy_0.1_1"),
    }
    assert not any(np.isnan(value[0]) for value in values.values())


def test_voxels_worked_by_hand() -> None:
    # The outer layer: all energy at r = 4 mm, 3 MeV in the sector at 45 degrees, 1 MeV at 225.
    deposits = np.zeros((1, 10), dtype=np.float32)
    deposits[0, [0, 1]] = 2.0, 6.0
    deposits[0, [3, 7]] = 3.0, 1.0
    showers = Showers(VOXELS, np.ones(1), deposits)
    values = compute(showers, observables(VOXELS))
    assert values["centre_r_0"] == pytest.approx((2 * 2 + 6 * 7) / 8)
    assert "centre_eta_0" not in values  # a full ring has no place in eta
    side = 4 / np.sqrt(2)
    for direction in ("eta", "phi"):
        assert values[f"centre_{direction}_1"] == pytest.approx(side / 2)
        assert values[f"width_{direction}_1"] == pytest.approx(side * np.sqrt(1 - 0.25))
    assert values["width_r_1"] == pytest.approx(0, abs=1e-6)


def test_width_in_cell_numbers(golden: Showers) -> None:
    assert shapes.lateral_width(golden, "eta", "cells")[0, 0] == pytest.approx(0.5)
    assert shapes.lateral_width(golden, "phi", "cells")[0, 0] == pytest.approx(0.5)
    with pytest.raises(DetectorError, match="cells"):
        shapes.lateral_width(make_showers(VOXELS, 3), "eta", "cells")


def naive(showers: Showers) -> dict[str, list[float]]:
    """Every observable once more, cell by cell."""
    found: dict[str, list[float]] = {}

    def add(name: str, value: float) -> None:
        found.setdefault(name, []).append(value)

    detector = showers.detector
    for energy, deposits in zip(showers.energy, showers.deposits.astype(np.float64), strict=True):
        layers = [deposits[part] for part in detector.slices]
        sums = [float(sum(layer)) for layer in layers]
        total = sum(sums)
        add("total_energy", total)
        add("response", total / (1000 * energy))
        add("depth", max((i for i, e in enumerate(sums) if e > 0), default=np.nan))
        first = sum(i * e for i, e in enumerate(sums))
        second = sum(i * i * e for i, e in enumerate(sums))
        add("depth_weighted_energy", first)
        add("shower_depth", first / total)
        add("shower_depth_width", max(second / total - (first / total) ** 2, 0) ** 0.5)
        for i, (cells, layer) in enumerate(zip(layers, detector.layers, strict=True)):
            add(f"layer_energy_{i}", sums[i])
            add(f"layer_fraction_{i}", sums[i] / total)
            for threshold in (0, 0.1):
                hit = sum(1 for cell in cells if cell > threshold)
                add(f"occupancy_{threshold:g}_{i}", hit / len(cells))
            ranked = sorted(cells, reverse=True)
            defined = sums[i] > 0
            add(
                f"energy_ratio_{i}",
                (ranked[0] - ranked[1]) / (ranked[0] + ranked[1]) if defined else np.nan,
            )
            for rank in (1, 2, 3):
                add(f"brightest_{rank}_{i}", ranked[rank - 1] / sums[i] if defined else np.nan)
            places = naive_places(layer)
            for j, direction in enumerate(("eta", "phi", "r")):
                mean = sum(e * p[j] for e, p in zip(cells, places, strict=True))
                square = sum(e * p[j] ** 2 for e, p in zip(cells, places, strict=True))
                centre = mean / sums[i] if defined else np.nan
                variance = square / sums[i] - centre**2 if defined else np.nan
                add(f"centre_{direction}_{i}", centre)
                add(f"width_{direction}_{i}", max(variance, 0) ** 0.5 if defined else np.nan)
    return found


def naive_places(layer: RectangularLayer | CylindricalLayer) -> list[tuple[float, float, float]]:
    """Eta, phi and r of each cell."""
    places = []
    if isinstance(layer, RectangularLayer):
        for x0, x1 in zip(layer.x_edges[:-1], layer.x_edges[1:], strict=True):
            for y0, y1 in zip(layer.y_edges[:-1], layer.y_edges[1:], strict=True):
                x, y = (x0 + x1) / 2, (y0 + y1) / 2
                places.append((y, x, (x * x + y * y) ** 0.5))
        return places
    for k in range(layer.n_alpha):
        for r0, r1 in zip(layer.r_edges[:-1], layer.r_edges[1:], strict=True):
            alpha, r = 2 * np.pi * (k + 0.5) / layer.n_alpha, (r0 + r1) / 2
            places.append((r * np.cos(alpha), r * np.sin(alpha), r))
    return places


@pytest.mark.parametrize("name", ["eplus", "piplus", "eplus-voxels", "piplus-voxels"])
def test_geant4_showers_against_naive_loops(shared: Path, name: str) -> None:
    showers = read_showers(shared / "data" / f"{name}.h5")[:25]
    expected = naive(showers)
    values = compute(showers, observables(showers.detector))
    assert len(values) > 40
    for key, value in values.items():
        # A variance is a difference of squares of up to (400 mm)^2.
        tolerance = 1e-5 if key.startswith("width") else 1e-10
        np.testing.assert_allclose(value, expected[key], rtol=1e-9, atol=tolerance, err_msg=key)


def test_width_of_the_published_calogan_analysis(shared: Path) -> None:
    # feats1d.py: bins of the first image index over +-240 mm.
    path = shared / "data" / "calogan-geant4-eplus-51.h5"
    showers = read_showers(path)
    with h5py.File(path) as file:
        images = [file[f"layer_{i}"][:] for i in range(3)]
    width = shapes.lateral_width(showers, "phi")
    for i, bins in enumerate((3, 12, 12)):
        edges = np.linspace(-240, 240, bins + 1)
        centres = ((edges[1:] + edges[:-1]) / 2).reshape(-1, 1)
        energy = images[i].sum(axis=(1, 2)) + 1e-6
        mean = (images[i] * centres).sum(axis=(1, 2)) / energy
        square = (images[i] * centres**2).sum(axis=(1, 2)) / energy
        filled = energy > 1
        expected = np.sqrt(np.maximum(square - mean**2, 0))[filled]
        np.testing.assert_allclose(width[filled, i], expected, rtol=1e-5, atol=0.01)


@pytest.mark.parametrize("detector", [CELLS, VOXELS])
@given(factor=st.floats(0.01, 100), seed=st.integers(0, 5))
def test_scaling_all_energies(detector: Detector, factor: float, seed: int) -> None:
    showers = make_showers(detector, 20, seed)
    scaled = Showers(detector, showers.energy, showers.deposits * np.float32(factor), "e+")
    chosen = [o for o in observables(detector) if not o.name.startswith("occupancy_0.1")]
    before, after = compute(showers, chosen), compute(scaled, chosen)
    for observable in chosen:
        proportional = observable.unit == "MeV" or observable.name == "response"
        expected = before[observable.name] * (factor if proportional else 1)
        np.testing.assert_allclose(
            after[observable.name], expected, rtol=1e-4, atol=1e-3, err_msg=observable.name
        )


@pytest.mark.parametrize("detector", [CELLS, VOXELS, load_detector("calogan")])
@pytest.mark.parametrize("mirrored", ["eta", "phi"])
def test_mirroring(detector: Detector, mirrored: str) -> None:
    showers = make_showers(detector, 20)
    # The detector names x -> -x "phi"; among voxels x is eta here.
    turned = {"eta": "phi", "phi": "eta"}[mirrored] if detector is VOXELS else mirrored
    deposits = showers.deposits[:, detector.symmetries[turned]]
    before = compute(showers, observables(detector))
    after = compute(Showers(detector, showers.energy, deposits), observables(detector))
    for name, value in before.items():
        sign = -1 if name.startswith(f"centre_{mirrored}") else 1
        np.testing.assert_allclose(after[name], sign * value, rtol=1e-9, atol=1e-5, err_msg=name)


def test_blocks_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    showers = make_showers(CELLS, 50)
    chosen = observables(CELLS)
    whole = compute(showers, chosen)
    monkeypatch.setattr("caloforge.evaluation.features.blocks._BLOCK_CELLS", 20)
    for again in (compute(showers, chosen), compute([showers[:17], showers[17:]], chosen)):
        for name, value in whole.items():
            np.testing.assert_allclose(again[name], value, rtol=1e-12, atol=1e-6)
    assert compute(showers[:0], chosen)["depth"].shape == (0,)


@pytest.mark.parametrize("name", ["calogan", "lar-voxels"])
def test_every_observable_is_described(name: str) -> None:
    detector = load_detector(name)
    showers = make_showers(detector, 5)
    found = observables(detector)
    assert len({o.name for o in found}) == len(found)
    for observable in found:
        assert observable.title
        assert observable.label
        assert observable.formula
        assert "arXiv" in observable.source
        values = observable(showers)
        assert values.shape == (5,)
        assert values.dtype == np.float64


# --- the CaloChallenge, as its public evaluation has it (facts 1.5), once more -----------------


class Public:
    """High-level features of an array (N, n_voxels) in double precision."""

    def __init__(self, data: Floats, detector: Detector) -> None:
        self.energies, self.sparsity = [], []
        self.centres: list[list[Floats]] = []
        self.widths: list[list[Floats]] = []
        for layer, part in zip(detector.layers, detector.slices, strict=True):
            assert isinstance(layer, CylindricalLayer)
            edges = np.linspace(-np.pi, np.pi, layer.n_alpha + 1)
            alphas = [a + (b - a) / 2 for a, b in pairwise(edges)]
            radii = [a + (b - a) / 2 for a, b in pairwise(layer.r_edges)]
            r = np.array([radius for _ in alphas for radius in radii])
            alpha = np.array([angle for angle in alphas for _ in radii])
            energy = data[:, part]
            self.energies.append(energy.sum(axis=-1))
            self.sparsity.append(1.0 - (energy > 0).mean(axis=-1))
            centres, widths = [], []
            for x in (r * np.cos(alpha), r * np.sin(alpha), r):
                centre = (x * energy).sum(axis=-1) / (energy.sum(axis=-1) + 1e-16)
                square = (x * x * energy).sum(axis=-1) / (energy.sum(axis=-1) + 1e-16)
                centres.append(centre)
                widths.append(np.sqrt((square - centre**2).clip(min=0.0)))
            self.centres.append(centres)
            self.widths.append(widths)
        self.binned = [i for i, layer in enumerate(detector.layers) if layer.shape[0] > 1]


def public_files(shared: Path) -> list[tuple[Path, Path | None]]:
    data = shared / "data"
    return [
        (data / "eplus-voxels.h5", None),
        (data / "piplus-voxels.h5", None),
        (data / "eplus-voxels-40x16x9.h5", data / "binning-lar-40x16x9.xml"),
    ]


@pytest.mark.parametrize("index", range(3))
@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_calochallenge_features(shared: Path, index: int, threshold: float) -> None:
    path, binning = public_files(shared)[index]
    showers = read_showers(path, detector=binning)[:400]
    with h5py.File(path) as file:
        data = file["showers"][:400].astype(np.float64)
        energy = file["incident_energies"][:400].astype(np.float64)
    cut = np.where(data < threshold, 0.0, data)
    expected = np.concatenate([np.log10(energy), cut / energy], axis=1)
    np.testing.assert_allclose(low_level(showers, threshold=threshold), expected, rtol=1e-6)

    public = Public(data, showers.detector)
    sums = np.stack(public.energies, axis=1)
    shares = data / (sums[:, showers.detector.layer_of_cell] + 1e-16)
    expected = np.concatenate([np.log10(energy), shares, np.log10(sums + 1e-8)], axis=1)
    np.testing.assert_allclose(low_level_normalised(showers), expected, rtol=1e-6)

    public = Public(cut, showers.detector)
    binned, n_layers = public.binned, showers.detector.n_layers
    columns = [
        *(np.log10(energy[:, 0]), *(np.log10(e + 1e-8) for e in public.energies)),
        *(public.centres[i][0] / 100 for i in binned),
        *(public.centres[i][1] / 100 for i in binned),
        *(public.widths[i][0] / 100 for i in binned),
        *(public.widths[i][1] / 100 for i in binned),
        np.log10(cut.sum(axis=-1) + 1e-8),
        *public.sparsity,
        *(public.centres[i][2] / 100 for i in range(n_layers)),
        *(public.widths[i][2] / 100 for i in range(n_layers)),
    ]
    found = high_level(showers, threshold=threshold)
    names = high_level_names(showers.detector)
    assert found.shape == (400, len(names)) == (400, 2 + 4 * n_layers + 4 * len(binned))
    for name, mine, theirs in zip(names, found.T, columns, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6, err_msg=name)


def test_calochallenge_signs_and_widths_against_observables(shared: Path) -> None:
    showers = read_showers(shared / "data" / "eplus-voxels.h5")[:50]
    found = dict(zip(high_level_names(showers.detector), 100 * high_level(showers).T, strict=True))
    ours = compute(showers, observables(showers.detector))
    for i in (1, 2):
        for direction in ("eta", "phi"):
            centre, width = f"centre_{direction}_{i}", f"width_{direction}_{i}"
            np.testing.assert_allclose(found[centre], -ours[centre], rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(found[width], ours[width], rtol=1e-9, atol=1e-6)


def test_calochallenge_features_of_cells_and_empty_showers() -> None:
    showers = make_showers(CELLS, 10)
    empty = Showers(CELLS, np.ones(1), np.zeros((1, 7), dtype=np.float32), "e+")
    for function in (low_level, low_level_normalised, high_level):
        assert function(showers).shape[0] == 10
        single = function(showers, dtype=np.float32)
        assert single.dtype == np.float32
        np.testing.assert_allclose(single, function(showers), rtol=1e-5, atol=1e-6)
        assert np.isfinite(function(empty)).all()
    found = dict(zip(high_level_names(CELLS), high_level(showers).T, strict=True))
    expected = shapes.lateral_centre(showers, "eta")[:, 0] / 100
    np.testing.assert_allclose(found["centre_eta_0"], expected)


def public_separation(reference: Floats, sample: Floats, edges: Floats) -> float:
    densities = [np.histogram(v, edges, density=True)[0] for v in (reference, sample)]
    first, second = (density * np.diff(edges) for density in densities)
    return float(0.5 * ((first - second) ** 2 / (first + second + 1e-16)).sum())


@pytest.mark.parametrize(("index", "dataset"), [(0, "1-photons"), (1, "1-pions"), (2, "2")])
def test_calochallenge_separation_powers(shared: Path, index: int, dataset: Dataset) -> None:
    path, binning = public_files(shared)[index]
    showers = read_showers(path, detector=binning)
    showers, reference = showers[:1400], showers[1400:2800]
    found = {s.name: s for s in calochallenge_separations(reference, showers, dataset)}
    with h5py.File(path) as file:
        data = file["showers"][:2800].astype(np.float64)
        energy = file["incident_energies"][:2800, 0].astype(np.float64)
    threshold = 0.5e-3 / 0.033 if dataset == "2" else 1.0
    data[data < threshold] = 0.0
    gen, ref = Public(data[:1400], showers.detector), Public(data[1400:], showers.detector)

    def check(name: str, edges: Floats, values: Callable[[Public], Floats]) -> None:
        expected = public_separation(values(ref), values(gen), edges)
        assert found[name].published == pytest.approx(expected, rel=1e-6), name

    total = data.sum(axis=-1) / energy
    expected = public_separation(total[1400:], total[:1400], np.linspace(0.5, 1.5, 101))
    assert found["response"].published == pytest.approx(expected, rel=1e-6)
    wide = dataset == "2"
    for i in range(showers.detector.n_layers):
        edges = np.logspace(np.log10(threshold), np.log10(ref.energies[i].max()), 40)
        check(f"layer_energy_{i}", edges, lambda p, i=i: p.energies[i])  # type: ignore[misc]
        check(f"sparsity_{i}", np.linspace(0, 1, 21), lambda p, i=i: p.sparsity[i])  # type: ignore[misc]
        for j, direction in enumerate(("eta", "phi", "r")):
            if direction != "r" and i not in ref.binned:
                continue
            centre, width = {
                (True, True): ((0, 42), (0, 20)),
                (True, False): ((-30, 30), (0, 30)),
                (False, True): ((0, 500), (0, 500)),
                (False, False): ((-100, 100), (0, 100)),
            }[wide, direction == "r"]
            edges = np.linspace(*centre, 101)
            check(f"centre_{direction}_{i}", edges, lambda p, i=i, j=j: p.centres[i][j])  # type: ignore[misc]
            edges = np.linspace(*width, 101)
            check(f"width_{direction}_{i}", edges, lambda p, i=i, j=j: p.widths[i][j])  # type: ignore[misc]
    edges = np.logspace(np.log10(threshold), np.log10(data[1400:].max()), 50)
    expected = public_separation(data[1400:].ravel(), data[:1400].ravel(), edges)
    assert found["cell_energy"].published == pytest.approx(expected, rel=1e-6)
    assert found["cell_energy"].outside[0] > 0.1  # cells without energy


def test_datasets_are_known_by_their_voxels() -> None:
    for dataset in ("1-photons", "1-pions", "2", "3"):
        assert find_dataset(load_detector(f"calochallenge-ds{dataset}")) == dataset
    assert find_dataset(load_detector("lar-voxels")) is None
    assert find_dataset(load_detector("calogan")) is None


def test_calochallenge_separation_refuses() -> None:
    showers = make_showers(VOXELS, 20)
    with pytest.raises(CaloforgeError, match="1-photons, 1-pions, 2, 3"):
        calochallenge_separations(showers, showers, "4")  # type: ignore[arg-type]
    with pytest.raises(ShowersError, match="cells"):
        calochallenge_separations(showers, make_showers(CELLS, 20), "2")
    deep = Detector("deep", (CylindricalLayer(None, (0.0, 9.0), 1),) * 8)
    with pytest.raises(DetectorError, match="8"):
        calochallenge_separations(make_showers(deep, 9), make_showers(deep, 9), "1-pions")


# --- cells ------------------------------------------------------------------------------------


def test_correlations_and_spectrum(shared: Path) -> None:
    showers = read_showers(shared / "data" / "eplus.h5")[:500]
    cells = brightest_cells(showers, 6)
    mean = showers.deposits.mean(axis=0)
    assert set(cells) == set(np.argsort(mean)[-6:])
    assert cells[0] == mean.argmax()
    deposits = showers.deposits.astype(np.float64)
    np.testing.assert_allclose(
        cell_correlations(showers, cells), np.corrcoef(deposits[:, cells].T), rtol=1e-9
    )
    np.testing.assert_allclose(
        layer_correlations(showers), np.corrcoef(showers.layer_energies.T), rtol=1e-9
    )
    edges = spectrum_edges(showers)
    for layer, part in [(None, slice(None)), (1, showers.detector.slices[1])]:
        spectrum = cell_spectrum(showers, edges, layer)
        expected, _ = np.histogram(deposits[:, part], edges)
        np.testing.assert_array_equal(spectrum.inside, expected)
        assert spectrum.total == deposits[:, part].size
    # The hottest cell is on the last edge, up to the rounding of its logarithm.
    assert spectrum.weights[-1] <= 1


def test_spectra_of_two_samples(shared: Path) -> None:
    showers = read_showers(shared / "data" / "eplus.h5")[:2000]
    first, second = showers[:1000], showers[1000:]
    whole, *layers = compare_spectra(first, second)
    assert len(layers) == 3
    np.testing.assert_array_equal(
        whole.showers.weights, np.sum([each.showers.weights for each in layers], axis=0)
    )
    np.testing.assert_array_equal(
        layers[1].reference.weights, cell_spectrum(first, whole.reference.edges, 1).weights
    )
    assert whole.separation.value == separation_power(whole.reference, whole.showers)
    assert all(0 < each.separation.error < each.separation.value for each in (whole, *layers))
    # Cells below 1 MeV are lost: plain in the spectrum, a thousandth of the energy.
    cut = Showers(
        second.detector, second.energy, np.where(second.deposits < 1, 0, second.deposits), "e+"
    )
    seen, clean = compare_spectra(first, cut)[0].separation, whole.separation
    assert seen.value - clean.value > 20 * np.hypot(seen.error, clean.error)


def test_correlations_of_constant_cells_are_undefined() -> None:
    deposits = np.ones((4, 7), dtype=np.float32)
    deposits[:, 0] = [1, 2, 3, 4]
    found = cell_correlations(Showers(CELLS, np.ones(4), deposits), np.array([0, 1]))
    assert found[0, 0] == pytest.approx(1)
    assert np.isnan([found[0, 1], found[1, 1]]).all()
    with pytest.raises(ShowersError, match="two"):
        layer_correlations(make_showers(CELLS, 1))
    with pytest.raises(CaloforgeError, match="count"):
        brightest_cells(make_showers(CELLS, 1), 0)
