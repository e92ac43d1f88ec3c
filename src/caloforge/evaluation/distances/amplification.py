"""Amplification: how many showers of Geant4 is a generated sample worth.

A generator that was trained on N showers can make any number of them. What these are worth is asked
of one observable at a time: in slices of the incident energy, the quantiles of a large sample of
Geant4, the truth, divide the observable into bins. The squared distance of the shares of a sample
in these bins from those of the truth, summed over all, is for n independent showers of Geant4

    sum over slices of V (1/n + 1/t),    V = 1 - sum of squared shares,

n and t being the numbers of showers of the sample and of the truth in the slice. A generated sample
has a larger distance than its own size explains: what is wrong with it does not become less with
more showers. It is *worth* as many showers of Geant4 as would have its distance on average. Where
that is more than the training showers were, the generator has amplified them.

What is found is an inverse number with an error, as a distance may come out smaller than chance
has it on average: then there is a least number alone. The truth decides what can be seen; numbers
far beyond its own size cannot.

References:
    A. Butter et al., GANplifying event samples, arXiv:2008.06545.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import ShowersError
from caloforge.evaluation.estimate import Estimate

__all__ = ["Worth", "worth"]

FloatArray = NDArray[np.float64]

_LEAST = 20  # showers of the truth in a bin, on average
_SIGMAS = 2.0


@dataclass(frozen=True)
class Worth:
    """What a sample is worth in one observable.

    Attributes:
        inverse: One over the number of Geant4 showers that it is worth.
    """

    inverse: Estimate

    @property
    def showers(self) -> float:
        """The number of Geant4 showers; infinite where the distance is less than that of chance."""
        return 1 / self.inverse.value if self.inverse.value > 0 else float("inf")

    @property
    def least(self) -> float:
        """The least number that is two errors away."""
        return 1 / max(self.inverse.value + _SIGMAS * self.inverse.error, 1e-300)

    @property
    def is_seen(self) -> bool:
        """Whether the number is more than a least one: the distance is not that of the truth."""
        return self.inverse.value > _SIGMAS * self.inverse.error


def worth(
    truth: FloatArray,
    truth_energy: FloatArray,
    values: FloatArray,
    energy: FloatArray,
    *,
    slices: int = 8,
    quantiles: int = 10,
) -> Worth | None:
    """How many showers of Geant4 a sample is worth in an observable.

    Both samples must have the same spectrum of incident energies.

    Args:
        truth: The observable of independent Geant4 showers, which the generator was not made from:
            shape (T,). NaN, where it is not defined, is a value of its own.
        truth_energy: Their incident energies: shape (T,), GeV.
        values: The observable of the sample: shape (N,).
        energy: Its incident energies: shape (N,), GeV.
        slices: Slices of the incident energy, with as many showers of the truth each.
        quantiles: Bins of the observable in each.

    Returns:
        What the sample is worth; None where all of the truth has one value.

    Raises:
        ShowersError: The truth has fewer than 20 showers a bin, or a slice has none of the sample.
    """
    if len(truth) < _LEAST * slices * quantiles:
        msg = (
            f"truth: has {len(truth)} showers, must have at least {_LEAST * slices * quantiles} "
            f"for {slices} slices of energy with {quantiles} bins each"
        )
        raise ShowersError(msg)
    ends = np.quantile(truth_energy, np.arange(1, slices) / slices)
    at, of_truth = np.searchsorted(ends, energy), np.searchsorted(ends, truth_energy)
    excess = variance = square = along = 0.0
    for i in range(slices):
        known, made = (
            np.nan_to_num(x, nan=-np.inf, neginf=-np.inf, posinf=np.inf)
            for x in (truth[of_truth == i], values[at == i])
        )
        if not len(made):
            msg = f"sample: has no shower in slice {i + 1} of {slices} of the incident energy"
            raise ShowersError(msg)
        levels = np.arange(1, quantiles) / quantiles
        edges = np.unique(np.quantile(known, levels, method="lower"))
        share, other = (_shares(x, edges) for x in (known, made))
        chance = 1 / len(known) + 1 / len(made)
        difference = other - share
        excess += float((difference**2).sum()) - _chance(share) / len(known)
        variance += _chance(share)
        square += 2 * chance**2 * _square(share)
        along += 4 * chance * _along(share, difference)
    if variance <= 0:
        return None
    # Of chance alone, and what it adds to a difference; the one that is seen holds chance as well.
    spread = square + max(0.0, along - 2 * square)
    scale = 1 / (slices * variance)  # a sample of m showers has m / slices in each
    return Worth(Estimate(excess * scale, float(np.sqrt(spread)) * scale))


def _shares(values: FloatArray, edges: FloatArray) -> FloatArray:
    counts = np.bincount(np.searchsorted(edges, values, "right"), minlength=len(edges) + 1)
    return counts / len(values)


def _chance(share: FloatArray) -> float:
    """Squared distance of a single shower, on average: the trace of the covariance of shares."""
    return float(1 - (share**2).sum())


def _square(share: FloatArray) -> float:
    """Trace of the squared covariance of shares of a single shower."""
    second = (share**2).sum()
    return float(second - 2 * (share**3).sum() + second**2)


def _along(share: FloatArray, difference: FloatArray) -> float:
    """Variance of a single shower along a difference."""
    return float((share * difference**2).sum() - (share * difference).sum() ** 2)
