"""Summaries as JSON: small enough to ship with an artefact, checked when they are read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from caloforge.detector import Detector, detector_from_json, detector_to_json
from caloforge.errors import DetectorError, FileFormatError
from caloforge.evaluation.summary.moments import Moments
from caloforge.evaluation.summary.profiles import CELL_EDGES, axes
from caloforge.evaluation.summary.summary import (
    FRACTION_TICKS,
    RESPONSE_TICKS,
    EnergySlice,
    Summary,
)
from caloforge.explain import explain

__all__ = ["read_summary", "write_summary"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Histogram(_Part):
    """Counts from the first bin that is not empty to the last."""

    first: Count
    counts: tuple[Count, ...]


class _Moments(_Part):
    """Means and standard deviations from the first entry that is not empty to the last."""

    first: Count
    means: tuple[NotNegative, ...]
    deviations: tuple[NotNegative, ...]


class _Slice(_Part):
    index: int
    count: Annotated[int, Field(ge=1)]
    energy: Positive
    energy_span: tuple[Positive, Positive]
    image: tuple[NotNegative, ...]
    means: tuple[NotNegative, ...]
    deviations: tuple[NotNegative, ...]
    response: _Histogram
    fractions: tuple[_Histogram, ...]
    shares: tuple[_Moments, ...] | None = None
    cells: tuple[_Moments, ...] | None = None


class _Summary(_Part):
    """The first version had neither ``shares`` nor ``cells``; it stays readable."""

    format: Literal["caloforge-summary-1", "caloforge-summary-2"]
    particle: str
    detector: dict[str, object]
    slices: tuple[_Slice, ...]


def write_summary(summary: Summary) -> str:
    """The JSON of a summary, without the detector's stack of plates."""
    detector = replace(summary.detector, stack=None)
    file = _Summary(
        format="caloforge-summary-2",
        particle=summary.particle,
        detector=json.loads(detector_to_json(detector)),
        slices=tuple(_describe(part, detector) for part in summary.slices),
    )
    return json.dumps(file.model_dump(mode="json", exclude_none=True), separators=(",", ":"))


def read_summary(text: str, where: str) -> Summary:
    """The summary that :func:`write_summary` described.

    Args:
        text: The JSON.
        where: Where it was found, for the message.

    Raises:
        FileFormatError: The text is not the JSON of a summary.
    """
    try:
        file = _Summary.model_validate_json(text)
        detector = detector_from_json(json.dumps(file.detector), "detector")
    except ValidationError as error:
        said = explain(error, _Summary.model_fields)
        msg = f"{where}: {said}; must be the JSON of a caloforge summary"
        raise FileFormatError(msg) from None
    except DetectorError as error:
        msg = f"{where}: {error}"
        raise FileFormatError(msg) from None
    slices = tuple(
        _build(part, detector, f"{where}: slices.{i}") for i, part in enumerate(file.slices)
    )
    indices = [part.index for part in slices]
    if indices != sorted(set(indices)):
        msg = f"{where}: slices: have the indices {indices}, must be in increasing order"
        raise FileFormatError(msg)
    return Summary(detector, file.particle, slices)


def _describe(part: EnergySlice, detector: Detector) -> _Slice:
    return _Slice(
        index=part.index,
        count=part.count,
        energy=_rounded([part.energy], 6)[0],
        energy_span=_rounded(part.energy_span, 6),  # type: ignore[arg-type]
        image=_rounded(part.image_sum / part.count, 4),
        means=_rounded(part.means, 6),
        deviations=_rounded(np.sqrt(part.variances), 4),
        response=_trim(part.response_counts),
        fractions=tuple(_trim(counts) for counts in part.fraction_counts),
        shares=_cut(part.shares, _share_bins(detector)),
        cells=_cut(part.cells, _cell_bins(detector)),
    )


