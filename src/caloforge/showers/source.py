"""What makes showers, as runs see it: blocks of indices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from caloforge.showers.container import Showers

__all__ = ["MOST", "Block", "Source"]

MOST = 10**12 - 1
"""Indices of a run at most: its segments are named with twelve digits."""


@dataclass(frozen=True, eq=False)
class Block:
    """What a source made of consecutive indices of a run.

    Attributes:
        count: Number of indices that it covers. An index need not be one shower: an event has any
            number of them, whose ``event`` is its index.
        parts: The showers for each file of the run: one for each readout, or kind of particle.
    """

    count: int
    parts: tuple[Showers, ...]


class Source(Protocol):
    """Anything that makes what has the indices ``first`` to ``first + count`` of a run.

    That is one shower each, or one event of any number of showers. It must depend on its index
    alone, not on the block that it is made in. A source is sent to the worker processes, so it must
    be picklable and open what it needs on first use.
    """

    def block(self, first: int, count: int) -> Block:
        """What has the indices ``first`` to ``first + count``."""
        ...
