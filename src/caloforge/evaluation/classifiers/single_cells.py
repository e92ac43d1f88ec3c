"""Single cells that a sample gets wrong: dead, hot, in the wrong place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caloforge.evaluation.features.blocks import row_blocks
from caloforge.evaluation.features.columns import Column, Columns, log_energy
from caloforge.showers import Showers

__all__ = ["CellMeans", "cell_means", "cells_as_columns"]

Rows = NDArray[np.intp]

_FLOOR = np.float32(1e-3)  # MeV
_FEWEST_ERRORS = 6.0
_MOST = 24


@dataclass(frozen=True, eq=False)
class CellMeans:
    """Sums of log10 of the deposits in each cell.

    Attributes:
        counts: Rows: shape (folds, 2); of label 0, then of label 1.
        sums: Shape (folds, 2, n_cells).
        squares: The same of the squares.
    """

    counts: NDArray[np.float64]
    sums: NDArray[np.float64]
    squares: NDArray[np.float64]

    def telling(self, without: int | None = None) -> Rows:
        """Cells whose means differ by more than six errors: at most 24, the worst ones.

        Args:
            without: A fold that is left out.
        """
        parts = [self.counts, self.sums, self.squares]
        counts, sums, squares = (
            part.sum(axis=0) - (0 if without is None else part[without]) for part in parts
        )
        means = sums / counts[:, None]
        variances = np.maximum(squares / counts[:, None] - means**2, 1e-6)
        error = np.sqrt((variances / counts[:, None]).sum(axis=0))
        errors = np.abs(means[1] - means[0]) / error
        worst = np.argsort(-errors, kind="stable")[:_MOST]
        return np.sort(worst[errors[worst] > _FEWEST_ERRORS])


def cell_means(
    samples: tuple[Showers, Showers],
    chosen: tuple[Rows, Rows],
    fold: Rows,
    folds: int,
    threshold: float,
) -> CellMeans:
    """The sums of the chosen rows of a reference (label 1) and a sample (label 0).

    Args:
        samples: The two.
        chosen: Rows of each.
        fold: Fold of the chosen rows of both, one after the other.
        folds: How many.
        threshold: Deposits below it count as zero, MeV.
    """
    n_cells = samples[0].detector.n_cells
    counts, sums, squares = (np.zeros((folds, 2, *more)) for more in ((), (n_cells,), (n_cells,)))
    start = 0
    for label, showers, rows in zip((1, 0), samples, chosen, strict=True):
        for part, cells in _blocks(showers, rows, threshold):
            logs = np.log10(cells + _FLOOR)
            member = fold[start : start + len(rows)][part][None] == np.arange(folds)[:, None]
            weights = member.astype(np.float32)
            counts[:, label] += member.sum(axis=1)
            sums[:, label] += weights @ logs
            squares[:, label] += weights @ (logs * logs)
        start += len(rows)
    return CellMeans(counts, sums, squares)


def cells_as_columns(
    samples: tuple[Showers, Showers], chosen: tuple[Rows, Rows], cells: Rows, threshold: float
) -> Columns:
    """Deposits of single cells of the chosen rows of both samples, one after the other.

    Args:
        samples: A reference and a sample.
        chosen: Rows of each.
        cells: Which cells.
        threshold: Deposits below it count as zero, MeV.
    """
    detector = samples[0].detector
    columns = []
    for cell in cells.tolist():
        layer = int(detector.layer_of_cell[cell])
        x, y = detector.centres[cell, :2]
        columns.append(
            Column(
                f"cell {cell}",
                f"energy in the cell at x = {x:.4g} mm, y = {y:.4g} mm of layer {layer}",
                "single cells",
                "MeV",
                "log10",
                only=threshold,
                place=f"layer {layer}",
            )
        )
    values = [
        log_energy(deposits[:, cells])
        for showers, rows in zip(samples, chosen, strict=True)
        for _, deposits in _blocks(showers, rows, threshold)
    ]
    found = np.concatenate(values) if values else np.empty((0, len(cells)))
    return Columns(tuple(columns), found.astype(np.float32))


def _blocks(
    showers: Showers, rows: Rows, threshold: float
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    for part in row_blocks(showers, len(rows)):
        cells = showers.deposits[rows[part]]
        if threshold > 0:
            cells[cells < threshold] = 0
        yield part, cells
