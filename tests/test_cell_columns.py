"""What the headline test looks at, against loops over single cells."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from caloforge.detector import CylindricalLayer, Detector, RectangularLayer, load_detector
from caloforge.evaluation.features.blocks import row_blocks
from caloforge.evaluation.features.columns import layer_groups, log_energy
from caloforge.evaluation.features.neighbours import LEVELS
from caloforge.evaluation.features.windows import WINDOWS, window_columns
from caloforge.showers import Showers

THRESHOLDS = (0.0, 0.05, 1.0)
LINES = (0.0009999, 0.511, 1.022)  # MeV
SMALL = Detector(
    "small",
    (
        RectangularLayer(None, (0.0, 1.0, 2.0, 3.0), (0.0, 1.0, 2.0, 3.0, 4.0)),
        RectangularLayer(None, (0.0, 1.5, 3.0), (0.0, 1.0, 2.0, 3.0, 4.0)),
    ),
)
ROUND = Detector("round", (CylindricalLayer(None, (0.0, 1.0, 2.0, 4.0), 5),))


def made_up(detector: Detector, n: int, seed: int = 0) -> Showers:
    rng = np.random.default_rng(seed)
    deposits = 10 ** rng.uniform(-3, 2, (n, detector.n_cells))
    deposits[rng.random(deposits.shape) < 0.4] = 0
    return Showers(detector, rng.uniform(1, 100, n), deposits.astype(np.float32), "e+")


def values(showers: Showers, threshold: float) -> dict[str, NDArray[np.float32]]:
    found = window_columns(showers, THRESHOLDS).at(threshold)
    return {column.name: row for column, row in zip(found.columns, found.values.T, strict=True)}


def touching(layer: RectangularLayer | CylindricalLayer, axis: int) -> Iterator[tuple[int, int]]:
    """Pairs of cells of a layer that touch along an axis."""
    a, b = layer.shape
    closed = isinstance(layer, CylindricalLayer)
    for i, j in product(range(a), range(b)):
        k, m = (i + 1, j) if axis == 0 else (i, j + 1)
        if axis == 0 and closed:
            k %= a
        if k < a and m < b:
            yield i * b + j, k * b + m


@pytest.mark.parametrize("detector", [SMALL, ROUND])
@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_counts_are_those_of_loops(detector: Detector, threshold: float) -> None:
    showers = made_up(detector, 40)
    found = values(showers, threshold)
    names = ("alpha", "r") if detector is ROUND else ("phi", "eta")
    for number, (layer, part) in enumerate(zip(detector.layers, detector.slices, strict=True)):
        for row, shower in enumerate(showers.deposits[:, part]):
            cells = np.where(shower < np.float32(threshold), 0, shower)
            pairs = [set(touching(layer, axis)) for axis in (0, 1)]
            for level in (0.0, 0.1, 10.0):
                if level < threshold:
                    continue
                hit = cells >= np.float32(level) if level else cells > 0
                for axis, name in enumerate(names):
                    both = sum(hit[i] and hit[j] for i, j in pairs[axis])
                    assert found[f"pairs{number}{name}>{level:g}"][row] == both
                neighbours: list[set[int]] = [set() for _ in cells]
                for i, j in pairs[0] | pairs[1]:
                    neighbours[i].add(j)
                    neighbours[j].add(i)
                alone = [i for i in np.flatnonzero(hit) if not any(hit[j] for j in neighbours[i])]
                assert found[f"alone{number}>{level:g}"][row] == len(alone)
                peaks = [
                    i
                    for i in np.flatnonzero(hit)
                    if all(cells[i] > cells[j] for j in neighbours[i])
                ]
                assert found[f"peaks{number}>{level:g}"][row] == len(peaks)
            inside = (cells >= np.float32(2)) & (cells < np.float32(3))
            assert found[f"n{number}[2,3]"][row] == inside.sum()
            hottest = np.sort(cells)[::-1]
            assert found[f"hot{number}(1)>{threshold:g}"][row] == pytest.approx(
                log_energy(hottest[0]), abs=6e-4
            )
            share = hottest[0] / max(hottest.sum(), 1e-9)
            assert found[f"share{number}(1)>{threshold:g}"][row] == pytest.approx(share, abs=6e-4)


def test_windows_share_out_all_cells() -> None:
    """Each cell with energy is in one window, whatever the threshold."""
    showers = made_up(SMALL, 100)
    columns = window_columns(showers, THRESHOLDS)
    for threshold in THRESHOLDS:
        at = columns.at(threshold)
        windows = [i for i, column in enumerate(at.columns) if column.window is not None]
        hit = showers.deposits >= np.float32(threshold) if threshold else showers.deposits > 0
        np.testing.assert_array_equal(at.values[:, windows].sum(axis=1), hit.sum(axis=1))


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_deposits_below_a_threshold_are_not_seen(threshold: float) -> None:
    """The columns of a threshold are those of showers where what is below it is zero."""
    showers = made_up(ROUND, 60)
    deposits = showers.deposits.copy()
    deposits[deposits < np.float32(threshold)] = 0
    cut = Showers(ROUND, showers.energy, deposits, "e+")
    for name, column in values(showers, threshold).items():
        np.testing.assert_array_equal(column, values(cut, threshold)[name], err_msg=name)


def test_columns_do_not_depend_on_the_other_rows() -> None:
    showers = made_up(load_detector("calogan"), 9000)
    assert len(list(row_blocks(showers))) > 1
    whole = window_columns(showers, THRESHOLDS)
    rows = np.array([8999, 0, 17])
    part = window_columns(showers[rows], THRESHOLDS)
    assert part.columns == whole.columns
    np.testing.assert_array_equal(part.values, whole.values[rows])


@pytest.mark.parametrize("name", ["calogan", "lar-voxels", "calochallenge-ds1-pions", "siw"])
def test_any_detector(name: str) -> None:
    detector = load_detector(name)
    showers = made_up(detector, 5)
    found = window_columns(showers, THRESHOLDS)
    assert np.isfinite(found.values).all()
    names = [column.name for column in found.columns]
    assert len(set(names)) == len(names)
    assert len(layer_groups(detector)) <= 8
    # An empty shower is one, too.
    empty = Showers(detector, np.ones(1), np.zeros((1, detector.n_cells), np.float32), "e+")
    assert np.isfinite(window_columns(empty, THRESHOLDS).values).all()


def test_no_edge_is_near_a_line() -> None:
    edges = np.array([edge for edge in (*WINDOWS, *LEVELS) if 0 < edge < np.inf])
    for line in LINES:
        assert np.abs(np.log(edges / line)).min() > 0.1
        moved = log_energy(np.array([0.95, 1.0, 1.05]) * line)
        if line > 0.1:
            assert np.ptp(moved) == 0
