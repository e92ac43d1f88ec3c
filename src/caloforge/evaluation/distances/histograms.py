"""Histograms of observables, with what lies outside their bins, and the rules for the bins.

The curves of :mod:`caloforge.evaluation.summary.comparison` are made from summaries, with edges on
fixed ticks; the histograms here from the values themselves, with edges chosen for the observable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import CaloforgeError

__all__ = ["Histogram", "bin_edges", "bin_index", "check_same_bins", "fill", "ratio"]

FloatArray = NDArray[np.float64]

# The rules of bin_edges.
_TAIL = 0.001
_MARGIN = 0.05
_MOST_BINS = 50
_FEWEST_BINS = 10
_MOST_DISCRETE = 40
_MOST_DECADES = 6.0


@dataclass(frozen=True, eq=False)
class Histogram:
    """Sums of weights in bins; nothing that was filled is lost.

    A value belongs to the bin whose lower edge it is; one on the last edge to the last bin, as in
    NumPy.

    Attributes:
        edges: Edges of the bins: shape (n_bins + 1,), increasing.
        weights: Sums of weights: shape (n_bins + 2,), underflow first, overflow last.
        variances: Sums of squared weights: shape (n_bins + 2,).
        undefined: Sum of the weights of values that are NaN.
    """

    edges: FloatArray
    weights: FloatArray
    variances: FloatArray
    undefined: float = 0.0

    @property
    def inside(self) -> FloatArray:
        """Sums of weights of the bins alone: shape (n_bins,)."""
        return self.weights[1:-1]

    @property
    def errors(self) -> FloatArray:
        """Statistical errors of ``inside``: shape (n_bins,)."""
        return np.sqrt(self.variances[1:-1])

    @property
    def total(self) -> float:
        """Sum of all weights, outside the bins included, undefined values not."""
        return float(self.weights.sum())

    @property
    def density(self) -> FloatArray:
        """Share of ``total`` per unit of the observable: shape (n_bins,)."""
        return self.inside / (max(self.total, np.finfo(np.float64).tiny) * np.diff(self.edges))

    @property
    def density_errors(self) -> FloatArray:
        """Statistical errors of ``density``: shape (n_bins,)."""
        return self.errors / (max(self.total, np.finfo(np.float64).tiny) * np.diff(self.edges))


def fill(values: FloatArray, edges: FloatArray, weights: FloatArray | None = None) -> Histogram:
    """Make a histogram.

    Args:
        values: Shape (N,); NaN where not defined.
        edges: Shape (n_bins + 1,), increasing.
        weights: Shape (N,); one each by default.

    Raises:
        CaloforgeError: There are fewer than two edges, or they do not increase.

    Examples:
        >>> fill(np.array([-1.0, 0.5, 1.0, 2.0, np.nan]), np.array([0.0, 1.0, 2.0])).weights
        array([1., 1., 2., 0.])
    """
    edges = np.asarray(edges, dtype=np.float64)
    if len(edges) < 2 or not (np.diff(edges) > 0).all():
        msg = f"edges: got {edges}, must be at least two increasing numbers"
        raise CaloforgeError(msg)
    index = bin_index(values, edges)
    index[np.isnan(values)] = len(edges) + 1
    size = len(edges) + 2
    sums = np.bincount(index, weights, minlength=size).astype(np.float64)
    squares = sums if weights is None else np.bincount(index, weights**2, minlength=size)
    return Histogram(edges, sums[:-1], squares[:-1].astype(np.float64), float(sums[-1]))


def bin_index(values: FloatArray, edges: FloatArray) -> NDArray[np.intp]:
    """Bin of each value: 0 is underflow, 1 the first bin, ``len(edges)`` overflow.

    Args:
        values: Shape (N,), not NaN.
        edges: Shape (n_bins + 1,), increasing.

    Returns:
        Shape (N,).
    """
    index = np.searchsorted(edges, values, side="right")
    index[values == edges[-1]] -= 1
    return index


def ratio(numerator: Histogram, denominator: Histogram) -> tuple[FloatArray, FloatArray]:
    """Ratio of the shares in each bin, r = (a / A) / (b / B), with A and B the totals.

    The error is r sqrt(var(a) / a^2 + var(b) / b^2), that of independent histograms.

    Args:
        numerator: Histogram with weights a.
        denominator: Histogram with weights b in the same bins.

    Returns:
        Ratio and error, each of shape (n_bins,); NaN where the denominator is empty, and an error
        of NaN where the numerator is.

    Raises:
        CaloforgeError: The bins differ.
    """
    check_same_bins(numerator, denominator)
    a, b = numerator.inside, denominator.inside
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where(b > 0, a * denominator.total / (b * numerator.total), np.nan)
        relative = (numerator.errors / a) ** 2 + (denominator.errors / b) ** 2
        return value, value * np.sqrt(relative)


def check_same_bins(first: Histogram, second: Histogram) -> None:
    """Refuse two histograms that cannot be compared.

    Raises:
        CaloforgeError: The bins differ.
    """
    if not np.array_equal(first.edges, second.edges):
        msg = (
            f"histograms: have {len(first.edges) - 1} and {len(second.edges) - 1} bins with "
            "different edges, must have the same; fill both with the edges of the reference"
        )
        raise CaloforgeError(msg)


def bin_edges(reference: FloatArray, *, logarithmic: bool = False) -> FloatArray:
    """Choose bins from the reference alone, so that no sample can choose how it is judged.

    - Few values (at most 40 different ones: layer numbers, full layers): a bin around each, with
      edges halfway between neighbours.
    - Otherwise the range from the 0.1% to the 99.9% quantile, widened by 5% at either end but not
      beyond the smallest and largest value: single outliers do not decide it. The number of bins is
      2 N^(1/3), at least 10 and at most 50, all of the same width.
    - Logarithmic: the same for the logarithm of the positive values, at most the upper six decades.
      Zeros are underflow.

    Args:
        reference: Shape (N,); values that are NaN or infinite are left out.
        logarithmic: Whether bins have the same width in the logarithm.

    Returns:
        Edges, shape (n_bins + 1,). Where there is nothing to choose from, one bin from 0 to 1.
    """
    values = reference[np.isfinite(reference)]
    if logarithmic:
        values = np.log10(values[values > 0])
    if not len(values):
        return np.array([0.0, 1.0])
    edges = _discrete_edges(values) if _is_discrete(values) else _even_edges(values, logarithmic)
    return 10.0**edges if logarithmic else edges


def _is_discrete(values: FloatArray) -> bool:
    # A look at some of the values spares sorting most samples that are not.
    few = _MOST_DISCRETE
    return len(np.unique(values[: 4 * few])) <= few and len(np.unique(values)) <= few


def _discrete_edges(values: FloatArray) -> FloatArray:
    found = np.unique(values)
    halfway = 0.5 * (found[1:] + found[:-1])
    if not len(halfway):
        return _distinct([found])
    ends = 2 * found[[0, -1]] - halfway[[0, -1]]
    return _distinct([ends[:1], halfway, ends[1:]])


def _even_edges(values: FloatArray, logarithmic: bool) -> FloatArray:
    low, high = np.quantile(values, [_TAIL, 1 - _TAIL])
    margin = _MARGIN * (high - low)
    low, high = max(low - margin, values.min()), min(high + margin, values.max())
    if logarithmic:
        low = max(low, high - _MOST_DECADES)
    bins = int(np.clip(2 * len(values) ** (1 / 3), _FEWEST_BINS, _MOST_BINS))
    if not high > low:  # all but a thousandth of the values are the same
        low, high = values.min(), values.max()
    return _distinct([np.linspace(low, high, bins + 1)])


def _distinct(parts: Sequence[FloatArray]) -> FloatArray:
    """Edges that increase by more than rounding; at least two."""
    edges: FloatArray = np.concatenate(parts)
    edges = edges[np.concatenate([[True], np.diff(edges) > 1e-9 * np.abs(edges[1:])])]
    if len(edges) > 1:
        return edges
    margin = max(0.5, 1e-3 * abs(edges[0]))
    return np.array([edges[0] - margin, edges[0] + margin])
