"""Rows in an order of their own, and folds that share nothing: whatever order a file has them in.

The order of showers in a file means nothing, so no number may depend on it: rows are ordered by a
hash of what is in them, seeded, so that the first n of them are a random n. Rows that are equal, or
were asked for with the same incident energy, are in one fold: of pairs with one energy a classifier
would learn from the one what not to say of the other.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caloforge.evaluation.features.blocks import row_blocks
from caloforge.random import Purpose, stream
from caloforge.showers import Showers

__all__ = ["copies", "fold_of_rows", "hash_factors", "row_keys"]

Keys = NDArray[np.uint64]

# With fewer different energies in a fold rows of one energy cannot be kept together: the energies
# of some data sets are 15.
_FEWEST_ENERGIES = 50


def hash_factors(n_cells: int, seed: int) -> Keys:
    """What makes a hash of its own of a seed.

    Args:
        n_cells: Cells of a shower.
        seed: The seed.

    Returns:
        Odd numbers: shape (n_cells + 2,).
    """
    rng = stream(seed, Purpose.HEADLINE)
    return rng.integers(0, 2**64, n_cells + 2, dtype=np.uint64) | np.uint64(1)


def row_keys(showers: Showers, factors: Keys) -> Keys:
    """A hash of each shower's energy and deposits: equal for equal showers, random otherwise.

    Args:
        showers: N showers.
        factors: Of :func:`hash_factors`.

    Returns:
        Shape (N,).
    """
    n_cells = showers.detector.n_cells
    keys = np.empty(len(showers), dtype=np.uint64)
    for rows in row_blocks(showers):
        deposits = np.ascontiguousarray(showers.deposits[rows] + np.float32(0))  # no -0
        words = deposits.view(np.uint32).astype(np.uint64)
        keys[rows] = words @ factors[:n_cells] + _words(showers.energy[rows]) @ factors[n_cells:]
    return _mixed(keys)


def fold_of_rows(keys: Keys, energy: NDArray[np.float64], folds: int) -> NDArray[np.intp]:
    """The fold of each row.

    Args:
        keys: Of :func:`row_keys`: shape (N,).
        energy: Incident energies: shape (N,), GeV.
        folds: How many.

    Returns:
        Shape (N,): from 0.
    """
    same = np.unique(energy, return_inverse=True)[1]
    if same.max() + 1 < _FEWEST_ENERGIES * folds:
        same = np.unique(keys, return_inverse=True)[1]
    # A group is where the first of its rows is, so the order of the rows does not matter.
    first = np.full(same.max() + 1, np.iinfo(np.uint64).max, dtype=np.uint64)
    np.minimum.at(first, same, keys)
    rank = np.empty(len(first), dtype=np.intp)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    return rank[same] % folds


def copies(keys: Keys, deposits: NDArray[np.float32]) -> int:
    """How many showers with energy are equal to another one that is counted already."""
    filled = keys[deposits.any(axis=1)]
    return len(filled) - len(np.unique(filled))


def _words(energy: NDArray[np.float64]) -> Keys:
    return np.ascontiguousarray(energy).view(np.uint32).reshape(-1, 2).astype(np.uint64)


def _mixed(keys: Keys) -> Keys:
    """SplitMix64's last steps: without them rows that differ in one word are near each other."""
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))
