"""What a trained system is to training and to export: networks, losses, one generator.

A published system is one file beside this one: a configuration, the networks, and a class that
says what its losses are. The loops (:mod:`caloforge.training`) call these methods; what is
exported (:mod:`caloforge.export`) is the ``sampler``, its generator or an average of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from caloforge.detector import Detector
from caloforge.models.config import SystemConfig

__all__ = [
    "AdversarialSystem",
    "Batch",
    "GeneratorNetwork",
    "LossSystem",
    "Losses",
    "Setting",
    "System",
]

Losses = dict[str, Tensor]
"""Terms of a loss by name, weights included: what is minimised is their sum."""


@dataclass(frozen=True)
class Setting:
    """What a system is trained for.

    Attributes:
        detector: What the showers are recorded in, and the generator fills.
        particles: Names of the particles; the label of a shower is an index into them.
        energy_range: Lowest and highest incident energy, GeV.
    """

    detector: Detector
    particles: tuple[str, ...]
    energy_range: tuple[float, float]


@dataclass(frozen=True)
class Batch:
    """Some showers.

    Attributes:
        energy: Incident energy: shape (N, 1), GeV.
        deposits: Shape (N, n_cells), MeV.
        label: Index of the particle: shape (N,), int64.
    """

    energy: Tensor
    deposits: Tensor
    label: Tensor

    def __len__(self) -> int:
        return len(self.energy)

    def __getitem__(self, rows: Tensor | slice) -> Batch:
        return Batch(self.energy[rows], self.deposits[rows], self.label[rows])


class GeneratorNetwork(nn.Module, ABC):
    """The network that is exported, pre- and post-processing inside.

    Attributes:
        noise: Length of the noise of one shower.
    """

    noise: int

    @abstractmethod
    def forward(self, z: Tensor, energy: Tensor, label: Tensor) -> Tensor:
        """Make showers.

        Args:
            z: Standard normal noise: shape (N, noise).
            energy: Incident energy: shape (N, 1), GeV.
            label: Index of the particle: shape (N,), int64.

        Returns:
            Deposits: shape (N, n_cells), MeV, none negative.
        """

    def fuse(self) -> None:
        """Merge weights that act one right after the other, in place: for export, on a copy."""


class System(nn.Module, ABC):
    """A published system: its networks, as one module, and what training needs of them.

    Its parameters are drawn from PyTorch's global random numbers, which the caller seeds.

    Attributes:
        config_type: Class of its configuration.
        config: Its configuration.
        setting: What it is trained for.
        generator: The network that makes showers.
        limits: What users of the generator should know that it cannot do, in sentences.
        references: Papers, for the card: ``"arXiv:1712.10321"``.
    """

    config_type: ClassVar[type[SystemConfig]]
    limits: ClassVar[tuple[str, ...]] = ()
    references: ClassVar[tuple[str, ...]] = ()
    generator: GeneratorNetwork

    def __init__(self, config: SystemConfig, setting: Setting) -> None:
        super().__init__()
        self.config = config
        self.setting = setting

    @property
    def sampler(self) -> GeneratorNetwork:
        """The network that is judged and exported."""
        return self.generator

    @classmethod
    def readout(cls, config: SystemConfig, detector: Detector) -> Detector:  # noqa: ARG003
        """The part of a detector that the system fills; all of it unless it says otherwise.

        Raises:
            DetectorError: The system cannot fill that detector.
        """
        return detector

    def prepare(self, train: Batch) -> None:
        """Set the constants that come from the data (buffers, saved with the networks).

        Args:
            train: All train rows. Called once, before training.
        """

    def schedule(self, progress: float) -> float:  # noqa: ARG002
        """Factor on every learning rate.

        Args:
            progress: Share of the training that is done, in [0, 1].
        """
        return 1.0

    @abstractmethod
    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """New optimisers, by the name of what each trains."""


class AdversarialSystem(System):
    """A generator against one or more critics.

    Attributes:
        critic_steps: Rounds of the critics in one iteration; each has real showers of its own.
        generator_steps: Steps of the generator in one iteration.
        settled_fakes: Show the critics what the generator makes in evaluation mode, that is with
            the running statistics of its batch normalisation, as at sampling.
        average: Running average of the generator, if one is kept.
    """

    critic_steps: int = 1
    generator_steps: int = 1
    settled_fakes: bool = False
    average: AveragedModel | None

    def __init__(self, config: SystemConfig, setting: Setting) -> None:
        super().__init__(config, setting)
        self.average = None

    def keep_average(self, decay: float) -> None:
        """Keep a running average of the generator: that is what is judged and exported then.

        Two networks that learn from one another circle around the point where both are at rest,
        and an average over the circle is nearer to it (Yazici et al., arXiv:1806.04498).

        Args:
            decay: Share of the average that is kept at each iteration; 0 for no average. It is
                over some 1 / (1 - decay) iterations.
        """
        if decay:
            average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
            self.average = AveragedModel(self.generator, multi_avg_fn=average, use_buffers=True)

    @property
    def sampler(self) -> GeneratorNetwork:
        """The average of the generator, or where none is kept the generator."""
        if self.average is None:
            return self.generator
        return cast("GeneratorNetwork", self.average.module)

    def conditions(self, real: Batch, rng: torch.Generator) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """What showers are asked of the generator in training: those of the real ones.

        Args:
            real: Real showers of this step.
            rng: Random numbers, on the CPU.

        Returns:
            Incident energies, shape (N, 1), GeV, and labels, shape (N,).
        """
        return real.energy, real.label

    @abstractmethod
    def critic_losses(
        self, real: Batch, fake: Batch, rng: torch.Generator
    ) -> Iterator[tuple[str, Losses]]:
        """The losses of the critics, one after the other.

        Args:
            real: Real showers.
            fake: Showers of the generator, as many, detached from it.
            rng: Random numbers, on the CPU.

        Yields:
            Name of the optimiser to step, and the loss. The step is made before the next loss is
            asked for.
        """

    @abstractmethod
    def generator_loss(self, fake: Batch, rng: torch.Generator) -> Losses:
        """The loss of the generator (its optimiser is called ``"generator"``).

        Args:
            fake: Showers of the generator, with the gradient to it.
            rng: Random numbers, on the CPU.
        """


class LossSystem(System):
    """One loss, of which the gradient reaches every parameter (optimiser ``"model"``)."""

    @abstractmethod
    def loss(self, batch: Batch, rng: torch.Generator) -> Losses:
        """The loss of a batch of real showers.

        Args:
            batch: Real showers.
            rng: Random numbers, on the CPU.
        """
