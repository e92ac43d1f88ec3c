"""Autoregressive flows with rational-quadratic splines, fast one way and slow the other.

References:
    G. Papamakarios et al., *Masked autoregressive flow*, arXiv:1705.07057;
    D. P. Kingma et al., *Inverse autoregressive flow*, arXiv:1606.04934;
    C. Durkan et al., *Neural spline flows*, arXiv:1906.04032.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from caloforge.models.blocks.spline import Spline
from caloforge.models.caloflow.masked import MaskedNetwork

__all__ = ["AutoregressiveBlock", "Flow", "Passage", "Shape", "orders_within"]


@dataclass(frozen=True)
class Shape:
    """Size of a flow.

    Attributes:
        blocks: Blocks, each with a network.
        width: Units of a hidden layer.
        layers: Hidden layers of a network.
        bins: Bins of each spline.
        bound: Where the splines become the identity.
        dropout: Share of the hidden units that training leaves out.
    """

    blocks: int
    width: int
    layers: int
    bins: int
    bound: float
    dropout: float = 0.0


@dataclass(frozen=True)
class Passage:
    """Numbers on their way through a flow.

    Attributes:
        values: Before the first block, between blocks, behind the last: shape (N, D) each.
        parameters: Of the splines of each block, as its network gave them.
        steepness: Logarithm of the volume factor from data to noise: shape (N,).
    """

    values: tuple[Tensor, ...]
    parameters: tuple[tuple[Tensor, ...], ...]
    steepness: Tensor

    @property
    def end(self) -> Tensor:
        """What came out: shape (N, D)."""
        return self.values[-1]


class AutoregressiveBlock(nn.Module):
    """Splines from data to noise, one for each number; its network sees the numbers before it.

    Of the data (masked autoregressive) or of the noise (inverse autoregressive): what the network
    sees all of at once is done in one go, the other way takes a step for each number.

    Attributes:
        order: The numbers in the order in which they see one another: shape (D,).
        network: Gives the parameters of the splines.
    """

    order: Tensor
    back: Tensor

    def __init__(self, order: Tensor, context: int, shape: Shape) -> None:
        super().__init__()
        self.register_buffer("order", order)
        self.register_buffer("back", torch.argsort(order))
        self.bins, self.bound = shape.bins, shape.bound
        self.network = MaskedNetwork(
            len(order),
            context,
            Spline.n_parameters(shape.bins),
            width=shape.width,
            layers=shape.layers,
            dropout=shape.dropout,
        )

    def to_noise(self, data: Tensor, context: Tensor) -> tuple[Tensor, tuple[Tensor, ...], Tensor]:
        """Data to noise in one go, for a block whose network sees data.

        Returns:
            The noise, the parameters of the splines, and the logarithm of the volume factor.
        """
        data = data[:, self.order]
        parameters = self.network(data, context)
        noise, steepness = [], torch.zeros_like(data[:, 0])
        for part, each in zip(self.network.split(data), parameters, strict=True):
            values, steep = Spline(each, self.bins, self.bound).inverse(part)
            noise.append(values)
            steepness = steepness - steep.sum(dim=1)
        return torch.cat(noise, dim=1)[:, self.back], tuple(parameters), steepness

    def to_data(
        self, noise: Tensor, context: Tensor, *, volume: bool = False
    ) -> tuple[Tensor, tuple[Tensor, ...], Tensor]:
        """Noise to data in one go, for a block whose network sees noise.

        Returns:
            The data, the parameters of the splines, and if ``volume`` is asked for the logarithm of
            the volume factor from data to noise, else zeros.
        """
        noise = noise[:, self.order]
        parameters = self.network(noise, context)
        data, steepness = [], torch.zeros_like(noise[:, 0])
        for part, each in zip(self.network.split(noise), parameters, strict=True):
            spline = Spline(each, self.bins, self.bound)
            data.append(spline.forward(part))
            if volume:
                steepness = steepness - spline.inverse(data[-1])[1].sum(dim=1)
        return torch.cat(data, dim=1)[:, self.back], tuple(parameters), steepness

    def draw(self, noise: Tensor, context: Tensor) -> Tensor:
        """Noise to data one number after the other, for a block whose network sees data.

        In double precision: rounding grows from number to number.
        """
        steps = [each.double() for each in self.network.steps()]
        deeper = [each.double() for each in self.network.deeper()]
        rows = [noise[:, self.order].double().T.contiguous(), *steps]
        context = context.double()

        def step(known: Tensor, value: Tensor, *tensors: Tensor) -> list[Tensor]:
            column, weight, direct, bias, context, *deeper = tensors
            parameters = self.network.step(
                known, context, weight=weight, direct=direct, bias=bias, deeper=deeper
            )
            spline = Spline(parameters[:, :, None], self.bins, self.bound)
            found = spline.forward(value[:, None])
            return [known + found * column, found[:, 0].clone()]

        known = self.network.begin(context)
        if torch.compiler.is_exporting():
            # One node of the graph that goes through the rows, in place of a copy for each row.
            _, data = torch.ops.higher_order.scan(step, [known], rows, (context, *deeper))
        else:
            found = []
            for row in zip(*rows, strict=True):
                known, value = step(known, *row, context, *deeper)
                found.append(value)
            data = torch.stack(found)
        drawn: Tensor = data.T[:, self.back]
        return drawn


class Flow(nn.Module):
    """Blocks, one behind the other, from data to standard normal noise.

    Attributes:
        numbers: How many numbers data and noise have, D.
        blocks: The blocks, the one next to the data first.
    """

    def __init__(self, orders: Sequence[Tensor], context: int, shape: Shape) -> None:
        """Make the blocks.

        Args:
            orders: In which order the numbers see one another in each block: shape (D,) each.
            context: Length of the context.
            shape: Size of the networks.
        """
        super().__init__()
        self.numbers = len(orders[0])
        self.blocks = nn.ModuleList(AutoregressiveBlock(each, context, shape) for each in orders)

    def to_noise(self, data: Tensor, context: Tensor) -> Passage:
        """Data to noise in one go, where the networks see data.

        Args:
            data: Shape (N, D).
            context: Shape (N, context).
        """
        values, parameters, steepness = [data], [], torch.zeros_like(data[:, 0])
        for block in self._all():
            found, each, steep = block.to_noise(values[-1], context)
            values.append(found)
            parameters.append(each)
            steepness = steepness + steep
        return Passage(tuple(values), tuple(parameters), steepness)

    def to_data(self, noise: Tensor, context: Tensor, *, volume: bool = False) -> Passage:
        """Noise to data in one go, where the networks see noise: the blocks from last to first.

        Args:
            noise: Shape (N, D).
            context: Shape (N, context).
            volume: Compute the volume factor, too.
        """
        values, parameters, steepness = [noise], [], torch.zeros_like(noise[:, 0])
        for block in reversed(list(self._all())):
            found, each, steep = block.to_data(values[-1], context, volume=volume)
            values.append(found)
            parameters.append(each)
            steepness = steepness + steep
        return Passage(tuple(values), tuple(parameters), steepness)

    def log_density(self, data: Tensor, context: Tensor) -> Tensor:
        """Logarithm of the density of the data: shape (N,)."""
        passage = self.to_noise(data, context)
        normal = -0.5 * (passage.end**2).sum(dim=1) - 0.5 * self.numbers * math.log(2 * math.pi)
        return normal + passage.steepness

    def draw(self, noise: Tensor, context: Tensor) -> Tensor:
        """Noise to data number by number, where the networks see data: both of shape (N, D).

        The data are of double precision.
        """
        for block in reversed(list(self._all())):
            noise = block.draw(noise, context)
        return noise

    def _all(self) -> Iterator[AutoregressiveBlock]:
        return (cast("AutoregressiveBlock", block) for block in self.blocks)


def orders_within(sizes: Sequence[int], blocks: int) -> list[Tensor]:
    """Orders of numbers in groups: groups stay one behind the other, their numbers change places.

    As published: behind the first block the numbers of each group are turned round, behind the
    second shuffled, and so on in turn.

    Args:
        sizes: Numbers of each group.
        blocks: How many orders to give; the first is that of the numbers themselves.
    """
    order = torch.arange(sum(sizes))
    orders = [order]
    for i in range(1, blocks):
        parts = torch.split(order, list(sizes))
        if i % 2:
            parts = tuple(part.flip(0) for part in parts)
        else:
            parts = tuple(part[torch.randperm(len(part))] for part in parts)
        order = torch.cat(parts)
        orders.append(order)
    return orders
