"""What a section shows of a sample beside its numbers: panels of figures, and tables.

Whoever draws them knows the kinds of panels and nothing of the sections that they are from
(:mod:`caloforge.web.figures`, :mod:`caloforge.web.report`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caloforge.evaluation.distances.histograms import Histogram
from caloforge.evaluation.estimate import Estimate

__all__ = [
    "Example",
    "ExamplesPanel",
    "HistogramPanel",
    "ImagePanel",
    "MatrixPanel",
    "Panel",
    "PointsPanel",
    "Row",
    "Series",
    "Shown",
    "Table",
]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class Panel:
    """A part of a figure; base of all kinds.

    Histograms and points with the same ``figure`` are one figure of all samples together; of the
    other kinds each panel of each sample is a figure.

    Attributes:
        figure: Name of the figure, and of its files.
        about: What it shows, for its caption; how its kind of panels is to be read is said beside
            it.
    """

    figure: str
    about: str = ""


@dataclass(frozen=True, eq=False, kw_only=True)
class HistogramPanel(Panel):
    """How one quantity is distributed; drawn with the ratio below.

    Attributes:
        label: What is below the axis.
        reference: Geant4.
        showers: The sample, in the same bins.
        distance: Separation power of the two.
        logarithmic: Whether the axis of the quantity is.
        steep: Whether the other axis is.
    """

    label: str
    reference: Histogram
    showers: Histogram
    distance: float
    logarithmic: bool = False
    steep: bool = False


@dataclass(frozen=True)
class Series:
    """Numbers with errors, in order.

    Attributes:
        at: Where on the axis each is.
        values: The numbers.
    """

    at: tuple[float, ...]
    values: tuple[Estimate, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class PointsPanel(Panel):
    """Numbers with errors against another quantity.

    Attributes:
        label: What is below the axis.
        title: What is beside the other axis.
        reference: Geant4.
        showers: The sample.
        logarithmic: Whether the axis is.
        steep: Whether the other axis is.
    """

    label: str
    title: str
    reference: Series
    showers: Series
    logarithmic: bool = False
    steep: bool = False


@dataclass(frozen=True, eq=False, kw_only=True)
class ImagePanel(Panel):
    """Cells, drawn layer by layer as they lie in the detector.

    Attributes:
        reference: Geant4: shape (n_cells,), MeV.
        showers: The sample: shape (n_cells,), MeV.
    """

    reference: FloatArray
    showers: FloatArray


@dataclass(frozen=True, eq=False, kw_only=True)
class MatrixPanel(Panel):
    """Numbers of pairs, from -1 to 1.

    Attributes:
        label: What the rows and columns are.
        reference: Geant4: shape (K, K).
        showers: The sample: shape (K, K).
    """

    label: str
    reference: FloatArray
    showers: FloatArray


@dataclass(frozen=True, eq=False)
class Example:
    """A shower of the sample, and another one to see it beside.

    Attributes:
        title: What is above the two.
        shower: Shape (n_cells,), MeV.
        other: Shape (n_cells,), MeV.
    """

    title: str
    shower: NDArray[np.float32]
    other: NDArray[np.float32]


@dataclass(frozen=True, eq=False, kw_only=True)
class ExamplesPanel(Panel):
    """Single showers, each with another one below it.

    Attributes:
        names: What is beside the upper showers, and beside the lower ones.
        examples: The showers.
    """

    names: tuple[str, str]
    examples: tuple[Example, ...]


@dataclass(frozen=True)
class Row:
    """A line of a table.

    Attributes:
        name: What it is about.
        cells: What it says, in the order of the columns; an estimate of NaN is not defined.
    """

    name: str
    cells: tuple[Estimate | str, ...]


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of a section, in the report.

    Attributes:
        title: What is above it.
        columns: Heads of the columns, that of the names of the rows first.
        rows: The lines.
        things: What the rows are ("observables") where the first cell of each is a distance from
            the reference that Geant4 itself has, too: the report then puts that of the floor beside
            it, has the rows in the order of how many times as large theirs is, and says in short
            how many stand out.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    things: str = ""


@dataclass(frozen=True)
class Shown:
    """What all sections show of one sample.

    Attributes:
        panels: In the order in which figures are drawn.
        tables: In the order in which they are printed.
    """

    panels: tuple[Panel, ...] = ()
    tables: tuple[Table, ...] = ()
