"""A prior that is learnt: normal numbers, bent by splines that know the condition.

The codes of an encoder do not fill a standard normal distribution, and where they are missing a
decoder has never been trained. A prior that is learnt together with it goes where the codes are.

References:
    X. Chen et al., *Variational lossy autoencoder*, arXiv:1611.02731: the learnt prior;
    C. Durkan et al., *Neural spline flows*, arXiv:1906.04032: couplings with splines;
    F. Ernst et al., *Normalizing flows for high-dimensional detector simulations*,
    arXiv:2312.09290: layer energies and latent code of a shower VAE in one such flow.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

from caloforge.models.blocks.spline import Spline

__all__ = ["CouplingFlow"]

_HIDDEN = 64
_BINS = 8
_BOUND = 5.0  # standard deviations


class CouplingFlow(nn.Module):
    """A density of codes, given the condition, and a way to draw them.

    Attributes:
        width: Length of a code.
    """

    def __init__(self, width: int, condition: int, couplings: int) -> None:
        """Begin with a standard normal distribution.

        Args:
            width: Length of a code.
            condition: Length of the condition.
            couplings: Number of couplings.
        """
        super().__init__()
        self.width = width
        orders = [torch.randperm(width) for _ in range((couplings + 1) // 2)]
        # What one coupling keeps the next one moves.
        both = [each for order in orders for each in (order, order.roll(width // 2))]
        self.couplings = nn.ModuleList(
            _Coupling(width, condition, order) for order in both[:couplings]
        )

    def log_density(self, code: Tensor, condition: Tensor) -> Tensor:
        """Logarithm of the density: shape (N,), for codes of shape (N, width)."""
        total = torch.zeros_like(code[:, 0])
        for coupling in reversed(list(self.couplings)):
            code, steepness = cast("_Coupling", coupling).inverse(code, condition)
            total = total - steepness
        return total - 0.5 * (code**2).sum(dim=1) - 0.5 * self.width * math.log(2 * math.pi)

    def forward(self, noise: Tensor, condition: Tensor) -> Tensor:
        """Codes from standard normal noise, both of shape (N, width)."""
        code = noise
        for coupling in self.couplings:
            code = coupling(code, condition)
        return code


class _Coupling(nn.Module):
    """Bend one half of the code, as the other half and the condition say."""

    order: Tensor
    back: Tensor

    def __init__(self, width: int, condition: int, order: Tensor) -> None:
        super().__init__()
        self._sizes = [width // 2, width - width // 2]
        self.register_buffer("order", order)
        self.register_buffer("back", torch.argsort(order))
        last = nn.Linear(_HIDDEN, self._sizes[1] * Spline.n_parameters(_BINS))
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.network = nn.Sequential(
            nn.Linear(self._sizes[0] + condition, _HIDDEN),
            nn.ELU(),
            nn.Linear(_HIDDEN, _HIDDEN),
            nn.ELU(),
            last,
        )

    def forward(self, code: Tensor, condition: Tensor) -> Tensor:
        kept, moved = torch.split(code[:, self.order], self._sizes, dim=1)
        moved = self._spline(kept, condition).forward(moved)
        return torch.cat([kept, moved], dim=1)[:, self.back]

    def inverse(self, code: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """What :meth:`forward` began with, and the logarithm of its volume factor."""
        kept, moved = torch.split(code[:, self.order], self._sizes, dim=1)
        before, steepness = self._spline(kept, condition).inverse(moved)
        return torch.cat([kept, before], dim=1)[:, self.back], steepness.sum(dim=1)

    def _spline(self, kept: Tensor, condition: Tensor) -> Spline:
        parameters = self.network(torch.cat([kept, condition], dim=1))
        return Spline(parameters.unflatten(1, (-1, self._sizes[1])), _BINS, _BOUND)
