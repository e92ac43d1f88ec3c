r"""Cells as random numbers: a decoder says how they are distributed, and they are drawn from that.

A decoder that gives one value per cell gives the mean over all showers with the same code: too
smooth, and no cell is ever empty. Here it gives for every cell the probability of a deposit, and
location, scale and shape of the distribution of its logarithm, an exponentiated Weibull one:

.. math::

    F(t) = \left(1 - e^{-h(t)}\right)^a, \qquad h(t) = e^t \text{ for } t < b, \qquad
    h(t) = e^b (1 + t - b) \text{ beyond.}

With a = 1 deposits are distributed as powers of exponential ones, as in cells that few particles
reach; with a large they are close to log-normal, as in the core. The tail to large deposits must be
a short one: of the hundreds of cells around a shower of two hits, none may outshine it. Beyond b it
is made exponential in t, so that no gradient is huge.

Given the code cells are independent, and one normal number per cell draws hit and deposit.

References:
    G. S. Mudholkar, D. K. Srivastava, *Exponentiated Weibull family*, IEEE Trans. Reliab. 42 (1993)
    299, doi:10.1109/24.229504;
    S. R. Bowling et al., *A logistic approximation to the cumulative normal distribution*,
    J. Ind. Eng. Manag. 2 (2009) 114, doi:10.3926/jiem.2009.v2n1.p114-127.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from caloforge.detector import Detector
from caloforge.preprocess import LayerFractions

__all__ = ["CellDistribution"]

_SMALLEST = 1e-4  # MeV; smaller deposits count as that: 1 in 2,000, and no observable sees them
_ODDS = 12.0  # largest log odds of a hit, either way: 1 in 160,000
_FINITE = 60.0  # of a logarithm
_EDGE = 1e-6  # least probability on either side of what is drawn
_BEND = 1.5  # b
_FAR = 12.0  # where exp(-x) no longer counts beside one, in single precision
_NEAR = 0.03  # where a few terms of a series are exact in single precision


class CellDistribution(nn.Module):
    """The distribution of the cells of a shower whose layer energies are known.

    Attributes:
        n_parameters: Numbers that a decoder gives for all cells together.
    """

    odds: Tensor
    middle: Tensor
    spread: Tensor

    def __init__(self, detector: Detector) -> None:
        """Begin with cells that are all alike.

        Args:
            detector: The readout.
        """
        super().__init__()
        self.layers = LayerFractions(detector)
        self.n_parameters = 4 * detector.n_cells
        self.register_buffer("odds", torch.zeros(detector.n_cells))
        self.register_buffer("middle", torch.zeros(detector.n_cells))
        self.register_buffer("spread", torch.ones(detector.n_cells))

    def fit(self, deposits: Tensor) -> None:
        """Take occupancy, mean and spread of each cell, so that a decoder begins near them.

        Args:
            deposits: Shape (N, n_cells), MeV.
        """
        hit = (deposits > 0).double()
        logarithm = self._logarithm(deposits).double() * hit
        # One more hit in each cell, like those in all cells: some may never be hit.
        count = hit.sum(dim=0) + 1.0
        middle, square = (
            (power.sum(dim=0) + power.sum() / hit.sum().clamp(min=1.0)) / count
            for power in (logarithm, logarithm**2)
        )
        self.odds.copy_(torch.logit(count / (len(deposits) + 2.0)))
        self.middle.copy_(middle)
        self.spread.copy_((square - middle**2).clamp(min=0.01).sqrt())

    def standardised(self, deposits: Tensor) -> Tensor:
        """What an encoder sees: hit or not, and its logarithm; shape (N, 2 n_cells)."""
        hit = deposits > 0
        logarithm = (self._logarithm(deposits) - self.middle) / self.spread
        return torch.cat([hit.to(deposits.dtype), torch.where(hit, logarithm, 0.0)], dim=1)

    def log_likelihood(self, parameters: Tensor, deposits: Tensor) -> Tensor:
        """Logarithm of the density of showers.

        Args:
            parameters: What the decoder gave: shape (N, n_parameters).
            deposits: Shape (N, n_cells), MeV.

        Returns:
            Shape (N,): sums over the cells of layers that have energy.
        """
        odds, middle, scale, shape = self._split(parameters)
        hit = deposits > 0
        filled = self.layers.per_cell(self.layers.layer_sums(deposits)) > 0
        t = ((self._logarithm(deposits) - self.middle) / self.spread - middle) / scale
        density = _log_density(t, shape) - torch.log(scale)
        chance = functional.logsigmoid(torch.where(hit, odds, -odds))
        return torch.where(filled, chance + torch.where(hit, density, 0.0), 0.0).sum(dim=1)

    def forward(self, parameters: Tensor, noise: Tensor) -> Tensor:
        """Draw cells.

        Args:
            parameters: What the decoder gave: shape (N, n_parameters).
            noise: Standard normal: shape (N, n_cells).

        Returns:
            Share of each cell in the energy of its layer: shape (N, n_cells). No layer is empty:
            if no cell is hit, the one that came closest is.
        """
        odds, middle, scale, shape = self._split(parameters)
        # Large noise is a hit. Which part of its probability lies above says how large a deposit.
        # The approximation is off by 1.4e-4 at most. Sigmoids would do, but those of ONNX Runtime
        # lose digits where they are small, and large deposits come from there.
        logit = noise * (1.5976 + 0.07056 * noise**2)
        above = (1.0 + torch.exp(-odds)) / (1.0 + torch.exp(logit))
        hit = above <= self._least(above).clamp(min=1.0)
        t = middle + scale * _quantile(above.clamp(_EDGE, 1.0 - _EDGE), shape)
        # Bounds that keep the sum of a layer a number; of one cell the value does not matter.
        cells = torch.exp((self.middle + self.spread * t).clamp(-_FINITE, _FINITE)) * hit
        return cells / self.layers.per_cell(self.layers.layer_sums(cells))

    def _least(self, above: Tensor) -> Tensor:
        """For each cell the smallest number in its layer."""
        parts = torch.split(above, self.layers.sizes, dim=1)
        least = torch.cat([part.amin(dim=1, keepdim=True) for part in parts], dim=1)
        return self.layers.per_cell(least)

    def _logarithm(self, deposits: Tensor) -> Tensor:
        """Logarithm of the share in the layer; that of the smallest deposit where there is none."""
        layers = self.layers.per_cell(self.layers.layer_sums(deposits))
        return torch.log(deposits.clamp(min=_SMALLEST)) - torch.log(layers.clamp(min=_SMALLEST))

    def _split(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Log odds of a hit; location, scale and shape of the standardised logarithm."""
        odds, middle, scale, shape = torch.chunk(parameters, 4, dim=1)
        return (
            (self.odds + odds).clamp(-_ODDS, _ODDS),
            middle,
            torch.exp(4.0 * torch.tanh(scale / 4.0) - 1.0),
            torch.exp(3.0 * torch.tanh(shape / 3.0)),
        )


