"""Masked networks: what is said of each number is a function of those before it alone.

References:
    M. Germain et al., *MADE: masked autoencoder for distribution estimation*, arXiv:1502.03509.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["MaskedNetwork", "Steps"]

_PARTS = 8  # outputs are computed in so many parts, each from the hidden units that it may see
_SMALL = 0.1  # first weights of the outputs, over those that are usual


class Steps(NamedTuple):
    """What a network needs to be run one number at a time: a row for each number.

    Attributes:
        column: What a number adds to the first hidden units: shape (D, width).
        weight: Of what is said of a number: shape (D, parameters, width).
        direct: Of the context in it: shape (D, parameters, context).
        bias: Its offset: shape (D, parameters).
    """

    column: Tensor
    weight: Tensor
    direct: Tensor
    bias: Tensor


class MaskedNetwork(nn.Module):
    """Dense layers with ReLU: from D numbers to some parameters for each of them.

    Every hidden unit has a degree, the count of numbers from the first on that it depends on; the
    parameters of a number depend on units of no higher degree than there are numbers before it, and
    on the context. Degrees grow evenly from unit to unit, so that the last numbers are seen, too,
    where there are fewer units than numbers. Units are in the order of their degrees, and weights
    that the masks would set to zero in blocks are not there at all.

    Attributes:
        numbers: How many numbers there are, D.
        per_number: How many parameters each has.
    """

    first_mask: Tensor
    middle_mask: Tensor

    def __init__(
        self,
        numbers: int,
        context: int,
        parameters: int,
        *,
        width: int,
        layers: int,
        dropout: float = 0.0,
    ) -> None:
        """Make the layers.

        Args:
            numbers: How many numbers there are, D.
            context: Length of the context.
            parameters: How many parameters each number has.
            width: Units of each hidden layer.
            layers: Hidden layers, at least one.
            dropout: Share of the hidden units of the last layer that training leaves out.
        """
        super().__init__()
        self.numbers, self.per_number = numbers, parameters
        degrees = torch.arange(width) * numbers // width
        self.first = nn.Linear(numbers, width)
        self.context = nn.Linear(context, width, bias=False)
        self.middle = nn.ModuleList(nn.Linear(width, width) for _ in range(layers - 1))
        self.dropout = nn.Dropout(dropout)
        self.direct = nn.Parameter(torch.zeros(parameters, numbers, context))
        self.bias = nn.Parameter(torch.zeros(parameters, numbers))
        places = torch.arange(numbers)
        self._parts = [len(part) for part in torch.tensor_split(places, min(_PARTS, numbers))]
        self.register_buffer("first_mask", degrees[:, None] > places, persistent=False)
        self.register_buffer("middle_mask", degrees[:, None] >= degrees, persistent=False)
        self.last = nn.ParameterList()
        for i, part in enumerate(torch.split(places, self._parts)):
            units = int((degrees <= part[-1]).sum())
            spread = _SMALL / units**0.5
            self.last.append(torch.empty(parameters, len(part), units).uniform_(-spread, spread))
            self.register_buffer(f"last_mask_{i}", degrees[:units] <= part[:, None], False)

    def forward(self, numbers: Tensor, context: Tensor) -> list[Tensor]:
        """The parameters of all numbers, given all of them.

        Args:
            numbers: Shape (N, D).
            context: Shape (N, context).

        Returns:
            Part by part of the numbers, as in :meth:`split`: shape (N, parameters, part).
        """
        hidden = functional.linear(numbers, self.first.weight * self.first_mask, self.first.bias)
        hidden = _hidden(hidden + self.context(context), self.deeper())
        hidden = self.dropout(hidden)
        found = []
        parts = zip(
            self.last,
            torch.split(self.direct, self._parts, dim=1),
            torch.split(self.bias, self._parts, dim=1),
            strict=True,
        )
        for i, (weight, direct, bias) in enumerate(parts):
            mask: Tensor = getattr(self, f"last_mask_{i}")
            units = weight.shape[2]
            seen = torch.cat([hidden[:, :units], context], dim=1)
            both = torch.cat([weight * mask, direct], dim=2)
            flat = functional.linear(seen, both.flatten(0, 1), bias.flatten())
            found.append(flat.reshape(-1, self.per_number, weight.shape[1]))
        return found

    def split(self, numbers: Tensor) -> Sequence[Tensor]:
        """Numbers of shape (N, D), part by part."""
        return torch.split(numbers, self._parts, dim=1)

    def begin(self, context: Tensor) -> Tensor:
        """The first hidden units before any number is known: shape (N, width), before ReLU."""
        weight = self.context.weight.to(context.dtype)
        return self.first.bias.to(context.dtype) + context @ weight.T

    def steps(self) -> Steps:
        """The weights in the order in which :meth:`step` needs them."""
        width = self.first.out_features
        weights = [
            functional.pad(weight * getattr(self, f"last_mask_{i}"), (0, width - weight.shape[2]))
            for i, weight in enumerate(self.last)
        ]
        return Steps(
            (self.first.weight * self.first_mask).T,
            torch.cat(weights, dim=1).transpose(0, 1),
            self.direct.transpose(0, 1),
            self.bias.T,
        )

    def deeper(self) -> tuple[Tensor, ...]:
        """Weights and offsets of the hidden layers behind the first, in turn."""
        layers = (cast("nn.Linear", layer) for layer in self.middle)
        return tuple(
            each for layer in layers for each in (layer.weight * self.middle_mask, layer.bias)
        )

    @staticmethod
    def step(
        known: Tensor,
        context: Tensor,
        *,
        weight: Tensor,
        direct: Tensor,
        bias: Tensor,
        deeper: Sequence[Tensor],
    ) -> Tensor:
        """The parameters of one number, given those before it.

        The first hidden units carry what is known: behind each number its ``column`` times the
        number is added to them. So the first layer and the outputs, of all numbers, cost as much
        as once through the network.

        Args:
            known: First hidden units before ReLU, of the numbers before it: shape (N, width).
            context: Shape (N, context).
            weight: Row of :class:`Steps`.
            direct: The same.
            bias: The same.
            deeper: What :meth:`deeper` gives.

        Returns:
            Shape (N, parameters).
        """
        return _hidden(known, deeper) @ weight.T + context @ direct.T + bias


def _hidden(first: Tensor, deeper: Sequence[Tensor]) -> Tensor:
    """The last hidden units, from the first before ReLU."""
    hidden = torch.relu(first)
    for weight, bias in zip(deeper[::2], deeper[1::2], strict=True):
        hidden = torch.relu(functional.linear(hidden, weight, bias))
    return hidden