def _build(part: _Slice, detector: Detector, where: str) -> EnergySlice:
    n_observables = 1 + 2 * detector.n_layers
    share_bins, cell_bins = _share_bins(detector), _cell_bins(detector)
    for name, got, legal in (
        ("image", len(part.image), detector.n_cells),
        ("means", len(part.means), n_observables),
        ("deviations", len(part.deviations), n_observables),
        ("fractions", len(part.fractions), detector.n_layers),
        ("shares", len(part.shares or share_bins), len(share_bins)),
        ("cells", len(part.cells or cell_bins), len(cell_bins)),
    ):
        if got != legal:
            msg = f"{where}.{name}: has {got} entries, must be {legal} for {detector.name!r}"
            raise FileFormatError(msg)
    means = np.array(part.means)
    return EnergySlice(
        part.index,
        part.count,
        part.energy_span,
        part.energy * part.count,
        np.array(part.image) * part.count,
        means * part.count,
        (np.square(part.deviations) + means**2) * part.count,
        _untrim(part.response, part.count, RESPONSE_TICKS, f"{where}.response"),
        np.stack(
            [
                _untrim(layer, part.count, FRACTION_TICKS, f"{where}.fractions.{i}")
                for i, layer in enumerate(part.fractions)
            ]
        ),
        _join(part.shares, part.count, share_bins, f"{where}.shares"),
        _join(part.cells, part.count, cell_bins, f"{where}.cells"),
    )


def _share_bins(detector: Detector) -> list[int]:
    return [len(axis.sizes) for axis in axes(detector)]


def _cell_bins(detector: Detector) -> list[int]:
    return [len(CELL_EDGES) - 1] * detector.n_layers


def _cut(moments: Moments | None, bins: Sequence[int]) -> tuple[_Moments, ...] | None:
    """Moments in pieces of so many bins each, without the empty ends."""
    if moments is None:
        return None
    found, start = [], 0
    for n in bins:
        means = moments.means.reshape(-1)[start : start + n]
        deviations = moments.deviations.reshape(-1)[start : start + n]
        start += n
        filled = np.flatnonzero(means)
        ends = slice(filled[0], filled[-1] + 1) if filled.size else slice(0, 0)
        found.append(
            _Moments(
                first=ends.start,
                means=_rounded(means[ends], 4),
                deviations=_rounded(deviations[ends], 3),
            )
        )
    return tuple(found)


def _join(
    pieces: tuple[_Moments, ...] | None, count: int, bins: Sequence[int], where: str
) -> Moments | None:
    """The moments that :func:`_cut` cut: shape (sum of bins,)."""
    if pieces is None:
        return None
    means, deviations = np.zeros(sum(bins)), np.zeros(sum(bins))
    start = 0
    for i, (piece, n) in enumerate(zip(pieces, bins, strict=True)):
        stop = piece.first + len(piece.means)
        if stop > n or len(piece.deviations) != len(piece.means):
            msg = f"{where}.{i}: has bins up to {stop}, must be {n} at most, a deviation of each"
            raise FileFormatError(msg)
        place = slice(start + piece.first, start + stop)
        means[place], deviations[place] = piece.means, piece.deviations
        start += n
    return Moments(count, means, np.square(deviations) * count)


def _trim(counts: IntArray) -> _Histogram:
    filled = np.flatnonzero(counts)
    return _Histogram(first=filled[0], counts=tuple(counts[filled[0] : filled[-1] + 1].tolist()))


def _untrim(histogram: _Histogram, count: int, ticks: IntArray, where: str) -> IntArray:
    full = np.zeros(len(ticks) - 1, dtype=np.int64)
    stop = histogram.first + len(histogram.counts)
    if stop > len(full) or sum(histogram.counts) != count:
        msg = (
            f"{where}: has {sum(histogram.counts)} showers up to bin {stop}, "
            f"must be {count} within {len(full)} bins"
        )
        raise FileFormatError(msg)
    full[histogram.first : stop] = histogram.counts
    return full


def _rounded(values: Iterable[float], digits: int) -> tuple[float, ...]:
    return tuple(float(f"{value:.{digits}g}") for value in values)
