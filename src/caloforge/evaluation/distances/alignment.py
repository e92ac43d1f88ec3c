"""Whether a shower goes on in the next layer where it was: rank correlations of centres.

Distributions of single layers, and most classifiers, do not see a layer that was mirrored,
transposed or taken of another shower. The centres of adjacent layers do: they go together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caloforge.evaluation.comparable import check_alike
from caloforge.evaluation.estimate import Estimate
from caloforge.evaluation.features.shapes import Direction, lateral_centre
from caloforge.evaluation.features.studied import once
from caloforge.showers import Showers

__all__ = ["Alignment", "compare_alignment"]

FloatArray = NDArray[np.float64]

_DIRECTIONS: tuple[Direction, ...] = ("eta", "phi")
_LEAST = 20  # showers
SIGMAS = 5.0
"""Errors from which on two correlations are told to differ."""


@dataclass(frozen=True)
class Alignment:
    """Rank correlation of the centres of a layer and of the next one, in two samples.

    Attributes:
        direction: Along which the centres are taken.
        layers: The two layers.
        reference: Spearman's correlation in the reference.
        showers: That in the sample.
    """

    direction: Direction
    layers: tuple[int, int]
    reference: Estimate
    showers: Estimate

    @property
    def difference(self) -> Estimate:
        """How far apart the two are."""
        error = float(np.hypot(self.reference.error, self.showers.error))
        return Estimate(abs(self.showers.value - self.reference.value), error)

    @property
    def seen(self) -> bool:
        """Whether the difference is more than chance."""
        return self.difference.value > SIGMAS * self.difference.error

    def to_dict(self) -> dict[str, object]:
        """The numbers by name."""
        return {
            "direction": self.direction,
            "layers": list(self.layers),
            "reference": self.reference,
            "showers": self.showers,
            "difference": self.difference,
        }


def compare_alignment(reference: Showers, showers: Showers) -> tuple[Alignment, ...]:
    """Compare how the centres of adjacent layers go together.

    Left out are directions in which a layer has one place only, and pairs of layers that too few
    showers reach.

    Args:
        reference: Geant4 showers.
        showers: Showers to judge.

    Raises:
        ShowersError: The samples are of different readouts or particles.
    """
    check_alike(reference, showers)
    found = []
    for direction in _DIRECTIONS:
        centres = [once(sample, lateral_centre, direction) for sample in (reference, showers)]
        for layer in range(reference.detector.n_layers - 1):
            both = [_rank_correlation(each[:, layer], each[:, layer + 1]) for each in centres]
            if all(np.isfinite(each.value) for each in both):
                found.append(Alignment(direction, (layer, layer + 1), *both))
    return tuple(found)


def _rank_correlation(first: FloatArray, second: FloatArray) -> Estimate:
    """Spearman's correlation, and its error (Fieller, Hartley, Pearson 1957); NaN of constants."""
    from scipy.stats import rankdata

    defined = np.isfinite(first) & np.isfinite(second)
    n = int(defined.sum())
    if n < _LEAST or not (np.ptp(first[defined]) > 0 and np.ptp(second[defined]) > 0):
        return Estimate(float("nan"), float("nan"))
    correlation = float(np.corrcoef(rankdata(first[defined]), rankdata(second[defined]))[0, 1])
    return Estimate(correlation, float(np.sqrt(1.06 / (n - 3)) * (1 - correlation**2)))
