"""Mean images, and correlations of layers and cells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caloforge.evaluation.distances.cells import (
    brightest_cells,
    cell_correlations,
    layer_correlations,
)
from caloforge.evaluation.features.studied import once
from caloforge.evaluation.sections.pair import Finding, Pair
from caloforge.evaluation.shown import ImagePanel, MatrixPanel
from caloforge.showers import Showers

__all__ = ["images_section"]

FloatArray = NDArray[np.float64]

_BRIGHTEST = 40


def images_section(pair: Pair) -> Finding:
    """Mean images, correlations of the layers and of the brightest cells."""
    samples = (pair.reference, pair.showers)
    bright = once(pair.reference, brightest_cells, _BRIGHTEST)
    layers = [once(sample, layer_correlations) for sample in samples]
    cells = [once(sample, cell_correlations, bright) for sample in samples]
    details = {
        "largest_difference_of_layer_correlations": _largest_difference(*layers),
        "largest_difference_of_cell_correlations": _largest_difference(*cells),
        "brightest_cells": _BRIGHTEST,
    }
    images = ImagePanel(
        figure="images",
        about="Mean deposit per cell",
        reference=once(pair.reference, _mean_image),
        showers=once(pair.showers, _mean_image),
    )
    matrices = MatrixPanel(
        figure="correlations",
        about=f"Correlation of the deposits in the {_BRIGHTEST} brightest cells",
        label="cell, brightest first",
        reference=cells[0],
        showers=cells[1],
    )
    return Finding(details, panels=(images, matrices))


def _largest_difference(first: FloatArray, second: FloatArray) -> float:
    return float(np.nanmax(np.abs(second - first), initial=0.0))


def _mean_image(showers: Showers) -> FloatArray:
    return np.asarray(showers.deposits.mean(axis=0, dtype=np.float64))
