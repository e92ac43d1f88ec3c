"""Showers beyond all of the reference: what a classifier cannot see where it is rare.

An AUC moves by half of the share of the showers that are wrong; one per cent of absurd showers is
lost in its error. But of n + m showers of one kind the k with the largest value of an observable
are all among the m of the sample with the probability

    m / (n + m) * (m - 1) / (n + m - 1) * ... * (m - k + 1) / (n + m - k + 1),

which is small soon. It is asked for the largest and the smallest values of each observable, and
multiplied by the number of these questions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from caloforge.evaluation.comparable import check_alike
from caloforge.evaluation.estimate import Estimate
from caloforge.evaluation.features.observables import Observable, compute, observables
from caloforge.evaluation.features.studied import once
from caloforge.showers import Showers

__all__ = ["UNLIKELY", "Tail", "Tails", "compare_tails", "extreme_chance", "share_of", "tails_of"]

FloatArray = NDArray[np.float64]

UNLIKELY = 1e-5
"""Probability, all questions counted, below which showers do not lie there by chance."""


@dataclass(frozen=True)
class Tail:
    """Showers of the sample beyond all of the reference in one observable.

    Attributes:
        observable: Which.
        side: ``"above"`` the largest of the reference, or ``"below"`` the smallest.
        count: How many.
        limit: The largest or smallest value of the reference.
        worst: That of the sample.
        chance: Probability of so many, all questions counted: at most 1.
    """

    observable: Observable
    side: Literal["above", "below"]
    count: int
    limit: float
    worst: float
    chance: float

    def to_dict(self) -> dict[str, object]:
        """The numbers by name."""
        return {
            "observable": self.observable.name,
            "title": self.observable.title,
            "unit": self.observable.unit,
            **{name: getattr(self, name) for name in ("side", "count", "limit", "worst", "chance")},
        }


@dataclass(frozen=True)
class Tails:
    """All showers of the sample that are beyond all of the reference.

    Attributes:
        counts: Showers of the reference and of the sample.
        beyond: Showers of the sample that are so in any observable.
        tails: By observable and side, the least likely first; those without a shower left out.
    """

    counts: tuple[int, int]
    beyond: int
    tails: tuple[Tail, ...]

    @property
    def share(self) -> Estimate:
        """Share of the sample beyond all of the reference in any observable.

        Never 0 between samples of one kind: every observable has a largest value somewhere.
        """
        return share_of(self.beyond, self.counts[1])

    @property
    def unlikely(self) -> tuple[Tail, ...]:
        """Those that are not there by chance."""
        return tuple(tail for tail in self.tails if tail.chance < UNLIKELY)

    def to_dict(self) -> dict[str, object]:
        """The numbers by name."""
        return {
            "counts": dict(zip(("reference", "showers"), self.counts, strict=True)),
            "beyond": self.beyond,
            "share": self.share,
            "tails": self.tails,
        }


def compare_tails(reference: Showers, showers: Showers) -> Tails:
    """Find showers beyond all of the reference.

    Args:
        reference: Geant4 showers.
        showers: Showers to judge, with the same spectrum of incident energies.

    Raises:
        ShowersError: The samples are of different readouts or particles.
    """
    check_alike(reference, showers)
    chosen = tuple(observables(reference.detector))
    values = [once(sample, compute, chosen) for sample in (reference, showers)]
    return tails_of(chosen, values[0], values[1])


def tails_of(
    chosen: Sequence[Observable],
    reference: Mapping[str, FloatArray],
    showers: Mapping[str, FloatArray],
) -> Tails:
    """Find what is beyond all of the reference, of observables that are computed already.

    Args:
        chosen: The observables.
        reference: Their values by name: shape (N,).
        showers: The same of the sample: shape (M,).
    """
    counts = tuple(len(values[chosen[0].name]) for values in (reference, showers))
    beyond = np.zeros(counts[1], dtype=bool)
    found = []
    for observable in chosen:
        theirs, mine = reference[observable.name], showers[observable.name]
        theirs = theirs[np.isfinite(theirs)]
        defined = np.isfinite(mine)
        if not len(theirs) or not defined.any():
            continue
        for side, sign in (("above", 1.0), ("below", -1.0)):
            limit = float((sign * theirs).max() * sign)
            outside = defined & (sign * mine > sign * limit)
            count = int(outside.sum())
            if count:
                beyond |= outside
                chance = extreme_chance(count, len(theirs), int(defined.sum()))
                worst = float((sign * mine[outside]).max() * sign)
                chance = min(1.0, 2 * len(chosen) * chance)
                found.append(Tail(observable, side, count, limit, worst, chance))  # type: ignore[arg-type]
    found.sort(key=lambda tail: (tail.chance, -tail.count, tail.observable.name, tail.side))
    return Tails((counts[0], counts[1]), int(beyond.sum()), tuple(found))


def extreme_chance(count: int, n_reference: int, n_showers: int) -> float:
    """Probability that the most extreme showers of both samples are all of one of them.

    Args:
        count: How many showers.
        n_reference: Showers of the other one.
        n_showers: Showers of that one.

    Examples:
        >>> extreme_chance(1, 3, 1), extreme_chance(2, 2, 2)
        (0.25, 0.16666666666666666)
    """
    left = np.arange(count)
    ratios = (n_showers - left) / (n_reference + n_showers - left)
    return float(np.prod(ratios))


def share_of(count: int, total: int) -> Estimate:
    """A share and its error; where there is none, that of one."""
    share = count / total
    error = np.sqrt(max(count, 1) / total * (1 - min(share, 1 - 1 / total)) / total)
    return Estimate(share, float(error))
