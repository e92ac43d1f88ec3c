"""Random numbers: one independent stream per shower.

All streams come from the counter-based generator Philox4x64-10 (Salmon et al., SC11,
doi:10.1145/2063384.2063405). The key is the seed of the run; the counter holds the index of the
shower and the purpose of the numbers. So shower ``i`` of a run is the same whatever the batch
size, the number of workers or the place where a run was interrupted. Uniform and normal numbers
are functions of the words of Philox that docs/random-numbers.md defines, so that a program in
another language draws the same ones.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import CaloforgeError

__all__ = ["Purpose", "Streams", "check_seed", "fresh_seed", "shower_words", "stream"]

_AT_A_TIME = 1 << 14  # words: what is made of these fits into the cache of a core


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
        HEADLINE: The headline test of the judge (index: 0 for the order of rows, then by fold).
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
    HEADLINE = 25


def check_seed(seed: int) -> int:
    """Return ``seed`` if it is a valid key.

    Args:
        seed: Integer in [0, 2**63).

    Raises:
        CaloforgeError: The seed is no integer, negative or too large.
    """
    if not isinstance(seed, int | np.integer) or not 0 <= seed < 2**63:
        msg = f"seed: got {seed}, must be an integer between 0 and 2^63 - 1"
        raise CaloforgeError(msg)
    return seed


def fresh_seed() -> int:
    """A seed that nobody has had before, from the entropy of the operating system."""
    return int.from_bytes(os.urandom(8), "little") >> 1


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

    Raises:
        CaloforgeError: The seed is no integer, negative or too large.
    """
    words: NDArray[np.uint64] = Streams(seed, np.array([shower]), purpose).words(count)[0]
    return words


@dataclass(frozen=True, eq=False)
class Streams:
    """The random numbers of some showers: a stream for each, the one of :func:`stream`.

    Attributes:
        seed: Seed of the run, in [0, 2**63), or one for each shower: shape (N,).
        showers: Indices of the showers within their run: shape (N,).
        purpose: What the numbers are for.
        attempt: How often the showers have been drawn before; each attempt has numbers of its own.

    Examples:
        >>> Streams(1, np.array([7, 8]), Purpose.ENERGY).uniform(2).round(6)
        array([[0.811984, 0.830763],
               [0.733221, 0.729616]])
        >>> stream(1, Purpose.ENERGY, 7).random(2).round(6)
        array([0.811984, 0.830763])
        >>> Streams(1, np.array([7, 8]), Purpose.GENERATOR).normal(3).round(4)
        array([[-1.4321, -0.6582, -1.3729],
               [-0.5726,  1.85  ,  0.3234]], dtype=float32)
    """

    seed: int | NDArray[np.integer]
    showers: NDArray[np.integer]
    purpose: Purpose
    attempt: int = 0

    def rows(self, rows: slice | NDArray[np.integer], *, attempt: int | None = None) -> Streams:
        """The streams of some of the showers.

        Args:
            rows: Which.
            attempt: Another attempt at them; None for the same.
        """
        seed = self.seed[rows] if isinstance(self.seed, np.ndarray) else self.seed
        attempt = self.attempt if attempt is None else attempt
        return replace(self, seed=seed, showers=self.showers[rows], attempt=attempt)

    def generators(self) -> list[np.random.Generator]:
        """One generator per shower, each at the start of its stream.

        Raises:
            CaloforgeError: A seed is no integer, negative or too large.
        """
        return [
            np.random.Generator(_philox(seed, shower, self.purpose, self.attempt))
            for seed, shower in zip(self._seeds(), self.showers.tolist(), strict=True)
        ]

    def words(self, count: int) -> NDArray[np.uint64]:
        """The first 64-bit words of each shower.

        Args:
            count: How many of each shower.

        Returns:
            Shape (N, count).

        Raises:
            CaloforgeError: A seed is no integer, negative or too large.
        """
        if count <= _FEW:
            return _few_words(self._seeds(), self.showers, self.purpose, self.attempt, count)
        drawn = np.empty((len(self.showers), count), dtype=np.uint64)
        _MOVED.draw(self._seeds(), self.showers.tolist(), self.purpose, self.attempt, drawn)
        return drawn

    def uniform(self, count: int) -> NDArray[np.float64]:
        """The first uniform numbers of each shower, those of ``stream(...).random()``.

        Args:
            count: How many of each shower.

        Returns:
            Shape (N, count), multiples of 2^-53 in [0, 1).

        Raises:
            CaloforgeError: A seed is no integer, negative or too large.
        """
        drawn = np.empty((len(self.showers), count))
        np.multiply(self.words(count) >> np.uint64(11), 2.0**-53, out=drawn)
        return drawn

    def normal(self, count: int) -> NDArray[np.float32]:
        """The first standard normal numbers of each shower.

        They are the same bits in any batch. Another machine or a program in another language
        (docs/random-numbers.md) may round the last of them otherwise.

        Args:
            count: How many of each shower.

        Returns:
            Shape (N, count), in [-6.764, 6.764].

        Raises:
            CaloforgeError: A seed is no integer, negative or too large.
        """
        seeds, showers, pairs = self._seeds(), self.showers.tolist(), -(-count // 2)
        drawn = np.empty((len(showers), count), dtype=np.float32)
        step = max(1, _AT_A_TIME // max(1, pairs))
        words = np.empty((min(step, len(showers)), pairs), dtype=np.uint64)
        for i in range(0, len(showers), step):
            part = drawn[i : i + step]
            some = words[: len(part)]
            _MOVED.draw(seeds[i:], showers[i:], self.purpose, self.attempt, some)
            _normal_pairs(some, part)
        return drawn

    def _seeds(self) -> list[int]:
        """The seed of each shower."""
        if not isinstance(self.seed, np.ndarray):
            return [int(check_seed(self.seed))] * len(self.showers)
        if self.seed.shape != self.showers.shape:
            msg = (
                f"seed: has shape {self.seed.shape}, must be one number or one for each of the "
                f"{len(self.showers)} showers"
            )
            raise CaloforgeError(msg)
        return [int(check_seed(seed)) for seed in self.seed.tolist()]


class _Moved(threading.local):
    """A generator of each thread that is moved from stream to stream.

    Making a new one takes longer than drawing the few hundred numbers that a network needs.
    """

    def __init__(self) -> None:
        self._philox = np.random.Philox(key=0)
        self._counter = [0, 0, 0, 0]
        self._key = [0, 0]
        self._start: Any = {
            "bit_generator": "Philox",
            "state": {"counter": self._counter, "key": self._key},
            "buffer": [0, 0, 0, 0],
            "buffer_pos": 4,
            "has_uint32": 0,
            "uinteger": 0,
        }

    def draw(
        self,
        seeds: Iterable[int],
        showers: Iterable[int],
        purpose: Purpose,
        attempt: int,
        words: NDArray[np.uint64],
    ) -> None:
        """Fill each row of ``words`` with the first ones of its stream."""
        philox, start, key, counter = self._philox, self._start, self._key, self._counter
        counter[2:] = int(purpose), attempt
        count = words.shape[1]
        for row, key[0], counter[1] in zip(words, seeds, showers, strict=False):
            philox.state = start
            row[:] = philox.random_raw(count)


_MOVED = _Moved()


# Words of a stream that are drawn faster for all showers at once than by moving a generator.
_FEW = 8
_LOW, _32 = np.uint64(0xFFFFFFFF), np.uint64(32)
# What Philox4x64 multiplies the counter with and adds to the key.
_FACTORS = np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157)
_STEPS = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B)
_ROUNDS = 10


