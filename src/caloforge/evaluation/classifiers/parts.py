"""Training, validation and test part of two samples."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import ShowersError

__all__ = ["cut", "part_sizes"]

_FEWEST = 20


def part_sizes(size: int, split: tuple[float, float, float]) -> tuple[int, int, int]:
    """Showers in the training, validation and test part.

    Args:
        size: Showers in all parts.
        split: Shares of the parts, which sum to 1.

    Raises:
        ShowersError: A part has too few showers to say anything.

    Examples:
        >>> part_sizes(5001, (0.6, 0.2, 0.2))
        (3000, 1000, 1001)
    """
    train, validation = int(size * split[0] + 1e-9), int(size * split[1] + 1e-9)
    sizes = (train, validation, size - train - validation)
    if min(sizes) < _FEWEST:
        msg = (
            f"showers: {size} of each class give parts of {', '.join(map(str, sizes))}, must be at "
            f"least {_FEWEST} in each; take more showers"
        )
        raise ShowersError(msg)
    return sizes


def cut(rows: NDArray[np.intp], sizes: tuple[int, int, int]) -> list[NDArray[np.intp]]:
    """Rows of the training, validation and test part: the first ones, the next ones, the rest."""
    return np.split(rows, np.cumsum(sizes)[:2])
