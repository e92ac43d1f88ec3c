"""The figures of an evaluation, as PNG and PDF files and for the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from caloforge.atomic import replacing
from caloforge.detector import CylindricalLayer, Detector, RectangularLayer
from caloforge.errors import CaloforgeError
from caloforge.evaluation.distances.histograms import Histogram, ratio
from caloforge.evaluation.distances.response import EnergyComparison
from caloforge.evaluation.distances.table import DistanceTable
from caloforge.evaluation.judge import Judged

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["FIGURE_GROUPS", "draw", "save"]

FloatArray = NDArray[np.float64]

REFERENCE_COLOUR = "#8a95a5"
COLOURS = ("#c2410c", "#1d4ed8", "#15803d", "#7e22ce", "#b45309", "#0e7490")
COLUMNS = 4
# What goes on one page, by the beginning of an observable's name; the rest is left to the table.
FIGURE_GROUPS = {
    "energies": ("total_energy", "response", "layer_energy", "layer_fraction"),
    "depths": ("depth", "shower_depth", "energy_ratio"),
    "widths": ("centre", "width"),
    "cells": ("brightest", "occupancy"),
}


def draw(judged: Sequence[Judged], detector: Detector) -> Iterator[tuple[str, str, Figure]]:
    """Draw all figures, one at a time.

    Args:
        judged: The samples, the floor first; see :func:`caloforge.evaluation.judge.evaluate`.
        detector: Their detector.

    Yields:
        Name, caption and figure.

    Raises:
        CaloforgeError: matplotlib is not installed.
    """
    samples = judged[1:] or judged
    names = [item.result.name for item in samples]
    for group, beginnings in FIGURE_GROUPS.items():
        if panels := _observables(judged[0], samples, beginnings):
            yield group, _HISTOGRAM_CAPTION, _histograms(panels, names)
    if panels := _spectra(judged[0], samples):
        caption = "Energies of single cells, of all layers and of each of the first ones. "
        yield "spectra", caption + _HISTOGRAM_CAPTION, _histograms(panels, names)
    curves: list[EnergyComparison] = [
        item.drawing["energy"]["response"] for item in samples if "energy" in item.drawing
    ]
    if curves:
        caption = (
            "Mean response, and resolution (half of the central 68% interval over the mean), "
            "against incident energy, with statistical errors. Grey: Geant4."
        )
        yield "response", caption, _responses(curves, names)
    for i, item in enumerate(samples):
        means = item.drawing.get("images", {}).get("mean")
        if means is not None:
            caption = (
                f"Mean deposit per cell: Geant4, {item.result.name}, and the ratio of the two. "
                "All layers share one logarithmic colour scale."
            )
            yield f"images-{i}", caption, _images(detector, means, item.result.name)
    for i, item in enumerate(samples):
        correlations = item.drawing.get("images", {}).get("correlations")
        if correlations is not None:
            caption = (
                f"Correlation of the deposits in the 40 brightest cells: Geant4, "
                f"{item.result.name}, and the difference."
            )
            yield f"correlations-{i}", caption, _correlations(correlations, item.result.name)

    for i, item in enumerate(samples):
        examples = item.drawing.get("memorisation", {}).get("examples")
        if examples:
            caption = (
                f"Five showers of {item.result.name}, from the nearest to a training shower to the "
                "farthest, each with that training shower below it. Copies would look the same."
            )
            yield f"neighbours-{i}", caption, _neighbours(detector, examples)


_HISTOGRAM_CAPTION = (
    "Area: Geant4; lines: generated, normalised to the same number of showers; below, the ratio. "
    "Bars and band are statistical errors. S is the separation power, in brackets that of Geant4 "
    "against itself."
)


def save(figure: Figure, folder: Path, name: str) -> tuple[Path, Path]:
    """Write a figure as PNG and as PDF, each whole or not at all.

    Returns:
        The two files.

    Raises:
        OutputError: A file cannot be written.
    """
    made = []
    for kind in ("png", "pdf"):
        path = folder / f"{name}.{kind}"
        with replacing(path) as beside:
            # Without a date the same numbers give the same file.
            metadata = {"CreationDate": None} if kind == "pdf" else {"Software": None}
            figure.savefig(beside, format=kind, dpi=110, metadata=metadata)
            if kind == "png":
                _choose_colours(beside)
        if figure.get_layout_engine() is not None:
            figure.set_layout_engine("none")  # what takes longest is not found out again
        made.append(path)
    return made[0], made[1]


def _choose_colours(path: Path) -> None:
    """Store a picture with the 256 colours that suit it best: a third of the size."""
    from PIL import Image

    with Image.open(path) as picture:
        few = picture.convert("RGB").quantize(
            256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE
        )
    few.save(path, format="png")


def _new_figure(
    width: float, height: float, layout: Literal["constrained"] | None = "constrained"
) -> Figure:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        msg = "figures need matplotlib: pip install 'caloforge[evaluate]'"
        raise CaloforgeError(msg) from None
    return Figure(figsize=(width, height), layout=layout)


@dataclass(frozen=True)
class _Panel:
    """One histogram of several samples.

    Attributes:
        label: What is below the axis.
        logarithmic: Whether that axis is.
        steep: Whether the other axis is logarithmic.
        reference: Geant4.
        samples: The samples, in the same bins.
        powers: Their separation powers.
        floor: That of Geant4 against itself.
    """

    label: str
    logarithmic: bool
    steep: bool
    reference: Histogram
    samples: tuple[Histogram, ...]
    powers: tuple[float, ...]
    floor: float


def _observables(
    floor: Judged, samples: Sequence[Judged], beginnings: Sequence[str]
) -> list[_Panel]:
    """A panel for each observable whose name begins like this."""
    tables: list[DistanceTable] = [
        item.drawing["observables"]["table"]
        for item in (floor, *samples)
        if "observables" in item.drawing
    ]
    panels = []
    for clean, *rows in zip(*(table.rows for table in tables), strict=True):
        observable = clean.observable
        if observable.name.startswith(tuple(beginnings)):
            unit = f" / {observable.unit}" if observable.unit else ""
            panels.append(
                _Panel(
                    observable.label + unit,
                    observable.logarithmic,
                    False,
                    rows[0].histogram,
                    tuple(row.distances.histogram for row in rows),
                    tuple(row.distances.separation.value for row in rows),
                    clean.distances.separation.value,
                )
            )
    return panels


def _spectra(floor: Judged, samples: Sequence[Judged]) -> list[_Panel]:
    """A panel for all cells, and one for the cells of each layer."""
    found = [item.drawing.get("spectra", {}).get("spectra", ()) for item in (floor, *samples)]
    panels = []
    for i, (clean, *spectra) in enumerate(zip(*found, strict=True)):
        cells = f"cells of layer {i - 1}" if i else "all cells"
        panels.append(
            _Panel(
                f"deposit / MeV, {cells}",
                True,
                True,
                spectra[0].reference,
                tuple(each.showers for each in spectra),
                tuple(each.separation.value for each in spectra),
                clean.separation.value,
            )
        )
    return panels[: 2 * COLUMNS]  # of a detector with many layers the first few


def _histograms(panels: Sequence[_Panel], names: Sequence[str]) -> Figure:
    lines = -(-len(panels) // COLUMNS)
    width, height = 3.4 * COLUMNS, 3.1 * lines
    # Margins in inches: with dozens of panels constrained layout takes longer than the drawing.
    figure = _new_figure(width, height, layout=None)
    grid = figure.add_gridspec(
        lines,
        COLUMNS,
        left=0.7 / width,
        right=1 - 0.1 / width,
        bottom=0.5 / height,
        top=1 - 0.3 / height,
        wspace=0.25,
        hspace=0.3,
    )
    for i, panel in enumerate(panels):
        cell = grid[i // COLUMNS, i % COLUMNS].subgridspec(2, 1, height_ratios=(3, 1), hspace=0.08)
        upper = figure.add_subplot(cell[0])
        lower = figure.add_subplot(cell[1], sharex=upper)
        _histogram(upper, lower, panel, names if i == 0 else [""] * len(names))
    return figure


def _histogram(upper: Axes, lower: Axes, panel: _Panel, names: Sequence[str]) -> None:
    reference, edges = panel.reference, panel.reference.edges
    upper.stairs(reference.density, edges, fill=True, color=REFERENCE_COLOUR, alpha=0.35)
    upper.stairs(
        reference.density, edges, color=REFERENCE_COLOUR, label="Geant4" if names[0] else None
    )
    band = _relative_error(reference)
    lower.stairs(1 + band, edges, baseline=1 - band, fill=True, color=REFERENCE_COLOUR, alpha=0.35)
    lower.axhline(1, color=REFERENCE_COLOUR, linewidth=0.8)
    centres = 0.5 * (edges[1:] + edges[:-1])
    for mine, name, colour in zip(panel.samples, names, _colours(len(names)), strict=True):
        upper.stairs(mine.density, edges, color=colour, linewidth=1.2, label=name or None)
        value, _ = ratio(mine, reference)
        lower.errorbar(
            centres, value, value * _relative_error(mine), fmt=".", color=colour, markersize=3,
            linewidth=0.8,
        )  # fmt: skip
    powers = ", ".join(f"{power:.1e}" for power in panel.powers)
    upper.set_title(f"S = {powers} ({panel.floor:.1e})", fontsize=8)
    lower.set_xlabel(panel.label)
    lower.set_ylim(0.5, 1.5)
    upper.tick_params(labelbottom=False)
    if panel.logarithmic:
        upper.set_xscale("log")
    if panel.steep:
        upper.set_yscale("log")
    if names[0]:
        upper.legend(fontsize=8, frameon=False)
        lower.set_ylabel("ratio", fontsize=8)


def _responses(curves: Sequence[EnergyComparison], names: Sequence[str]) -> Figure:
    figure = _new_figure(11, 3.6)
    left, right = figure.subplots(1, 2)
    lines = [(curves[0].reference, "Geant4", REFERENCE_COLOUR)]
    lines += [
        (curve.showers, name, colour)
        for curve, name, colour in zip(curves, names, _colours(len(curves)), strict=True)
    ]
    for points, name, colour in lines:
        energy = [point.energy for point in points]
        for axis, values in (
            (left, [point.response for point in points]),
            (right, [point.resolution for point in points]),
        ):
            axis.errorbar(
                energy,
                [item.value for item in values],
                [item.error for item in values],
                fmt="o-",
                markersize=3,
                linewidth=1,
                color=colour,
                label=name,
            )
    for axis, title in ((left, "mean response"), (right, "resolution / mean response")):
        axis.set_xscale("log")
        axis.set_xlabel("incident energy / GeV")
        axis.set_ylabel(title)
    left.legend(fontsize=8, frameon=False)
    return figure


def _relative_error(histogram: Histogram) -> FloatArray:
    counts = histogram.inside
    return np.divide(histogram.errors, counts, out=np.full_like(counts, np.nan), where=counts > 0)


def _colours(count: int) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(count)]


def _images(detector: Detector, means: Sequence[FloatArray], name: str) -> Figure:
    from matplotlib.colors import LogNorm

    layers = detector.layers[: 2 * COLUMNS]  # of a detector with many layers the first few
    figure = _new_figure(11, 2.9 * len(layers))
    axes = figure.subplots(len(layers), 3, squeeze=False)
    positive = np.concatenate(means)[np.concatenate(means) > 0]
    norm = LogNorm(max(positive.min(), positive.max() * 1e-6), positive.max())
    for i, (layer, part) in enumerate(zip(layers, detector.slices, strict=False)):
        first, second = (mean[part] for mean in means)
        division = np.divide(second, first, out=np.full_like(first, np.nan), where=first > 0)
        for axis, values, title in zip(
            axes[i], (first, second, division), ("Geant4", name, "ratio"), strict=True
        ):
            style: dict[str, Any] = {"norm": norm, "cmap": "magma"}
            if title == "ratio":
                style = {"vmin": 0.5, "vmax": 1.5, "cmap": "RdBu_r"}
            shown = _draw_layer(axis, layer, values, style)
            axis.set_title(f"layer {i}: {title}", fontsize=9)
            figure.colorbar(shown, ax=axis, label="" if title == "ratio" else "MeV")
    return figure


def _draw_layer(
    axis: Axes,
    layer: RectangularLayer | CylindricalLayer,
    values: FloatArray,
    style: dict[str, Any],
) -> Any:
    """Draw the cells of a layer to scale, looking along the particle."""
    image = values.reshape(layer.shape)
    if isinstance(layer, RectangularLayer):
        axis.set_xlabel("x / mm")
        axis.set_ylabel("y / mm")
        return axis.pcolormesh(layer.x_edges, layer.y_edges, image.T, **style)
    # A ring without bins in alpha is drawn as many equal pieces, or it would be a triangle.
    repeat = max(1, 48 // layer.n_alpha)
    alpha = np.linspace(0, 2 * np.pi, layer.n_alpha * repeat + 1)
    r = np.asarray(layer.r_edges)
    axis.set_aspect("equal")
    axis.set_xlabel("x / mm")
    return axis.pcolormesh(
        np.outer(np.cos(alpha), r), np.outer(np.sin(alpha), r), np.repeat(image, repeat, 0), **style
    )


def _correlations(pairs: Sequence[tuple[FloatArray, FloatArray]], name: str) -> Figure:
    figure = _new_figure(11, 3.4)
    axes = figure.subplots(1, 3)
    (_, theirs), (_, mine) = pairs
    for axis, values, title in zip(
        axes, (theirs, mine, mine - theirs), ("Geant4", name, "difference"), strict=True
    ):
        shown = axis.imshow(values, vmin=-1, vmax=1, cmap="RdBu_r")
        axis.set_title(title, fontsize=9)
        axis.set_xlabel("cell, brightest first")
        figure.colorbar(shown, ax=axis)
    return figure


def _neighbours(
    detector: Detector, examples: Sequence[tuple[FloatArray, FloatArray, float]]
) -> Figure:
    """Generated showers and the training showers next to them, layer by layer."""
    from matplotlib.colors import LogNorm

    # Of a detector with many layers, those with most energy.
    energy = detector.layer_sums(np.stack([mine for mine, _, _ in examples])).sum(axis=0)
    layers = np.sort(np.argsort(-energy)[:3])
    figure = _new_figure(2.3 * len(examples), 2.0 * 2 * len(layers))
    axes = figure.subplots(2 * len(layers), len(examples), squeeze=False)
    style = {"norm": LogNorm(1e-1, max(float(mine.max()) for mine, _, _ in examples))}
    for column, (mine, theirs, distance) in enumerate(examples):
        axes[0, column].set_title(f"distance {distance:.3f}", fontsize=8)
        for row, layer in enumerate(layers):
            for below, cells in ((0, mine), (1, theirs)):
                axis = axes[2 * row + below, column]
                part = detector.slices[layer]
                values = np.where(cells[part] > 0, cells[part], np.nan)
                _draw_layer(axis, detector.layers[layer], values, {**style, "cmap": "magma"})
                axis.set(xticks=[], yticks=[], xlabel="", ylabel="")
                if not column:
                    kind = "nearest" if below else "generated"
                    axis.set_ylabel(f"layer {layer}\n{kind}", fontsize=8)
    return figure
