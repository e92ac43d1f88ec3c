"""What needs all showers of a sample at once: the spectrum of the cells, and correlations.

References:
    C. Krause, D. Shih, CaloFlow, arXiv:2106.05285 (spectra); E. Buhmann et al., Getting High,
    arXiv:2005.05334 (correlations).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import CaloforgeError, ShowersError
from caloforge.evaluation.comparable import check_alike
from caloforge.evaluation.distances.histograms import Histogram, fill
from caloforge.evaluation.distances.single import separation
from caloforge.evaluation.estimate import Estimate
from caloforge.evaluation.features.blocks import row_blocks
from caloforge.evaluation.features.studied import once
from caloforge.showers import Showers

__all__ = [
    "CellSpectrum",
    "brightest_cells",
    "cell_correlations",
    "cell_spectrum",
    "compare_spectra",
    "layer_correlations",
    "spectrum_edges",
]

FloatArray = NDArray[np.float64]

_SPECTRUM_BINS = 60
_SPECTRUM_START = 1e-3  # MeV
_GROUPS = 10


def spectrum_edges(reference: Showers) -> FloatArray:
    """Logarithmic bins for :func:`cell_spectrum`, from 1 keV to the hottest cell of the reference.

    Returns:
        Shape (61,), MeV.
    """
    hottest = float(reference.deposits.max(initial=0.0))
    return np.geomspace(_SPECTRUM_START, max(hottest, 10 * _SPECTRUM_START), _SPECTRUM_BINS + 1)


def cell_spectrum(showers: Showers, edges: FloatArray, layer: int | None = None) -> Histogram:
    """Histogram of the energies of all cells of all showers.

    Cells of one shower are correlated, so the errors, which are those of independent entries, are
    too small; cells without energy are underflow.

    Args:
        showers: N showers.
        edges: Shape (n_bins + 1,), MeV; see :func:`spectrum_edges`.
        layer: Only the cells of this layer; None for all.
    """
    part = slice(None) if layer is None else showers.detector.slices[layer]
    sums = np.zeros(len(edges) + 1)
    for rows in row_blocks(showers):
        sums += fill(showers.deposits[rows, part].ravel().astype(np.float64), edges).weights
    return Histogram(np.asarray(edges, dtype=np.float64), sums, sums)


@dataclass(frozen=True, eq=False)
class CellSpectrum:
    """The cell energies of two samples in the same bins.

    Attributes:
        reference: Of the reference.
        showers: Of the other sample.
        separation: Separation power; cells below 1 keV are one bin, and those above the hottest of
            the reference another. Its error is that of the jackknife over ten groups of showers, as
            cells of one shower are correlated.
    """

    reference: Histogram
    showers: Histogram
    separation: Estimate


def compare_spectra(reference: Showers, showers: Showers) -> tuple[CellSpectrum, ...]:
    """Cell energies of two samples: of all cells, then of those of each layer.

    Args:
        reference: Geant4 showers, which the bins are chosen from.
        showers: Showers to judge.

    Raises:
        ShowersError: The samples cannot be compared.
    """
    check_alike(reference, showers)
    edges = once(reference, spectrum_edges)
    first, second = (once(sample, _group_spectra, edges) for sample in (reference, showers))
    layers = range(reference.detector.n_layers)
    chosen = [slice(None), *(slice(layer, layer + 1) for layer in layers)]
    return tuple(
        _spectrum(edges, first[:, part].sum(axis=1), second[:, part].sum(axis=1)) for part in chosen
    )


def _group_spectra(showers: Showers, edges: FloatArray) -> FloatArray:
    """Spectra of each layer of ten groups of showers: shape (groups, layers, bins)."""
    return np.array(
        [
            [
                cell_spectrum(showers[group::_GROUPS], edges, layer).weights
                for layer in range(showers.detector.n_layers)
            ]
            for group in range(_GROUPS)
        ]
    )


def _spectrum(edges: FloatArray, first: FloatArray, second: FloatArray) -> CellSpectrum:
    """Put groups together: sums of weights of shape (groups, bins)."""
    sums = first.sum(axis=0), second.sum(axis=0)
    left_out = [separation(sums[0] - a, sums[1] - b) for a, b in zip(first, second, strict=True)]
    error = float(np.sqrt(len(left_out) - 1) * np.std(left_out))
    histograms = [Histogram(edges, weights, weights) for weights in sums]
    return CellSpectrum(histograms[0], histograms[1], Estimate(separation(*sums), error))


def brightest_cells(reference: Showers, count: int = 20) -> NDArray[np.intp]:
    """The cells with the highest mean deposit, brightest first.

    Chosen from the reference, so that the same cells are compared in every sample.

    Args:
        reference: At least one shower.
        count: How many cells; fewer where the detector has fewer.

    Returns:
        Indices of cells, shape (min(count, n_cells),).

    Raises:
        CaloforgeError: The count is not positive.
    """
    if count < 1:
        msg = f"count: got {count}, must be at least 1"
        raise CaloforgeError(msg)
    mean = reference.deposits.sum(axis=0, dtype=np.float64)
    return np.argsort(-mean, kind="stable")[:count]


def cell_correlations(showers: Showers, cells: NDArray[np.intp]) -> FloatArray:
    """Pearson correlation of the deposits in pairs of cells.

    Args:
        showers: At least two showers.
        cells: Indices of cells, shape (K,); see :func:`brightest_cells`.

    Returns:
        Shape (K, K), from -1 to 1; NaN for cells that have the same deposit in all showers.

    Raises:
        ShowersError: There are fewer than two showers.
    """
    return _correlations(showers.deposits[:, cells].astype(np.float64))


def layer_correlations(showers: Showers) -> FloatArray:
    """Pearson correlation of the energies of pairs of layers.

    Args:
        showers: At least two showers.

    Returns:
        Shape (n_layers, n_layers), from -1 to 1; NaN for layers that have the same energy in all
        showers.

    Raises:
        ShowersError: There are fewer than two showers.
    """
    return _correlations(showers.layer_energies)


def _correlations(values: FloatArray) -> FloatArray:
    """Pearson correlation of the columns: shape (N, K) to (K, K)."""
    if len(values) < 2:
        msg = f"showers: got {len(values)}, correlations need at least two"
        raise ShowersError(msg)
    centred = values - values.mean(axis=0)
    covariance = centred.T @ centred
    spread = np.sqrt(np.diag(covariance))
    product = np.outer(spread, spread)
    missing = np.full_like(covariance, np.nan)
    found: FloatArray = np.divide(covariance, product, out=missing, where=product > 0)
    return np.clip(found, -1.0, 1.0)
