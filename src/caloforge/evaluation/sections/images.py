"""Mean images, and correlations of layers and cells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caloforge.evaluation.distances.cells import (
    brightest_cells,
    cell_correlations,
    layer_correlations,
)
from caloforge.evaluation.sections.pair import Finding, Pair
from caloforge.showers import Showers

__all__ = ["images_section"]

_BRIGHTEST = 40


def images_section(pair: Pair) -> Finding:
    """Mean images, correlations of the layers and of the brightest cells."""
    cells = brightest_cells(pair.reference, _BRIGHTEST)
    correlations = [
        (layer_correlations(sample), cell_correlations(sample, cells))
        for sample in (pair.reference, pair.showers)
    ]
    differences = [
        float(np.nanmax(np.abs(mine - theirs), initial=0.0))
        for theirs, mine in zip(*correlations, strict=True)
    ]
    details = {
        "largest_difference_of_layer_correlations": differences[0],
        "largest_difference_of_cell_correlations": differences[1],
        "brightest_cells": _BRIGHTEST,
    }
    drawing = {
        "mean": [_mean_image(sample) for sample in (pair.reference, pair.showers)],
        "correlations": correlations,
    }
    return Finding(details, (), (), drawing)


def _mean_image(showers: Showers) -> NDArray[np.float64]:
    return np.asarray(showers.deposits.mean(axis=0, dtype=np.float64))
