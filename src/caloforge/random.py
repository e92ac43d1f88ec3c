"""Random numbers: one independent stream per shower.

All streams come from the counter-based generator Philox4x64-10 (Salmon et al., SC11,
doi:10.1145/2063384.2063405). The key is the seed of the run; the counter holds the index of the
shower and the purpose of the numbers. So shower ``i`` of a run is the same whatever the batch
size, the number of workers or the place where a run was interrupted, and a program in another
language that has Philox can draw the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from numbers import Integral

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import CaloforgeError

__all__ = ["Purpose", "Streams", "check_seed", "shower_rng", "shower_words"]


class Purpose(IntEnum):
    """What a stream of random numbers is for: streams of different purpose are independent."""

    ENERGY = 0
    BEAM = 1
    GENERATOR = 2
    GEANT4 = 3
    CONVERSION = 4
    INITIALISATION = 5
    ORDER = 6
    TRAINING = 7
    VALIDATION = 8


def check_seed(seed: int) -> int:
    """Return ``seed`` if it is a valid key.

    Args:
        seed: Integer in [0, 2**63).

    Raises:
        CaloforgeError: The seed is no integer, negative or too large.
    """
    if not isinstance(seed, Integral) or not 0 <= seed < 2**63:
        msg = f"seed: got {seed}, must be an integer between 0 and 2^63 - 1"
        raise CaloforgeError(msg)
    return seed


def _philox(seed: int, shower: int, purpose: Purpose, attempt: int = 0) -> np.random.Philox:
    # Counter words, lowest first: position inside the stream, shower, purpose, attempt.
    return np.random.Philox(counter=[0, shower, int(purpose), attempt], key=[check_seed(seed), 0])


def shower_rng(seed: int, shower: int, purpose: Purpose) -> np.random.Generator:
    """The random numbers of one shower.

    Args:
        seed: Seed of the run, in [0, 2**63).
        shower: Index of the shower within the run, from 0.
        purpose: What the numbers are for.

    Returns:
        A generator at the start of the shower's own stream (2**64 blocks of four words long).

    Examples:
        >>> shower_rng(1, 7, Purpose.ENERGY).random() == shower_rng(1, 7, Purpose.ENERGY).random()
        True
        >>> shower_rng(1, 7, Purpose.ENERGY).random() == shower_rng(1, 8, Purpose.ENERGY).random()
        False
    """
    return np.random.Generator(_philox(seed, shower, purpose))


def shower_words(seed: int, shower: int, purpose: Purpose, count: int) -> NDArray[np.uint64]:
    """Raw 64-bit words of one shower's stream: what :func:`shower_rng` draws from.

    Args:
        seed: Seed of the run, in [0, 2**63).
        shower: Index of the shower within the run, from 0.
        purpose: What the words are for.
        count: How many words.

    Returns:
        Array of shape (count,).
    """
    return np.asarray(_philox(seed, shower, purpose).random_raw(count), dtype=np.uint64)


@dataclass(frozen=True, eq=False)
class Streams:
    """The random numbers of some showers: a stream for each, the one of :func:`shower_rng`.

    Attributes:
        seed: Seed of the run, in [0, 2**63).
        showers: Indices of the showers within the run: shape (N,).
        purpose: What the numbers are for.
        attempt: How often the showers have been drawn before; each attempt has numbers of its own.

    Examples:
        >>> Streams(1, np.array([7]), Purpose.GENERATOR).normal(2).round(3)
        array([[-0.758,  0.347]])
        >>> shower_rng(1, 7, Purpose.GENERATOR).standard_normal(2).round(3)
        array([-0.758,  0.347])
    """

    seed: int
    showers: NDArray[np.int64]
    purpose: Purpose
    attempt: int = 0

    def generators(self) -> list[np.random.Generator]:
        """One generator per shower, each at the start of its stream.

        Raises:
            CaloforgeError: The seed is no integer, negative or too large.
        """
        return [
            np.random.Generator(_philox(self.seed, shower, self.purpose, self.attempt))
            for shower in self.showers.tolist()
        ]

    def normal(self, count: int) -> NDArray[np.float64]:
        """The first standard normal numbers of each shower.

        Args:
            count: How many of each shower.

        Returns:
            Shape (N, count).

        Raises:
            CaloforgeError: The seed is no integer, negative or too large.
        """
        drawn = np.empty((len(self.showers), count))
        # One generator that is moved from stream to stream: making new ones takes five times as
        # long as drawing the few numbers that a small network needs.
        philox = _philox(self.seed, 0, self.purpose, self.attempt)
        rng = np.random.Generator(philox)
        start = philox.state
        for shower, row in zip(self.showers.tolist(), drawn, strict=True):
            start["state"]["counter"][1] = shower
            philox.state = start
            rng.standard_normal(out=row)
        return drawn
