"""Flow matching: a running average of the network, and an equation to solve for each shower."""

from __future__ import annotations

from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from caloforge.models.config import SystemConfig
from caloforge.models.system import Batch, GeneratorNetwork, Given, Losses, LossSystem, Setting

STEPS = 50
LEAST = 1e-3  # MeV


class SlowConfig(SystemConfig):
    system: ClassVar[str] = "toy-slow"

    @classmethod
    def presets(cls) -> dict[str, Self]:
        return {"paper": cls(epochs=50, batch_size=16), "cpu": cls(epochs=4, batch_size=8)}


class SlowGenerator(GeneratorNetwork):
    """Euler steps from noise to the logarithms of the cells."""

    quick = False

    def __init__(self, cells: int) -> None:
        super().__init__()
        self.noise = cells
        self.velocity = nn.Sequential(nn.Linear(cells + 2, 32), nn.ELU(), nn.Linear(32, cells))

    def forward(self, z: Tensor, given: Given) -> Tensor:
        x, condition = z, torch.log(given.energy)
        for step in range(STEPS):
            time = torch.full_like(condition, step / STEPS)
            x = x + self.velocity(torch.cat([x, time, condition], dim=1)) / STEPS
        return torch.exp(x.clamp(max=12.0))


class ToySlow(LossSystem):
    config_type = SlowConfig
    choose_by = "loss"
    generator: SlowGenerator

    def __init__(self, config: SlowConfig, setting: Setting) -> None:
        super().__init__(config, setting)
        self.generator = SlowGenerator(setting.detector.n_cells)
        self.keep_average(0.9)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"model": torch.optim.Adam(self.generator.parameters(), 1e-3)}

    def loss(self, batch: Batch, rng: torch.Generator) -> Losses:
        end = torch.log(batch.deposits + LEAST)
        begin = torch.randn(end.shape, generator=rng).to(end)
        time = torch.rand(len(end), 1, generator=rng).to(end)
        between = begin + time * (end - begin)
        seen = torch.cat([between, time, torch.log(batch.energy)], dim=1)
        return {"velocity": ((self.generator.velocity(seen) - (end - begin)) ** 2).mean()}
