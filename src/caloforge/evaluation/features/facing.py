"""All showers the same way round: a shower and its mirror images become one."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import Detector

__all__ = ["faced"]

Real = TypeVar("Real", np.float32, np.float64)

_AXES = {"phi": 0, "eta": 1}


def faced(cells: NDArray[Real], detector: Detector) -> NDArray[Real]:
    """Showers, each in the mirror in which its cells times x, and times y, sum to what is positive.

    So a shower that is a mirror image of another is the same as that one, but for the few whose
    sum is zero to rounding.

    Args:
        cells: A number for each cell, none negative: shape (N, n_cells).
        detector: What the cells are of.

    Returns:
        Shape (N, n_cells), a copy.

    Examples:
        >>> from caloforge.detector import RectangularLayer
        >>> two_by_two = RectangularLayer(None, (-1, 0, 1), (-1, 0, 1))
        >>> faced(np.array([[9.0, 2, 1, 1], [1, 2, 1, 9]]), Detector("four", (two_by_two,)))
        array([[1., 1., 2., 9.],
               [1., 2., 1., 9.]])
    """
    found = cells.copy()
    for name, mirrored in detector.symmetries.items():
        position = detector.centres[:, _AXES[name]].astype(cells.dtype)
        away = np.flatnonzero(found @ position < 0)
        found[away] = found[np.ix_(away, mirrored)]
    return found
