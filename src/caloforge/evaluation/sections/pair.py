"""What a section of the judge is given, and what it finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np

from caloforge.evaluation.features.studied import StudiedShowers
from caloforge.evaluation.results import Headline, Verdict
from caloforge.evaluation.shown import Panel, Table
from caloforge.random import Purpose, stream
from caloforge.showers import Showers

__all__ = ["Finding", "Pair", "Section"]


@dataclass(frozen=True)
class Pair:
    """A sample beside the reference.

    Both keep what :func:`~caloforge.evaluation.features.studied.once` computes of them; showers
    that are studied already are shared with other pairs.

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

    def __post_init__(self) -> None:
        for name in ("reference", "showers"):
            object.__setattr__(self, name, StudiedShowers.of(getattr(self, name)))

    def rng(self, what: str) -> np.random.Generator:
        """Random numbers of a metric: of a stream of its own, which its name decides."""
        index = int.from_bytes(sha256(what.encode()).digest()[:7], "little")
        return stream(self.seed, Purpose.JUDGE, index)


@dataclass(frozen=True)
class Finding:
    """What a section found.

    Attributes:
        details: All of it, for the file of the numbers: whatever
            :func:`~caloforge.evaluation.plain.plain` makes JSON of.
        headlines: Its numbers for the leaderboard.
        warnings: What is wrong with the showers, and what makes numbers doubtful, in sentences.
        verdicts: What is wrong with the showers.
        panels: What the figures are drawn from.
        tables: What the report prints.
    """

    details: Any
    headlines: tuple[Headline, ...] = ()
    warnings: tuple[str, ...] = ()
    panels: tuple[Panel, ...] = ()
    tables: tuple[Table, ...] = ()
    verdicts: tuple[Verdict, ...] = ()


Section = Callable[[Pair], Finding]
