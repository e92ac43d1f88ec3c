"""Showers in blocks of bounded memory, and deposits above a threshold."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from caloforge.showers import Showers

__all__ = ["above", "row_blocks", "vectors"]

# Deposits that are looked at in one go: what is needed besides the result does not grow with N.
_BLOCK_CELLS = 2**21


def row_blocks(showers: Showers, count: int | None = None) -> Iterator[slice]:
    """Rows of showers, or of ``count`` showers of their detector, in blocks of bounded memory."""
    count = len(showers) if count is None else count
    size = max(1, _BLOCK_CELLS // showers.detector.n_cells)
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def vectors(
    showers: Showers,
    function: Callable[[NDArray[np.float32], NDArray[np.float64]], NDArray[np.floating]],
    chosen: NDArray[np.intp] | None = None,
) -> NDArray[np.float32]:
    """Showers as vectors with a number for each cell.

    Args:
        showers: N showers.
        function: Makes vectors of some of them from their deposits, shape (K, n_cells) in MeV, and
            incident energies, shape (K,) in GeV.
        chosen: Rows of M of them; all by default.

    Returns:
        Shape (M, n_cells).
    """
    if chosen is None:
        chosen = np.arange(len(showers))
    found = np.empty((len(chosen), showers.detector.n_cells), np.float32)
    for rows in row_blocks(showers, len(chosen)):
        at = chosen[rows]
        found[rows] = function(showers.deposits[at], showers.energy[at])
    return found


def above(deposits: NDArray[np.float32], threshold: float) -> NDArray[np.float64]:
    """The deposits in double precision, those below the threshold set to zero."""
    found = deposits.astype(np.float64)
    if threshold > 0:
        found[found < threshold] = 0.0
    return found
