"""Observables: what is histogrammed and compared, listed for any detector and computed in blocks.

The formulas are in :mod:`caloforge.evaluation.features.shapes`, one function each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import CylindricalLayer, Detector, RectangularLayer
from caloforge.evaluation.features import shapes
from caloforge.evaluation.features.blocks import row_blocks
from caloforge.evaluation.features.shapes import DIRECTIONS, Direction, coordinate
from caloforge.evaluation.features.studied import StudiedShowers
from caloforge.evaluation.summary.slices import OCCUPIED
from caloforge.showers import Showers

__all__ = ["Observable", "compute", "observables"]

FloatArray = NDArray[np.float64]
Function = Callable[[Showers], FloatArray]

_SAME_PLACE = 1e-6  # mm

_CALOGAN = "CaloGAN, arXiv:1712.10321, Table IV"
_CALOGAN_FIGURE = "CaloGAN, arXiv:1712.10321, figure 12"
_CALOCHALLENGE = "CaloChallenge, arXiv:2410.21611"
_CALOFLOW = "CaloFlow, arXiv:2106.05285"

# One object for all layers, so that each is computed once for all of them.
_CENTRE = {d: partial(shapes.lateral_centre, direction=d) for d in DIRECTIONS}
_WIDTH = {d: partial(shapes.lateral_width, direction=d) for d in DIRECTIONS}
_BRIGHTEST = {n: partial(shapes.brightest_share, rank=n) for n in (1, 2, 3)}
_OCCUPANCY = {e: partial(shapes.occupancy, threshold=e) for e in (0.0, OCCUPIED)}
_SYMBOLS = {"eta": r"\eta", "phi": r"\phi", "r": "r"}


@dataclass(frozen=True)
class Observable:
    """An observable as it is listed, computed and drawn.

    Attributes:
        name: Name in files, such as ``"layer_fraction_0"``.
        title: What it is, in words.
        label: Symbol for axes, in the mathematical notation of matplotlib.
        unit: Unit, empty where there is none.
        layer: The layer that it is of; None for the whole shower.
        function: Makes an array of shape (N,), or of shape (N, n_layers) where ``layer`` is given.
        formula: Its definition, in plain text; I_i are the deposits in the cells of layer i.
        source: Where the definition is from.
        logarithmic: Whether it spans decades, so that histograms have logarithmic bins.
    """

    name: str
    title: str
    label: str
    unit: str
    layer: int | None
    function: Function
    formula: str
    source: str
    logarithmic: bool = False

    @property
    def axis(self) -> str:
        """What is written at its axis: symbol and unit."""
        return f"{self.label} / {self.unit}" if self.unit else self.label

    def __call__(self, showers: Showers) -> FloatArray:
        """The observable of each shower: shape (N,), in its unit; NaN where it is not defined."""
        return self.pick(self.function(showers))

    def pick(self, values: FloatArray) -> FloatArray:
        """What ``function`` returned, of this observable's layer: shape (N,)."""
        return values if self.layer is None else values[:, self.layer]


_WHOLE_SHOWER = (
    Observable(
        "total_energy",
        "energy in all cells",
        r"$E_\mathrm{tot}$",
        "MeV",
        None,
        shapes.total_energy,
        "sum_i E_i",
        _CALOGAN,
        logarithmic=True,
    ),
    Observable(
        "response",
        "deposited over incident energy",
        r"$E_\mathrm{tot}/E_\mathrm{inc}$",
        "",
        None,
        shapes.response,
        "E_tot / E_inc",
        _CALOCHALLENGE,
    ),
)
_DEPTH = (
    Observable(
        "depth",
        "deepest layer with energy",
        "$d$",
        "",
        None,
        shapes.depth,
        "max {i : max(I_i) > 0}",
        _CALOGAN,
    ),
    Observable(
        "depth_weighted_energy",
        "depth-weighted energy",
        "$l_d$",
        "MeV",
        None,
        shapes.depth_weighted_energy,
        "sum_i i E_i",
        _CALOGAN,
        logarithmic=True,
    ),
    Observable(
        "shower_depth",
        "shower depth",
        "$s_d$",
        "layers",
        None,
        shapes.shower_depth,
        "sum_i i E_i / E_tot",
        _CALOGAN,
    ),
    Observable(
        "shower_depth_width",
        "width of the shower depth",
        r"$\sigma_{s_d}$",
        "layers",
        None,
        shapes.shower_depth_width,
        "sqrt(sum_i i^2 E_i / E_tot - (sum_i i E_i / E_tot)^2)",
        _CALOGAN,
    ),
)


