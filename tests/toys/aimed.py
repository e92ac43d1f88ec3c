"""A generator that is told where a particle enters and where it flies to."""

from __future__ import annotations

from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from caloforge.models.config import SystemConfig
from caloforge.models.system import Batch, GeneratorNetwork, Given, Losses, LossSystem, Setting


class AimedConfig(SystemConfig):
    system: ClassVar[str] = "toy-aimed"

    @classmethod
    def presets(cls) -> dict[str, Self]:
        return {"paper": cls(epochs=50, batch_size=16), "cpu": cls(epochs=4, batch_size=8)}


class AimedGenerator(GeneratorNetwork):
    conditions = ("energy", "label", "entry_point", "direction")

    def __init__(self, cells: int, particles: int) -> None:
        super().__init__()
        self.noise = 3
        self.particles = nn.Embedding(particles, 2)
        self.layer = nn.Linear(3 + 2 + 2 + 3, cells)

    def forward(self, z: Tensor, given: Given) -> Tensor:
        assert given.entry_point is not None
        assert given.direction is not None
        seen = [z, self.particles(given.label), given.entry_point / 10.0, given.direction]
        return 1000.0 * given.energy * torch.softmax(self.layer(torch.cat(seen, dim=1)), dim=1)


class ToyAimed(LossSystem):
    config_type = AimedConfig
    choose_by = "loss"
    generator: AimedGenerator

    def __init__(self, config: AimedConfig, setting: Setting) -> None:
        super().__init__(config, setting)
        self.generator = AimedGenerator(setting.detector.n_cells, len(setting.particles))

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"model": torch.optim.Adam(self.parameters(), 1e-2)}

    def loss(self, batch: Batch, rng: torch.Generator) -> Losses:
        z = torch.randn(len(batch), self.generator.noise, generator=rng)
        made = self.generator(z, batch.given)
        scale = 1000.0 * batch.energy
        return {"squares": (((made - batch.deposits) / scale) ** 2).sum(dim=1).mean()}