def _few_words(
    seeds: list[int],
    showers: NDArray[np.integer],
    purpose: Purpose,
    attempt: int,
    count: int,
) -> NDArray[np.uint64]:
    """The first words of each stream, by Philox4x64-10 on arrays: shape (N, count)."""
    blocks = -(-count // 4)
    # NumPy's generator begins a stream with the block behind that of its counter.
    place = np.arange(1, blocks + 1, dtype=np.uint64)
    c = [
        np.broadcast_to(np.asarray(part, dtype=np.uint64), (len(seeds), blocks))
        for part in (place, showers[:, np.newaxis], int(purpose), attempt)
    ]
    first = np.array(seeds, dtype=np.uint64)[:, np.newaxis]
    second = np.zeros_like(first)
    for _ in range(_ROUNDS):
        high_0, high_1 = _high(c[0], _FACTORS[0]), _high(c[2], _FACTORS[1])
        low_0, low_1 = c[0] * _FACTORS[0], c[2] * _FACTORS[1]
        c = [high_1 ^ c[1] ^ first, low_1, high_0 ^ c[3] ^ second, low_0]
        first, second = first + _STEPS[0], second + _STEPS[1]
    return np.stack(c, axis=-1).reshape(len(seeds), 4 * blocks)[:, :count]


def _high(values: NDArray[np.uint64], factor: np.uint64) -> NDArray[np.uint64]:
    """The high halves of the products of 64-bit words."""
    low, high = values & _LOW, values >> _32
    factor_low, factor_high = factor & _LOW, factor >> _32
    across = low * factor_high
    middle = (low * factor_low >> _32) + (across & _LOW) + high * factor_low
    found: NDArray[np.uint64] = high * factor_high + (across >> _32) + (middle >> _32)
    return found


# As arrays: NumPy takes twice as long to multiply with Python's or its own scalars.
_HALF, _SCALE, _TURN, _MINUS_TWO = (
    np.array(value, dtype=np.float32) for value in (0.5, 2.0**-32, np.pi * 2.0**-31, -2.0)
)


def _normal_pairs(words: NDArray[np.uint64], drawn: NDArray[np.float32]) -> None:
    """Normal numbers by the formula of Box and Muller, two of each word.

    All is done in single precision: NumPy has vector instructions for its logarithm, sine and
    cosine, and these give the same number at any place of an array.

    Args:
        words: Shape (N, M), contiguous.
        drawn: Where to put the numbers: shape (N, 2 * M), or one less.

    References:
        G. E. P. Box and M. E. Muller, Ann. Math. Stat. 29 (1958) 610.
    """
    halves = words.astype("<u8", copy=False).view("<u4").astype(np.float32)
    radius = np.add(halves[:, 1::2], _HALF)  # the high half of a word is behind the low one
    np.multiply(radius, _SCALE, radius)
    np.log(radius, radius)
    np.multiply(radius, _MINUS_TWO, radius)
    np.sqrt(radius, radius)
    angle = np.multiply(halves[:, 0::2], _TURN)
    np.multiply(radius, np.cos(angle), drawn[:, 0::2])
    if drawn.shape[1] % 2:
        radius, angle = radius[:, :-1], angle[:, :-1]
    np.multiply(radius, np.sin(angle), drawn[:, 1::2])
