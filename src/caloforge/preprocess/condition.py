"""What a network is told of the incident particle."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["Condition"]


class Condition(nn.Module):
    """Incident energy and particle as numbers of the order of one.

    The energy is E / E_max (``"linear"``), or its logarithm on a scale from -1 at the lowest to 1
    at the highest energy (``"log"``). Where there are several particles, one number each follows:
    1 for the particle that it is, 0 for the others.

    Attributes:
        logarithmic: Whether the logarithm of the energy is taken.
        offset: Added to the energy in GeV, or to its logarithm.
        scale: Multiplies it then.
        n_particles: Number of particles.
        width: How many numbers there are.
    """

    def __init__(
        self, energy_range: tuple[float, float], n_particles: int, scale: Literal["linear", "log"]
    ) -> None:
        """Set the scale.

        Args:
            energy_range: Lowest and highest incident energy, GeV.
            n_particles: Number of particles.
            scale: Scale of the energy.
        """
        super().__init__()
        self.logarithmic = scale == "log"
        self.offset, self.scale = 0.0, 1.0 / energy_range[1]
        if self.logarithmic:
            low, high = (math.log(energy) for energy in energy_range)
            self.offset = -0.5 * (low + high)
            self.scale = 2.0 / max(high - low, 1e-3)  # of a single energy it does not matter
        # As they are exported, also where energies are of double precision.
        self.offset, self.scale = (float(np.float32(each)) for each in (self.offset, self.scale))
        self.n_particles = n_particles
        self.width = 1 + (n_particles if n_particles > 1 else 0)

    def forward(self, energy: Tensor, label: Tensor) -> Tensor:
        """The condition of each shower.

        Args:
            energy: Incident energy: shape (N, 1), GeV.
            label: Index of the particle: shape (N,), int64.

        Returns:
            Shape (N, width).
        """
        scaled = self.scale * ((torch.log(energy) if self.logarithmic else energy) + self.offset)
        if self.n_particles == 1:
            return scaled
        particles = torch.arange(self.n_particles, device=label.device)
        return torch.cat([scaled, (label[:, None] == particles).to(scaled.dtype)], dim=1)
