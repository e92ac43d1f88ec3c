"""Two small systems to train in tests: one for each loop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from caloforge.models.config import Positive, SystemConfig
from caloforge.models.system import (
    AdversarialSystem,
    Batch,
    GeneratorNetwork,
    Given,
    Losses,
    LossSystem,
    Setting,
)

NOISE = 4


class ToyConfig(SystemConfig):
    system: ClassVar[str] = "toy"

    learning_rate: Positive = 0.01
    critic_steps: int = 2

    @classmethod
    def presets(cls) -> dict[str, Self]:
        return {"paper": cls(epochs=100, batch_size=16), "cpu": cls(epochs=3, batch_size=8)}


class ToyGenerator(GeneratorNetwork):
    """Energy shared among the cells by a linear layer with dropout, its share a function of z."""

    def __init__(self, cells: int) -> None:
        super().__init__()
        self.noise = NOISE
        self.layer = nn.Linear(NOISE, cells)
        self.dropout = nn.Dropout(0.1)

    def forward(self, z: Tensor, given: Given) -> Tensor:
        share = torch.softmax(self.dropout(self.layer(z)), dim=1)
        return 1000.0 * given.energy * share


class ToyVariational(LossSystem):
    config_type = ToyConfig

    def __init__(self, config: ToyConfig, setting: Setting) -> None:
        super().__init__(config, setting)
        self.rate = config.learning_rate
        self.generator = ToyGenerator(setting.detector.n_cells)
        self.scale: Tensor
        self.register_buffer("scale", torch.ones(()))

    def prepare(self, train: Batch) -> None:
        self.scale = train.deposits.std()

    def schedule(self, progress: float) -> float:
        return 1.0 - 0.5 * progress

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"model": torch.optim.Adam(self.parameters(), self.rate)}

    def loss(self, batch: Batch, rng: torch.Generator) -> Losses:
        z = torch.randn(len(batch), NOISE, generator=rng)
        made = self.generator(z, batch.given)
        return {"squares": mse_loss(made / self.scale, batch.deposits / self.scale)}


class ToyAdversarial(AdversarialSystem):
    config_type = ToyConfig
    critics = ("critic", "energy_critic")
    generator_steps = 2

    def __init__(self, config: ToyConfig, setting: Setting) -> None:
        super().__init__(config, setting)
        self.rate = config.learning_rate
        self.critic_steps = config.critic_steps
        self.generator = ToyGenerator(setting.detector.n_cells)
        self.keep_average(0.9)
        self.critic = nn.Sequential(nn.Linear(setting.detector.n_cells, 8), nn.ReLU())
        self.energy_critic = nn.Linear(1, 1)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {
            name: torch.optim.Adam(getattr(self, name).parameters(), self.rate, betas=(0.5, 0.9))
            for name in ("generator", "critic", "energy_critic")
        }

    def critic_losses(
        self, real: Batch, fake: Batch, rng: torch.Generator
    ) -> Iterator[tuple[str, Losses]]:
        yield (
            "critic",
            {
                "real": self.critic(real.deposits / 1000).mean(),
                "fake": -self.critic(fake.deposits / 1000).mean(),
            },
        )
        yield "energy_critic", {"well": self._well(fake) - self._well(real)}

    def generator_losses(self, fake: Batch, rng: torch.Generator) -> Iterator[tuple[str, Losses]]:
        adversarial = self.critic(fake.deposits / 1000).mean()
        yield "generator", {"critic": adversarial, "well": -self._well(fake)}

    def _well(self, batch: Batch) -> Tensor:
        total = batch.deposits.sum(dim=1, keepdim=True) / (1000 * batch.energy)
        return torch.tanh(self.energy_critic(total)).mean()
