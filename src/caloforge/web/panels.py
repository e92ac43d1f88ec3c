"""How each kind of panel is drawn; what it shows, its panels say themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import CylindricalLayer, Detector, RectangularLayer
from caloforge.errors import CaloforgeError
from caloforge.evaluation.distances.histograms import Histogram, ratio
from caloforge.evaluation.shown import (
    ExamplesPanel,
    HistogramPanel,
    ImagePanel,
    MatrixPanel,
    Panel,
    PointsPanel,
    Series,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["KINDS", "MOST", "Alone", "Together"]

FloatArray = NDArray[np.float64]

REFERENCE_COLOUR = "#8a95a5"
COLOURS = ("#c2410c", "#1d4ed8", "#15803d", "#7e22ce", "#b45309", "#0e7490")
COLUMNS = 4
MOST = 20
"""Quantities of a figure of histograms: of detectors with many layers those that differ most."""


@dataclass(frozen=True)
class Together:
    """A kind of which all samples are in one figure.

    Attributes:
        draw: Takes the panels of each sample, those of the floor, and the names of the samples.
        caption: What stands below it, with ``{about}`` for what its panels say of themselves.
    """

    draw: Callable[[Sequence[Sequence[Any]], Sequence[Any], Sequence[str]], Figure]
    caption: str


@dataclass(frozen=True)
class Alone:
    """A kind with a figure for each sample.

    Attributes:
        draw: Takes a panel, the detector, and the name of the sample.
        caption: What stands below it, with ``{about}`` for what the panel says of itself, and
            ``{name}`` for that name.
    """

    draw: Callable[[Any, Detector, str], Figure]
    caption: str


def _new_figure(
    width: float, height: float, layout: Literal["constrained"] | None = "constrained"
) -> Figure:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        msg = "figures need matplotlib: pip install 'caloforge[evaluate]'"
        raise CaloforgeError(msg) from None
    return Figure(figsize=(width, height), layout=layout)


def _histograms(
    samples: Sequence[Sequence[HistogramPanel]],
    floor: Sequence[HistogramPanel],
    names: Sequence[str],
) -> Figure:
    # The panels of each quantity, with the number of their sample.
    quantities: dict[str, list[tuple[int, HistogramPanel]]] = {}
    for number, panels in enumerate(samples):
        for panel in panels:
            quantities.setdefault(panel.label, []).append((number, panel))
    if len(quantities) > MOST:
        chosen = sorted(quantities, key=lambda each: -_distance(quantities[each]))[:MOST]
        quantities = {label: quantities[label] for label in quantities if label in chosen}
    clean = {panel.label: panel.distance for panel in floor}
    lines = -(-len(quantities) // COLUMNS)
    width, height = 3.4 * COLUMNS, 3.1 * lines
    # Margins in inches: with dozens of panels constrained layout takes longer than the drawing.
    figure = _new_figure(width, height, layout=None)
    grid = figure.add_gridspec(
        lines,
        COLUMNS,
        left=0.7 / width,
        right=1 - 0.1 / width,
        bottom=0.5 / height,
        top=1 - 0.55 / height,
        wspace=0.25,
        hspace=0.36,
    )
    for i, (label, found) in enumerate(quantities.items()):
        cell = grid[i // COLUMNS, i % COLUMNS].subgridspec(2, 1, height_ratios=(3, 1), hspace=0.08)
        upper = figure.add_subplot(cell[0])
        lower = figure.add_subplot(cell[1], sharex=upper)
        _histogram(upper, lower, found, names if i == 0 else ())
        if i % COLUMNS == 0:
            upper.set_ylabel("showers, normalised", fontsize=8)
            lower.set_ylabel("ratio", fontsize=8)
        if i == 0:
            figure.legend(loc="upper left", ncols=1 + len(names), fontsize=8, frameon=False)
        powers = ", ".join(f"{panel.distance:.1e}" for _, panel in found)
        # Said where it is: to find that out takes longer than to draw it.
        upper.set_title(
            f"S = {powers} ({clean.get(label, np.nan):.1e})", fontsize=8, y=1.0, loc="right"
        )
    return figure


def _distance(panels: Sequence[tuple[int, HistogramPanel]]) -> float:
    """How far the sample that is farthest is from Geant4."""
    return max((panel.distance for _, panel in panels if np.isfinite(panel.distance)), default=0.0)


def _histogram(
    upper: Axes, lower: Axes, panels: Sequence[tuple[int, HistogramPanel]], names: Sequence[str]
) -> None:
    """One quantity of all samples, for a legend where there are names."""
    first = panels[0][1]
    reference, edges = first.reference, first.reference.edges
    upper.stairs(reference.density, edges, fill=True, color=REFERENCE_COLOUR, alpha=0.35)
    upper.stairs(
        reference.density, edges, color=REFERENCE_COLOUR, label="Geant4" if names else None
    )
    band = _relative_error(reference)
    lower.stairs(1 + band, edges, baseline=1 - band, fill=True, color=REFERENCE_COLOUR, alpha=0.35)
    lower.axhline(1, color=REFERENCE_COLOUR, linewidth=0.8)
    for number, panel in panels:
        # The bins are those of its own reference, which another sample may not share.
        mine, colour = panel.showers, _colour(number)
        centres = 0.5 * (mine.edges[1:] + mine.edges[:-1])
        name = names[number] if names else None
        upper.stairs(mine.density, mine.edges, color=colour, linewidth=1.2, label=name)
        value, _ = ratio(mine, panel.reference)
        lower.errorbar(
            centres, value, value * _relative_error(mine), fmt=".", color=colour, markersize=3,
            linewidth=0.8,
        )  # fmt: skip
    lower.set_xlabel(first.label)
    lower.tick_params(axis="x", labelsize=8)
    lower.set(ylim=(0.5, 1.5), yticks=(0.75, 1, 1.25))  # none beside the lowest of the upper axis
    upper.tick_params(labelbottom=False)
    if first.logarithmic:
        upper.set_xscale("log")
    else:
        lower.locator_params(axis="x", nbins=5)
    if first.steep:
        upper.set_yscale("log")
    else:
        upper.ticklabel_format(axis="y", scilimits=(-2, 3))  # long numbers would reach other axes
    for axis in (upper, lower):
        axis.minorticks_off()


def _points(
    samples: Sequence[Sequence[PointsPanel]],
    floor: Sequence[PointsPanel],  # noqa: ARG001
    names: Sequence[str],
) -> Figure:
    quantities: dict[str, PointsPanel] = {}
    for panels in samples:
        for panel in panels:
            quantities.setdefault(panel.title, panel)
    columns = min(2, len(quantities))
    lines = -(-len(quantities) // columns)
    figure = _new_figure(5.5 * columns, 3.6 * lines)
    axes = figure.subplots(lines, columns, squeeze=False).ravel()
    for axis, (title, first) in zip(axes, quantities.items(), strict=False):
        _series(axis, first.reference, "Geant4", REFERENCE_COLOUR)
        for number, (panels, name) in enumerate(zip(samples, names, strict=True)):
            for panel in panels:
                if panel.title == title:
                    _series(axis, panel.showers, name, _colour(number))
        if first.logarithmic:
            axis.set_xscale("log")
        if first.steep:
            axis.set_yscale("log")
        axis.minorticks_off()
        axis.set_xlabel(first.label)
        axis.set_ylabel(title)
        if first.steep:
            axis.set_ylim(bottom=_lowest(axis))
    for axis in axes[len(quantities) :]:
        axis.set_visible(False)
    # Above all axes, where no curve is.
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper left", ncols=len(labels), fontsize=8, frameon=False
    )
    return figure


def _lowest(axis: Axes) -> float | None:
    """A little below the smallest number that is drawn: error bars may go on to nothing."""
    values = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in axis.lines])
    positive = values[values > 0]
    return 0.3 * float(positive.min()) if len(positive) else None


def _series(axis: Axes, series: Series, name: str, colour: str) -> None:
    axis.errorbar(
        series.at,
        [item.value for item in series.values],
        [item.error for item in series.values],
        fmt="o-",
        markersize=3,
        linewidth=1,
        color=colour,
        label=name,
    )


def _relative_error(histogram: Histogram) -> FloatArray:
    counts = histogram.inside
    return np.divide(histogram.errors, counts, out=np.full_like(counts, np.nan), where=counts > 0)


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def _images(panel: ImagePanel, detector: Detector, name: str) -> Figure:
    from matplotlib.colors import LogNorm

    layers = detector.layers[: 2 * COLUMNS]  # of a detector with many layers the first few
    figure = _new_figure(11, 2.9 * len(layers))
    axes = figure.subplots(len(layers), 3, squeeze=False)
    both = np.concatenate([panel.reference, panel.showers])
    positive = both[both > 0]
    most = float(positive.max(initial=1e-12))
    norm = LogNorm(max(float(positive.min(initial=most)), most * 1e-6) * 0.99, most)
    shown: dict[str, Any] = {}
    for i, (layer, part) in enumerate(zip(layers, detector.slices, strict=False)):
        first, second = panel.reference[part], panel.showers[part]
        division = np.divide(second, first, out=np.full_like(first, np.nan), where=first > 0)
        for axis, values, title in zip(
            axes[i], (first, second, division), ("Geant4", name, "ratio"), strict=True
        ):
            style: dict[str, Any] = {"norm": norm, "cmap": "magma"}
            if title == "ratio":
                style = {"vmin": 0.5, "vmax": 1.5, "cmap": "RdBu_r"}
            shown[title] = _draw_layer(axis, layer, values, style)
            axis.set_title(f"layer {i}: {title}", fontsize=9)
    # All layers share the scales of colours.
    figure.colorbar(shown["Geant4"], ax=axes[:, 1], label="MeV", aspect=40).minorticks_off()
    figure.colorbar(shown["ratio"], ax=axes[:, 2], label="ratio", aspect=40)
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
    axis.set(xlabel="x / mm", ylabel="y / mm")
    return axis.pcolormesh(
        np.outer(np.cos(alpha), r), np.outer(np.sin(alpha), r), np.repeat(image, repeat, 0), **style
    )


def _matrices(panel: MatrixPanel, detector: Detector, name: str) -> Figure:  # noqa: ARG001
    figure = _new_figure(11, 3.4)
    axes = figure.subplots(1, 3)
    difference = panel.showers - panel.reference
    for axis, values, title in zip(
        axes,
        (panel.reference, panel.showers, difference),
        ("Geant4", name, "difference"),
        strict=True,
    ):
        shown = axis.imshow(values, vmin=-1, vmax=1, cmap="RdBu_r")
        axis.set_title(title, fontsize=9)
        axis.set(xlabel=panel.label, ylabel=panel.label if title == "Geant4" else "")
        figure.colorbar(shown, ax=axis, label="correlation")
    return figure


def _examples(panel: ExamplesPanel, detector: Detector, name: str) -> Figure:  # noqa: ARG001
    """Single showers and those below them, layer by layer."""
    from matplotlib.colors import LogNorm

    # Of a detector with many layers, those with most energy.
    showers = np.stack([example.shower for example in panel.examples])
    energy = detector.layer_sums(showers).sum(axis=0)
    layers = np.sort(np.argsort(-energy)[:3])
    figure = _new_figure(2.3 * len(showers), 2.0 * 2 * len(layers))
    axes = figure.subplots(2 * len(layers), len(showers), squeeze=False)
    most = float(showers.max())
    style = {"norm": LogNorm(min(1e-1, 1e-3 * most), most)}
    for column, example in enumerate(panel.examples):
        axes[0, column].set_title(example.title, fontsize=8)
        for row, layer in enumerate(layers):
            for below, cells in enumerate((example.shower, example.other)):
                axis = axes[2 * row + below, column]
                part = detector.slices[layer]
                values = np.where(cells[part] > 0, cells[part], np.nan)
                drawn = {**style, "cmap": "magma"}
                shown = _draw_layer(axis, detector.layers[layer], values, drawn)
                axis.set(xlabel="", ylabel="")
                axis.locator_params(nbins=4)
                axis.tick_params(labelsize=7)
                if column:
                    axis.set_yticks([])
                else:
                    title = f"layer {layer}, {panel.names[below]}\ny / mm"
                    axis.set_ylabel(title, fontsize=8)
                if below:
                    axis.set_xlabel("x / mm", fontsize=8)
                else:
                    axis.set_xticks([])
    figure.colorbar(shown, ax=axes, label="MeV", aspect=60).minorticks_off()
    return figure


KINDS: Mapping[type[Panel], Together | Alone] = {
    HistogramPanel: Together(
        _histograms,
        "{about} Area: Geant4; lines: generated, normalised to the same number of showers; below, "
        "the ratio. Bars and band are statistical errors. S is the separation power, in brackets "
        "that of Geant4 against itself.",
    ),
    PointsPanel: Together(_points, "{about} With statistical errors. Grey: Geant4."),
    ImagePanel: Alone(
        _images,
        "{about}: Geant4, {name}, and the ratio of the two. All layers share one logarithmic "
        "colour scale.",
    ),
    MatrixPanel: Alone(_matrices, "{about}: Geant4, {name}, and the difference."),
    ExamplesPanel: Alone(_examples, "{name}: {about}"),
}
"""How each kind is drawn."""
