"""The page that shows a sample of showers beside Geant4: one HTML file, readable without network.

Python decides what is shown (:mod:`caloforge.evaluation.summary.comparison` does the statistics);
the scripts beside this file only draw it. All that they draw is in one JSON object in the page.
"""

from __future__ import annotations

import html
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from caloforge.atomic import write_text
from caloforge.detector import Detector, Layer, RectangularLayer
from caloforge.detector.layers import CylindricalLayer
from caloforge.errors import ShowersError
from caloforge.evaluation.summary.comparison import (
    Comparison,
    Curve,
    Mixture,
    Overlay,
    Profile,
    compare_summaries,
)
from caloforge.evaluation.summary.slices import OCCUPIED, slice_edges
from caloforge.evaluation.summary.summary import EnergySlice, Summary
from caloforge.showers import Showers
from caloforge.speed.geant4_times import geant4_time
from caloforge.version import __version__
from caloforge.web.template import render, resource

__all__ = ["Beside", "RunInfo", "write_overview"]

_SCRIPTS = (
    "plots.js",
    "images.js",
    "rulers.js",
    "shower3d.js",
    "shower.js",
    "profiles.js",
    "overview.js",
)
# Slices with fewer showers have no width worth showing.
_MIN_SLICE = 20
# Cells that are drawn, of all showers together.
_MAX_EVENT_CELLS = 6000

Json = dict[str, object]


@dataclass(frozen=True)
class RunInfo:
    """How the showers were made.

    Attributes:
        generator: Name of the generator.
        version: Its version.
        seed: Seed of the random numbers; None where there is none.
        command: What was typed.
        seconds_per_shower: Wall time per shower, s; None where it was not measured.
        processes: How many made them side by side.
        machine: What the time was measured on.
        file: Name of the file that they are in.
    """

    generator: str
    version: str = ""
    seed: int | None = None
    command: str = ""
    seconds_per_shower: float | None = None
    processes: int = 1
    machine: str = ""
    file: str = ""


@dataclass(frozen=True)
class Beside:
    """What the showers are shown beside.

    Attributes:
        summary: Showers of the same particle in the same detector.
        events: Some of them, which are drawn in three dimensions; None where there are none.
        name: What made them.
        about: What else there is to say of them.
    """

    summary: Summary
    events: Showers | None = None
    name: str = "Geant4"
    about: str = ""


def write_overview(
    path: str | Path,
    summary: Summary,
    events: Showers,
    run: RunInfo,
    *,
    beside: Beside | None = None,
) -> None:
    """Write the page.

    Args:
        path: HTML file to make or replace.
        summary: The showers.
        events: Some of them, which are drawn in three dimensions, one at a time; the one in the
            middle first.
        run: How they were made.
        beside: What they are compared with.

    Raises:
        ShowersError: There are no showers, the events are none of this detector, or what they are
            compared with is of another detector or particle.
        OutputError: The file cannot be written.
    """
    if not summary.count:
        msg = "summary: has no showers, must have at least one"
        raise ShowersError(msg)
    for some in (events, beside.events if beside else None):
        if some is not None and not (len(some) and some.detector.same_readout(summary.detector)):
            msg = f"events: got {some!r}, must be showers in {summary.detector.name!r}"
            raise ShowersError(msg)
    page = _content(summary, events, run, beside)
    title = f"{summary.particle or 'Particle'} showers from {run.generator}"
    write_text(Path(path), _render(title, page))


