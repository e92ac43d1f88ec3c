"""A WGAN-GP with two critics, one of them made of the blocks of the house."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from caloforge.detector import Detector
from caloforge.models.blocks import LocallyConnected2d, MinibatchDiscrimination, SameConv2d
from caloforge.models.config import SystemConfig
from caloforge.models.system import (
    AdversarialSystem,
    Batch,
    GeneratorNetwork,
    Given,
    Losses,
    Setting,
)

LATENT = 5


class CriticsConfig(SystemConfig):
    system: ClassVar[str] = "toy-critics"

    penalty: float = 10.0
    energy_penalty: float = 1e-2

    @classmethod
    def presets(cls) -> dict[str, Self]:
        return {"paper": cls(epochs=50, batch_size=8), "cpu": cls(epochs=2, batch_size=4)}


class CriticsGenerator(GeneratorNetwork):
    def __init__(self, cells: int) -> None:
        super().__init__()
        self.noise = LATENT
        self.layers = nn.Sequential(nn.Linear(LATENT, 16), nn.SiLU(), nn.Linear(16, cells))

    def forward(self, z: Tensor, given: Given) -> Tensor:
        return 1000.0 * given.energy * torch.softmax(self.layers(z), dim=1)


class ImageCritic(nn.Module):
    """Convolution, locally connected layer and minibatch features: all must bend twice."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size
        self.convolution = SameConv2d(1, 2, (2, 2))
        self.local = LocallyConnected2d(2, 2, size, (2, 2))
        cells = 2 * self.local.size[0] * self.local.size[1]
        self.among = MinibatchDiscrimination(cells, features=2, dimensions=2)
        self.head = nn.Linear(cells + 2, 1)

    def forward(self, share: Tensor) -> Tensor:
        image = torch.tanh(self.convolution(share.T.reshape(*self.size, 1, -1)))
        flat = torch.tanh(self.local(image)).flatten(0, 2).T
        found: Tensor = self.head(torch.cat([flat, self.among(flat)], dim=1))
        return found


class ToyCritics(AdversarialSystem):
    config_type = CriticsConfig
    critics = ("image_critic", "energy_critic")
    critic_steps = 3
    config: CriticsConfig

    def __init__(self, config: CriticsConfig, setting: Setting) -> None:
        super().__init__(config, setting)
        (layer,) = setting.detector.layers
        self.generator = CriticsGenerator(setting.detector.n_cells)
        self.image_critic = ImageCritic((layer.shape[0], layer.shape[1]))
        self.energy_critic = nn.Sequential(nn.Linear(1, 4), nn.SiLU(), nn.Linear(4, 1))

    @classmethod
    def readout(cls, config: SystemConfig, detector: Detector) -> Detector:
        return replace(detector, name="middle", layers=detector.layers[1:2])

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        names = ("generator", *self.critics)
        return {name: torch.optim.Adam(getattr(self, name).parameters(), 1e-3) for name in names}

    def critic_losses(
        self, real: Batch, fake: Batch, rng: torch.Generator
    ) -> Iterator[tuple[str, Losses]]:
        for name, seen, weight in (
            ("image_critic", share, self.config.penalty),
            ("energy_critic", response, self.config.energy_penalty),
        ):
            critic = getattr(self, name)
            first, second = seen(real), seen(fake)
            mixed = torch.rand(len(first), 1, generator=rng)
            gap = critic(second).mean() - critic(first).mean()
            penalty = gradient_penalty(critic, mixed * first + (1 - mixed) * second)
            yield name, {"gap": gap, "penalty": weight * penalty}

    def generator_losses(self, fake: Batch, rng: torch.Generator) -> Iterator[tuple[str, Losses]]:
        image = -self.image_critic(share(fake)).mean()
        yield "generator", {"image": image, "energy": -self.energy_critic(response(fake)).mean()}


def share(batch: Batch) -> Tensor:
    return batch.deposits / (1000.0 * batch.energy)


def response(batch: Batch) -> Tensor:
    return share(batch).sum(dim=1, keepdim=True)


def gradient_penalty(critic: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """(|gradient| - 1)^2, whose gradient goes through that of the critic."""
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    penalty: Tensor = ((gradient.norm(dim=1) - 1) ** 2).mean()
    return penalty
