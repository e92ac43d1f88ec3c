"""Monotonic rational-quadratic splines: any increasing curve, and back, in closed form.

References:
    C. Durkan et al., *Neural spline flows*, arXiv:1906.04032.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["Spline"]

_LEAST = 1e-3  # width and height of a bin, over the range, and slope
# Of single precision, as they are exported, also where values are of double precision.
_LEAST_SLOPE = float(np.float32(_LEAST))
# Softplus of it and the least slope make one.
_UNIT_SLOPE = float(np.float32(math.log(math.expm1(1.0 - _LEAST))))


class _Bin(NamedTuple):
    """The bins that values are in: left edge, width, bottom, height, slopes at both ends."""

    left: Tensor
    width: Tensor
    bottom: Tensor
    height: Tensor
    first: Tensor
    last: Tensor


class Spline:
    """Splines from [-bound, bound] onto itself, the identity outside.

    Attributes:
        bound: Where the curves become the identity; their slope there is one.
    """

    def __init__(self, parameters: Tensor, bins: int, bound: float) -> None:
        """Make one spline for each value; parameters of zero give the identity.

        Args:
            parameters: Any numbers: shape (N, 3 bins - 1, D) for values of shape (N, D). (Short
                axes are slow as the last ones.)
            bins: Bins of each spline.
            bound: Half of the range.
        """
        widths, heights, slopes = torch.split(parameters, [bins, bins, bins - 1], dim=1)
        self.bound = bound
        self._x, self._y = (_edges(each, bins, bound) for each in (widths, heights))
        inner = _LEAST_SLOPE + torch.log(
            1.0 + torch.exp(slopes + _UNIT_SLOPE)
        )  # a softplus, but fast
        self._slopes = functional.pad(inner, (0, 0, 1, 1), value=1.0)

    @staticmethod
    def n_parameters(bins: int) -> int:
        """Numbers that one spline needs."""
        return 3 * bins - 1

    def forward(self, x: Tensor) -> Tensor:
        """The values of the curves at x, shape (N, D)."""
        inside = x.clamp(-self.bound, self.bound)
        at = self._find(inside, self._x)
        slope = at.height / at.width
        u = (inside - at.left) / at.width
        mixed = u * (1.0 - u)
        bend = at.first + at.last - 2.0 * slope
        y = at.bottom + at.height * (slope * u**2 + at.first * mixed) / (slope + bend * mixed)
        return torch.where(x.abs() < self.bound, y, x)

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Where the curves have the values y, and the logarithm of their slopes there."""
        inside = y.clamp(-self.bound, self.bound)
        at = self._find(inside, self._y)
        slope = at.height / at.width
        bend = at.first + at.last - 2.0 * slope
        # The quadratic equation in u, divided by height and slope: the bins differ by powers of ten
        # in both.
        rise = (inside - at.bottom) / at.height
        first, bent = at.first / slope, rise * bend / slope
        a, b, c = 1.0 - first + bent, first - bent, -rise
        root = torch.sqrt((b**2 - 4.0 * a * c).clamp(min=1e-30))
        u = (2.0 * c / (-b - root)).clamp(0.0, 1.0)
        x = at.left + u * at.width
        mixed = u * (1.0 - u)
        steep = slope**2 * (at.last * u**2 + 2.0 * slope * mixed + at.first * (1.0 - u) ** 2)
        logarithm = torch.log(steep) - 2.0 * torch.log(slope + bend * mixed)
        beyond = y.abs() >= self.bound
        return torch.where(beyond, y, x), torch.where(beyond, 0.0, logarithm)

    def _find(self, values: Tensor, edges: Tensor) -> _Bin:
        # Counting, as ONNX has no search in sorted numbers.
        index = (values[:, None] >= edges[:, 1:-1]).sum(dim=1, keepdim=True)

        def at(table: Tensor, step: int = 0) -> Tensor:
            return torch.gather(table, 1, index + step).squeeze(1)

        left, bottom = at(self._x), at(self._y)
        width, height = at(self._x, 1) - left, at(self._y, 1) - bottom
        return _Bin(left, width, bottom, height, at(self._slopes), at(self._slopes, 1))


def _edges(parameters: Tensor, bins: int, bound: float) -> Tensor:
    """Edges of bins from -bound to bound: sizes are a softmax, but none is below the least."""
    reached = torch.cumsum(torch.exp(parameters), dim=1)
    inner = reached[:, :-1] / reached[:, -1:]
    least = _LEAST * torch.arange(1, bins, device=parameters.device)[:, None]
    free = float(np.float32(1.0 - _LEAST * bins))
    edges = 2.0 * bound * (least + free * inner) - bound
    ends = torch.full_like(edges[:, :1], bound)
    return torch.cat([-ends, edges, ends], dim=1)