def _log_density(t: Tensor, shape: Tensor) -> Tensor:
    """Logarithm of the density dF/dt."""
    low, top = t.clamp(max=_BEND), math.exp(_BEND)
    h = torch.where(t < _BEND, torch.exp(low), top * (1.0 + t - _BEND))
    # log(1 - exp(-h)) is t far below; the other branch must stay finite there, for its gradient.
    near = t > -_FAR
    reached = torch.where(near, torch.log(-torch.expm1(-torch.where(near, h, 1.0))), t)
    return torch.log(shape) + low - h + (shape - 1.0) * reached


def _quantile(above: Tensor, shape: Tensor) -> Tensor:
    """The t above which there is this probability, from operators that ONNX has."""
    # Where 1 - x or 1 - exp(-x) would lose digits, series take over.
    power = above * (1.0 + above * (1 / 2 + above * (1 / 3 + above / 4)))
    x = torch.where(above < _NEAR, power, -torch.log(1.0 - above)) / shape
    y = torch.exp(-x)
    power = x * (1.0 - x * (1 / 2 - x * (1 / 6 - x / 24)))
    h = -torch.log(torch.where(x < _NEAR, power, 1.0 - y))
    low = torch.where(y < _NEAR, y * (1 / 2 + y * (5 / 24 + y / 8)) - x, torch.log(h))
    top = math.exp(_BEND)
    return torch.where(h < top, low, _BEND - 1.0 + h / top)
