"""A toy source of events: a block of events, each with any number of showers of two particles."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import numpy as np

from caloforge.random import Purpose, stream
from caloforge.showers import Showers
from caloforge.showers.source import Block
from sources import BOX

PARTICLES = ("e-", "gamma")


@dataclass(frozen=True)
class Events:
    """Events of up to five showers of either particle; for a while there are none at all.

    Attributes:
        seed: Seed of the run.
        quiet: In these events there is no shower.
        dies_at: The process dies in this event.
        pause: Time that a block takes, s.
    """

    seed: int = 1
    quiet: range = range(0)
    dies_at: int = 1 << 60
    pause: float = 0.0

    def block(self, first: int, count: int) -> Block:
        time.sleep(self.pause)
        if first + count > self.dies_at:
            os._exit(9)
        parts = [self.showers(first, count, label) for label in range(len(PARTICLES))]
        return Block(count, tuple(parts))

    def showers(self, first: int, count: int, label: int) -> Showers:
        """The showers of one particle in the events ``first`` to ``first + count``."""
        energy, deposits, event = [], [], []
        for i in range(first, first + count):
            rng = stream(self.seed, Purpose.EVENT, 2 * i + label)
            for _ in range(0 if i in self.quiet else rng.integers(6)):
                energy.append(1 + rng.random())
                deposits.append(rng.exponential(1, BOX.n_cells))
                event.append(i)
        return Showers(
            BOX,
            np.array(energy),
            np.array(deposits, np.float32).reshape(-1, BOX.n_cells),
            PARTICLES[label],
            event=np.array(event, np.int64),
        )
