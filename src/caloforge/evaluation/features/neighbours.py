"""Numbers of cells beside each other: what a generator that draws cells one by one gets wrong.

In each layer, summed over the layers of a group: pairs of hit cells that touch along either axis,
hit cells without a hit neighbour, cells hotter than all their neighbours, blocks of 2 x 2, gaps of
one cell between two hit ones; by how much touching cells differ, and how much of the energy they
share. From one layer to the next: cells that are hit in the same place. Hit means above one of
several levels of energy. Voxels are neighbours around the full angle.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import CylindricalLayer, Detector, RectangularLayer
from caloforge.evaluation.features.columns import Column, Group, log_energy
from caloforge.showers import Showers

__all__ = ["LEVELS", "neighbour_columns"]

LEVELS = (0.0, 0.01, 0.032, 0.1, 0.3, 1.3, 3.0, 10.0, 30.0, 100.0)
"""Energies above which cells count as hit, MeV; none within a tenth of a line of the spectrum."""

_FEW = (0.0, 0.01, 0.1, 1.3, 10.0)  # of these, where all would say little more
_FLOOR = 1e-3  # MeV: below it logarithms do not look
_TINY = 1e-9

Image = NDArray[np.float32]
Hits = NDArray[np.bool_]
Sum = tuple[Column, NDArray[Any], NDArray[Any] | None]
"""A column, what is summed over layers, and what that is divided by, summed in the same way."""


def neighbour_columns(
    part: Showers, groups: Sequence[Group], thresholds: Sequence[float]
) -> Iterator[tuple[Column, NDArray[np.generic]]]:
    """The numbers of each group of layers.

    Args:
        part: N showers.
        groups: Groups of layers.
        thresholds: Deposits below a threshold count as zero, MeV.

    Yields:
        What each is, and its values: shape (N,).
    """
    detector = part.detector
    cells = np.ascontiguousarray(part.deposits.T)
    for group in groups:
        sums: dict[Column, NDArray[Any]] = {}
        over: dict[Column, NDArray[Any]] = {}
        for index in range(*group.layers):
            layer, lies = detector.layers[index], detector.slices[index]
            image = cells[lies].reshape(*layer.shape, len(part))
            one = _Layer(image, isinstance(layer, CylindricalLayer), group)
            found = [*one.columns(thresholds), *_depth(detector, index, cells, group, thresholds)]
            for column, values, weight in found:
                sums[column] = sums[column] + values if column in sums else values
                if weight is not None:
                    over[column] = over[column] + weight if column in over else weight
        for column, values in sums.items():
            if column in over:
                yield column, values / np.maximum(over[column], _TINY)
            else:
                yield column, log_energy(values) if column.scale == "log10" else values


@dataclass(frozen=True, eq=False)
class _Layer:
    """The numbers of one layer.

    Attributes:
        image: Deposits: shape (a, b, N), MeV.
        cylindrical: Whether the first axis is an angle.
        group: The group that the layer is of.
    """

    image: Image
    cylindrical: bool
    group: Group

    @property
    def axes(self) -> list[tuple[int, str, bool]]:
        """The axes of the image that have several cells: number, name, whether it is closed."""
        names = ("alpha", "r") if self.cylindrical else ("phi", "eta")
        return [
            (axis, name, self.cylindrical and axis == 0 and self.image.shape[0] > 2)
            for axis, name in enumerate(names)
            if self.image.shape[axis] > 1
        ]

    def columns(self, thresholds: Sequence[float]) -> Iterator[Sum]:
        """All numbers that are of this layer alone."""
        if not self.axes:
            return
        logs = np.log10(self.image + np.float32(_FLOOR))
        for level, only in _levels(LEVELS, thresholds):
            yield from self._pairs(level, only, logs if level in (*_FEW, only) else None)
        hottest = self._hottest_neighbour()
        for level, only in _levels(_FEW, thresholds):
            yield from self._lonely(hottest, level, only)
            yield from self._blocks(level, only)
        for threshold in thresholds:
            yield from self._touching(threshold)

    def _pairs(self, level: float, only: float | None, logs: Image | None) -> Iterator[Sum]:
        hit = _hit(self.image, level)
        for axis, name, closed in self.axes:
            first, second = _pairs(hit, axis, closed)
            both = first & second
            count = _count(both)
            title = f"pairs of cells {{above}} that touch along {name}"
            yield _column("pairs", name, self.group, level, only, title), count, None
            if logs is not None:
                one, other = _pairs(logs, axis, closed)
                step = np.where(both, np.abs(one - other), np.float32(0)).sum(axis=(0, 1))
                title = f"mean step of log10(E) between cells {{above}} that touch along {name}"
                column = _column("steps", name, self.group, level, only, title, scale="plain")
                yield column, step, count

    def _hottest_neighbour(self) -> Image:
        found = np.zeros_like(self.image)
        for axis, _, closed in self.axes:
            if closed:
                for step in (1, -1):
                    np.maximum(found, np.roll(self.image, step, axis), out=found)
                continue
            before, behind = _pairs(found, axis, False)
            first, second = _pairs(self.image, axis, False)
            np.maximum(before, second, out=before)
            np.maximum(behind, first, out=behind)
        return found

    def _lonely(self, hottest: Image, level: float, only: float | None) -> Iterator[Sum]:
        hit = _hit(self.image, level)
        peak = "cells {above} hotter than all that touch them"
        peaks = _count(hit & (self.image > hottest))
        yield _column("peaks", "", self.group, level, only, peak), peaks, None
        alone = hit & ~_hit(hottest, level)
        title = "cells {above} that touch no other such"
        yield _column("alone", "", self.group, level, only, title), _count(alone), None
        title = "energy of the cells {above} that touch no other such"
        column = _column("aloneE", "", self.group, level, only, title, scale="log10", unit="MeV")
        yield column, np.where(alone, self.image, np.float32(0)).sum(axis=(0, 1)), None

    def _blocks(self, level: float, only: float | None) -> Iterator[Sum]:
        hit = _hit(self.image, level)
        for axis, name, closed in self.axes:
            if hit.shape[axis] > 2:
                ends = _pairs(hit, axis, closed, step=2)
                middle = np.roll(hit, -1, axis) if closed else _pairs(hit, axis, False)[1]
                if not closed:
                    middle = _pairs(middle, axis, False)[0]
                title = f"single gaps along {name} between cells {{above}}"
                column = _column("gaps", name, self.group, level, only, title)
                yield column, _count(ends[0] & ends[1] & ~middle), None
        if len(self.axes) == 2:
            both = hit
            for axis, _, closed in self.axes:
                first, second = _pairs(both, axis, closed)
                both = first & second
            title = "blocks of 2 x 2 cells {above}"
            yield _column("blocks", "", self.group, level, only, title), _count(both), None

    def _touching(self, threshold: float) -> Iterator[Sum]:
        kept = np.where(_hit(self.image, threshold), self.image, np.float32(0))
        energy = kept.sum(axis=(0, 1), dtype=np.float64)
        for axis, name, closed in self.axes:
            first, second = _pairs(kept, axis, closed)
            for kind, title, values in (
                ("touchmin", "smaller energy", np.minimum(first, second)),
                ("touchgeo", "geometric mean", np.sqrt(first * second)),
            ):
                title = f"{title} of cells that touch along {name}, summed, over all energy"
                column = _column(kind, name, self.group, threshold, threshold, title, scale="plain")
                yield column, values.sum(axis=(0, 1), dtype=np.float64), energy


def _depth(
    detector: Detector,
    index: int,
    cells: NDArray[np.float32],
    group: Group,
    thresholds: Sequence[float],
) -> Iterator[Sum]:
    """What a layer shares with the one before it, place by place."""
    found = _places(detector, index)
    if found is None:
        return
    before, here = cells[found[0]], cells[found[1]]
    for level, only in _levels(_FEW, thresholds):
        both = _hit(before, level) & _hit(here, level)
        title = "cells {above} of the layer before that lie in front of such a cell"
        count = np.asarray(both.sum(axis=0, dtype=np.int32))
        yield _column("depth", "", group, level, only, title), count, None
    for threshold in thresholds:
        one, other = (
            np.where(_hit(each, threshold), each, np.float32(0)) for each in (before, here)
        )
        shared = np.sqrt(one * other).sum(axis=0, dtype=np.float64)
        sums = [each.sum(axis=0, dtype=np.float64) for each in (one, other)]
        title = "geometric mean with the cell in front, summed, over that of the layers,"
        column = _column("depthgeo", "", group, threshold, threshold, title, scale="plain")
        yield column, shared, np.sqrt(sums[0] * sums[1])


def _places(detector: Detector, index: int) -> tuple[NDArray[np.intp], NDArray[np.intp]] | None:
    """Cells of the layer before, and the cells of a layer that their centres lie in."""
    if index == 0:
        return None
    before, here = detector.layers[index - 1], detector.layers[index]
    rings = any(isinstance(each, CylindricalLayer) and each.n_alpha == 1 for each in (before, here))
    if rings or isinstance(before, RectangularLayer) != isinstance(here, RectangularLayer):
        return None
    found = here.find(before.centres[:, 0], before.centres[:, 1])
    inside = np.flatnonzero(found >= 0)
    starts = [detector.slices[i].start for i in (index - 1, index)]
    return starts[0] + inside, starts[1] + found[inside]


def _column(
    kind: str, axis: str, group: Group, level: float, only: float | None, title: str, **more: Any
) -> Column:
    above = f"above {level:g} MeV" if level else "with energy"
    given: dict[str, Any] = {
        "scale": "count",
        "low": level if only is None else np.inf,
        "only": only,
        "place": group.words,
        **more,
    }
    name = f"{kind}{group.number}{axis}>{level:g}" + ("" if only is None else "*")
    words = f"{title.format(above=above)} in {group.words}"
    return Column(name, words, "cells beside each other", **given)


def _levels(
    levels: Sequence[float], thresholds: Sequence[float]
) -> Iterator[tuple[float, float | None]]:
    """The levels, and each threshold that is none of them, for itself alone."""
    for level in levels:
        yield level, None
    for threshold in thresholds:
        if threshold not in levels:
            yield threshold, threshold


def _hit(cells: NDArray[np.float32], level: float) -> Hits:
    return cells >= level if level > 0 else cells > 0


def _pairs(
    values: NDArray[Any], axis: int, closed: bool, step: int = 1
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Cells and those that many steps behind them along an axis; views where it is not closed."""
    if closed:
        return values, np.roll(values, -step, axis)
    moved = np.moveaxis(values, axis, 0)
    return np.moveaxis(moved[:-step], 0, axis), np.moveaxis(moved[step:], 0, axis)


def _count(hits: Hits) -> NDArray[np.int32]:
    """Hits of each shower: shape (N,)."""
    return np.asarray(hits.sum(axis=(0, 1), dtype=np.int32))
