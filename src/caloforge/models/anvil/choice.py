"""Which class a normal number falls into: inverse of the cumulative distribution."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["chosen_class"]

_SQRT_HALF = math.sqrt(0.5)


def chosen_class(odds: Tensor, which: Tensor) -> Tensor:
    """Draw classes.

    Args:
        odds: Logarithms of the weights of the classes: shape (..., n).
        which: Standard normal numbers: shape (...).

    Returns:
        One for the class that was drawn, zero for the others: shape (..., n).
    """
    upto = torch.cumsum(torch.softmax(odds, dim=-1), dim=-1)
    uniform = 0.5 * (1.0 + torch.erf(which * _SQRT_HALF))
    passed = (uniform[..., None] >= upto[..., :-1]).to(upto.dtype)
    # One where the number falls: between the sum before and the sum with it.
    ones = torch.ones_like(passed[..., :1])
    return torch.cat([ones, passed], dim=-1) - torch.cat([passed, 0.0 * ones], dim=-1)
