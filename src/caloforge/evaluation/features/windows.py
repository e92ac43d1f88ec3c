"""Numbers of single showers that give a generator away: how many cells hold how much energy.

What is histogrammed for papers are sums; what generators get wrong are the cells. So here cells are
counted in windows of energy, sorted, and looked at beside their neighbours, in each layer (or group
of adjacent layers, where there are more than eight), for deposits above several thresholds at once:

- *windows*: numbers of cells in windows of energy;
- *ranks*: the energy of the n-th hottest cell, and the share of the n hottest ones;
- *lines*: neighbours in the sorted list that differ by less than 0.4%: Geant4's cells have lines
  (0.511 MeV of annihilation), which these find wherever a layer's scale puts them;
- *sums*: energies, centres and widths of layers, and the products of the centres of adjacent ones.

:mod:`caloforge.evaluation.features.neighbours` adds the numbers of cells beside each other.

No edge of a window lies within a tenth of a line of the spectrum (1 keV, where Geant4 stops
tracking, 0.511 and 1.022 MeV), and all that is not counted is rounded to three decimals: whether
energies were stored with 12 or 24 bits, or scaled by a thousandth, is not what is looked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import Detector
from caloforge.evaluation.features.blocks import row_blocks
from caloforge.evaluation.features.columns import (
    Column,
    Columns,
    Group,
    between,
    layer_groups,
    log_energy,
    window_column,
)
from caloforge.evaluation.features.neighbours import neighbour_columns
from caloforge.evaluation.features.shapes import DIRECTIONS, coordinate
from caloforge.showers import Showers
from caloforge.units import MEV_PER_GEV

__all__ = ["WINDOWS", "window_columns"]

Cells = NDArray[np.float32]
Found = Iterator[tuple[Column, NDArray[np.generic]]]

WINDOWS = (
    *(0.0, 1e-4, 3e-4, 7e-4, 1.5e-3, 4e-3, 0.01, 0.02, 0.032, 0.05, 0.08, 0.12, 0.18, 0.27, 0.4),
    *(0.62, 0.9, 1.3, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0, 35.0, 60.0, 100.0, 200.0, 500.0, 1e3, 1e4),
    np.inf,
)
"""Edges of the windows, MeV."""

_BANDS = (0.0, 0.01, 0.1, 0.3, 0.8, 3.0, 30.0, np.inf)  # MeV, of cells of equal energy
_EQUAL = 0.004
_RANKS = 16
_DECIMALS = 3


def window_columns(showers: Showers, thresholds: tuple[float, ...]) -> Columns:
    """All columns, for all thresholds; :meth:`Columns.at` has those of one.

    Computed block by block: what is needed besides the result does not grow with N.

    Args:
        showers: N showers.
        thresholds: Deposits below a threshold count as zero, MeV; in increasing order.
    """
    columns: tuple[Column, ...] = ()
    parts = []
    for rows in row_blocks(showers):
        found = list(_columns(showers[rows], thresholds))
        columns = tuple(column for column, _ in found)
        part = np.empty((len(found[0][1]), len(found)), np.float32)
        for i, (column, values) in enumerate(found):
            exact = values.astype(np.float64)
            part[:, i] = exact if column.scale == "count" else np.round(exact, _DECIMALS)
        parts.append(part)
    return Columns(columns, np.concatenate(parts))


def _columns(part: Showers, thresholds: Sequence[float]) -> Found:
    incident = Column("incident", "incident energy", "sums", "GeV", "log10")
    yield incident, np.log10(part.energy)
    for group in layer_groups(part.detector):
        cells = np.ascontiguousarray(part.deposits[:, group.cells])
        ordered = np.sort(cells, axis=1)[:, ::-1]
        yield from _windows(cells, group, thresholds)
        yield from _lines(ordered, group, thresholds)
        for threshold in thresholds:
            yield from _ranks(ordered, group, threshold)
    yield from neighbour_columns(part, layer_groups(part.detector), thresholds)
    for threshold in thresholds:
        yield from _sums(part, threshold)


def _windows(cells: Cells, group: Group, thresholds: Sequence[float]) -> Found:
    """Cells in each window, and in the part of a window that is above a threshold within it."""
    edges = sorted({*WINDOWS[:-1], *thresholds})
    above = {edge: np.count_nonzero(_hit(cells, edge), axis=1) for edge in edges}
    above[np.inf] = np.zeros(len(cells), dtype=np.intp)
    for low, high, only in _parts(WINDOWS, thresholds):
        column = window_column(group.number, group.words, low, high, only)
        yield column, above[low] - above[high]


def _lines(ordered: Cells, group: Group, thresholds: Sequence[float]) -> Found:
    equal = ordered[:, 1:] > ordered[:, :-1] * np.float32(1 - _EQUAL)
    lower = np.where(equal, ordered[:, 1:], np.float32(0))
    edges = sorted({*_BANDS[:-1], *thresholds})
    above = {edge: np.count_nonzero(_hit(lower, edge), axis=1) for edge in edges}
    above[np.inf] = np.zeros(len(ordered), dtype=np.intp)
    for low, high, only in _parts(_BANDS, thresholds):
        name = f"line{group.number}[{low:g},{high:g}]" + ("" if only is None else "*")
        column = Column(
            name,
            f"cells {between(low, high)} that equal another within {_EQUAL:.1%} in {group.words}",
            "cells of equal energy",
            scale="count",
            low=low,
            only=only,
            place=group.words,
        )
        yield column, above[low] - above[high]


def _ranks(ordered: Cells, group: Group, threshold: float) -> Found:
    n = ordered.shape[1]
    ranks = np.unique(np.round(np.geomspace(1, n, _RANKS)).astype(int))
    kept = np.where(_hit(ordered, threshold), ordered, np.float32(0))
    total = np.cumsum(kept, axis=1, dtype=np.float64)
    share = total[:, ranks - 1] / np.maximum(total[:, -1:], 1e-9)
    for i, rank in enumerate(ranks.tolist()):
        yield (
            Column(
                f"hot{group.number}({rank})>{threshold:g}",
                f"energy of the cell of rank {rank} in {group.words}",
                "hottest cells",
                "MeV",
                "log10",
                only=threshold,
                place=group.words,
            ),
            log_energy(kept[:, rank - 1]),
        )
        if rank < n:
            which = "hottest cell" if rank == 1 else f"{rank} hottest cells"
            yield (
                Column(
                    f"share{group.number}({rank})>{threshold:g}",
                    f"share of the {which} in the energy of {group.words}",
                    "hottest cells",
                    only=threshold,
                    place=group.words,
                ),
                share[:, i],
            )


def _sums(part: Showers, threshold: float) -> Found:
    """Energies, centres and widths, in double precision."""
    detector = part.detector
    cells = part.deposits.astype(np.float64)
    if threshold > 0:
        cells[cells < threshold] = 0.0
    by_layer = detector.layer_sums(cells)
    total = by_layer.sum(axis=1)
    response = Column(
        f"response>{threshold:g}", "deposited over incident energy", "sums", only=threshold
    )
    yield response, total / (MEV_PER_GEV * part.energy)
    for i in range(detector.n_layers if detector.n_layers > 1 else 0):
        share = Column(
            f"fraction{i}>{threshold:g}",
            f"share of layer {i} in the energy",
            "sums",
            only=threshold,
            place=f"layer {i}",
        )
        yield share, by_layer[:, i] / np.maximum(total, 1e-9)
    before: dict[str, NDArray[np.float64]] = {}
    for group in layer_groups(detector):
        first, last = group.layers
        energy = by_layer[:, first:last].sum(axis=1)
        yield (
            Column(
                f"energy{group.number}>{threshold:g}",
                f"energy in {group.words}",
                "sums",
                "MeV",
                "log10",
                only=threshold,
                place=group.words,
            ),
            log_energy(energy),
        )
        centres = dict(_centres(detector, cells, energy, group, threshold))
        yield from centres.items()
        now = {column.name: values for column, values in centres.items()}
        yield from _products(before, now, group, threshold)
        before = now


def _centres(
    detector: Detector,
    cells: NDArray[np.float64],
    energy: NDArray[np.float64],
    group: Group,
    threshold: float,
) -> Iterator[tuple[Column, NDArray[np.float64]]]:
    layers = detector.layers[slice(*group.layers)]
    for direction in DIRECTIONS:
        x = np.concatenate([coordinate(layer, direction) for layer in layers])
        if np.ptp(x) < 1e-6:
            continue
        sums = cells[:, group.cells] @ np.stack([x, x**2], axis=1)
        mean, square = (sums / np.maximum(energy, 1e-9)[:, None]).T
        width = np.sqrt(np.maximum(square - mean**2, 0))
        for what, words, values in (
            ("centre", "centre of energy", mean),
            ("width", "width", width),
        ):
            yield (
                Column(
                    f"{what}_{direction}{group.number}>{threshold:g}",
                    f"{words} along {direction} in {group.words}",
                    "centres and widths",
                    "mm",
                    only=threshold,
                    place=group.words,
                ),
                values,
            )


def _products(
    before: dict[str, NDArray[np.float64]],
    now: dict[str, NDArray[np.float64]],
    group: Group,
    threshold: float,
) -> Found:
    """Whether the centres of this group lie where those of the one before do."""
    for direction in ("eta", "phi"):
        last = f"centre_{direction}{group.number - 1}>{threshold:g}"
        this = f"centre_{direction}{group.number}>{threshold:g}"
        if last in before and this in now:
            product = before[last] * now[this]
            yield (
                Column(
                    f"together_{direction}{group.number}>{threshold:g}",
                    f"common shift along {direction} of {group.words} and what is before",
                    "centres and widths",
                    "mm",
                    only=threshold,
                    place=group.words,
                ),
                np.sign(product) * np.sqrt(np.abs(product)),
            )


def _parts(
    edges: Sequence[float], thresholds: Sequence[float]
) -> Iterator[tuple[float, float, float | None]]:
    """The windows between edges, and for each threshold within one what is above it."""
    for low, high in pairwise(edges):
        yield low, high, None
        for threshold in thresholds:
            if low < threshold < high:
                yield threshold, high, threshold


def _hit(cells: Cells, threshold: float) -> NDArray[np.bool_]:
    """Which deposits are kept: those that are not below the threshold, and not zero."""
    return cells >= threshold if threshold > 0 else cells > 0
