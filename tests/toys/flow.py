"""A flow: one loss, an epoch criterion of its own, and a density."""

from __future__ import annotations

import math
from typing import ClassVar, Self

import torch
from torch import Tensor

from caloforge.models.blocks.coupling import CouplingFlow
from caloforge.models.config import SystemConfig
from caloforge.models.system import Batch, GeneratorNetwork, Given, Losses, LossSystem, Setting

LEAST = 1e-3  # MeV


class FlowConfig(SystemConfig):
    system: ClassVar[str] = "toy-flow"

    couplings: int = 2

    @classmethod
    def presets(cls) -> dict[str, Self]:
        return {"paper": cls(epochs=50, batch_size=16), "cpu": cls(epochs=4, batch_size=8)}


class FlowGenerator(GeneratorNetwork):
    """Logarithms of the cells, standardised, from a coupling flow that knows the energy."""

    shift: Tensor
    scale: Tensor

    def __init__(self, cells: int, couplings: int) -> None:
        super().__init__()
        self.noise = cells
        self.flow = CouplingFlow(cells, 1, couplings)
        self.register_buffer("shift", torch.zeros(cells))
        self.register_buffer("scale", torch.ones(cells))

    def forward(self, z: Tensor, given: Given) -> Tensor:
        code = self.flow(z, torch.log(given.energy))
        return torch.exp(self.shift + self.scale * code.clamp(-5, 5))

    def code(self, batch: Batch) -> Tensor:
        return (torch.log(batch.deposits + LEAST) - self.shift) / self.scale


class ToyFlow(LossSystem):
    config_type = FlowConfig
    choose_by = "loss"
    generator: FlowGenerator

    def __init__(self, config: FlowConfig, setting: Setting) -> None:
        super().__init__(config, setting)
        self.generator = FlowGenerator(setting.detector.n_cells, config.couplings)

    def prepare(self, train: Batch) -> None:
        logarithms = torch.log(train.deposits + LEAST)
        self.generator.shift = logarithms.mean(dim=0)
        self.generator.scale = logarithms.std(dim=0).clamp(min=0.1)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"model": torch.optim.Adam(self.parameters(), 1e-3)}

    def loss(self, batch: Batch, rng: torch.Generator) -> Losses:
        condition = torch.log(batch.energy)
        return {
            "nll": -self.generator.flow.log_density(self.generator.code(batch), condition).mean()
        }

    def validation_losses(self, batch: Batch, rng: torch.Generator) -> Losses:
        """Bits per cell: what flows are compared by."""
        bits = self.loss(batch, rng)["nll"] / (self.generator.noise * math.log(2))
        return {"bits": bits}