def _render(title: str, content: Json) -> str:
    """Put style, scripts and data into the template."""
    # In JSON "<" occurs within strings only; escaped, no text can end the script element.
    data = json.dumps(content, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    parts = {
        "title": html.escape(title),
        "scripts": "\n".join(map(resource, _SCRIPTS)),
        "data": data,
    }
    return render("overview.html", parts)


def _content(summary: Summary, events: Showers, run: RunInfo, beside: Beside | None) -> Json:
    reference = None if beside is None else beside.summary
    comparison = compare_summaries(summary, reference)
    return {
        "run": {**asdict(run), "caloforge": __version__},
        "particle": summary.particle,
        "detector": _describe_detector(summary.detector),
        "showers": _describe_sample(summary, comparison.showers),
        "reference": (
            None
            if beside is None or comparison.reference is None
            else {
                **_describe_sample(beside.summary, comparison.reference),
                "name": beside.name,
                "about": beside.about,
            }
        ),
        "geant4": _describe_time(summary),
        "notes": _notes(summary, beside, comparison),
        "response": _describe_histogram(comparison.response),
        "fractions": [_describe_histogram(item) for item in comparison.fractions],
        "profiles": [_describe_profile(item) for item in comparison.profiles],
        "spectra": [_describe_profile(item) for item in comparison.spectra],
        "energies": _describe_slices(summary, reference),
        "occupied": OCCUPIED,
        "events": _describe_events(events),
        "reference_events": _describe_events(beside.events) if beside and beside.events else [],
    }


def _notes(summary: Summary, beside: Beside | None, comparison: Comparison) -> list[str]:
    """What must be known to read the comparison rightly."""
    if beside is None:
        return ["There is no Geant4 reference for these showers: they are shown alone."]
    spans = f"these showers {_range(summary)}, {beside.name} {_range(beside.summary)}"
    if comparison.reference is None:
        return [
            f"{beside.name} has none of these incident energies ({spans}): nothing can be compared."
        ]
    notes = []
    if comparison.spectra_differ:
        notes.append(
            f"The incident energies are distributed differently ({spans}). {beside.name} is "
            "weighted to the spectrum of these showers in slices of energy, five per decade; what "
            "varies within a slice is not corrected, so small differences may come from the "
            "energies."
        )
    if comparison.uncovered > 0:
        notes.append(
            f"{100 * comparison.uncovered:.2g}% of these showers have incident energies that "
            f"{beside.name} does not cover ({spans}). They are left out of every comparison."
        )
    return notes


def _range(summary: Summary) -> str:
    low, high = (f"{energy:.3g}" for energy in summary.energy_span)
    return f"{low} GeV" if low == high else f"{low}–{high} GeV"


def _describe_detector(detector: Detector) -> Json:
    return {
        "name": detector.name,
        "description": detector.description,
        "layers": [_describe_layer(layer) for layer in detector.layers],
    }


def _describe_layer(layer: Layer) -> Json:
    if isinstance(layer, RectangularLayer):
        return {"depth": layer.depth, "x": _rounded(layer.x_edges), "y": _rounded(layer.y_edges)}
    assert isinstance(layer, CylindricalLayer)  # noqa: S101 (there are two kinds)
    return {"depth": layer.depth, "r": _rounded(layer.r_edges), "sectors": layer.n_alpha}


def _describe_sample(summary: Summary, mixture: Mixture) -> Json:
    return {
        "count": summary.count,
        "compared": mixture.count,
        "span": _rounded(summary.energy_span),
        "image": _rounded(mixture.image, 4),
        "means": _rounded(mixture.means, 8),
        "errors": _rounded(mixture.errors, 4),
    }


def _describe_histogram(histogram: Overlay) -> Json:
    return {
        "edges": _rounded(histogram.edges, 6),
        "showers": _describe_curve(histogram.showers),
        "reference": histogram.reference and _describe_curve(histogram.reference),
        "chi2": histogram.chi2,
    }


def _describe_curve(curve: Curve) -> Json:
    return {
        "density": _rounded(curve.density),
        "error": _rounded(curve.error),
        "outside": round(curve.outside, 6),
    }


def _describe_slices(summary: Summary, reference: Summary | None) -> list[Json]:
    """Mean and width of the response in each slice of incident energy that the showers are in."""
    samples = [
        {part.index: part for part in (sample.slices if sample else ())}
        for sample in (summary, reference)
    ]
    return [
        {
            "edges": _rounded(slice_edges(index)),
            "showers": _describe_slice(samples[0].get(index)),
            "reference": _describe_slice(samples[1].get(index)),
        }
        for index in sorted(samples[0].keys() | samples[1].keys())
    ]


def _describe_slice(part: EnergySlice | None) -> Json | None:
    if part is None or part.count < _MIN_SLICE:
        return None
    root = np.sqrt(part.count)
    mean, width = float(part.means[0]), part.response_width
    # 0.96: the error of half the distance of the 16% and 84% quantiles of a Gaussian.
    return {
        "energy": part.energy,
        "mean": [mean, float(np.sqrt(part.variances[0]) / root)],
        "resolution": [width / mean, 0.96 * width / mean / root] if mean > 0 else None,
    }


def _describe_profile(profile: Profile) -> Json:
    return {
        "kind": profile.kind,
        "layer": profile.layer,
        "edges": _rounded(profile.edges),
        "showers": _describe_curve(profile.showers),
        "reference": profile.reference and _describe_curve(profile.reference),
    }


def _describe_time(summary: Summary) -> Json | None:
    """Processor time of Geant4 for a shower of these energies, where it was measured."""
    time = geant4_time(summary.detector, summary.particle)
    if time is None:
        return None
    energies = np.array([part.energy for part in summary.slices])
    seconds = time.mean(energies, np.array([part.count for part in summary.slices]))
    if seconds is None:
        return None
    return {"seconds": seconds, "machine": time.machine, "physics": time.physics}


def _describe_events(events: Showers) -> list[Json]:
    most = _MAX_EVENT_CELLS // max(1, len(events))
    return [_describe_event(events[i : i + 1], most) for i in range(len(events))]


def _describe_event(event: Showers, most: int) -> Json:
    deposits = event.deposits[0]
    largest = np.argsort(deposits)[::-1][:most]
    cells = largest[deposits[largest] > 0]
    return {
        "energy": float(f"{event.energy[0]:.5g}"),
        "deposit": float(event.total_energy[0]),
        "occupied": int((deposits > 0).sum()),
        "cells": cells.tolist(),
        "deposits": _rounded(deposits[cells], 3),
    }


def _rounded(values: ArrayLike, digits: int = 5) -> list[float]:
    return [float(f"{value:.{digits}g}") for value in np.asarray(values, dtype=np.float64)]
