"""Published classifier tests as configurations: what goes in, which network, how it is trained.

References:
    C. Krause and D. Shih, *CaloFlow: fast and accurate generation of calorimeter showers with
    normalizing flows*, arXiv:2106.05285.
    C. Krause et al., *CaloChallenge 2022: a community challenge for fast calorimeter simulation*,
    arXiv:2410.21611.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from caloforge.evaluation.features.blocks import row_blocks
from caloforge.evaluation.features.calochallenge import high_level, low_level, low_level_normalised
from caloforge.evaluation.features.studied import once
from caloforge.showers import Showers

__all__ = [
    "PROTOCOLS",
    "AnyProtocol",
    "CaloChallengeProtocol",
    "CaloFlowProtocol",
    "NetworkTraining",
    "Protocol",
]

_SCALE = 1e5  # MeV: CaloFlow counts energies in units of 100 GeV


class NetworkTraining(BaseModel):
    """A fully connected network with one output, the logit, and how it is trained.

    The loss is the binary cross-entropy, the optimiser Adam, everything float32. The epoch that is
    kept is the best one on the validation part.

    Attributes:
        hidden: Width of each hidden layer.
        negative_slope: Slope of the LeakyReLU below zero; 0 for a ReLU.
        dropout: Probability of the dropout behind each hidden layer.
        whiten: Whether the inputs are turned into the principal components of the training part,
            each with unit variance; more than 8192 inputs are standardised only.
        batch_size: Rows per step.
        learning_rate: Learning rate of Adam.
        epochs: Most epochs.
        judged_from: Every epoch from this one on (counted from 1) can be the best.
        judged_every: Before ``judged_from``, each so many epochs one can be the best.
        choose_by: What is best: the highest accuracy or the lowest loss; the first one if equal.
        patience: It stops after so many judged epochs without a better one; None for never. It
            always stops at an accuracy of 1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    hidden: tuple[PositiveInt, ...] = Field(min_length=1)
    negative_slope: NonNegativeFloat = 0.0
    dropout: float = Field(default=0.0, ge=0, lt=1)
    whiten: bool = False
    batch_size: PositiveInt = 1000
    learning_rate: PositiveFloat = 2e-4
    epochs: PositiveInt
    judged_from: PositiveInt = 1
    judged_every: PositiveInt = 1
    choose_by: Literal["accuracy", "loss"] = "accuracy"
    patience: PositiveInt | None = None

    def is_judged(self, epoch: int) -> bool:
        """Whether an epoch, counted from 1, can be the best one."""
        return epoch >= self.judged_from or (epoch - 1) % self.judged_every == 0

    def n_parameters(self, n_inputs: int) -> int:
        """Number of trained parameters.

        Args:
            n_inputs: Number of inputs.
        """
        widths = (n_inputs, *self.hidden, 1)
        return sum((a + 1) * b for a, b in pairwise(widths))

    def changed(self, **changes: Any) -> Self:
        """The same with some settings changed, checked again."""
        return type(self)(**{**self.model_dump(), **changes})


class Protocol(NetworkTraining, ABC):
    """A classifier test: inputs, network, training, and how the showers are split.

    The defaults of its subclasses are the published settings.

    Attributes:
        split: Shares of the training, validation and test part.
        calibrate: Whether AUC and accuracy are those of the calibrated probabilities.
    """

    split: tuple[PositiveFloat, PositiveFloat, PositiveFloat] = (0.6, 0.2, 0.2)
    calibrate: bool

    @model_validator(mode="after")
    def _check_split(self) -> Self:
        if abs(sum(self.split) - 1) > 1e-9:
            msg = f"split: the shares sum to {sum(self.split)}, must sum to 1"
            raise ValueError(msg)
        return self

    @property
    @abstractmethod
    def family(self) -> str:
        """Name in :data:`PROTOCOLS` of the published test that this one is a variant of."""

    @abstractmethod
    def inputs(self, showers: Showers) -> NDArray[np.float32]:
        """What the network sees: shape (N, n_inputs), no units."""

    @property
    def name(self) -> str:
        """The published name; with ``-quick`` for the quick variant, ``-custom`` for any other."""
        published = PROTOCOLS[self.family]
        if self == published:
            return self.family
        return f"{self.family}-{'quick' if self == published.quick() else 'custom'}"

    def quick(self) -> Self:
        """The variant that takes seconds on two CPU cores for a few thousand showers.

        The same inputs, but whitened; two hidden layers of 64 with LeakyReLU and dropout, learning
        rate 1e-3, batches of 256; the epoch with the lowest validation loss, early stopping.
        Without whitening so small a training does not find what is smaller than the spread of the
        incident energies: the energies of all showers scaled by 1% go unseen, with it they are
        plain. The numbers of this variant may only be compared with numbers of the same variant.
        """
        return self.changed(
            hidden=(64, 64),
            negative_slope=0.01,
            dropout=0.2,
            whiten=True,
            batch_size=256,
            learning_rate=1e-3,
            epochs=80,
            judged_from=1,
            choose_by="loss",
            patience=12,
        )


