"""Sources of showers that are cheap, and some that fail; worker processes import them."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from caloforge.detector import Detector, RectangularLayer
from caloforge.errors import EnergyError
from caloforge.random import Purpose, stream
from caloforge.showers import Showers
from caloforge.showers.source import Block

BOX = Detector("box", (RectangularLayer((0, 1), tuple(range(11)), tuple(range(11))),))
ROD = Detector("rod", (RectangularLayer((0, 1), (0, 1), (0, 5, 10)),))


@dataclass(frozen=True)
class Cheap:
    """Showers that depend on their index alone.

    Attributes:
        fails_at: Block that begins at or behind this shower fails ...
        how: ... with an error of ours, a bug, or the sudden death of the process ...
        unless: ... as long as this file does not exist.
    """

    seed: int = 1
    readouts: tuple[Detector, ...] = (BOX,)
    fails_at: int = 1 << 60
    how: str = "error"
    unless: Path | None = None
    pause: float = 0.0

    def block(self, first: int, count: int) -> Block:
        time.sleep(self.pause)
        if first + count > self.fails_at and not (self.unless and self.unless.exists()):
            if self.how == "error":
                msg = f"energies: shower {self.fails_at} is out of range"
                raise EnergyError(msg)
            if self.how == "bug":
                msg = "a bug"
                raise ZeroDivisionError(msg)
            if self.how == "interrupt":
                raise KeyboardInterrupt
            os._exit(9)
        rngs = [stream(self.seed, Purpose.GENERATOR, i) for i in range(first, first + count)]
        energy = np.array([1 + rng.random() for rng in rngs])
        showers = [
            Showers(
                readout,
                energy,
                np.array([rng.exponential(1, readout.n_cells) for rng in rngs], np.float32),
                "e-",
                overflow=np.array([rng.random(readout.n_layers) for rng in rngs]),
            )
            for readout in self.readouts
        ]
        return Block(count, tuple(showers))


class DiesAtBirth(Cheap):
    """Kills the worker process as soon as that has been given it."""

    def __reduce__(self) -> tuple[object, ...]:
        return os._exit, (9,)
