"""Geometry by hand, digitising against a loop that can be read at a glance, and wrong files."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from caloforge.detector import (
    CylindricalLayer,
    Detector,
    Hits,
    Layer,
    Plate,
    RectangularLayer,
    Stack,
    detector_from_json,
    detector_names,
    detector_to_json,
    load_detector,
)
from caloforge.errors import DetectorError

FloatArray = NDArray[np.float64]
CALOGAN = load_detector("calogan")
VOXELS = load_detector("lar-voxels")
ODD = Detector(
    "odd",
    (
        RectangularLayer((1.0, 2.5), (-3.0, -1.0, 0.5, 4.0), (0.0, 1.0, 3.0)),
        CylindricalLayer((2.5, 4.0), (1.0, 2.0, 5.0), 5),
        CylindricalLayer((6.0, 7.0), (0.0, 2.0, 4.0), 1),
    ),
)
SHIPPED = [load_detector(name) for name in detector_names()]
# Positions beside, inside and exactly on the edges of the layers of `ODD`, in mm.
EDGES = (-5.0, -3.0, -1.0, -0.0, 0.0, 0.5, 1.0, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0)
positions = st.one_of(st.sampled_from(EDGES), st.floats(-8, 8))
points = st.lists(
    st.tuples(positions, positions, positions, st.floats(0, 1e4), st.integers(0, 2)), max_size=40
)


# Geometry


def test_calogan_cells_have_the_sizes_of_the_paper() -> None:
    sizes = [
        {
            (round(float(dx), 9), round(float(dy), 9))
            for dx in np.diff(layer.x_edges)
            for dy in np.diff(layer.y_edges)
        }
        for layer in CALOGAN.layers
        if isinstance(layer, RectangularLayer)
    ]
    assert sizes == [{(160.0, 5.0)}, {(40.0, 40.0)}, {(40.0, 80.0)}]
    assert [layer.shape for layer in CALOGAN.layers] == [(3, 96), (12, 12), (12, 6)]
    assert [layer.depth for layer in CALOGAN.layers] == [(0, 90), (90, 437), (437, 480)]
    assert CALOGAN.stack is not None
    assert CALOGAN.stack.thickness == pytest.approx(480)
    assert len(CALOGAN.stack.plates) == 160


def test_order_of_cells_is_that_of_the_files() -> None:
    cell = np.flatnonzero((CALOGAN.centres[:288] == [-160.0, -232.5, 45.0]).all(axis=1))
    assert cell.tolist() == [1]  # y is fast
    assert CALOGAN.slices == (slice(0, 288), slice(288, 432), slice(432, 504))
    assert np.bincount(CALOGAN.layer_of_cell).tolist() == [288, 144, 72]
    ring = VOXELS.layers[1]  # r is fast, alpha slow
    assert ring.shape == (10, 16)
    assert ring.centres[1] == pytest.approx(
        [3 * math.cos(math.pi / 10), 3 * math.sin(math.pi / 10)]
    )
    assert ring.centres[16] == pytest.approx([math.cos(0.3 * math.pi), math.sin(0.3 * math.pi)])


@pytest.mark.parametrize("detector", [*SHIPPED, ODD], ids=lambda detector: str(detector.name))
def test_areas_fill_the_layer(detector: Detector) -> None:
    for layer, part in zip(detector.layers, detector.slices, strict=True):
        if isinstance(layer, RectangularLayer):
            whole = np.ptp(layer.x_edges) * np.ptp(layer.y_edges)
        else:
            whole = math.pi * (layer.r_edges[-1] ** 2 - layer.r_edges[0] ** 2)
        assert detector.areas[part].sum() == pytest.approx(whole)
    if detector.has_depth:
        depth = np.array([layer.z_max - layer.z_min for layer in detector.layers])
        np.testing.assert_allclose(
            detector.volumes, detector.areas * depth[detector.layer_of_cell], rtol=1e-12
        )
    else:
        with pytest.raises(DetectorError, match="depth"):
            _ = detector.volumes
        assert np.isnan(detector.centres[:, 2]).all()


def test_calogan_areas_are_half_a_metre_squared() -> None:
    for part in CALOGAN.slices:
        assert CALOGAN.areas[part].sum() == pytest.approx(480 * 480)


@pytest.mark.parametrize("detector", [*SHIPPED, ODD], ids=lambda detector: str(detector.name))
def test_centres_lie_in_their_own_cell(detector: Detector) -> None:
    for layer in detector.layers:
        if isinstance(layer, CylindricalLayer) and layer.n_alpha == 1:
            assert not layer.centres.any()  # a ring's centre is the axis
            continue
        found = layer.find(layer.centres[:, 0], layer.centres[:, 1])
        np.testing.assert_array_equal(found, np.arange(layer.n_cells))


@pytest.mark.parametrize("detector", [*SHIPPED, ODD], ids=lambda detector: str(detector.name))
def test_values_on_edges_belong_to_one_of_their_two_cells(detector: Detector) -> None:
    for layer in detector.layers:
        if isinstance(layer, RectangularLayer):
            inner = np.array(layer.x_edges[1:-1])
            row = layer.find(inner, np.full(len(inner), layer.centres[0, 1])) // layer.shape[1]
        else:
            inner = np.array(layer.r_edges[1:-1])
            row = layer.find(inner, np.zeros(len(inner)))
        below = np.arange(len(inner))
        assert ((row == below + 1) | (row == below)).all()


# Digitising


def naive_cell(layer: Layer, x: float, y: float) -> int:
    """The cell of a point, as one would say it in words; -1 beside all cells."""
    if isinstance(layer, RectangularLayer):
        for i, (low, high) in enumerate(zip(layer.x_edges[:-1], layer.x_edges[1:], strict=True)):
            for j, (left, right) in enumerate(
                zip(layer.y_edges[:-1], layer.y_edges[1:], strict=True)
            ):
                if low <= x < high and left <= y < right:
                    return i * layer.shape[1] + j
        return -1
    assert isinstance(layer, CylindricalLayer)
    sector = math.floor(math.atan2(y, x) / (2 * math.pi) * layer.n_alpha) % layer.n_alpha
    r = math.hypot(x, y)
    for j, (low, high) in enumerate(zip(layer.r_edges[:-1], layer.r_edges[1:], strict=True)):
        if low <= r < high:
            return sector * layer.shape[1] + j
    return -1


@given(points=points)
def test_digitise_is_the_naive_loop(points: list[tuple[float, float, float, float, int]]) -> None:
    x, y, z, energy, shower = np.array(points, dtype=np.float64).reshape(-1, 5).T
    deposits, overflow = ODD.digitise(Hits(x, y, z, energy, shower.astype(int)), 3)
    expected, beside = np.zeros((3, ODD.n_cells)), np.zeros((3, ODD.n_layers))
    outside = np.zeros(3)
    for px, py, pz, pe, row in points:
        for i, layer in enumerate(ODD.layers):
            if layer.z_min <= pz < layer.z_max:
                cell = naive_cell(layer, px, py)
                if cell >= 0:
                    expected[row, ODD.slices[i].start + cell] += pe
                else:
                    beside[row, i] += pe
                break
        else:
            outside[row] += pe
    np.testing.assert_allclose(deposits, expected, rtol=1e-12)
    np.testing.assert_allclose(overflow, beside, rtol=1e-12)
    total = np.bincount(shower.astype(int), weights=energy, minlength=3)
    np.testing.assert_allclose(deposits.sum(1) + overflow.sum(1) + outside, total, rtol=1e-12)


def test_digitise_the_shipped_readouts_like_the_loop() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(0, 150, (2, 200))
    z = rng.uniform(-20, 500, 200)
    for detector in (CALOGAN, VOXELS):
        for i in range(200):
            cells, beside = detector.digitise(Hits(x[i : i + 1], y[i : i + 1], z[i : i + 1], [1.0]))
            layer = [j for j, one in enumerate(detector.layers) if one.z_min <= z[i] < one.z_max]
            cell = naive_cell(detector.layers[layer[0]], x[i], y[i]) if layer else -1
            hit = [detector.slices[layer[0]].start + cell] if cell >= 0 else []
            assert np.flatnonzero(cells[0]).tolist() == hit
            assert np.flatnonzero(beside[0]).tolist() == (layer if cell < 0 else [])


def test_digitise_far_away_and_nothing() -> None:
    far = [np.inf, -np.inf, 1e300, -1e300]
    for detector in (CALOGAN, VOXELS, ODD):
        cells, beside = detector.digitise(Hits(far, [0.0] * 4, [1.0] * 4, [1.0] * 4))
        assert (cells.sum(), beside.sum()) == (0, 4)
        assert (cells := detector.digitise(Hits([], [], [], []), 2)[0]).shape[0] == 2
        assert not cells.any()
    with pytest.raises(DetectorError, match="depth"):
        load_detector("calochallenge-ds1-photons").digitise(Hits([0], [0], [0], [1]))


# Symmetries and neighbours


@pytest.mark.parametrize("detector", [d for d in SHIPPED if d.has_depth], ids=lambda d: str(d.name))
def test_symmetries_commute_with_digitising(detector: Detector) -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(0, 30, (2, 2000))
    z = rng.uniform(0, detector.layers[-1].z_max, 2000)
    energy = rng.exponential(1, 2000)
    image = detector.digitise(Hits(x, y, z, energy))[0]
    assert set(detector.symmetries) == {"phi", "eta"}
    for name, sign in (("phi", (-1, 1)), ("eta", (1, -1))):
        permutation = detector.symmetries[name]
        np.testing.assert_array_equal(permutation[permutation], np.arange(detector.n_cells))
        mirrored = detector.digitise(Hits(sign[0] * x, sign[1] * y, z, energy))[0]
        np.testing.assert_allclose(image[:, permutation], mirrored, rtol=1e-12)


def test_what_is_not_symmetric_has_no_symmetry() -> None:
    assert ODD.symmetries == {}
    five = Detector("five", (CylindricalLayer(None, (0, 1, 2), 5),))
    assert set(five.symmetries) == {"eta"}
    np.testing.assert_array_equal(five.symmetries["eta"], [8, 9, 6, 7, 4, 5, 2, 3, 0, 1])


@pytest.mark.parametrize("detector", [*SHIPPED, ODD], ids=lambda detector: str(detector.name))
def test_neighbours(detector: Detector) -> None:
    pairs = detector.neighbours
    assert (pairs[:, 0] != pairs[:, 1]).all()
    assert len({frozenset(pair) for pair in pairs.tolist()}) == len(pairs)
    assert (detector.layer_of_cell[pairs[:, 0]] == detector.layer_of_cell[pairs[:, 1]]).all()
    count = 0
    for layer in detector.layers:
        slow, fast = layer.shape
        wraps = isinstance(layer, CylindricalLayer) and slow > 2
        count += slow * (fast - 1) + (slow if wraps else slow - 1) * fast
    assert len(pairs) == count


def test_neighbours_by_hand() -> None:
    grid = RectangularLayer(None, (0, 1, 2), (0, 1, 2, 3)).neighbours()
    assert sorted(map(tuple, grid.tolist())) == [
        (0, 1), (0, 3), (1, 2), (1, 4), (2, 5), (3, 4), (4, 5),
    ]  # fmt: skip
    halves = CylindricalLayer(None, (0, 1), 2).neighbours()
    assert halves.tolist() == [[0, 1]]


# Definitions


@pytest.mark.parametrize("detector", [*SHIPPED, ODD], ids=lambda detector: str(detector.name))
def test_json_round_trip(detector: Detector) -> None:
    text = detector_to_json(detector)
    assert "\n" not in text
    assert detector_from_json(text, "test") == detector
    assert hash(detector_from_json(text, "test")) == hash(detector)


@pytest.mark.parametrize(
    ("xml", "shipped"),
    [
        ("calochallenge/binning_dataset_1_photons.xml", "calochallenge-ds1-photons"),
        ("calochallenge/binning_dataset_1_pions.xml", "calochallenge-ds1-pions"),
        ("calochallenge/binning_dataset_2.xml", "calochallenge-ds2"),
        ("calochallenge/binning_dataset_3.xml", "calochallenge-ds3"),
        ("data/binning-lar-voxels.xml", "lar-voxels"),
    ],
)
def test_xml_is_what_is_shipped(shared: Path, xml: str, shipped: str) -> None:
    detector = load_detector(shared / xml)
    assert detector.same_readout(load_detector(shipped))
    assert not detector.has_depth


def test_same_readout_is_about_depth_too() -> None:
    def sliced(*depth: float | None) -> Detector:
        where = None if depth[0] is None else (depth[0], depth[1])
        return Detector(f"d{depth}", (CylindricalLayer(where, (0, 1), 1),))  # type: ignore[arg-type]

    assert sliced(0, 5).same_readout(sliced(0, 5))
    assert sliced(0, 5).same_readout(sliced(None))
    assert not sliced(0, 5).same_readout(sliced(0, 6))


def test_wrong_definitions() -> None:
    layer = RectangularLayer((0, 1), (0, 1), (0, 1))
    for wrong, word in (
        (lambda: Detector("d", ()), "layers"),
        (lambda: Detector("d", (layer, RectangularLayer(None, (0, 1), (0, 1)))), "depth"),
        (lambda: Detector("d", (layer, layer)), r"layers\[1\].depth"),
        (lambda: CylindricalLayer(None, (-1, 1), 1), "r_edges"),
        (lambda: CylindricalLayer(None, (0, 1), 0), "n_alpha"),
        (lambda: CylindricalLayer(None, (0, math.nan), 1), "r_edges"),
        (lambda: RectangularLayer(None, (0, 0), (0, 1)), "x_edges"),
        (lambda: RectangularLayer(None, (0, 1), (0,)), "y_edges"),
        (lambda: RectangularLayer((1, 0), (0, 1), (0, 1)), "depth"),
        (lambda: Stack((), 1.0), "plates"),
        (lambda: Stack((Plate("G4_Pb", 1.0),), 0.0), "lateral"),
        (lambda: Plate("G4_Pb", -1.0), "thickness"),
    ):
        with pytest.raises(DetectorError, match=word):
            wrong()
