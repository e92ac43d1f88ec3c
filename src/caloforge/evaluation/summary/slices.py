"""The slices of incident energy that summaries are kept in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["OCCUPIED", "SLICES_PER_DECADE", "slice_edges", "slice_of"]

SLICES_PER_DECADE = 5


OCCUPIED = 0.1
"""A cell counts as occupied above this deposit, MeV."""


def slice_edges(index: int) -> tuple[float, float]:
    """Where a slice of incident energy begins and ends, GeV.

    Examples:
        >>> [round(edge, 2) for edge in slice_edges(5)]
        [7.94, 12.59]
    """
    low, high = (index - 0.5) / SLICES_PER_DECADE, (index + 0.5) / SLICES_PER_DECADE
    return 10.0**low, 10.0**high


def slice_of(energy: NDArray[np.float64]) -> NDArray[np.intp]:
    """Slice of each incident energy: shape (N,)."""
    return np.floor(SLICES_PER_DECADE * np.log10(energy) + 0.5).astype(np.intp)
