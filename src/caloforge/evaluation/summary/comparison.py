"""Two summaries side by side, like with like: the reference in the spectrum of the showers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import Detector
from caloforge.evaluation.comparable import check_kind
from caloforge.evaluation.summary.moments import Moments
from caloforge.evaluation.summary.profiles import CELL_EDGES, Kind, axes
from caloforge.evaluation.summary.summary import (
    FRACTION_TICKS,
    RESPONSE_TICKS,
    TICK,
    EnergySlice,
    Summary,
    quantiles,
)

__all__ = ["Comparison", "Curve", "Mixture", "Overlay", "Profile", "compare_summaries", "mix"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Bins that are drawn, in ticks; the first that gives few enough bins is taken.
_STEPS = (1, 2, 4, 5, 10, 20, 40, 50, 100, 200, 400)
_TAIL = 0.005
# Showers that a bin of the chi-square must expect.
_MIN_EXPECTED = 5
# Spectra that differ by more than this share of the showers, beyond chance, are reported.
_SPECTRUM_TOLERANCE = 0.05
_ENERGY_TOLERANCE = 0.02


@dataclass(frozen=True, eq=False)
class Mixture:
    """Slices of incident energy put together with weights.

    Attributes:
        count: Number of showers that it is made of.
        weight: Sum of their weights.
        image: Mean deposit of each cell: shape (n_cells,), MeV.
        means: Means of the observables, in the order of ``EnergySlice.sums``: shape
            (1 + 2 n_layers,).
        errors: Statistical errors of ``means``: shape (1 + 2 n_layers,).
        response: Sums of weights and of squared weights over ``RESPONSE_TICKS``: shape
            (2, n_bins).
        fractions: The same for each layer over ``FRACTION_TICKS``: shape (n_layers, 2, n_bins).
        shares: Means and statistical errors of ``EnergySlice.shares``: shape (2, n_bins); None
            where a slice has none.
        cells: The same of ``EnergySlice.cells``: shape (2, n_layers * n_bins).
    """

    count: int
    weight: float
    image: FloatArray
    means: FloatArray
    errors: FloatArray
    response: FloatArray
    fractions: FloatArray
    shares: FloatArray | None
    cells: FloatArray | None


@dataclass(frozen=True, eq=False)
class Curve:
    """One histogram as it is drawn.

    Attributes:
        density: Share of the showers per unit of the observable, or what a profile has: shape
            (n_bins,).
        error: Statistical error: shape (n_bins,).
        outside: Share of the showers outside the bins.
    """

    density: FloatArray
    error: FloatArray
    outside: float


@dataclass(frozen=True, eq=False)
class Overlay:
    """An observable of the showers and of the reference, in the same bins.

    Attributes:
        edges: Edges of the bins: shape (n_bins + 1,).
        showers: The showers.
        reference: The reference, where there is one.
        chi2: Chi-square between the two and the number of bins in it; None where there are too few
            showers for one.
    """

    edges: FloatArray
    showers: Curve
    reference: Curve | None
    chi2: tuple[float, int] | None


@dataclass(frozen=True, eq=False)
class Profile:
    """Means over showers along an axis, of the showers and of the reference.

    Attributes:
        kind: The axis, as in :class:`~caloforge.evaluation.summary.profiles.Axis`; ``"cells"`` for
            the energies of cells.
        layer: The layer; None for the whole depth.
        edges: Edges of the bins: shape (n_bins + 1,); mm, numbers of layers, or MeV.
        showers: Share of the incident energy per mm (per mm^2 with ``"r"``, per layer with
            ``"layer"``), or cells per shower in each bin.
        reference: The same of the reference, where it has it.
    """

    kind: Kind | Literal["cells"]
    layer: int | None
    edges: FloatArray
    showers: Curve
    reference: Curve | None


@dataclass(frozen=True, eq=False)
class Comparison:
    """Showers and reference, the reference weighted to the spectrum of the showers.

    Attributes:
        showers: Those showers that the reference has energies for; all without a reference.
        reference: The weighted reference; None where there is none, or none of these energies.
        response: E_deposited / E_incident.
        fractions: Share of each layer in the deposited energy.
        profiles: Where the energy lies, along each axis of the readout.
        spectra: The energies of the cells of each layer.
        uncovered: Share of the showers that the reference has no energies for.
        spectra_differ: Whether the incident energies are distributed differently.
    """

    showers: Mixture
    reference: Mixture | None
    response: Overlay
    fractions: tuple[Overlay, ...]
    profiles: tuple[Profile, ...]
    spectra: tuple[Profile, ...]
    uncovered: float
    spectra_differ: bool


def compare_summaries(showers: Summary, reference: Summary | None) -> Comparison:
    """Compare showers with a reference.

    Args:
        showers: At least one shower.
        reference: Of the same detector and particle.

    Raises:
        ShowersError: The two are of different detectors or particles.
    """
    mine = {part.index: part for part in showers.slices}
    theirs: dict[int, EnergySlice] = {}
    if reference is not None:
        check_kind(reference, showers, "summary")
        theirs = {part.index: part for part in reference.slices}
    shared = sorted(mine.keys() & theirs.keys())
    kept = [mine[i] for i in shared] or list(showers.slices)
    ours = mix(kept, np.ones(len(kept)), np.ones(len(kept)))
    other = None
    if shared:
        parts = [theirs[i] for i in shared]
        weights = np.array([a.count / b.count for a, b in zip(kept, parts, strict=True)])
        # What is deposited grows with the energy: bring each slice to the same mean energy.
        scales = np.array([a.energy / b.energy for a, b in zip(kept, parts, strict=True)])
        other = mix(parts, weights, scales)
    return Comparison(
        ours,
        other,
        _overlay(RESPONSE_TICKS, ours.response, None if other is None else other.response),
        tuple(
            _overlay(FRACTION_TICKS, layer, None if other is None else other.fractions[i])
            for i, layer in enumerate(ours.fractions)
        ),
        tuple(_profiles(showers.detector, ours, other)),
        tuple(_spectra(showers.detector.n_layers, ours, other)),
        1.0 if reference is not None and not shared else 1.0 - ours.count / showers.count,
        reference is not None and _spectra_differ(mine, theirs),
    )


def mix(parts: Sequence[EnergySlice], weights: FloatArray, scales: FloatArray) -> Mixture:
    """Put slices together.

    Args:
        parts: At least one slice.
        weights: Weight of each shower of a slice: shape (n_slices,).
        scales: Factor on the deposits of a slice: shape (n_slices,).
    """
    counts = np.array([part.count for part in parts])
    total = float(weights @ counts)
    variances = np.stack([part.variances * part.count for part in parts])
    both = np.stack([weights, weights**2])
    fractions = np.stack([part.fraction_counts for part in parts])
    return Mixture(
        int(counts.sum()),
        total,
        (weights * scales) @ np.stack([part.image_sum for part in parts]) / total,
        weights @ np.stack([part.sums for part in parts]) / total,
        np.sqrt(weights**2 @ variances) / total,
        both @ np.stack([part.response_counts for part in parts]),
        np.einsum("ws,slb->lwb", both, fractions),
        _mix_moments([part.shares for part in parts], weights),
        _mix_moments([part.cells for part in parts], weights),
    )


def _mix_moments(parts: Sequence[Moments | None], weights: FloatArray) -> FloatArray | None:
    """Weighted means and their errors: shape (2, n_bins); None if a part is missing."""
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    counts = np.array([part.count for part in known])
    total = weights @ counts
    means = (weights * counts) @ np.stack([part.means for part in known]) / total
    errors = np.sqrt(weights**2 @ np.stack([part.scatter for part in known])) / total
    return np.stack([means, errors])


def _profiles(detector: Detector, showers: Mixture, reference: Mixture | None) -> Iterator[Profile]:
    if showers.shares is None:
        return
    theirs = None if reference is None else reference.shares
    start = 0
    for axis in axes(detector):
        bins = slice(start, start + len(axis.sizes))
        start = bins.stop
        mine, other = (
            None if values is None else _pair(values[:, bins] / np.array(axis.sizes))
            for values in (showers.shares, theirs)
        )
        assert mine is not None  # noqa: S101 (as found above)
        yield Profile(axis.kind, axis.layer, np.array(axis.edges), mine, other)


def _spectra(n_layers: int, showers: Mixture, reference: Mixture | None) -> Iterator[Profile]:
    """The spectrum of each layer, over the bins that one of the samples has cells in."""
    if showers.cells is None:
        return
    present = [showers.cells]
    if reference is not None and reference.cells is not None:
        present.append(reference.cells)
    for layer in range(n_layers):
        found = [values.reshape(2, n_layers, -1)[:, layer] for values in present]
        # The first and the last bin hold what lies beyond the edges, too: they are not drawn.
        filled = 1 + np.flatnonzero(sum(values[0] for values in found)[1:-1])
        bins = slice(filled[0], filled[-1] + 1) if filled.size else slice(1, 2)
        curves = [_pair(values[:, bins]) for values in found]
        edges = CELL_EDGES[bins.start : bins.stop + 1]
        yield Profile("cells", layer, edges, curves[0], curves[1] if len(curves) > 1 else None)


def _pair(values: FloatArray) -> Curve:
    return Curve(values[0], values[1], 0.0)


def _overlay(ticks: IntArray, showers: FloatArray, reference: FloatArray | None) -> Overlay:
    present = [showers] if reference is None else [showers, reference]
    shown = _display_edges(ticks, present)
    first = np.searchsorted(ticks, shown)
    edges = shown.astype(np.float64) * TICK
    curves = [_curve(edges, first, sums) for sums in present]
    if reference is None:
        return Overlay(edges, curves[0], None, None)
    chi2 = _chi2(curves[0], curves[1], showers[0].sum() * np.diff(edges))
    return Overlay(edges, curves[0], curves[1], chi2)


def _chi2(showers: Curve, reference: Curve, area: FloatArray) -> tuple[float, int] | None:
    """Pearson's chi-square and its bins: those where enough showers are expected.

    Args:
        showers: The showers.
        reference: What is expected.
        area: Showers per unit of density: shape (n_bins,).
    """
    expected = reference.density * area
    used = expected >= _MIN_EXPECTED
    if not used.any():
        return None
    difference = (showers.density - reference.density)[used] * area[used]
    variance = expected[used] + (reference.error[used] * area[used]) ** 2
    return float(np.sum(difference**2 / variance)), int(used.sum())


def _display_edges(ticks: IntArray, samples: Sequence[FloatArray]) -> IntArray:
    """Edges in ticks that show all but the tails, in bins that the statistics can fill."""
    spans = [quantiles(ticks, sums[0], (_TAIL, 1 - _TAIL)) for sums in samples]
    low, high = min(span[0] for span in spans), max(span[1] for span in spans)
    showers = min(sums[0].sum() ** 2 / sums[1].sum() for sums in samples)
    most = float(np.clip(1.3 * np.sqrt(showers), 20, 100))
    known = set(ticks.tolist())
    for step in _STEPS:
        first, last = int(low // step) * step, int(-(-high // step)) * step
        edges = np.arange(first, max(last, first + step) + 1, step)
        if len(edges) - 1 <= most and known.issuperset(edges.tolist()):
            return edges
    return np.array([ticks[0], ticks[-1]])


def _curve(edges: FloatArray, first: NDArray[np.intp], sums: FloatArray) -> Curve:
    """Draw sums of weights and squared weights, shape (2, n_bins), in wider bins."""
    running = np.pad(np.cumsum(sums, axis=1), ((0, 0), (1, 0)))
    inside = np.diff(running[:, first], axis=1)
    area = sums[0].sum() * np.diff(edges)
    return Curve(
        inside[0] / area,
        np.sqrt(np.maximum(inside[1], 0.0)) / area,
        float(1.0 - inside[0].sum() / sums[0].sum()),
    )


def _spectra_differ(mine: dict[int, EnergySlice], theirs: dict[int, EnergySlice]) -> bool:
    """Whether shares of the slices, or mean energies within them, differ beyond chance."""
    totals = [sum(part.count for part in sample.values()) for sample in (mine, theirs)]
    distance, chance = 0.0, 0.0
    for i in mine.keys() | theirs.keys():
        shares = [
            sample[i].count / total if i in sample else 0.0
            for sample, total in zip((mine, theirs), totals, strict=True)
        ]
        distance += 0.5 * abs(shares[0] - shares[1])
        chance += np.sqrt(sum(p * (1 - p) / n for p, n in zip(shares, totals, strict=True)))
    shifted = sum(
        mine[i].count
        for i in mine.keys() & theirs.keys()
        if abs(mine[i].energy / theirs[i].energy - 1.0) > _ENERGY_TOLERANCE
    )
    # Within a slice energies scatter by some 13%, so small samples shift their mean by chance.
    moved = shifted / totals[0] if totals[0] >= 50 * len(mine) else 0.0
    return bool(distance > _SPECTRUM_TOLERANCE + chance or moved > 0.5)
