"""Showers in blocks of bounded memory, and deposits above a threshold."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from caloforge.showers import Showers

__all__ = ["above", "row_blocks"]

# Deposits that are looked at in one go: what is needed besides the result does not grow with N.
_BLOCK_CELLS = 2**21


def row_blocks(showers: Showers, count: int | None = None) -> Iterator[slice]:
    """Rows of showers, or of ``count`` showers of their detector, in blocks of bounded memory."""
    count = len(showers) if count is None else count
    size = max(1, _BLOCK_CELLS // showers.detector.n_cells)
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def above(deposits: NDArray[np.float32], threshold: float) -> NDArray[np.float64]:
    """The deposits in double precision, those below the threshold set to zero."""
    found = deposits.astype(np.float64)
    if threshold > 0:
        found[found < threshold] = 0.0
    return found
