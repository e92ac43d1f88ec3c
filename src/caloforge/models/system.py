"""What a trained system is to training and to export: networks, losses, one generator.

A published system is one file beside this one: a configuration, the networks, and a class that
says what its losses are. The loops (:mod:`caloforge.training`) call these methods; what is
exported (:mod:`caloforge.export`) is the ``sampler``, its generator or an average of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from caloforge.detector import Detector
from caloforge.errors import TrainingError
from caloforge.models.config import SystemConfig

if TYPE_CHECKING:
    from caloforge.models.blocks.graph import Graph

__all__ = [
    "CONDITIONS",
    "AdversarialSystem",
    "Batch",
    "GeneratorNetwork",
    "Given",
    "LossSystem",
    "Losses",
    "Setting",
    "System",
    "WrittenGenerator",
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
class Given:
    """What showers are asked for: a row for each. The arrays of an incident, as a network sees it.

    Attributes:
        energy: Incident energy: shape (N, 1), GeV.
        label: Index of the particle: shape (N,), int64.
        entry_point: Where particles enter the front face: shape (N, 2), mm; None where all enter
            at its centre.
        direction: Unit vectors that they fly along: shape (N, 3); None where all are perpendicular
            to the front face.
    """

    energy: Tensor
    label: Tensor
    entry_point: Tensor | None = None
    direction: Tensor | None = None

    def __len__(self) -> int:
        return len(self.energy)

    def __getitem__(self, rows: Tensor | slice) -> Given:
        return self._each(lambda value: value[rows])

    def to(self, device: torch.device) -> Given:
        """The same on a device."""
        return self._each(lambda value: value.to(device))

    def mirrored(self, signs: Tensor) -> Given:
        """The same, seen in mirrors.

        Args:
            signs: -1 where x (first column) or y (second) is turned round, else 1: shape (N, 2).
        """
        point, direction = self.entry_point, self.direction
        if point is not None:
            point = point * signs
        if direction is not None:
            direction = torch.cat([direction[:, :2] * signs, direction[:, 2:]], dim=1)
        return replace(self, entry_point=point, direction=direction)

    def _each(self, change: Callable[[Tensor], Tensor]) -> Given:
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return replace(
            self, **{key: change(value) for key, value in values.items() if value is not None}
        )


CONDITIONS = ("energy", "label", "entry_point", "direction")
"""What a generator can be asked for: the attributes of :class:`Given`."""


@dataclass(frozen=True)
class Batch:
    """Some showers.

    Attributes:
        given: What they were asked for: N rows.
        deposits: Shape (N, n_cells), MeV.
    """

    given: Given
    deposits: Tensor

    def __post_init__(self) -> None:
        n, energy, label = len(self.deposits), self.given.energy, self.given.label
        if energy.shape != (n, 1) or label.shape != (n,):
            msg = (
                f"batch: energies have shape {tuple(energy.shape)} and labels "
                f"{tuple(label.shape)} for {n} showers, must be {(n, 1)} and {(n,)}"
            )
            raise TrainingError(msg)

    def __len__(self) -> int:
        return len(self.deposits)

    def __getitem__(self, rows: Tensor | slice) -> Batch:
        return Batch(self.given[rows], self.deposits[rows])

    @property
    def energy(self) -> Tensor:
        """Incident energy: shape (N, 1), GeV."""
        return self.given.energy

    @property
    def label(self) -> Tensor:
        """Index of the particle: shape (N,), int64."""
        return self.given.label

    def to(self, device: torch.device) -> Batch:
        """The same on a device."""
        return Batch(self.given.to(device), self.deposits.to(device))


class GeneratorNetwork(nn.Module, ABC):
    """The network that is exported, pre- and post-processing inside.

    Attributes:
        noise: Length of the noise of one shower.
        conditions: What it looks at of what it is given, of :data:`CONDITIONS`.
        quick: Whether it makes thousands of showers in seconds: if not, training looks at
            validation losses and makes showers only where the criterion needs them.
        tolerance: How far its exported form may be from it, over the largest deposit of a shower.
    """

    noise: int
    conditions: tuple[str, ...] = ("energy",)
    quick: bool = True
    tolerance: float = 1e-5

    @abstractmethod
    def forward(self, z: Tensor, given: Given) -> Tensor:
        """Make showers.

        Args:
            z: Standard normal noise: shape (N, noise).
            given: What is asked for: N rows.

        Returns:
            Deposits: shape (N, n_cells), MeV, none negative.
        """

    def fuse(self) -> None:
        """Merge weights that act one right after the other, in place: for export, on a copy."""


class WrittenGenerator(GeneratorNetwork):
    """A generator that writes its own ONNX graph, as tracing it would take too long."""

    @abstractmethod
    def write(self, graph: Graph, inputs: Mapping[str, str]) -> str:
        """Write itself into an ONNX graph: what :meth:`forward` computes.

        Args:
            graph: Is added to.
            inputs: Names of the noise ``"z"``, shape (N, noise), of each of :data:`CONDITIONS` that
                it looks at, and of ``"label"``, shape (N, 1), int64.

        Returns:
            Name of the deposits: shape (N, n_cells), MeV.
        """


class System(nn.Module, ABC):
    """A published system: its networks, as one module, and what training needs of them.

    Its parameters are drawn from PyTorch's global random numbers, which the caller seeds.

    Attributes:
        config_type: Class of its configuration.
        teacher_type: Class of the trained system that it learns from; None for none.
        choose_by: What the best epoch is the smallest of, unless the user says otherwise.
        config: Its configuration.
        setting: What it is trained for.
        generator: The network that makes showers.
        average: Running average of the generator, if one is kept.
        limits: What users of the generator should know that it cannot do, in sentences.
        references: Papers, for the card: ``"arXiv:1712.10321"``.
    """

    config_type: ClassVar[type[SystemConfig]]
    teacher_type: ClassVar[type[System] | None] = None
    choose_by: ClassVar[str] = "energy-chi2"
    limits: ClassVar[tuple[str, ...]] = ()
    references: ClassVar[tuple[str, ...]] = ()
    generator: GeneratorNetwork
    average: AveragedModel | None

    def __init__(self, config: SystemConfig, setting: Setting) -> None:
        super().__init__()
        self.config = config
        self.setting = setting
        self.average = None

    def keep_average(self, decay: float) -> None:
        """Keep a running average of the generator: that is what is judged and exported then.

        Networks that learn from one another circle around the point where both are at rest, and an
        average over the circle is nearer to it (Yazici et al., arXiv:1806.04498); the last steps of
        a flow or a diffusion are averaged for the same reason.

        Args:
            decay: Share of the average that is kept at each iteration; 0 for no average. It is
                over some 1 / (1 - decay) iterations.
        """
        if decay:
            average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
            self.average = AveragedModel(self.generator, multi_avg_fn=average, use_buffers=True)

    def update_average(self) -> None:
        """Take the generator as it is now into the average, if one is kept: behind each step."""
        if self.average is not None:
            self.average.update_parameters(self.generator)

    @property
    def sampler(self) -> GeneratorNetwork:
        """What is judged and exported: the average, or where none is kept the generator."""
        if self.average is None:
            return self.generator
        return cast("GeneratorNetwork", self.average.module)

    @property
    def batches_per_step(self) -> int:
        """Batches of real showers that one step takes."""
        return 1

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

    @property
    def teacher(self) -> System:
        """What it learns from, in evaluation mode and without gradients.

        Raises:
            TrainingError: It has none.
        """
        if self._teacher is None:
            msg = f"teacher: {self.config.system} has none; name the run of one"
            raise TrainingError(msg)
        return self._teacher

    def learn_from(self, teacher: System) -> None:
        """Take a trained system as teacher; called behind :meth:`prepare`.

        The teacher is no part of this module: it is neither trained nor saved with it. A system
        that takes more from it than its answers (its first weights, its constants) does so here.

        Args:
            teacher: Of ``teacher_type``, for the same setting.
        """
        object.__setattr__(self, "_teacher", teacher.eval().requires_grad_(False))

    _teacher: System | None = None

    def order(self, train: Batch, epoch: int, rng: np.random.Generator) -> NDArray[np.int64]:  # noqa: ARG002
        """The rows of an epoch, in the order in which they are learnt from.

        Args:
            train: All train rows.
            epoch: Counts from 0.
            rng: Random numbers of this epoch.

        Returns:
            As many rows as there are; a curriculum may repeat some and leave out others.
        """
        return rng.permutation(len(train))

    def schedule(self, progress: float) -> float:  # noqa: ARG002
        """Factor on every learning rate.

        Args:
            progress: Share of the training that is done, in [0, 1].
        """
        return 1.0

    @abstractmethod
    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """New optimisers, by the name of what each trains."""

    def validation_losses(self, batch: Batch, rng: torch.Generator) -> Losses | None:  # noqa: ARG002
        """What the criterion ``"loss"`` is the sum of; None for a system that has no such loss.

        Args:
            batch: Validation rows; the system is in evaluation mode, without gradients.
            rng: Random numbers, on the CPU, the same at each look.
        """
        return None


class AdversarialSystem(System):
    """A generator against one or more critics.

    Attributes:
        critics: Names of the optimisers of the critics.
        critic_steps: Rounds of the critics in one iteration; each has real showers of its own.
        generator_steps: Steps of the generator in one iteration.
        settled_fakes: Show the critics what the generator makes in evaluation mode, that is with
            the running statistics of its batch normalisation, as at sampling.
    """

    critics: tuple[str, ...] = ("discriminator",)
    critic_steps: int = 1
    generator_steps: int = 1
    settled_fakes: bool = False

    @property
    def batches_per_step(self) -> int:
        """One for each round of the critics."""
        return self.critic_steps

    def ask(self, real: Batch, rng: torch.Generator) -> Given:  # noqa: ARG002
        """What showers are asked of the generator in training: those of the real ones.

        Args:
            real: Real showers of this step.
            rng: Random numbers, on the CPU.
        """
        return real.given

    def make(self, given: Given, rng: torch.Generator) -> Batch:
        """Showers of the generator, with noise of their own.

        Args:
            given: What to ask for.
            rng: Random numbers, on the CPU.
        """
        z = torch.randn(len(given), self.generator.noise, generator=rng).to(given.energy.device)
        return Batch(given, self.generator(z, given))

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
    def generator_losses(self, fake: Batch, rng: torch.Generator) -> Iterator[tuple[str, Losses]]:
        """The losses of the generator and of what belongs to it, one after the other.

        Args:
            fake: Showers of the generator, with the gradient to it. It carries one step: who makes
                several (an energy constrainer, a post-processor with an optimiser of its own)
                makes showers anew for the others (:meth:`make`).
            rng: Random numbers, on the CPU.

        Yields:
            Name of the optimiser to step, and the loss; the critics stay as they are. The step is
            made before the next loss is asked for.
        """


class LossSystem(System):
    """One loss, of which the gradient reaches every parameter (optimiser ``"model"``).

    Attributes:
        largest_gradient: Norm at which gradients are cut.
    """

    largest_gradient: float = 10.0

    @abstractmethod
    def loss(self, batch: Batch, rng: torch.Generator) -> Losses:
        """The loss of a batch of real showers.

        Args:
            batch: Real showers.
            rng: Random numbers, on the CPU.
        """

    def validation_losses(self, batch: Batch, rng: torch.Generator) -> Losses | None:
        """The terms of the loss."""
        return self.loss(batch, rng)
