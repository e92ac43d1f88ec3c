r"""Showers as the flows see them: numbers without bounds, and back.

Of the layer energies, with u_0 the response over the largest one and u_i the share of layer i in
what the layers before left, and of the cells, as fractions x of the energy of their layer:

.. math:: y = \mathrm{logit}(\alpha + (1 - 2 \alpha) u)

Cells and layers without energy would be at one point, where a density is infinite: uniform noise
spreads them first. With the published :math:`\alpha = 10^{-6}` a cell of 50 keV of 50 GeV is hardly
another than an empty one; a smaller one takes them apart.

References:
    C. Krause, D. Shih, *CaloFlow*, arXiv:2106.05285, section III.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from caloforge.models.system import Batch, Given, Setting
from caloforge.preprocess import Condition, LayerFractions
from caloforge.units import MEV_PER_GEV

__all__ = ["Coordinates", "Seen"]

_ABOVE = 1.05  # largest response that can be made, over the largest seen


def _single(value: float) -> float:
    """The nearest number of single precision, as which it is exported."""
    return float(np.float32(value))


_DECADES = 8.0  # below the highest incident energy: less than this in a layer is not told apart
_SHIFT = 2.0  # of the logarithms of the layer energies
_DECADE = _single(1.0 / math.log(10.0))
_MEV_PER_KEV = 1e-3
_LARGEST_LOGIT = 80.0
_ENOUGH = 20000  # showers to take means from
_LEAST_SCALE = 1e-2
_LEAST_SHARE = _single(1e-15)  # of a cell: keeps the energy of a layer where all come out smaller


class Seen(NamedTuple):
    """A shower as the flows see it.

    Attributes:
        energies: Response and shares of the layers: shape (N, n_layers).
        cells: Shape (N, n_cells).
        incident: Context of the energies: shape (N, n_incident).
        context: Context of the cells: shape (N, n_context).
    """

    energies: Tensor
    cells: Tensor
    incident: Tensor
    context: Tensor


class Coordinates(nn.Module):
    """The map between deposits and what the flows see.

    Attributes:
        most: Largest response that can be made.
        n_incident: Length of the context of the energies.
        n_context: Length of the context of the cells.
    """

    most: Tensor
    shift: Tensor
    scale: Tensor

    def __init__(
        self,
        setting: Setting,
        *,
        noise: float,
        threshold: float,
        alpha: float,
        standardised: bool,
    ) -> None:
        """Know the layers.

        Args:
            setting: What is filled.
            noise: Largest noise that is put on cells and layers, keV; 0 for none.
            threshold: Cells below are empty, keV.
            alpha: How far fractions are kept from 0 and 1.
            standardised: Give every number mean zero and standard deviation one.
        """
        super().__init__()
        self.fractions = LayerFractions(setting.detector)
        self.condition = Condition(setting.energy_range, len(setting.particles), scale="log")
        self.n_incident = self.condition.width
        self.n_context = self.n_incident + setting.detector.n_layers
        self._noise, self._threshold = noise * _MEV_PER_KEV, _single(threshold * _MEV_PER_KEV)
        self._alpha, self._outside = alpha, _single(1.0 / alpha)
        self._inside = _single(alpha / (1.0 - 2.0 * alpha))
        self._standardised = standardised
        self._least = _single(MEV_PER_GEV * setting.energy_range[1] * 10.0**-_DECADES)
        self._sizes = [setting.detector.n_layers, setting.detector.n_cells]
        self.register_buffer("most", torch.ones(()))
        self.register_buffer("shift", torch.zeros(sum(self._sizes)))
        self.register_buffer("scale", torch.ones(sum(self._sizes)))

    def fit(self, train: Batch) -> None:
        """Take the largest response, and the scale of each number."""
        response = self.fractions(train.deposits, train.energy).response
        self.most.copy_(_ABOVE * response.max())
        if self._standardised:
            rows = train[: min(len(train), _ENOUGH)]
            seen = self(rows, torch.Generator().manual_seed(0))
            numbers = torch.cat([seen.energies, seen.cells], dim=1).double()
            self.shift.copy_(numbers.mean(dim=0))
            self.scale.copy_(numbers.std(dim=0).clamp(min=_LEAST_SCALE))

    def incident(self, given: Given) -> Tensor:
        """Context of the energies: shape (N, n_incident)."""
        found: Tensor = self.condition(given.energy, given.label)
        return found

    def context(self, incident: Tensor, layers: Tensor) -> Tensor:
        """Context of the cells: what the incident particle is, and the layer energies in MeV."""
        logarithms = _DECADE * torch.log(layers / self._least + 1.0) - (_DECADES - _SHIFT)
        return torch.cat([incident, logarithms], dim=1)

    def forward(self, batch: Batch, rng: torch.Generator) -> Seen:
        """Showers as the flows see them.

        Args:
            batch: Showers.
            rng: Random numbers of the noise, on the CPU.
        """
        layers = self._noisy(self.fractions.layer_sums(batch.deposits), rng)
        cells = self._noisy(batch.deposits, rng)
        sums = self.fractions.per_cell(self.fractions.layer_sums(cells))
        # Of this and of those behind it, or of the most that there can be: one as precise as the
        # other, also where a layer is all but empty.
        left = torch.flip(torch.cumsum(torch.flip(layers, (1,)), dim=1), (1,))
        most = self.most * MEV_PER_GEV * batch.energy
        parts = torch.cat([left[:, :1], layers[:, :-1], cells], dim=1)
        rests = torch.cat([(most - left[:, :1]).clamp(min=0.0), left[:, 1:], sums - cells], dim=1)
        numbers = (self._logit(parts, rests) - self.shift) / self.scale
        energies, cells = torch.split(numbers, self._sizes, dim=1)
        incident = self.incident(batch.given)
        return Seen(
            energies,
            cells,
            incident,
            self.context(incident, layers),
        )

    def layers(self, energies: Tensor, given: Given) -> Tensor:
        """Layer energies that the flow gave: shape (N, n_layers), MeV."""
        shares, rests = (torch.split(each, 1, dim=1) for each in self._fractions(energies, 0))
        left = shares[0] * self.most * (MEV_PER_GEV * given.energy)
        layers = []
        for share, rest in zip(shares[1:], rests[1:], strict=True):
            layers.append(left * share)
            left = left * rest
        return torch.cat([*layers, left], dim=1)

    def deposits(self, cells: Tensor, layers: Tensor) -> Tensor:
        """Deposits, from what the flow gave and the layer energies: shape (N, n_cells), MeV."""
        fractions = self._fractions(cells, 1)[0].clamp(min=_LEAST_SHARE)
        sums = self.fractions.per_cell(self.fractions.layer_sums(fractions))
        deposits = fractions / sums * self.fractions.per_cell(layers)
        return torch.where(deposits >= self._threshold, deposits, 0.0)

    def _noisy(self, values: Tensor, rng: torch.Generator) -> Tensor:
        if not self._noise:
            return values
        uniform = torch.rand(values.shape, generator=rng).to(values.device)
        return values + self._noise * uniform

    def _logit(self, parts: Tensor, rests: Tensor) -> Tensor:
        whole = (parts + rests).clamp(min=1e-30)
        above, below = (
            torch.log(self._alpha + (1.0 - 2.0 * self._alpha) * each / whole)
            for each in (parts, rests)
        )
        return above - below

    def _fractions(self, numbers: Tensor, which: int) -> tuple[Tensor, Tensor]:
        """Parts and rests over the whole: of the energies (0) or of the cells (1)."""
        shift, scale = (torch.split(each, self._sizes)[which] for each in (self.shift, self.scale))
        logits = (shift + scale * numbers).clamp(-_LARGEST_LOGIT, _LARGEST_LOGIT)
        part, rest = (
            # No sigmoid: that of ONNX Runtime is off where it is small. And no small number is
            # added or subtracted, as the exporter would leave it out.
            self._inside * (self._outside / (1.0 + torch.exp(-each)) - 1.0)
            for each in (logits, -logits)
        )
        return part.clamp(0.0, 1.0), rest.clamp(0.0, 1.0)
