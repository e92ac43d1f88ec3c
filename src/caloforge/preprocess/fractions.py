"""Deposits as fractions: of the incident energy, of the shower, of the layer.

All are exact: ``inverse`` undoes ``forward`` up to rounding, empty layers and empty showers
included, and no energy is made or lost.

References:
    C. Krause, D. Shih, *CaloFlow*, arXiv:2106.05285, section III: the layer energies as fractions
    of what the layers before have left, and cells normalised per layer.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from caloforge.detector import Detector
from caloforge.units import MEV_PER_GEV

__all__ = ["IncidentFractions", "LayerFractions", "LayerShares", "Sticks"]


class IncidentFractions(nn.Module):
    """Deposits as fractions of the incident energy."""

    def forward(self, deposits: Tensor, energy: Tensor) -> Tensor:
        """E_cell / E_inc.

        Args:
            deposits: Shape (N, n_cells), MeV.
            energy: Incident energy: shape (N, 1), GeV.

        Returns:
            Shape (N, n_cells).
        """
        return deposits / (MEV_PER_GEV * energy)

    def inverse(self, fractions: Tensor, energy: Tensor) -> Tensor:
        """The deposits in MeV, from fractions of shape (N, n_cells) and energies (N, 1) in GeV."""
        return fractions * (MEV_PER_GEV * energy)


class LayerShares(NamedTuple):
    """A shower as fractions.

    Attributes:
        response: Deposited over incident energy: shape (N, 1).
        layers: Share of each layer in the deposited energy: shape (N, n_layers); zero in an empty
            shower.
        cells: Share of each cell in the energy of its layer: shape (N, n_cells); zero in an empty
            layer.
    """

    response: Tensor
    layers: Tensor
    cells: Tensor


class LayerFractions(nn.Module):
    """Deposits as total response, layer fractions, and cells normalised per layer."""

    def __init__(self, detector: Detector) -> None:
        """Know which cells are one layer.

        Args:
            detector: The readout.
        """
        super().__init__()
        self.sizes = [layer.n_cells for layer in detector.layers]

    def layer_sums(self, cells: Tensor) -> Tensor:
        """Sums over the cells of each layer: of shape (N, n_cells), to shape (N, n_layers)."""
        parts = torch.split(cells, self.sizes, dim=1)
        return torch.cat([part.sum(dim=1, keepdim=True) for part in parts], dim=1)

    def per_cell(self, layers: Tensor) -> Tensor:
        """Each cell's layer's value: of shape (N, n_layers), to shape (N, n_cells)."""
        parts = torch.split(layers, 1, dim=1)
        return torch.cat(
            [part.expand(-1, size) for part, size in zip(parts, self.sizes, strict=True)], dim=1
        )

    def forward(self, deposits: Tensor, energy: Tensor) -> LayerShares:
        """Take deposits apart.

        Args:
            deposits: Shape (N, n_cells), MeV.
            energy: Incident energy: shape (N, 1), GeV.
        """
        layers = self.layer_sums(deposits)
        total = layers.sum(dim=1, keepdim=True)
        return LayerShares(
            total / (MEV_PER_GEV * energy),
            _ratio(layers, total),
            _ratio(deposits, self.per_cell(layers)),
        )

    def inverse(self, shares: LayerShares, energy: Tensor) -> Tensor:
        """Put deposits together.

        Args:
            shares: Fractions that sum to one over layers and over the cells of each layer.
            energy: Incident energy: shape (N, 1), GeV.

        Returns:
            Shape (N, n_cells), MeV.
        """
        layers = shares.layers * shares.response * (MEV_PER_GEV * energy)
        return shares.cells * self.per_cell(layers)


class Sticks(nn.Module):
    r"""Layer fractions as independent numbers between 0 and 1, by breaking a stick.

    .. math:: u_i = f_i / \sum_{k \ge i} f_k

    for all layers but the last, whose u is one: of what the layers before left, layer i takes the
    share :math:`u_i`.
    """

    def forward(self, layers: Tensor) -> Tensor:
        """The shares of what is left.

        Args:
            layers: Layer fractions, shape (N, n_layers).

        Returns:
            Shape (N, n_layers - 1); 1 where nothing is left.
        """
        left = torch.flip(torch.cumsum(torch.flip(layers, (1,)), dim=1), (1,))
        return torch.where(left > 0, _ratio(layers, left), torch.ones_like(left))[:, :-1]

    def inverse(self, sticks: Tensor) -> Tensor:
        """The layer fractions, shape (N, n_layers), from sticks of shape (N, n_layers - 1)."""
        left = torch.ones_like(sticks[:, :1])
        layers = []
        for stick in torch.split(sticks, 1, dim=1):
            layers.append(left * stick)
            left = left * (1.0 - stick)
        return torch.cat([*layers, left], dim=1)


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    """Part over whole, zero where there is nothing; its gradient is finite there too."""
    some = whole > 0
    return torch.where(some, part, 0.0) / torch.where(some, whole, 1.0)
