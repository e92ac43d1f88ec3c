"""A compact summary of many showers, made block by block in constant memory.

Two samples can only be compared where they have the same incident energies, and one that is
shipped as a reference does not know the spectrum that it will be compared with. So everything is
kept per slice of incident energy: five slices per decade, centred on powers of ten (0.79-1.26 GeV,
1.26-2.0 GeV, ...), the same for every summary. A comparison then weights the slices of the
reference to the spectrum of the other sample (:mod:`caloforge.evaluation.summary.comparison`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from operator import add

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import Detector
from caloforge.evaluation.comparable import check_kind
from caloforge.evaluation.summary.moments import Moments
from caloforge.evaluation.summary.profiles import CELL_EDGES, cell_counts, shares
from caloforge.evaluation.summary.slices import OCCUPIED, slice_of
from caloforge.showers import Showers

__all__ = ["FRACTION_TICKS", "RESPONSE_TICKS", "TICK", "EnergySlice", "Summary", "SummaryBuilder"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

TICK = 1 / 2000
"""Every edge of every histogram is a whole number of ticks of 0.0005."""
RESPONSE_TICKS: IntArray = np.concatenate(
    [np.arange(0, 200), np.arange(200, 1800, 20), np.arange(1800, 2201)]
)
"""Edges of the response, in ticks: bins of 0.0005 below 0.1 (minimum ionising particles, sampling
fractions) and from 0.9 to 1.1 (electromagnetic showers), of 0.01 between."""
FRACTION_TICKS: IntArray = np.concatenate(
    [np.arange(0, 40), np.arange(40, 200, 5), np.arange(200, 2001, 20)]
)
"""Edges of the layer fractions, in ticks: bins of 0.0005 below 0.02, of 0.0025 up to 0.1,
of 0.01 up to 1."""

_BLOCK = 2**21  # numbers that are looked at in one go


@dataclass(frozen=True, eq=False)
class EnergySlice:
    """The showers of one slice of incident energy, as sums, so that slices can be added.

    Attributes:
        index: Which slice; :func:`slice_edges` says where it begins and ends.
        count: Number of showers.
        energy_span: Smallest and largest incident energy, GeV.
        energy_sum: Sum of the incident energies, GeV.
        image_sum: Sum of the deposits: shape (n_cells,), MeV.
        sums: Sums of the observables of each shower: shape (1 + 2 n_layers,); the response, then
            the fraction of each layer, then the number of occupied cells of each layer.
        squares: Sums of their squares: shape (1 + 2 n_layers,).
        response_counts: Histogram of the response over ``RESPONSE_TICKS``: shape (n_bins,). What
            lies beyond the last edge is in the last bin.
        fraction_counts: Histograms of the layer fractions over ``FRACTION_TICKS``: shape
            (n_layers, n_bins).
        shares: Share of the incident energy in each bin of the axes of the readout
            (:func:`caloforge.evaluation.summary.profiles.axes`): shape (n_bins,). None in what was
            kept before caloforge knew of it.
        cells: Cells of each layer in each bin of ``CELL_EDGES``: shape (n_layers * n_bins,); None
            in what was kept before caloforge knew of it.
    """

    index: int
    count: int
    energy_span: tuple[float, float]
    energy_sum: float
    image_sum: FloatArray
    sums: FloatArray
    squares: FloatArray
    response_counts: IntArray
    fraction_counts: IntArray
    shares: Moments | None = None
    cells: Moments | None = None

    @property
    def energy(self) -> float:
        """Mean incident energy, GeV."""
        return self.energy_sum / self.count

    @property
    def means(self) -> FloatArray:
        """Means of the observables, in the order of ``sums``: shape (1 + 2 n_layers,)."""
        return self.sums / self.count

    @property
    def variances(self) -> FloatArray:
        """Variances of the observables, in the order of ``sums``: shape (1 + 2 n_layers,)."""
        return np.maximum(self.squares / self.count - self.means**2, 0.0)

    @property
    def response_width(self) -> float:
        """Half of the central 68% interval of the response, from the histogram."""
        low, high = quantiles(RESPONSE_TICKS, self.response_counts, (0.16, 0.84))
        return 0.5 * (high - low) * TICK

    def __add__(self, other: EnergySlice) -> EnergySlice:
        """The showers of both, which must be of the same slice."""
        return EnergySlice(
            self.index,
            self.count + other.count,
            _span([self.energy_span, other.energy_span]),
            self.energy_sum + other.energy_sum,
            self.image_sum + other.image_sum,
            self.sums + other.sums,
            self.squares + other.squares,
            self.response_counts + other.response_counts,
            self.fraction_counts + other.fraction_counts,
            _both(self.shares, other.shares),
            _both(self.cells, other.cells),
        )


@dataclass(frozen=True, eq=False)
class Summary:
    """What is kept of a sample of showers.

    Attributes:
        detector: What the showers are recorded in.
        particle: PDG name of the particle, empty where it is not known.
        slices: The slices of incident energy that hold showers, in increasing order.

    Examples:
        >>> from caloforge.detector import load_detector
        >>> detector = load_detector("calogan")
        >>> showers = Showers(detector, np.array([10.0, 50.0]), np.ones((2, 504)), "e+")
        >>> builder = SummaryBuilder(detector, "e+")
        >>> builder.add(showers)
        >>> summary = builder.result()
        >>> summary.count, summary.energy_span
        (2, (10.0, 50.0))
    """

    detector: Detector
    particle: str
    slices: tuple[EnergySlice, ...]

    @property
    def count(self) -> int:
        """Number of showers."""
        return sum(part.count for part in self.slices)

    @cached_property
    def energy_span(self) -> tuple[float, float]:
        """Smallest and largest incident energy, GeV; (0, 0) where there are no showers."""
        return _span([part.energy_span for part in self.slices]) if self.slices else (0.0, 0.0)

    @property
    def image(self) -> FloatArray:
        """Mean deposit of each cell: shape (n_cells,), MeV."""
        total = sum((part.image_sum for part in self.slices), np.zeros(self.detector.n_cells))
        return total / max(self.count, 1)

    def __add__(self, other: Summary) -> Summary:
        """The showers of both.

        Raises:
            ShowersError: They are of different detectors or particles.
        """
        check_kind(self, other, "summary")
        slices = {part.index: part for part in self.slices}
        for part in other.slices:
            mine = slices.get(part.index)
            slices[part.index] = part if mine is None else mine + part
        particle = self.particle or other.particle
        return replace(self, particle=particle, slices=tuple(slices[i] for i in sorted(slices)))


class SummaryBuilder:
    """Makes the summary of a stream of showers; memory does not grow with their number."""

    def __init__(self, detector: Detector, particle: str = "") -> None:
        """Begin with no showers.

        Args:
            detector: What the showers are recorded in.
            particle: PDG name of the particle, empty where it is not known.
        """
        self._summary = Summary(detector, particle, ())

    def add(self, showers: Showers) -> None:
        """Add a block of showers, in any order.

        Raises:
            ShowersError: They are of another detector or particle.
        """
        index = slice_of(showers.energy)
        parts = (_summarise(int(i), showers[index == i]) for i in np.unique(index))
        self._summary += Summary(showers.detector, showers.particle, tuple(parts))

    def result(self) -> Summary:
        """The summary of all showers so far."""
        return self._summary


def quantiles(edges: IntArray, counts: NDArray[np.number], levels: Iterable[float]) -> list[float]:
    """Quantiles of a histogram, showers spread evenly within each bin.

    Args:
        edges: Shape (n_bins + 1,).
        counts: Shape (n_bins,), at least one positive.
        levels: Numbers from 0 to 1.

    Returns:
        One value per level, in the unit of the edges.
    """
    cumulative = np.concatenate([[0.0], np.cumsum(counts)]) / np.sum(counts)
    return [float(np.interp(level, cumulative, edges)) for level in levels]


def _summarise(index: int, showers: Showers) -> EnergySlice:
    detector = showers.detector
    response, fractions = showers.response, showers.layer_fractions
    occupied = detector.layer_sums((showers.deposits > OCCUPIED).astype(np.float64))
    observables = np.column_stack([response, fractions, occupied])
    size = max(1, _BLOCK // max(detector.n_cells, detector.n_layers * len(CELL_EDGES)))
    blocks = [showers[start : start + size] for start in range(0, len(showers), size)]
    return EnergySlice(
        index,
        len(showers),
        (float(showers.energy.min()), float(showers.energy.max())),
        float(showers.energy.sum()),
        showers.deposits.sum(axis=0, dtype=np.float64),
        observables.sum(axis=0),
        np.square(observables).sum(axis=0),
        _counts(RESPONSE_TICKS, response),
        np.stack([_counts(FRACTION_TICKS, layer) for layer in fractions.T]),
        reduce(add, (Moments.of(shares(block)) for block in blocks)),
        reduce(add, (Moments.of(cell_counts(block)) for block in blocks)),
    )


def _both(one: Moments | None, other: Moments | None) -> Moments | None:
    return None if one is None or other is None else one + other


def _counts(ticks: IntArray, values: FloatArray) -> IntArray:
    """Showers in each bin: shape (n_bins,); what lies beyond the last edge is in the last bin."""
    found = np.searchsorted(ticks, values / TICK, side="right") - 1
    return np.bincount(np.clip(found, 0, len(ticks) - 2), minlength=len(ticks) - 1)


def _span(spans: Iterable[tuple[float, float]]) -> tuple[float, float]:
    lows, highs = zip(*spans, strict=True)
    return min(lows), max(highs)
