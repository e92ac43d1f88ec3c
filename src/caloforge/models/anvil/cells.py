r"""How the deposit of a cell is distributed: nothing, a line of the spectrum, or a mixture.

.. math::

    p(e) = p_0 \, [e = 0] + \sum_i p_i \, [e = \ell_i] + \sum_k \pi_k \, N(\ln e; \mu_k, \sigma_k)

Calorimeters have lines: a photon of an annihilation that ends in one cell leaves 0.511 MeV there,
exactly. No density has lines, so that generators without atoms are told by them. They are found in
the train rows (:func:`find_lines`), not written down here.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from caloforge.models.anvil.choice import chosen_class

__all__ = ["CellDistribution", "find_lines"]

SMALLEST = 1e-5  # MeV; smaller deposits count as that
FINITE = 30.0  # of a logarithm of a deposit
_POWERS = 3  # of a layer's energy
_SHARED = 20.0  # hits of all cells that each cell is given
FAR = 8.0  # of a deviation that is seen
_WIDTH = 5e-4  # of a line, relative: deposits are rounded to 12 bits
_LINES_FROM, _LINES_TO = 1e-4, 20.0  # MeV
_CLEAR = 12.0  # errors by which a line stands out of what is beside it
_FREQUENT = 0.02  # cells of a shower
NARROWEST, WIDEST = 0.01, 3.0  # of a component, over the spread of the cell


def find_lines(deposits: Tensor, most: int) -> Tensor:
    """The lines of a spectrum: deposits that many cells share.

    Args:
        deposits: Shape (N, n_cells), MeV.
        most: How many to look for.

    Returns:
        Their energies, the most frequent first: shape (most,), MeV; 0 where there is none.
    """
    low, high = math.log(_LINES_FROM), math.log(_LINES_TO)
    bins = int((high - low) / _WIDTH)
    found = deposits[(deposits > _LINES_FROM) & (deposits < _LINES_TO)].double()
    place = ((found.log() - low) / _WIDTH).long().clamp(0, bins - 1)
    count = torch.bincount(place, minlength=bins).double()
    total = torch.bincount(place, weights=found, minlength=bins)
    # A line may lie across two bins; what is beside it is the median of the bins around.
    pair = count + torch.roll(count, -1)
    around = torch.nn.functional.pad(count[None], (25, 25), mode="reflect")[0].unfold(0, 51, 1)
    beside = 2.0 * around.median(dim=1).values
    excess = pair - beside
    excess[excess < torch.clamp(_CLEAR * (beside + 1.0).sqrt(), min=_FREQUENT * len(deposits))] = 0
    lines = torch.zeros(most)
    for i in range(most):
        k = int(excess.argmax())
        if excess[k] <= 0:
            break
        both = [k, (k + 1) % bins]
        lines[i] = float(total[both].sum() / count[both].sum())
        excess[max(0, k - 4) : k + 5] = 0.0
    return lines


class CellDistribution(nn.Module):
    """The distributions of the cells, given what a network says of each.

    Attributes:
        n_lines: Lines of the spectrum.
        n_components: Components of the mixture.
        n_parameters: Numbers that the network gives for each cell.
    """

    lines: Tensor
    curve: Tensor
    spread: Tensor
    start: Tensor

    def __init__(self, n_cells: int, n_lines: int, n_components: int) -> None:
        """Begin with cells that are all alike.

        Args:
            n_cells: Number of cells.
            n_lines: Lines of the spectrum, at most.
            n_components: Components of the mixture.
        """
        super().__init__()
        self.n_lines, self.n_components = n_lines, n_components
        self.n_classes = 1 + n_lines + n_components
        self.n_parameters = self.n_classes + 3 * n_components
        self.register_buffer("lines", torch.zeros(n_lines))
        self.register_buffer("curve", torch.zeros(n_cells, _POWERS))
        self.register_buffer("spread", torch.ones(n_cells))
        self.register_buffer("start", torch.zeros(n_cells, self.n_parameters))

    def fit(self, deposits: Tensor, layer: Tensor) -> None:
        """Take lines, occupancy, and where the deposits of each cell are for a layer's energy.

        Args:
            deposits: Shape (N, n_cells), MeV.
            layer: Energy of each cell's layer, as a number of the order of one: shape (N, n_cells).
        """
        self.lines.copy_(find_lines(deposits, self.n_lines))
        hit = (deposits > 0).double()
        logarithm = self.logarithm(deposits).double()
        powers = torch.stack([layer.double() ** i for i in range(_POWERS)], dim=2)
        # Least squares on the hits of each cell, and a little of those of all: some are never hit.
        square = torch.einsum("nci,nc,ncj->cij", powers, hit, powers)
        right = torch.einsum("nci,nc,nc->ci", powers, hit, logarithm)
        count = hit.sum(dim=0)
        few = _SHARED / count.sum().clamp(min=1.0)
        square = square + few * square.sum(dim=0) + 1e-6 * torch.eye(_POWERS).double()
        right = right + few * right.sum(dim=0)
        self.curve.copy_(torch.linalg.solve(square, right[:, :, None])[:, :, 0])
        off = (logarithm - (powers * self.curve.double()).sum(dim=2)) ** 2 * hit
        spread = (off.sum(dim=0) + few * off.sum()) / (count + few * count.sum()).clamp(min=1e-9)
        self.spread.copy_(spread.clamp(min=1e-4).sqrt())
        share = (count + 1.0) / (len(deposits) + 2.0)
        line = self.line(deposits)
        k, n = self.n_components, self.n_lines
        start = torch.zeros_like(self.start, dtype=torch.float64)
        start[:, 0] = torch.log1p(-share)
        for i in range(n):
            found = (line == i + 1).double().sum(dim=0)
            start[:, 1 + i] = torch.log((found + 0.01) / (len(deposits) + 2.0))
        start[:, 1 + n : 1 + n + k] = torch.log(share / k)[:, None]
        start[:, 1 + n + k : 1 + n + 2 * k] = torch.linspace(-1.5, 1.5, k).double()
        start[:, 1 + n + 3 * k :] = 1.0
        self.start.copy_(start)

    def middle(self, layer: Tensor, cells: Tensor | slice) -> Tensor:
        """Where the logarithms of deposits are expected: shape (..., n), like ``layer``."""
        curve = self.curve[cells]
        found = curve[:, _POWERS - 1]
        for i in range(_POWERS - 2, -1, -1):
            found = found * layer + curve[:, i]
        return found

    def seen(self, deposits: Tensor, layer: Tensor, cells: Tensor | slice) -> Tensor:
        """What a network sees of deposits: how much more than expected, hit or not.

        Args:
            deposits: Shape (..., n), MeV.
            layer: Energy of each cell's layer, as a number of the order of one: shape (..., n).
            cells: Which cells these are.

        Returns:
            Shape (..., n, 2).
        """
        hit = (deposits > 0).to(deposits.dtype)
        off = (self.logarithm(deposits) - self.middle(layer, cells)) / self.spread[cells]
        return torch.stack([off.clamp(-FAR, FAR) * hit, hit], dim=-1)

    def logarithm(self, deposits: Tensor) -> Tensor:
        """Logarithm of the deposits."""
        return torch.log(deposits.clamp(min=SMALLEST))

    def line(self, deposits: Tensor) -> Tensor:
        """Which line each deposit is on, from 1; 0 where it is on none."""
        found = torch.zeros(deposits.shape, dtype=torch.int64, device=deposits.device)
        for i in range(self.n_lines):
            here = (deposits - self.lines[i]).abs() <= 0.8 * _WIDTH * self.lines[i]
            found = torch.where(here & (deposits > 0), i + 1, found)
        return found

    def log_likelihood(
        self,
        parameters: Tensor,
        deposits: Tensor,
        layer: Tensor,
        left: Tensor,
        cells: Tensor | slice,
    ) -> Tensor:
        """Logarithm of the probability of each deposit.

        Args:
            parameters: What the network gave: shape (..., n, n_parameters).
            deposits: Shape (..., n), MeV.
            layer: Energy of each cell's layer, as a number of the order of one: shape (..., n).
            left: What is left of it when the cell is drawn, as a number of the order of one: shape
                (..., n).
            cells: Which cells these are.
        """
        classes, place, scale = self._split(parameters, left, cells)
        classes = torch.log_softmax(classes, dim=-1)
        n = 1 + self.n_lines
        line = self.line(deposits)
        t = (self.logarithm(deposits) - self.middle(layer, cells)) / self.spread[cells]
        z = (t[..., None] - place) / scale
        density = classes[..., n:] - 0.5 * z**2 - torch.log(scale * self.spread[cells][..., None])
        mixture = torch.logsumexp(density, dim=-1) - 0.5 * math.log(2 * math.pi)
        atom = classes[..., :n].gather(-1, line[..., None])[..., 0]
        return torch.where((deposits > 0) & (line == 0), mixture, atom)

    def draw(
        self,
        parameters: Tensor,
        layer: Tensor,
        left: Tensor,
        cells: Tensor,
        which: Tensor,
        value: Tensor,
    ) -> Tensor:
        """Draw deposits.

        Args:
            parameters: What the network gave: shape (N, n, n_parameters).
            layer: Energy of each cell's layer, as a number of the order of one: shape (N, n).
            left: What is left of it when the cell is drawn, as a number of the order of one: shape
                (N, n).
            cells: Which cells these are: shape (n,).
            which: Standard normal numbers that say what the deposit is: shape (N, n).
            value: Standard normal numbers that say how large: shape (N, n).

        Returns:
            Shape (N, n), MeV.
        """
        classes, place, scale = self._split(parameters, left, cells)
        chosen = chosen_class(classes, which)
        n = 1 + self.n_lines
        part = chosen[..., n:]
        t = (part * (place + scale * value[..., None])).sum(dim=-1)
        logarithm = (self.middle(layer, cells) + self.spread[cells] * t).clamp(-FINITE, FINITE)
        on_line = (chosen[..., 1:n] * self.lines).sum(dim=-1)
        return torch.exp(logarithm) * part.sum(dim=-1) + on_line

    def _split(
        self, parameters: Tensor, left: Tensor, cells: Tensor | slice
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Classes; location and scale of each component, standardised."""
        k = self.n_components
        parameters = parameters + self.start[cells]
        classes, place, share, scale = torch.split(parameters, [self.n_classes, k, k, k], dim=-1)
        low, high = math.log(NARROWEST), math.log(WIDEST)
        scale = torch.exp(low + (high - low) * torch.sigmoid(scale))
        return classes, place + share * left[..., None], scale
