"""Means and variances of many numbers at once, that can be added without loss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Moments"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Moments:
    """Of each of some numbers of a shower: the mean and the scatter over showers.

    Attributes:
        count: Number of showers.
        means: Shape (...,).
        scatter: Sums of squared differences from the mean: shape (...,).

    Examples:
        >>> whole = Moments.of(np.array([[1.0], [2.0], [6.0]]))
        >>> parts = Moments.of(np.array([[1.0]])) + Moments.of(np.array([[2.0], [6.0]]))
        >>> whole.means, whole.scatter, parts.means, parts.scatter
        (array([3.]), array([14.]), array([3.]), array([14.]))
    """

    count: int
    means: FloatArray
    scatter: FloatArray

    @classmethod
    def of(cls, values: FloatArray) -> Moments:
        """Those of at least one shower.

        Args:
            values: Shape (N, ...).
        """
        means = values.mean(axis=0)
        return cls(len(values), means, np.square(values - means).sum(axis=0))

    @property
    def deviations(self) -> FloatArray:
        """Standard deviations: shape (...,)."""
        found: FloatArray = np.sqrt(self.scatter / self.count)
        return found

    def __add__(self, other: Moments) -> Moments:
        """Those of the showers of both."""
        count = self.count + other.count
        apart = other.means - self.means
        return Moments(
            count,
            self.means + apart * (other.count / count),
            self.scatter + other.scatter + apart**2 * (self.count * other.count / count),
        )
