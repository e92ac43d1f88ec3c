"""In which order the cells of a detector are drawn, and what each of them looks at.

Cells are taken from the axis outwards. A cell waits for the cells near it that are nearer to the
axis, in its own layer and in the layers beside it, and for nothing else: so the cells fall into
groups, each of which can be drawn at once, and no two cells of a group are neighbours (the levels
of a directed graph, as in parallel solvers of sparse triangular systems).

References:
    S. Reed et al., *Parallel multiscale autoregressive density estimation*, arXiv:1703.03664:
    pixels in groups, each independent given the groups before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import Detector
from caloforge.detector.layers import CylindricalLayer, Layer, RectangularLayer

__all__ = ["Layout"]

IndexArray = NDArray[np.int64]

_WINDOW = (2, 4)  # cells to either side along the slow and the fast index that are looked at
_WAITED = (1, 2)  # those that are waited for
_SHIFTS = tuple((a, b) for a in (-1, 0, 1) for b in (-1, 0, 1))
_NEAR_LAYERS = 2  # layers to either side whose energy is looked at


@dataclass(frozen=True)
class Layout:
    """Groups of cells in order, and the context of each cell.

    Attributes:
        groups: Cells of each group, in the order in which groups are drawn.
        own: Cells of the same layer that each cell looks at, if they are drawn before it: shape
            (n_cells, n_own), ``n_cells`` where there is none.
        rows: Sums over cells of other layers that each cell looks at: row ``cell * n_other + k`` of
            a sparse matrix, shape (n_entries,).
        columns: The cells that are summed: shape (n_entries,).
        weights: With what weight: the share of that cell that lies in the place that is looked at:
            shape (n_entries,).
        n_other: Sums of each cell.
    """

    groups: tuple[IndexArray, ...]
    own: IndexArray
    rows: IndexArray
    columns: IndexArray
    weights: NDArray[np.float32]
    n_other: int

    @property
    def group_of_cell(self) -> IndexArray:
        """Index of the group that each cell is in: shape (n_cells,)."""
        found = np.empty(len(self.own), dtype=np.int64)
        for i, cells in enumerate(self.groups):
            found[cells] = i
        return found

    @classmethod
    def of(cls, detector: Detector) -> Layout:
        """That of a detector: of its geometry alone."""
        overlaps = {
            (i, j): _Overlap(detector.layers[i], detector.layers[j])
            for i in range(detector.n_layers)
            for j in range(max(0, i - _NEAR_LAYERS), min(detector.n_layers, i + _NEAR_LAYERS + 1))
            if i != j
        }
        group = _levels(detector, overlaps)
        own = np.concatenate(
            [
                _window(layer, _WINDOW, part.start, detector.n_cells)
                for layer, part in zip(detector.layers, detector.slices, strict=True)
            ]
        )
        padded = np.append(group, len(own))
        own = np.where(padded[own] < group[:, None], own, detector.n_cells)
        n_near = max(
            (sum(i == layer for i, _ in overlaps) for layer in range(detector.n_layers)), default=0
        )
        n_other = n_near * len(_SHIFTS)
        rows, columns, weights = _sums(detector, overlaps, group, n_other)
        order = [np.flatnonzero(group == level) for level in range(group.max() + 1)]
        return cls(tuple(order), own, rows, columns, weights, n_other)


def _levels(detector: Detector, overlaps: dict[tuple[int, int], _Overlap]) -> IndexArray:
    """The group of each cell: one more than the last of those that it waits for."""
    radius = np.concatenate([_radius(layer) for layer in detector.layers])
    waited: list[list[int]] = [[] for _ in range(detector.n_cells)]
    for layer, part in zip(detector.layers, detector.slices, strict=True):
        near = _window(layer, _WAITED, part.start, detector.n_cells)
        for cell, row in enumerate(near, part.start):
            waited[cell] += [int(each) for each in row if each < detector.n_cells]
    for (i, j), overlap in overlaps.items():
        for cell in range(detector.layers[i].n_cells):
            columns, _ = overlap.sum(cell, 0, 0)
            waited[detector.slices[i].start + cell] += (columns + detector.slices[j].start).tolist()
    order = np.lexsort((np.arange(detector.n_cells), radius.round(6)))
    place = np.argsort(order)
    group = np.zeros(detector.n_cells, dtype=np.int64)
    for cell in order:
        before = [group[other] for other in waited[cell] if place[other] < place[cell]]
        group[cell] = 1 + max(before) if before else 0
    return group


def _radius(layer: Layer) -> NDArray[np.float64]:
    if isinstance(layer, CylindricalLayer):
        r = np.asarray(layer.r_edges)
        return np.tile(0.5 * (r[1:] + r[:-1]), layer.n_alpha)
    found: NDArray[np.float64] = np.hypot(*layer.centres.T)
    return found


def _window(layer: Layer, reach: tuple[int, int], start: int, nowhere: int) -> IndexArray:
    """The cells around each cell of a layer, in a fixed order: ``nowhere`` beyond its edge."""
    slow, fast = layer.shape
    around = isinstance(layer, CylindricalLayer)
    row, column = np.divmod(np.arange(layer.n_cells), fast)
    found = []
    for a in range(-reach[0], reach[0] + 1):
        for b in range(-reach[1], reach[1] + 1):
            if a == b == 0:
                continue
            i, j = row + a, column + b
            inside = (j >= 0) & (j < fast)
            if around and abs(2 * a) < slow:
                i = i % slow
            inside &= (i >= 0) & (i < slow)
            found.append(np.where(inside, start + i * fast + j, nowhere))
    return np.stack(found, axis=1)


class _Overlap:
    """Which part of each cell of another layer lies in a place of this one."""

    def __init__(self, layer: Layer, other: Layer) -> None:
        self._mine, self._theirs = _edges(layer), _edges(other)
        self._shape, self._other_shape = layer.shape, other.shape
        self._alike = type(layer) is type(other)
        self._around = isinstance(layer, CylindricalLayer)

    def sum(self, cell: int, a: int, b: int) -> tuple[IndexArray, NDArray[np.float64]]:
        """Cells and weights, for the place of a cell, moved by a and b along the two indices.

        It is moved by its own size or by that of the other layer's cells, whichever is larger.
        """
        if not self._alike:  # cells and voxels mixed: nothing is known of what lies where
            return np.empty(0, dtype=np.int64), np.empty(0)
        shares = []
        for axis, (index, step) in enumerate(
            zip(divmod(cell, self._shape[1]), (a, b), strict=True)
        ):
            mine, theirs = self._mine[axis], self._theirs[axis]
            low, high = mine[index], mine[index + 1]
            move = step * max(high - low, float(np.median(np.diff(theirs))))
            share = _share(theirs, low + move, high + move)
            if axis == 0 and self._around:
                turn = mine[-1] - mine[0]
                share += _share(theirs, low + move - turn, high + move - turn)
                share += _share(theirs, low + move + turn, high + move + turn)
            shares.append(np.minimum(share, 1.0))
        weights = np.outer(*shares).ravel()
        columns = np.flatnonzero(weights > 1e-6)
        return columns, weights[columns]


def _share(edges: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """The part of each bin that lies between two points."""
    inside = np.minimum(edges[1:], high) - np.maximum(edges[:-1], low)
    found: NDArray[np.float64] = np.clip(inside, 0.0, None) / np.diff(edges)
    return found


def _edges(layer: Layer) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Edges along the slow and the fast index."""
    if isinstance(layer, RectangularLayer):
        return np.asarray(layer.x_edges), np.asarray(layer.y_edges)
    assert isinstance(layer, CylindricalLayer)  # noqa: S101
    return np.linspace(0.0, 2 * np.pi, layer.n_alpha + 1), np.asarray(layer.r_edges)


def _sums(
    detector: Detector, overlaps: dict[tuple[int, int], _Overlap], group: IndexArray, n_other: int
) -> tuple[IndexArray, IndexArray, NDArray[np.float32]]:
    """Sums over cells of other layers, drawn before: entries of a sparse matrix."""
    rows, columns, weights = [], [], []
    for i, part in enumerate(detector.slices):
        others = [j for layer, j in overlaps if layer == i]
        for cell in range(part.stop - part.start):
            for k, (j, (a, b)) in enumerate((j, shift) for j in others for shift in _SHIFTS):
                found, weight = overlaps[i, j].sum(cell, a, b)
                found = found + detector.slices[j].start
                before = group[found] < group[part.start + cell]
                columns.append(found[before])
                weights.append(weight[before])
                rows.append(np.full(before.sum(), (part.start + cell) * n_other + k))
    if not rows:
        none = np.empty(0, dtype=np.int64)
        return none, none, none.astype(np.float32)
    return (
        np.concatenate(rows).astype(np.int64),
        np.concatenate(columns).astype(np.int64),
        np.concatenate(weights).astype(np.float32),
    )
