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

__all__ = ["Purpose", "Streams", "check_seed", "shower_words", "stream"]


class Purpose(IntEnum):
    """What a stream of random numbers is for: streams of different purpose are independent.

    The number of a purpose never changes: it decides showers.

    Attributes:
        ENERGY: Incident energy of a shower.
        BEAM: Entry point and direction of a shower.
        GENERATOR: What a generator makes a shower from.
        GEANT4: Where in its random numbers Geant4 begins a shower.
        CONVERSION: Converting a shower to another readout.
        INITIALISATION: Parameters that a training begins with.
        ORDER: Order of the rows in an epoch of a training (index: epoch).
        TRAINING: What a step of a training draws (index: step).
        VALIDATION: Noise of validation showers (index: particle).
        SPLIT: Which part of a file a row is in.
        EXPORT: Noise that an exported network is compared on.
        SELECTION: Errors of the measures that choose an epoch.
        CALIBRATION: The sample that a parametrisation is calibrated on.
        FLOOR: Which rows of a file the floor is made of.
        MATCHING: Which showers of equal energy are compared.
        JUDGE: A section of the judge (index: from its name).
        CLASSIFIER: A classifier test (index: repeat).
        TREES: A test with boosted trees.
        TRANSFER: A transfer test.
        CONDITIONAL: Errors of the response at single energies.
        CLOSURE: Errors of the numbers on a card.
        FAULT: Spoiling showers on purpose.
        EVENT: Composition of an event.
        MEMBER: Which member of a composed generator makes a shower.
        LOSS: What a loss on validation showers draws.
    """

    ENERGY = 0
    BEAM = 1
    GENERATOR = 2
    GEANT4 = 3
    CONVERSION = 4
    INITIALISATION = 5
    ORDER = 6
    TRAINING = 7
    VALIDATION = 8
    SPLIT = 9
    EXPORT = 10
    SELECTION = 11
    CALIBRATION = 12
    FLOOR = 13
    MATCHING = 14
    JUDGE = 15
    CLASSIFIER = 16
    TREES = 17
    TRANSFER = 18
    CONDITIONAL = 19
    CLOSURE = 20
    FAULT = 21
    EVENT = 22
    MEMBER = 23
    LOSS = 24


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


def stream(seed: int, purpose: Purpose, index: int = 0) -> np.random.Generator:
    """The random numbers of one purpose: of a shower, of a split, of a section of the judge.

    Args:
        seed: Seed of the run, in [0, 2**63).
        purpose: What the numbers are for.
        index: Where one purpose has several streams, which of them: the index of a shower within
            the run, the epoch of a training, the repeat of a test; from 0.

    Returns:
        A generator at the start of a stream of its own (2**64 blocks of four words long).

    Raises:
        CaloforgeError: The seed is no integer, negative or too large.

    Examples:
        >>> stream(1, Purpose.ENERGY, 7).random() == stream(1, Purpose.ENERGY, 7).random()
        True
        >>> stream(1, Purpose.ENERGY, 7).random() == stream(1, Purpose.ENERGY, 8).random()
        False
    """
    return np.random.Generator(_philox(seed, index, purpose))


def shower_words(seed: int, shower: int, purpose: Purpose, count: int) -> NDArray[np.uint64]:
    """Raw 64-bit words of one shower's stream: what :func:`stream` draws from.

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
    """The random numbers of some showers: a stream for each, the one of :func:`stream`.

    Attributes:
        seed: Seed of the run, in [0, 2**63).
        showers: Indices of the showers within the run: shape (N,).
        purpose: What the numbers are for.
        attempt: How often the showers have been drawn before; each attempt has numbers of its own.

    Examples:
        >>> Streams(1, np.array([7]), Purpose.GENERATOR).normal(2).round(3)
        array([[-0.758,  0.347]])
        >>> stream(1, Purpose.GENERATOR, 7).standard_normal(2).round(3)
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
