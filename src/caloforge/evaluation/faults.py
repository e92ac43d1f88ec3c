"""Geant4 showers that are wrong on purpose, and the verdict that must name what is wrong.

A judge is worth what it finds: `docs/sensitivity.md` is made of these, and the tests hold them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import Detector, RectangularLayer
from caloforge.errors import ShowersError
from caloforge.evaluation.results import Verdict
from caloforge.showers import Showers
from caloforge.units import MEV_PER_GEV

__all__ = ["FAULTS", "Fault", "Good"]

FloatArray = NDArray[np.float64]
Deposits = NDArray[np.float32]


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

    def with_deposits(self, deposits: NDArray[np.floating]) -> Showers:
        """The showers with other deposits: shape (N, n_cells), MeV."""
        return replace(self.showers, deposits=deposits.astype(np.float32))


@dataclass(frozen=True)
class Fault:
    """What is done to good showers.

    Attributes:
        spoil: Takes good showers and returns bad ones.
        verdicts: Any of these names it; none where nothing is wrong and nothing may be said.
    """

    spoil: Callable[[Good], Showers]
    verdicts: tuple[Verdict, ...]


def _scale(good: Good) -> Showers:
    return good.with_deposits(good.showers.deposits * np.float32(1.01))


def _smear(good: Good) -> Showers:
    factors = np.maximum(0, 1 + 0.05 * good.rng.standard_normal(good.showers.deposits.shape))
    return good.with_deposits(good.showers.deposits * factors)


def _kill(good: Good) -> Showers:
    alive = good.rng.random(good.showers.deposits.shape) >= 0.02
    return good.with_deposits(good.showers.deposits * alive)


def _mean(good: Good) -> Showers:
    shape = good.training.deposits.sum(axis=0, dtype=np.float64) / (
        MEV_PER_GEV * good.training.energy.sum()
    )
    return good.with_deposits(MEV_PER_GEV * good.showers.energy[:, None] * shape)


def _copy(good: Good) -> Showers:
    return good.training[good.rng.permutation(len(good.training))[: len(good.showers)]]


def _copies(share: float, noise: float, good: Good) -> Showers:
    """Training showers, every cell off by some noise, among good ones."""
    count = round(share * len(good.showers))
    taken = good.training[good.rng.permutation(len(good.training))[:count]]
    factors = np.maximum(0, 1 + noise * good.rng.standard_normal(taken.deposits.shape))
    taken = replace(taken, deposits=(taken.deposits * factors).astype(np.float32))
    return Showers.concatenate([good.showers[count:], taken])


def _tenfold(good: Good) -> Showers:
    order = np.argsort(good.showers.energy, kind="stable")
    return good.showers[np.repeat(order[4::10], 10)]


def _narrow(good: Good) -> Showers:
    """Every layer is drawn together by 5%: cells share what then lies in them."""
    detector = good.showers.detector
    deposits = good.showers.deposits.copy()
    for layer, part in zip(detector.layers, detector.slices, strict=True):
        if not isinstance(layer, RectangularLayer):
            msg = (
                f"showers: got {detector.name!r}, must have rectangular cells to be drawn together"
            )
            raise ShowersError(msg)
        moved = [_overlap(np.asarray(edges), 0.95) for edges in (layer.x_edges, layer.y_edges)]
        image = deposits[:, part].reshape(-1, *layer.shape)
        image = np.einsum("nij,ik,jl->nkl", image, *moved, optimize=True)
        deposits[:, part] = image.reshape(len(deposits), -1)
    return good.with_deposits(deposits)


def _overlap(edges: FloatArray, factor: float) -> FloatArray:
    """Share of each cell (rows) that lies in each cell after its edges were scaled."""
    low, high = factor * edges[:-1, None], factor * edges[1:, None]
    inside = np.minimum(high, edges[None, 1:]) - np.maximum(low, edges[None, :-1])
    return np.asarray(np.maximum(inside, 0) / (high - low))


def _shift_share(sigmas: float, good: Good) -> Showers:
    """The share of the first layer larger by so many of its standard deviations."""
    energies = good.showers.layer_energies
    total = energies.sum(axis=1, keepdims=True)
    share = np.divide(energies, total, out=np.zeros_like(energies), where=total > 0)
    wanted = share.copy()
    wanted[:, 0] += sigmas * share[:, 0].std()
    wanted /= np.maximum(wanted.sum(axis=1, keepdims=True), 1e-12)
    factors = np.divide(wanted, share, out=np.ones_like(share), where=share > 0)
    return good.with_deposits(
        good.showers.deposits * factors[:, good.showers.detector.layer_of_cell]
    )


def _cut(good: Good) -> Showers:
    return good.with_deposits(np.where(good.showers.deposits < 1, 0, good.showers.deposits))


def _shuffle(good: Good) -> Showers:
    """The second layer is that of another shower of nearly the same energy."""
    order = np.argsort(good.showers.energy, kind="stable")
    given = order.copy()
    for first in range(0, len(order), 10):
        given[first : first + 10] = good.rng.permutation(order[first : first + 10])
    part = good.showers.detector.slices[1]
    deposits = good.showers.deposits.copy()
    deposits[order, part] = good.showers.deposits[given, part]
    return good.with_deposits(deposits)


def _mirror(good: Good) -> Showers:
    deposits = good.showers.deposits
    for cells in good.showers.detector.symmetries.values():
        deposits = deposits[:, cells]
    return good.with_deposits(deposits)


def _image(good: Good, layer: int) -> tuple[Deposits, Deposits]:
    """All deposits, and a view of those of a layer: shape (N, slow, fast)."""
    detector: Detector = good.showers.detector
    deposits = good.showers.deposits.copy()
    return deposits, deposits[:, detector.slices[layer]].reshape(-1, *detector.layers[layer].shape)


def _transpose(good: Good) -> Showers:
    deposits, image = _image(good, 1)
    deposits[:, good.showers.detector.slices[1]] = image.transpose(0, 2, 1).reshape(len(image), -1)
    return good.with_deposits(deposits)


def _move(good: Good) -> Showers:
    deposits, image = _image(good, 0)
    deposits[:, good.showers.detector.slices[0]] = np.roll(image, 1, axis=2).reshape(len(image), -1)
    return good.with_deposits(deposits)


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
    return good.with_deposits(deposits)


def _absurd(good: Good) -> Showers:
    deposits = good.showers.deposits.copy()
    deposits[: len(deposits) // 100] *= 100
    return good.with_deposits(deposits)


def _hot(good: Good) -> Showers:
    deposits = good.showers.deposits.copy()
    part = good.showers.detector.slices[1]
    rows = np.arange(3 * len(deposits) // 100)
    deposits[rows, part.start + deposits[rows, part].argmax(axis=1)] *= 5
    return good.with_deposits(deposits)


FAULTS: Mapping[str, Fault] = {
    "nothing": Fault(lambda good: good.showers, ()),
    "the share of layer 0 larger by 0.02 of its deviation": Fault(partial(_shift_share, 0.02), ()),
    "mirrored in x and y": Fault(_mirror, ()),
    "energies scaled by 1%": Fault(_scale, ("told apart",)),
    "cells smeared by 5%": Fault(_smear, ("told apart",)),
    "2% of the cells zeroed": Fault(_kill, ("told apart",)),
    "drawn together by 5%": Fault(_narrow, ("told apart",)),
    "the share of layer 0 larger by 0.2 of its deviation": Fault(
        partial(_shift_share, 0.2), ("told apart",)
    ),
    "cells below 1 MeV zeroed": Fault(_cut, ("told apart",)),
    "layer 1 of another shower of like energy": Fault(_shuffle, ("told apart", "layers")),
    "layer 1 transposed": Fault(_transpose, ("layers",)),
    "layer 0 moved by one cell": Fault(_move, ("told apart",)),
    "two cells swapped": Fault(_swap, ("told apart",)),
    "1% of the showers times 100": Fault(_absurd, ("outliers",)),
    "3% with the hottest cell of layer 1 times 5": Fault(_hot, ("outliers",)),
    "each shower ten times": Fault(_tenfold, ("collapsed",)),
    "the mean shower for all": Fault(_mean, ("collapsed",)),
    "the training set itself": Fault(_copy, ("memorised",)),
    "the training set, cells off by 1%": Fault(partial(_copies, 1.0, 0.01), ("memorised",)),
    "1% of training showers, cells off by 1%": Fault(partial(_copies, 0.01, 0.01), ("memorised",)),
    "5% of training showers, cells off by 10%": Fault(partial(_copies, 0.05, 0.1), ("memorised",)),
}
"""By name."""
