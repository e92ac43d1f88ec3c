"""How the energies of the layers are distributed: mixtures, each given the energies before it."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

from caloforge.models.anvil.choice import chosen_class

__all__ = ["EnergyMixtures"]

N_COMPONENTS = 10
_HIDDEN = 64
ENERGY_NARROWEST, ENERGY_WIDEST = math.log(0.003), math.log(3.0)


class EnergyMixtures(nn.Module):
    """A density of numbers of the order of one, given a condition, and a way to draw them.

    Attributes:
        width: How many numbers.
    """

    def __init__(self, width: int, condition: int) -> None:
        """Begin with broad mixtures.

        Args:
            width: How many numbers.
            condition: Length of the condition.
        """
        super().__init__()
        self.width = width
        self.networks = nn.ModuleList(_network(condition + i) for i in range(width))

    def log_density(self, numbers: Tensor, condition: Tensor) -> Tensor:
        """Logarithm of the density: shape (N,), for numbers of shape (N, width)."""
        total = torch.zeros_like(numbers[:, 0])
        for i in range(self.width):
            weight, place, scale = self._mixture(i, numbers[:, :i], condition)
            z = (numbers[:, i : i + 1] - place) / scale
            density = torch.log_softmax(weight, dim=1) - 0.5 * z**2 - torch.log(scale)
            total = total + torch.logsumexp(density, dim=1) - 0.5 * math.log(2 * math.pi)
        return total

    def forward(self, noise: Tensor, condition: Tensor) -> Tensor:
        """Draw numbers: shape (N, width), from standard normal noise of shape (N, 2 width)."""
        which, value = torch.chunk(noise, 2, dim=1)
        numbers = noise[:, :0]
        for i in range(self.width):
            weight, place, scale = self._mixture(i, numbers, condition)
            chosen = chosen_class(weight, which[:, i])
            drawn = (chosen * (place + scale * value[:, i : i + 1])).sum(dim=1, keepdim=True)
            numbers = torch.cat([numbers, drawn], dim=1)
        return numbers

    def _mixture(self, i: int, before: Tensor, condition: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        network = cast("nn.Sequential", self.networks[i])
        found = network(torch.cat([condition, before], dim=1))
        weight, place, scale = torch.chunk(found, 3, dim=1)
        scale = torch.exp(
            ENERGY_NARROWEST + (ENERGY_WIDEST - ENERGY_NARROWEST) * torch.sigmoid(scale)
        )
        return weight, place, scale


def _network(inputs: int) -> nn.Sequential:
    last = nn.Linear(_HIDDEN, 3 * N_COMPONENTS)
    with torch.no_grad():
        last.weight.mul_(0.1)
        last.bias[N_COMPONENTS : 2 * N_COMPONENTS] = torch.linspace(-2.0, 2.0, N_COMPONENTS)
        last.bias[2 * N_COMPONENTS :] = 0.7
    return nn.Sequential(
        nn.Linear(inputs, _HIDDEN), nn.SiLU(), nn.Linear(_HIDDEN, _HIDDEN), nn.SiLU(), last
    )
