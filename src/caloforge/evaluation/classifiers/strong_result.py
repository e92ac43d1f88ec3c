"""How the headline test is done, and what it finds."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, model_validator

from caloforge.evaluation.classifiers.clues import Clue
from caloforge.evaluation.classifiers.members import Settings
from caloforge.evaluation.classifiers.scores import AUCResult
from caloforge.showers import Showers

__all__ = [
    "HEADLINE_THRESHOLDS",
    "StrongProtocol",
    "StrongResult",
    "ThresholdResult",
    "WindowMeans",
]

HEADLINE_THRESHOLDS = (0.0, 0.01, 0.1, 1.0)
"""MeV per cell: every deposit, CaloFlow's 10 keV, 0.1 MeV, and 1 MeV, what readout sees."""


class StrongProtocol(BaseModel):
    """How the test is done: fixed, nothing is chosen on any showers.

    Attributes:
        thresholds: Deposits below each count as zero, MeV; in increasing order.
        showers: Most showers of each class.
        deposits: Most deposits (showers times cells) of each class, so that detectors of many cells
            take no more than seven times as long as the 504 cells of CaloGAN.
        folds: Parts of the cross-validation.
        trees: Number of trees.
        learning_rate: Weight of each tree.
        leaves: Most leaves of a tree.
        columns: Columns that trees see.
        hidden: Units of the hidden layer of the network.
        epochs: Passes of the network over the rows.
        batch: Most rows of its steps.
        rate: Its largest learning rate.
        dropout: Share of the units that a step leaves out.
        decay: Its weight decay.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    thresholds: tuple[float, ...] = HEADLINE_THRESHOLDS
    showers: PositiveInt = 10_000
    deposits: PositiveInt = 2**25
    folds: int = Field(default=3, ge=2)
    trees: PositiveInt = 60
    learning_rate: PositiveFloat = 0.15
    leaves: int = Field(default=15, ge=2)
    columns: PositiveInt = 150
    hidden: PositiveInt = 256
    epochs: PositiveInt = 15
    batch: PositiveInt = 256
    rate: PositiveFloat = 3e-3
    dropout: float = Field(default=0.3, ge=0, lt=1)
    decay: float = Field(default=0.01, ge=0)

    @model_validator(mode="after")
    def _check_thresholds(self) -> Self:
        given = self.thresholds
        if not given or given[0] < 0 or any(not a < b < np.inf for a, b in pairwise(given)):
            msg = f"thresholds: got {given}, must be at least one, increasing, none negative"
            raise ValueError(msg)
        return self

    def size(self, reference: Showers, showers: Showers) -> int:
        """Showers of each class that are used."""
        most = max(1, self.deposits // reference.detector.n_cells)
        return min(len(reference), len(showers), self.showers, most)

    @property
    def settings(self) -> Settings:
        """How the members are trained."""
        names = Settings.__dataclass_fields__
        return Settings(**{name: getattr(self, name) for name in names})


class ThresholdResult(BaseModel):
    """What was found with deposits below a threshold set to zero.

    Attributes:
        threshold: MeV.
        auc: Mean over the folds.
        auc_error: That of the bootstrap, or of the scatter of the folds where that is larger.
        fold_auc: AUC of the single folds.
        members: AUC of each member alone.
        n_columns: Columns, single cells not counted.
        weights: By how much the AUC falls when the columns of a family are shuffled among the
            showers of a fold.
        clues: The single numbers that tell most.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    threshold: float
    auc: float
    auc_error: float
    fold_auc: tuple[float, ...]
    members: Mapping[str, float]
    n_columns: int
    weights: Mapping[str, float]
    clues: tuple[Clue, ...]


class WindowMeans(BaseModel):
    """Numbers of cells in a window of energies.

    Attributes:
        place: Layers, in words.
        window: Edges, MeV.
        reference: Cells a shower.
        reference_error: Its error.
        showers: The same of the sample.
        showers_error: Its error.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    place: str
    window: tuple[float, float]
    reference: float
    reference_error: float
    showers: float
    showers_error: float


class StrongResult(AUCResult):
    """What the test found; its AUC is that of the first threshold.

    Attributes:
        protocol: The settings.
        thresholds: What was found at each.
        windows: How many cells there are of which energy, every deposit counted.
        n_showers: Showers of each class that were used; each is scored once.
    """

    protocol: StrongProtocol
    thresholds: tuple[ThresholdResult, ...]
    windows: tuple[WindowMeans, ...]
    n_showers: int
