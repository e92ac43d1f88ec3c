"""Geant4 showers that are wrong on purpose: what a metric must see to be worth its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from caloforge.showers import Showers
from caloforge.units import MEV_PER_GEV

__all__ = ["PERTURBATIONS", "Good", "Perturbation"]


@dataclass(frozen=True)
class Good:
    """Good showers to spoil.

    Attributes:
        showers: The showers.
        training: Other showers of the same kind: the training set.
        rng: Random numbers.
    """

    showers: Showers
    training: Showers
    rng: np.random.Generator


Perturbation = Callable[[Good], Showers]


def _scale(good: Good) -> Showers:
    return replace(good.showers, deposits=good.showers.deposits * np.float32(1.01))


def _smear(good: Good) -> Showers:
    factors = np.maximum(0, 1 + 0.05 * good.rng.standard_normal(good.showers.deposits.shape))
    return replace(good.showers, deposits=(good.showers.deposits * factors).astype(np.float32))


def _kill(good: Good) -> Showers:
    alive = good.rng.random(good.showers.deposits.shape) >= 0.02
    return replace(good.showers, deposits=good.showers.deposits * alive.astype(np.float32))


def _mean(good: Good) -> Showers:
    shape = good.training.deposits.sum(axis=0, dtype=np.float64) / (
        MEV_PER_GEV * good.training.energy.sum()
    )
    deposits = MEV_PER_GEV * good.showers.energy[:, None] * shape
    return replace(good.showers, deposits=deposits.astype(np.float32))


def _copy(good: Good) -> Showers:
    return good.training[good.rng.permutation(len(good.training))[: len(good.showers)]]


def _swap(good: Good) -> Showers:
    # The brightest cell of the layer with most energy, and the one beside it.
    detector = good.showers.detector
    layer = int(good.training.layer_energies.sum(axis=0).argmax())
    part = detector.slices[layer]
    first = part.start + int(good.training.deposits[:, part].sum(axis=0).argmax())
    pairs = detector.neighbours[(detector.neighbours == first).any(axis=1)]
    second = int(pairs[0].sum()) - first
    deposits = good.showers.deposits.copy()
    deposits[:, [first, second]] = deposits[:, [second, first]]
    return replace(good.showers, deposits=deposits)


PERTURBATIONS: Mapping[str, Perturbation] = {
    "energies scaled by 1%": _scale,
    "cells smeared by 5%": _smear,
    "2% of the cells zeroed": _kill,
    "the mean shower for all": _mean,
    "the training set itself": _copy,
    "two cells swapped": _swap,
}
"""By name: each takes good showers and returns bad ones."""
