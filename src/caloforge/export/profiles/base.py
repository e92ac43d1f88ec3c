"""What export profiles have in common: a network as a host feeds it, written as the host loads it.

A profile is a file of this folder and a line in :data:`~caloforge.export.profiles.PROFILES`. It
wraps a generator such that it takes and gives what its host does (:class:`Form`), and writes what
the host loads into the folder of the artefact (:class:`Profile`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from numpy.typing import NDArray
from torch import Tensor, nn

from caloforge.models.system import GeneratorNetwork, Setting
from caloforge.runtime.card import TensorSpec

__all__ = ["Form", "Job", "Profile", "Written"]


@dataclass(frozen=True)
class Job:
    """A generator that is to leave.

    Attributes:
        generator: The network. Nobody changes it.
        setting: What it was trained for.
        label: Index of the particle that becomes part of the network; None for all of them.
        half: Store large weights in half precision.
    """

    generator: GeneratorNetwork
    setting: Setting
    label: int | None = None
    half: bool = False

    @property
    def particles(self) -> tuple[str, ...]:
        """What the artefact makes showers of."""
        particles = self.setting.particles
        return particles if self.label is None else (particles[self.label],)


@dataclass(frozen=True)
class Written:
    """What a profile wrote.

    Attributes:
        deviation: How far it is from PyTorch, over the largest deposit of the shower.
        limits: What its users should know that it cannot do, in sentences.
    """

    deviation: float = 0.0
    limits: tuple[str, ...] = ()


class Form(nn.Module, ABC):
    """A generator as a host feeds it: a copy on the CPU, in evaluation mode.

    Attributes:
        generator: The copy.
        inputs: What goes in, in the order of the arguments; the first length is that of a batch.
        outputs: What comes out, in order.
        batch: Showers that the host asks for at a time; None for any number.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    batch: int | None = None

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.generator = deepcopy(job.generator).cpu().eval().requires_grad_(False)

    @abstractmethod
    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        """What the host asks for, once."""

    @abstractmethod
    def examples(self, count: int) -> Mapping[str, NDArray[Any]]:
        """Inputs as the host gives them, over all of their range, by name.

        Args:
            count: How many showers.
        """


class Profile(ABC):
    """A form in which generators leave.

    Attributes:
        name: Its name, as on the command line.
    """

    name: ClassVar[str]

    def check(self, job: Job) -> None:  # noqa: B027
        """Refuse what the host cannot hold, before anything is written.

        Raises:
            ExportError: It has no form in this profile.
        """

    @abstractmethod
    def write(self, job: Job, folder: Path) -> Written:
        """Write what the host loads.

        Args:
            job: What is to leave.
            folder: Where to, a folder that is there.

        Raises:
            ExportError: The network has no such form, or the file does not reproduce it.
            OutputError: A file cannot be written.
        """
