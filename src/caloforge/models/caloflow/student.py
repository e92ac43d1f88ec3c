r"""CaloFlow, the student: an inverse autoregressive flow that learns from the teacher.

Its networks see the noise, so that the cells of a shower take one pass. It is fitted to the teacher
in both directions: from data x through the teacher to noise z and through the student back to x',
and from noise z through the student to data x and through the teacher back to z',

.. math::

    \beta [(x - x')^2 + (x_i - x_i')^2 + (p_x - p_x')^2]
    + (1 - \beta) [(z - z')^2 + (z_i - z_i')^2 + (p_z - p_z')^2]

with the numbers between blocks :math:`x_i, z_i` and the parameters of all splines p on either way;
each square is a mean. The layer energies are drawn by the teacher's flow I. The best epoch is that
of the smallest Kullback-Leibler divergence of the student from the teacher.

References:
    C. Krause, D. Shih, *CaloFlow II: even faster and still accurate generation of calorimeter
    showers with normalizing flows*, arXiv:2110.11377;
    A. van den Oord et al., *Parallel WaveNet*, arXiv:1711.10433: probability density distillation.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Self, cast

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from caloforge.errors import TrainingError
from caloforge.models.caloflow.flow import Passage
from caloforge.models.caloflow.system import CaloFlow, CaloFlowConfig, CaloFlowGenerator
from caloforge.models.system import Batch, Given, Losses, LossSystem, Setting, System

__all__ = ["CaloFlowStudent", "CaloFlowStudentConfig", "CaloFlowStudentGenerator"]

_OF_THE_TEACHER = (
    "energy_blocks",
    "energy_hidden",
    "energy_layers",
    "blocks",
    "bins",
    "bound",
    "noise",
    "alpha",
    "standardised",
)


class CaloFlowStudentConfig(CaloFlowConfig):
    """Settings of the student: those of CaloFlow; all but a few must be its teacher's.

    Attributes:
        beta: Weight of the three terms that begin with data; the rest is that of the others.
    """

    system: ClassVar[str] = "caloflow-student"

    beta: Annotated[float, Field(ge=0, le=1)]

    @classmethod
    def presets(cls) -> dict[str, Self]:
        """Students of the teachers of these names."""
        own: dict[str, dict[str, Any]] = {
            "paper": {"epochs": 100, "batch_size": 175, "hidden": 504},
            "cpu": {"epochs": 16, "learning_rate": 1e-3},
        }
        return {
            name: cls(**{**teacher.model_dump(), **own[name], "dropout": 0.0, "beta": 0.5})
            for name, teacher in CaloFlowConfig.presets().items()
        }


class CaloFlowStudentGenerator(CaloFlowGenerator):
    """Layer energies from the teacher's flow I, cells in one pass."""

    quick = True

    def __init__(self, config: CaloFlowConfig, setting: Setting) -> None:
        """Make the flows; flow I is no part of what is trained."""
        super().__init__(config, setting)
        _freeze(self.energies)

    def forward(self, z: Tensor, given: Given) -> Tensor:
        """Make showers; see :class:`~caloforge.models.system.GeneratorNetwork`."""
        given = replace(given, energy=given.energy.double())
        first, second = torch.split(z, self.sizes, dim=1)
        incident = self.coordinates.incident(given)
        layers = self.coordinates.layers(self.energies.draw(first, incident), given)
        context = self.coordinates.context(incident, layers).float()
        cells = self.cells.to_data(second, context).end
        return self.coordinates.deposits(cells.double(), layers).float()