def observables(detector: Detector) -> tuple[Observable, ...]:
    """All observables that apply to a detector.

    Left out is what cannot vary: fractions and depths in a detector of one layer, ratios in a layer
    of one cell, centres and widths along a direction with one bin.
    """
    several = detector.n_layers > 1
    found = [*_WHOLE_SHOWER, *(_DEPTH if several else ())]
    for i, layer in enumerate(detector.layers):
        found += _energies(i, several=several)
        for direction in _directions(layer):
            found += _lateral(i, direction)
        found += _cells(i, layer.n_cells)
    return tuple(found)


def compute(
    showers: Showers | Iterable[Showers], chosen: Sequence[Observable]
) -> dict[str, FloatArray]:
    """Compute observables, block by block: what is needed besides the result does not grow with N.

    Args:
        showers: N showers, or blocks of showers (``ShowerFile.blocks()``) that need not fit into
            memory together.
        chosen: Which observables.

    Returns:
        For each observable's name an array of shape (N,), in the unit of the observable; NaN where
        it is not defined.

    Examples:
        >>> from caloforge.detector import load_detector
        >>> detector = load_detector("calogan")
        >>> showers = Showers(detector, np.array([10.0]), np.ones((1, 504), np.float32))
        >>> compute(showers, observables(detector)[:2])
        {'total_energy': array([504.]), 'response': array([0.0504])}
    """
    functions = dict.fromkeys(observable.function for observable in chosen)
    parts: dict[str, list[FloatArray]] = {observable.name: [] for observable in chosen}
    for block in [showers] if isinstance(showers, Showers) else showers:
        for rows in row_blocks(block):
            part = StudiedShowers.of(block[rows])  # what several functions need is computed once
            values = {function: function(part) for function in functions}
            for observable in chosen:
                # A copy, so that what was computed for the other layers is not kept alive.
                parts[observable.name].append(observable.pick(values[observable.function]).copy())
    return {name: np.concatenate([np.empty(0), *found]) for name, found in parts.items()}


def _directions(layer: RectangularLayer | CylindricalLayer) -> Iterator[Direction]:
    """Directions along which the cells of a layer are at different places."""
    for direction in DIRECTIONS:
        if np.ptp(coordinate(layer, direction)) > _SAME_PLACE:
            yield direction


def _energies(i: int, *, several: bool) -> Iterator[Observable]:
    yield Observable(
        f"layer_energy_{i}",
        f"energy in layer {i}",
        f"$E_{{{i}}}$",
        "MeV",
        i,
        shapes.layer_energy,
        "E_i = sum(I_i)",
        _CALOGAN,
        logarithmic=True,
    )
    if several:
        yield Observable(
            f"layer_fraction_{i}",
            f"share of layer {i} in the energy",
            f"$f_{{{i}}}$",
            "",
            i,
            shapes.layer_fraction,
            "E_i / E_tot",
            _CALOGAN,
        )


def _lateral(i: int, direction: Direction) -> Iterator[Observable]:
    symbol = _SYMBOLS[direction]
    yield Observable(
        f"centre_{direction}_{i}",
        f"centre of energy along {direction} in layer {i}",
        rf"$\langle {symbol}\rangle_{{{i}}}$",
        "mm",
        i,
        _CENTRE[direction],
        f"sum({direction} I_i) / E_i",
        _CALOCHALLENGE,
    )
    yield Observable(
        f"width_{direction}_{i}",
        f"lateral width along {direction} in layer {i}",
        rf"$\sigma_{{{symbol},{i}}}$",
        "mm",
        i,
        _WIDTH[direction],
        f"sqrt(sum({direction}^2 I_i) / E_i - (sum({direction} I_i) / E_i)^2)",
        f"{_CALOGAN}; {_CALOCHALLENGE}",
    )


def _cells(i: int, n_cells: int) -> Iterator[Observable]:
    if n_cells > 1:
        yield Observable(
            f"energy_ratio_{i}",
            f"contrast of the two hottest cells of layer {i}",
            rf"$E_{{\mathrm{{ratio}},{i}}}$",
            "",
            i,
            shapes.energy_ratio,
            "(I_i(1) - I_i(2)) / (I_i(1) + I_i(2))",
            _CALOGAN,
        )
    for rank, share in _BRIGHTEST.items():
        if rank < n_cells:
            yield Observable(
                f"brightest_{rank}_{i}",
                f"share of the cell of rank {rank} in the energy of layer {i}",
                f"$I_{{{i}({rank})}}/E_{{{i}}}$",
                "",
                i,
                share,
                f"I_i({rank}) / E_i",
                _CALOFLOW,
            )
    for threshold, share in _OCCUPANCY.items():
        yield Observable(
            f"occupancy_{threshold:g}_{i}",
            f"share of the cells of layer {i} above {threshold:g} MeV",
            rf"occupancy$_{{{i}}}$ ($>{threshold:g}$ MeV)",
            "",
            i,
            share,
            f"mean(I_i > {threshold:g} MeV)",
            _CALOGAN_FIGURE,
        )
