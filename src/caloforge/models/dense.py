"""What a generator says of itself that is made of dense layers alone: a graph of stacks.

Formats for dense networks (:mod:`caloforge.export.profiles.lwtnn`) are written from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from torch import nn

__all__ = ["Dense", "DenseGraph", "DenseInput", "DenseStack"]


@dataclass(frozen=True)
class DenseInput:
    """Numbers that go into a network; what the network sees is ``scale * (number + offset)``.

    Attributes:
        name: Name of the input.
        variables: Name of each number.
        offset: Added to each number.
        scale: Multiplies it then.
    """

    name: str
    variables: tuple[str, ...]
    offset: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True)
class DenseStack:
    """Layers, one after the other.

    Attributes:
        name: Name of what comes out.
        sources: Names of inputs and of stacks before this one, put side by side.
        layers: The layers, in evaluation mode.
    """

    name: str
    sources: tuple[str, ...]
    layers: nn.Sequential


@dataclass(frozen=True)
class DenseGraph:
    """A network of dense layers.

    Attributes:
        inputs: What goes in.
        stacks: Its layers, each stack behind its sources.
        outputs: What comes out: the name of each number, by the name of the stack.
        notes: What has to be done before and behind the network, which no dense layer can do.
    """

    inputs: tuple[DenseInput, ...]
    stacks: tuple[DenseStack, ...]
    outputs: Mapping[str, tuple[str, ...]]
    notes: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class Dense(Protocol):
    """A generator with a network of dense layers."""

    def dense_graph(self) -> DenseGraph:
        """The network.

        Raises:
            ExportError: With these settings it is not made of dense layers alone.
        """
        ...
