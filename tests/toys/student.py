"""A student: what it learns from is a trained flow, not the showers."""

from __future__ import annotations

from typing import ClassVar, Self, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from caloforge.models.config import SystemConfig
from caloforge.models.system import (
    Batch,
    GeneratorNetwork,
    Given,
    Losses,
    LossSystem,
    Setting,
    System,
)
from toys.flow import ToyFlow


class StudentConfig(SystemConfig):
    system: ClassVar[str] = "toy-student"

    @classmethod
    def presets(cls) -> dict[str, Self]:
        return {"paper": cls(epochs=50, batch_size=16), "cpu": cls(epochs=4, batch_size=8)}


class StudentGenerator(GeneratorNetwork):
    shift: Tensor
    scale: Tensor

    def __init__(self, cells: int) -> None:
        super().__init__()
        self.noise = cells
        self.layer = nn.Linear(cells + 1, cells)
        self.register_buffer("shift", torch.zeros(cells))
        self.register_buffer("scale", torch.ones(cells))

    def forward(self, z: Tensor, given: Given) -> Tensor:
        code = self.layer(torch.cat([z, torch.log(given.energy)], dim=1))
        return torch.exp(self.shift + self.scale * code.clamp(-5, 5))


class ToyStudent(LossSystem):
    config_type = StudentConfig
    teacher_type = ToyFlow
    choose_by = "loss"
    generator: StudentGenerator

    def __init__(self, config: StudentConfig, setting: Setting) -> None:
        super().__init__(config, setting)
        self.generator = StudentGenerator(setting.detector.n_cells)

    def learn_from(self, teacher: System) -> None:
        super().learn_from(teacher)
        theirs = cast("ToyFlow", teacher).generator
        self.generator.shift, self.generator.scale = theirs.shift.clone(), theirs.scale.clone()

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"model": torch.optim.Adam(self.parameters(), 1e-3)}

    def loss(self, batch: Batch, rng: torch.Generator) -> Losses:
        z = torch.randn(len(batch), self.generator.noise, generator=rng).to(batch.deposits.device)
        told, said = self.teacher.generator(z, batch.given), self.generator(z, batch.given)
        return {"distance": mse_loss(torch.log(said), torch.log(told))}
