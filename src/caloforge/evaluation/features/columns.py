"""What a column of numbers of single showers is: its name, its words, how it is to be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import Detector

__all__ = [
    "Column",
    "Columns",
    "Group",
    "Scale",
    "between",
    "layer_groups",
    "log_energy",
    "window_column",
]

_MOST_GROUPS = 8
_NO_DIGITS = str.maketrans("", "", "0123456789")
_LINE = 0.511  # MeV
_COARSE = 2.0  # MeV
_FLOOR = 1e-3  # MeV

Scale = Literal["count", "log10", "plain"]


@dataclass(frozen=True)
class Column:
    """A number of each shower.

    Attributes:
        name: Short and unique among the columns.
        title: What it is, in words.
        family: Which kind of numbers it is of, in words.
        unit: Unit; empty where there is none, and of counts.
        scale: ``"count"``: an integer; ``"log10"``: the decimal logarithm of something in the unit;
            ``"plain"``: the number itself.
        low: It is the same for every threshold up to this one, MeV.
        only: Where it is made for one threshold alone, that threshold, MeV.
        place: Layers or group of layers that it is of, in words; empty for the whole shower.
        window: Of counts of cells in a window of energies, its edges, MeV.
    """

    name: str
    title: str
    family: str
    unit: str = ""
    scale: Scale = "plain"
    low: float = np.inf
    only: float | None = None
    place: str = ""
    window: tuple[float, float] | None = None

    @property
    def stem(self) -> str:
        """What it is whatever the layer and the level: the beginning of its name."""
        return self.name.rstrip("*").partition(">")[0].translate(_NO_DIGITS)

    def holds(self, threshold: float) -> bool:
        """Whether it can be made of deposits that are zero below a threshold."""
        return self.low >= threshold if self.only is None else self.only == threshold

    def widened(self, last: Column) -> Column:
        """The window from where this one begins to where another one of the same layers ends.

        Examples:
            >>> first, last = (window_column(0, "layer 1", *at) for at in ((1, 2), (2, 5)))
            >>> first.widened(last).title
            'cells between 1 and 5 MeV in layer 1'
        """
        if self.window is None or last.window is None or self.place != last.place:
            msg = f"{self.name}, {last.name}: are no windows of the same layers"
            raise ValueError(msg)
        edges = self.window[0], last.window[1]
        return replace(
            self,
            name=f"{self.name.partition('[')[0]}[{edges[0]:g},{edges[1]:g}]",
            title=f"cells {between(*edges)} in {self.place}",
            window=edges,
        )


def between(low: float, high: float) -> str:
    """A range of energies in words; edges in MeV."""
    if low == 0:
        return f"below {high:g} MeV"
    return f"above {low:g} MeV" if high == np.inf else f"between {low:g} and {high:g} MeV"


def window_column(
    number: int, place: str, low: float, high: float, only: float | None = None
) -> Column:
    """Number of cells in a window of energies.

    Args:
        number: Of the group of layers.
        place: The same in words.
        low: Lower edge, MeV.
        high: Upper edge, MeV.
        only: Where it is made for one threshold alone, that threshold, MeV.
    """
    return Column(
        f"n{number}[{low:g},{high:g}]" + ("" if only is None else "*"),
        f"cells {between(low, high)} in {place}",
        "cells by energy",
        scale="count",
        low=low if only is None else np.inf,
        only=only,
        place=place,
        window=(low, high),
    )


@dataclass(frozen=True)
class Group:
    """Adjacent layers that are looked at as one.

    Attributes:
        number: From 0.
        words: Which layers, in words.
        layers: The first layer, and the one behind the last.
        cells: Where their cells lie.
    """

    number: int
    words: str
    layers: tuple[int, int]
    cells: slice


def layer_groups(detector: Detector) -> tuple[Group, ...]:
    """The layers of a detector, in at most eight groups: single ones where there are no more.

    Examples:
        >>> from caloforge.detector import load_detector
        >>> [group.words for group in layer_groups(load_detector("calogan"))]
        ['layer 0', 'layer 1', 'layer 2']
        >>> [group.words for group in layer_groups(load_detector("calochallenge-ds2"))][:2]
        ['layers 0 to 5', 'layers 6 to 11']
    """
    step = -(-detector.n_layers // _MOST_GROUPS)
    found = []
    for number, first in enumerate(range(0, detector.n_layers, step)):
        last = min(first + step, detector.n_layers) - 1
        cells = slice(detector.slices[first].start, detector.slices[last].stop)
        words = f"layer {first}" if first == last else f"layers {first} to {last}"
        found.append(Group(number, words, (first, last + 1), cells))
    return tuple(found)


@dataclass(frozen=True, eq=False)
class Columns:
    """Numbers of N showers.

    Attributes:
        columns: What they are.
        values: Shape (N, n_columns).
    """

    columns: tuple[Column, ...]
    values: NDArray[np.float32]

    def pick(self, which: Sequence[int] | NDArray[np.intp]) -> Columns:
        """Some of the columns."""
        return Columns(tuple(self.columns[i] for i in which), self.values[:, which])

    def at(self, threshold: float) -> Columns:
        """Those that can be made of deposits that are zero below a threshold."""
        return self.pick([i for i, column in enumerate(self.columns) if column.holds(threshold)])


def log_energy(energy: NDArray[np.floating]) -> NDArray[np.float64]:
    """log10 of energies plus 1 keV; below 2 MeV on a grid of tenths.

    Cells of Geant4 have lines at 1 keV, 0.511 and 1.022 MeV. They lie in the middle of steps of
    the grid, so that whether a line is off by some per cent does not show in it.

    Args:
        energy: MeV.

    Examples:
        >>> log_energy(np.array([0.48, 0.511, 0.55, 100.0])).round(3)
        array([-0.291, -0.291, -0.291,  2.   ])
    """
    found = np.log10(np.asarray(energy, dtype=np.float64) + _FLOOR)
    line = np.log10(_LINE + _FLOOR)
    coarse = np.round((found - line) * 10) / 10 + line
    return np.where(found < np.log10(_COARSE), coarse, found)
