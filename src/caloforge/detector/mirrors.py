"""The mirror images of showers: what the mirror symmetries of a detector make of them."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from caloforge.detector.detector import Detector

__all__ = ["mirror_images"]

_AXES = {"phi": 0, "eta": 1}  # x and y, as columns of entry points and directions


def mirror_images(detector: Detector) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The products of the mirror symmetries of a detector, the identity first.

    Args:
        detector: A detector.

    Returns:
        Permutations of the cells, shape (n, n_cells): ``deposits[:, permutation]`` are showers as
        likely as the original ones, where what they were given is mirrored too. And what x and y
        are multiplied with, shape (n, 2), each 1 or -1.

    Examples:
        >>> from caloforge.detector import load_detector
        >>> cells, signs = mirror_images(load_detector("calogan"))
        >>> cells.shape, signs.tolist()
        ((4, 504), [[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
    """
    symmetries = detector.symmetries
    cells, signs = [], []
    for count in range(len(symmetries) + 1):
        for chosen in combinations(symmetries, count):
            product = np.arange(detector.n_cells)
            sign = np.ones(2)
            for name in chosen:
                product = product[symmetries[name]]
                sign[_AXES[name]] = -1
            cells.append(product)
            signs.append(sign)
    return np.stack(cells), np.stack(signs)
