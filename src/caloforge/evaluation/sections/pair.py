"""What a section of the judge is given, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import numpy as np

from caloforge.evaluation.results import Headline
from caloforge.random import Purpose, stream
from caloforge.showers import Showers

__all__ = ["Finding", "Pair", "Section", "finite"]


@dataclass(frozen=True)
class Pair:
    """A sample beside the reference.

    Attributes:
        reference: Geant4 showers.
        showers: Showers to judge, comparable with the reference.
        training: Geant4 showers that the generator was made from, for memorisation; None where
            they are not known.
        seed: Seed of everything that is random.
        quick: Take the quick variants.
        repeats: Trainings of each classifier.
        device: Where classifiers are trained.
        is_floor: Whether the showers are Geant4 showers as well, some of those of the training.
    """

    reference: Showers
    showers: Showers
    training: Showers | None
    seed: int
    quick: bool
    repeats: int = 1
    device: str = "cpu"
    is_floor: bool = False

    def rng(self, what: str) -> np.random.Generator:
        """Random numbers of a metric: of a stream of its own, which its name decides."""
        index = int.from_bytes(sha256(what.encode()).digest()[:7], "little")
        return stream(self.seed, Purpose.JUDGE, index)


@dataclass(frozen=True)
class Finding:
    """What a section found.

    Attributes:
        details: JSON values.
        headlines: Its numbers for the leaderboard.
        warnings: What makes them doubtful.
        drawing: Arrays for the figures, by name.
    """

    details: Mapping[str, Any]
    headlines: tuple[Headline, ...] = ()
    warnings: tuple[str, ...] = ()
    drawing: Mapping[str, Any] = field(default_factory=dict)


Section = Callable[[Pair], Finding]


def finite(value: float) -> float | None:
    """The number, or None where it is not finite: JSON has no NaN."""
    return float(value) if np.isfinite(value) else None