class CaloFlowProtocol(Protocol):
    """The classifier of the CaloFlow papers, after their published script.

    Inputs: deposits in units of 100 GeV, log10(E_inc / 10 GeV), and per layer
    log10(E_i / 100 GeV + 1e-8) + 2, with deposits that are divided by the energy of their layer if
    ``normalised``; 508 for the CaloGAN cells. Three hidden layers of 512 with ReLU, batches of
    1000, learning rate 2e-4, 30 epochs; the epochs 1, 6, 11, 16 and all from 20 on are judged by
    accuracy.

    The script judges epochs on the very part that it reports: here the epoch is chosen on the
    validation part and the test part is seen once. It computes in float64, here float32; its split
    is not published, here it is that of the CaloChallenge. Its divergence is that of the raw
    output; ours that of the calibrated one, which always is finite.

    Attributes:
        normalised: Whether deposits are divided by the energy of their layer.

    References:
        arXiv:2106.05285; arXiv:2110.11377.
    """

    hidden: tuple[PositiveInt, ...] = (512, 512, 512)
    epochs: PositiveInt = 30
    judged_from: PositiveInt = 20
    judged_every: PositiveInt = 5
    calibrate: bool = False
    normalised: bool = False

    @property
    def family(self) -> str:
        """Name in :data:`PROTOCOLS` of the published test that this one is a variant of."""
        return "caloflow-normalised" if self.normalised else "caloflow"

    def inputs(self, showers: Showers) -> NDArray[np.float32]:
        """What the network sees: shape (N, n_cells + 1 + n_layers), no units."""
        detector = showers.detector
        n_cells = detector.n_cells
        found = np.empty((len(showers), n_cells + 1 + detector.n_layers), np.float32)
        for rows in row_blocks(showers):
            deposits = showers.deposits[rows].astype(np.float64) / _SCALE
            layers = detector.layer_sums(deposits)
            if self.normalised:
                deposits /= (layers + 1e-16)[:, detector.layer_of_cell]
            found[rows, :n_cells] = deposits
            found[rows, n_cells] = np.log10(showers.energy[rows] / 10.0)
            found[rows, n_cells + 1 :] = np.log10(layers + 1e-8) + 2.0
        return found


class CaloChallengeProtocol(Protocol):
    """The classifier of the CaloChallenge 2022.

    Three hidden layers of 2048 with LeakyReLU, batches of 1000, learning rate 2e-4, 50 epochs; the
    epoch with the best accuracy on the validation part (called test part there) is kept and judged
    on the test part (called validation part there), after isotonic calibration on the former.
    60%, 20% and 20% of the showers as for datasets 2 and 3. It computes in float64, here float32.

    Attributes:
        level: ``"low"``: voxels over incident energy; ``"low-normalised"``: voxels over the energy
            of their layer; ``"high"``: layer energies, centres, widths, sparsities. All with the
            incident energy.
        threshold: Deposits below it count as zero, MeV, but not at ``"low-normalised"``. Published:
            1 MeV for dataset 1, 0.5 keV / 0.033 for datasets 2 and 3.

    References:
        arXiv:2410.21611.
    """

    hidden: tuple[PositiveInt, ...] = (2048, 2048, 2048)
    negative_slope: NonNegativeFloat = 0.01
    epochs: PositiveInt = 50
    calibrate: bool = True
    threshold: NonNegativeFloat = 0.0
    level: Literal["low", "low-normalised", "high"] = "low"

    @property
    def family(self) -> str:
        """Name in :data:`PROTOCOLS` of the published test that this one is a variant of."""
        return f"calochallenge-{self.level}"

    def inputs(self, showers: Showers) -> NDArray[np.float32]:
        """What the network sees: shape (N, n_inputs), no units.

        See :mod:`caloforge.evaluation.features.calochallenge`.
        """
        if self.level == "low-normalised":
            return low_level_normalised(showers, dtype=np.float32).astype(np.float32, copy=False)
        if self.level == "low":
            found = low_level(showers, threshold=self.threshold, dtype=np.float32)
            return found.astype(np.float32, copy=False)
        return once(showers, high_level, threshold=self.threshold).astype(np.float32)


AnyProtocol = CaloFlowProtocol | CaloChallengeProtocol

PROTOCOLS: Mapping[str, AnyProtocol] = MappingProxyType(
    {
        protocol.family: protocol
        for protocol in (
            CaloFlowProtocol(),
            CaloFlowProtocol(normalised=True),
            CaloChallengeProtocol(level="low"),
            CaloChallengeProtocol(level="low-normalised"),
            CaloChallengeProtocol(level="high"),
        )
    }
)
"""The published protocols by name, at full size."""
