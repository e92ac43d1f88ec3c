"""Distances between two samples of one observable.

Those of histograms (chi-square, separation power) depend on the bins, which are chosen from the
reference (:func:`caloforge.evaluation.distances.histograms.bin_edges`); those of values
(Wasserstein, Kolmogorov-Smirnov) do not. None of them is zero for two finite samples of the same
distribution, so each is to be read beside its floor: Geant4 against Geant4
(:mod:`caloforge.evaluation.judge`).

All take the two samples as independent. Showers that were generated at the very incident energies
of the reference are not, in what follows the energy: their E_tot agrees better than chance allows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, kolmogorov

from caloforge.errors import ShowersError
from caloforge.evaluation.distances.histograms import Histogram, check_same_bins

__all__ = [
    "ChiSquare",
    "KolmogorovSmirnov",
    "SortedPair",
    "ValueDistances",
    "bootstrap_error",
    "chi2_test",
    "kolmogorov_p_value",
    "kolmogorov_smirnov",
    "resample",
    "separation",
    "separation_power",
    "value_distances",
    "wasserstein",
]

FloatArray = NDArray[np.float64]

_FEW = 10  # effective entries that a bin should have


@dataclass(frozen=True)
class ChiSquare:
    """A chi-square and its degrees of freedom.

    Attributes:
        value: Chi-square.
        ndf: Degrees of freedom.
        sparse_bins: Bins in which either histogram has entries, but fewer than ten effective ones
            (sum of weights squared over sum of squared weights): ROOT's ``igood``, counted.
    """

    value: float
    ndf: int
    sparse_bins: int = 0

    @property
    def reduced(self) -> float:
        """Chi-square over degrees of freedom; NaN where there are none."""
        return self.value / self.ndf if self.ndf else float("nan")

    @property
    def reduced_error(self) -> float:
        """Standard deviation of ``reduced``, sqrt(2 (ndf + 2 lambda)) / ndf.

        That is the one of the non-central chi-square distribution, with lambda = max(chi2 - ndf, 0)
        estimated from the value itself; sqrt(2 / ndf) where the samples agree.
        """
        if not self.ndf:
            return float("nan")
        noncentrality = max(self.value - self.ndf, 0.0)
        return float(np.sqrt(2 * (self.ndf + 2 * noncentrality))) / self.ndf

    @property
    def p_value(self) -> float:
        """Probability of a larger value where both samples have the same distribution."""
        return float(chdtrc(self.ndf, self.value)) if self.ndf else float("nan")

    def __add__(self, other: ChiSquare) -> ChiSquare:
        """Of two independent tests together."""
        return ChiSquare(
            self.value + other.value,
            self.ndf + other.ndf,
            self.sparse_bins + other.sparse_bins,
        )


class KolmogorovSmirnov(NamedTuple):
    """The largest difference of two cumulative distributions.

    Attributes:
        statistic: sup |F - G|, from 0 to 1.
        p_value: Probability of a larger one where both samples have the same continuous
            distribution, in the limit of large samples; an upper bound for discrete values.
    """

    statistic: float
    p_value: float


class ValueDistances(NamedTuple):
    """Distances of the values themselves.

    Attributes:
        wasserstein: Wasserstein-1 distance, in the unit of the values.
        kolmogorov_smirnov: sup |F - G|.
    """

    wasserstein: float
    kolmogorov_smirnov: float


def chi2_test(first: Histogram, second: Histogram, *, outside: bool = False) -> ChiSquare:
    r"""Compare two weighted histograms: the test of ROOT's ``TH1::Chi2TestX(..., "WW")``.

    With w_1j, s_1j^2 the sum of weights and of squared weights in bin j, W_1 their sum over bins:

        chi2 = sum_j (W_2 w_1j - W_1 w_2j)^2 / (W_1^2 s_2j^2 + W_2^2 s_1j^2)
        ndf  = (number of bins) - 1 - (bins in which both are empty)

    Scaling either histogram changes nothing. For unit weights s^2 = w, which is the form of the
    FastCaloGAN code: sum_j (W_1 y_2j - W_2 y_1j)^2 / (W_1^2 y_2j + W_2^2 y_1j).

    Args:
        first: Sums of weights, unequal to zero in all.
        second: The same bins.
        outside: Use underflow and overflow as two more bins; not the default of ROOT.

    Returns:
        Chi-square; with no degrees of freedom where a histogram is empty.

    Raises:
        CaloforgeError: The bins differ.

    References:
        N. Gagunashvili, arXiv:physics/0605123; ROOT, ``TH1::Chi2Test``.
    """
    check_same_bins(first, second)
    used = slice(None) if outside else slice(1, -1)
    w1, w2 = first.weights[used], second.weights[used]
    v1, v2 = first.variances[used], second.variances[used]
    total1, total2 = w1.sum(), w2.sum()
    filled = (w1 != 0) | (w2 != 0)
    if not (total1 > 0 and total2 > 0):
        return ChiSquare(0.0, 0)
    w1, w2, v1, v2 = w1[filled], w2[filled], v1[filled], v2[filled]
    pull = (total2 * w1 - total1 * w2) ** 2 / (total1**2 * v2 + total2**2 * v1)
    sparse = [(v > 0) & (w**2 < _FEW * v) for w, v in ((w1, v1), (w2, v2))]
    return ChiSquare(float(pull.sum()), len(w1) - 1, int((sparse[0] | sparse[1]).sum()))


def separation_power(first: Histogram, second: Histogram, *, outside: bool = True) -> float:
    """Separation power (triangular discrimination) S = 1/2 sum_j (p_j - q_j)^2 / (p_j + q_j).

    p and q are the shares in the bins; S is 0 for equal histograms and 1 for disjoint ones.

    Args:
        first: Sums of weights.
        second: The same bins.
        outside: Use underflow and overflow as two more bins. The CaloChallenge drops what lies
            outside before it normalises (``density=True``), so that a sample of which only a few
            showers are inside can look perfect; ``False`` does the same.

    Returns:
        From 0 to 1; NaN where a histogram is empty.

    Raises:
        CaloforgeError: The bins differ.

    References:
        S. Diefenbacher et al., arXiv:2009.03796, eq. 15; CaloChallenge, arXiv:2410.21611.
    """
    check_same_bins(first, second)
    used = slice(None) if outside else slice(1, -1)
    return separation(first.weights[used], second.weights[used])


def separation(first: FloatArray, second: FloatArray) -> float:
    """Separation power of two arrays of sums of weights, each of shape (n_bins,)."""
    total1, total2 = first.sum(), second.sum()
    if not (total1 > 0 and total2 > 0):
        return float("nan")
    p, q = first / total1, second / total2
    both = p + q
    terms = np.divide((p - q) ** 2, both, out=np.zeros_like(p), where=both > 0)
    return min(0.5 * float(terms.sum()), 1.0)


def wasserstein(first: FloatArray, second: FloatArray) -> float:
    """Wasserstein-1 distance, the integral of |F(x) - G(x)| over x: exact, for any sizes.

    Args:
        first: Shape (N,), finite.
        second: Shape (M,), finite.

    Returns:
        In the unit of the values; 0 for equal samples.

    Raises:
        ShowersError: A sample is empty.
    """
    return value_distances(first, second).wasserstein


def kolmogorov_smirnov(first: FloatArray, second: FloatArray) -> KolmogorovSmirnov:
    """Two-sample Kolmogorov-Smirnov test: D = sup |F - G|, p = Q(D sqrt(N M / (N + M))).

    Q is the limiting survival function of Kolmogorov's distribution.

    Args:
        first: Shape (N,), finite.
        second: Shape (M,), finite.

    Raises:
        ShowersError: A sample is empty.
    """
    statistic = value_distances(first, second).kolmogorov_smirnov
    return KolmogorovSmirnov(statistic, kolmogorov_p_value(statistic, len(first), len(second)))


def kolmogorov_p_value(statistic: float, first: int, second: int) -> float:
    """Probability of a larger sup |F - G| in samples of these sizes from one distribution."""
    return float(kolmogorov(np.sqrt(first * second / (first + second)) * statistic))


def value_distances(first: FloatArray, second: FloatArray) -> ValueDistances:
    """Both distances of values, from one sorting.

    Args:
        first: Shape (N,), finite.
        second: Shape (M,), finite.

    Raises:
        ShowersError: A sample is empty.
    """
    return SortedPair(first, second).distances(np.ones(len(first)), np.ones(len(second)))


class SortedPair:
    """Two samples, sorted together once for many sets of weights."""

    def __init__(self, first: FloatArray, second: FloatArray) -> None:
        """Sort.

        Args:
            first: Shape (N,), finite.
            second: Shape (M,), finite.

        Raises:
            ShowersError: A sample is empty.
        """
        if not (len(first) and len(second)):
            msg = f"values: got samples of {len(first)} and {len(second)}, both must have some"
            raise ShowersError(msg)
        both = np.concatenate([first, second])
        self._order = np.argsort(both, kind="stable")
        self._steps = np.diff(both[self._order])

    def distances(self, first: FloatArray, second: FloatArray) -> ValueDistances:
        """Distances with these weights, which must not all be zero: shapes (N,) and (M,)."""
        weights = np.concatenate([first / first.sum(), -second / second.sum()])
        # F - G between neighbouring values; where those are equal there is nothing between them.
        difference = np.abs(np.cumsum(weights[self._order])[:-1])
        largest = difference[self._steps > 0].max(initial=0.0)
        return ValueDistances(float(np.sum(difference * self._steps)), min(float(largest), 1.0))


def resample(size: int, rng: np.random.Generator) -> FloatArray:
    """How often each member of a sample is drawn in a bootstrap sample of the same size.

    Args:
        size: Size N of the sample.
        rng: Random numbers.

    Returns:
        Shape (N,), with sum N.
    """
    return np.bincount(rng.integers(0, size, size), minlength=size).astype(np.float64)


def bootstrap_error(
    metric: Callable[[FloatArray, FloatArray], float],
    first: FloatArray,
    second: FloatArray,
    rng: np.random.Generator,
    *,
    replicas: int = 50,
) -> float:
    """Statistical error of a distance: its spread over samples drawn with replacement from both.

    Args:
        metric: Takes samples of shape (N,) and (M,).
        first: Shape (N,).
        second: Shape (M,).
        rng: Random numbers.
        replicas: Number of bootstrap samples.

    Returns:
        Standard deviation of the distance.
    """
    found = [
        metric(
            first[rng.integers(0, len(first), len(first))],
            second[rng.integers(0, len(second), len(second))],
        )
        for _ in range(replicas)
    ]
    return float(np.std(found, ddof=1))