class CaloFlowStudent(LossSystem):
    """The student."""

    config_type = CaloFlowStudentConfig
    teacher_type = CaloFlow
    choose_by = "loss"
    limits = ("Cells below the threshold of its settings are empty.",)
    references = ("arXiv:2110.11377", "arXiv:2106.05285")
    config: CaloFlowStudentConfig
    generator: CaloFlowStudentGenerator

    def __init__(self, config: CaloFlowStudentConfig, setting: Setting) -> None:
        """Make the flows; see :class:`~caloforge.models.system.System`."""
        super().__init__(config, setting)
        self.generator = CaloFlowStudentGenerator(config, setting)

    def learn_from(self, teacher: System) -> None:
        """Take the teacher's flow I, its scales and orders, and what fits of its networks.

        Raises:
            TrainingError: The teacher has other blocks, splines or coordinates.
        """
        theirs = cast("CaloFlow", teacher)
        for name in _OF_THE_TEACHER:
            wanted, got = getattr(theirs.config, name), getattr(self.config, name)
            if wanted != got:
                msg = f"{name}: got {got}, must be {wanted} as of the teacher; give that"
                raise TrainingError(msg)
        super().learn_from(teacher)
        own, source = self.generator.state_dict(), theirs.generator.state_dict()
        fitting = {
            name: value
            for name, value in source.items()
            if name in own and own[name].shape == value.shape
        }
        self.generator.load_state_dict(own | fitting)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Adam on the flow of the cells."""
        return {
            "model": torch.optim.Adam(self.parameters(), lr=self.config.learning_rate, fused=True)
        }

    def schedule(self, progress: float) -> float:
        """Factor on the learning rate: as of the teacher."""
        return self.config.schedule(progress)

    def loss(self, batch: Batch, rng: torch.Generator) -> Losses:
        """The six terms, as two of each kind."""
        seen, flow = self._teacher_generator.coordinates(batch, rng), self._teacher_generator.cells
        context = seen.context
        with torch.no_grad():
            taught = flow.to_noise(seen.cells, context)
        ways = {"x": (taught, self.generator.cells.to_data(taught.end, context))}
        noise = torch.randn(seen.cells.shape, generator=rng).to(context)
        made = self.generator.cells.to_data(noise, context)
        ways["z"] = (flow.to_noise(made.end, context), made)
        weights = {"x": self.config.beta, "z": 1.0 - self.config.beta}
        found = {}
        for way, (told, said) in ways.items():
            for name, value in _distances(told, said, way).items():
                found[f"{name}_{way}"] = weights[way] * value
        return found

    def validation_losses(self, batch: Batch, rng: torch.Generator) -> Losses:
        """Divergence from the teacher, of the cells, at the layer energies of the showers."""
        teacher = self._teacher_generator
        context = teacher.coordinates(batch, rng).context
        noise = torch.randn(len(batch), self.generator.sizes[1], generator=rng).to(context)
        made = self.generator.cells.to_data(noise, context, volume=True)
        normal = -0.5 * (noise**2).sum(dim=1) - 0.5 * noise.shape[1] * math.log(2 * math.pi)
        own = normal + made.steepness
        return {"kl": (own - teacher.cells.log_density(made.end, context)).mean()}

    @property
    def _teacher_generator(self) -> CaloFlowGenerator:
        return cast("CaloFlow", self.teacher).generator


def _distances(told: Passage, said: Passage, way: str) -> dict[str, Tensor]:
    """Ends, numbers between blocks, and parameters of splines of teacher and student.

    Args:
        told: The teacher's way from data to noise.
        said: The student's way from noise to data.
        way: Whether both began with the same data (``"x"``) or the same noise (``"z"``).
    """
    own, theirs = said.values[::-1], told.values
    end = -1 if way == "z" else 0
    between = [mse_loss(a, b) for a, b in zip(own[1:-1], theirs[1:-1], strict=True)]
    pairs = [
        mse_loss(a, b)
        for mine, other in zip(said.parameters[::-1], told.parameters, strict=True)
        for a, b in zip(mine, other, strict=True)
    ]
    return {
        "end": mse_loss(own[end], theirs[end]),
        "between": torch.stack(between).mean() if between else torch.zeros_like(pairs[0]),
        "parameters": torch.stack(pairs).mean(),
    }


def _freeze(module: nn.Module) -> None:
    """Make parameters constants that are saved, but not trained."""
    for part in module.modules():
        for name, value in list(part.named_parameters(recurse=False)):
            delattr(part, name)
            part.register_buffer(name, value.detach())
