"""Energy: response, linearity and resolution against the incident energy.

Of each point or slice of incident energy, with R = E_deposited / E_incident of a shower:

- *response*: the mean of R;
- *peak*: the middle of the shortest interval that holds 30% of the showers, in R; unlike the mean
  it is not moved by tails;
- *linearity*: the response over its mean over all points of the sample, 1 everywhere where the
  deposited energy is proportional to the incident one;
- *deviation* and *resolution*: the standard deviation of R, and half of the central 68% of R, both
  over the response: sigma(E) / E of calorimetry. The second is not moved by tails. It is the one
  definition of resolution here: in the reports of the judge, on the cards of artefacts, on pages.

All errors are those of the bootstrap: the spread over samples drawn anew from the showers of a
point. That of the linearity leaves out the error of the mean over all points.

References:
    M. Paganini, L. de Oliveira, B. Nachman, CaloGAN, arXiv:1712.10321 (figure 13);
    ATLAS Collaboration, AtlFast3, arXiv:2109.02551.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import CaloforgeError, ShowersError
from caloforge.evaluation.comparable import check_alike
from caloforge.evaluation.estimate import N_BOOTSTRAP, Estimate
from caloforge.evaluation.summary.slices import slice_edges, slice_of
from caloforge.random import Purpose, stream
from caloforge.runtime.generator import BATCH, Generator
from caloforge.showers import Showers

__all__ = [
    "ConditionalPoint",
    "EnergyComparison",
    "EnergyPoint",
    "compare_energy",
    "conditional_energies",
    "conditional_response",
    "resolution",
]

FloatArray = NDArray[np.float64]

_MANY = 50  # more different energies than these are a continuous spectrum
_SAME = 1e-6  # relative difference of energies that are equal up to rounding
_LEAST = 20  # showers of a point
_PEAK = 0.3
_CENTRAL = (0.16, 0.84)
_TINY = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True)
class EnergyPoint:
    """The showers of one incident energy, or of one slice.

    Attributes:
        low: Where the slice begins, GeV; the energy itself where there are only some.
        high: Where it ends, GeV.
        energy: Mean incident energy, GeV.
        count: Number of showers.
        response: Mean of E_deposited / E_incident.
        peak: Its peak.
        linearity: Response over its mean over all points.
        deviation: Standard deviation of E_deposited / E_incident over the response.
        resolution: Half of its central 68% over the response.
    """

    low: float
    high: float
    energy: float
    count: int
    response: Estimate
    peak: Estimate
    linearity: Estimate
    deviation: Estimate
    resolution: Estimate


@dataclass(frozen=True)
class EnergyComparison:
    """Two samples, point by point.

    Attributes:
        reference: Points of the reference.
        showers: The same points of the other sample.
        response_ratios: Response of the showers over that of the reference.
        resolution_ratios: Resolution of the showers over that of the reference.
        left_out: Showers of the reference and of the other sample in points where either of them
            has fewer than 20.
    """

    reference: tuple[EnergyPoint, ...]
    showers: tuple[EnergyPoint, ...]
    response_ratios: tuple[Estimate, ...]
    resolution_ratios: tuple[Estimate, ...]
    left_out: tuple[int, int]


@dataclass(frozen=True)
class ConditionalPoint:
    """What a generator makes of one incident energy.

    Attributes:
        energy: Incident energy, GeV.
        where: Whether that is below, inside or beyond the range that the generator was made for.
        point: Response, peak and width; None where the generator failed.
        problem: How it failed.
    """

    energy: float
    where: Literal["below", "inside", "beyond"]
    point: EnergyPoint | None
    problem: str = ""


def compare_energy(
    reference: Showers, showers: Showers, rng: np.random.Generator
) -> EnergyComparison:
    """Response, linearity and resolution of two samples.

    Where both together have no more than 50 different incident energies, each of them is a point.
    Else there are five slices per decade, the same for all samples.

    Args:
        reference: Geant4.
        showers: The other sample.
        rng: Random numbers of the bootstrap errors.

    Raises:
        ShowersError: The samples cannot be compared, or share no point.
    """
    check_alike(reference, showers)
    samples = (reference, showers)
    # Where points begin and end, and the point of each shower.
    limits, index = _divide(np.concatenate([sample.energy for sample in samples]))
    parts = index[: len(reference)], index[len(reference) :]
    counts = [np.bincount(part, minlength=len(limits)) for part in parts]
    shared = np.flatnonzero(np.min(counts, axis=0) >= _LEAST)
    if not len(shared):
        msg = f"showers: share no incident energy with {_LEAST} showers of the reference and theirs"
        raise ShowersError(msg)
    responses = [sample.response for sample in samples]
    first, second = (
        _points(
            [limits[i] for i in shared],
            [(sample.energy[part == i], response[part == i]) for i in shared],
            rng,
        )
        for sample, response, part in zip(samples, responses, parts, strict=True)
    )
    return EnergyComparison(
        first,
        second,
        tuple(_ratio(b.response, a.response) for a, b in zip(first, second, strict=True)),
        tuple(_ratio(b.resolution, a.resolution) for a, b in zip(first, second, strict=True)),
        tuple(int(count.sum() - count[shared].sum()) for count in counts),  # type: ignore[arg-type]
    )


def conditional_energies(generator: Generator) -> tuple[float, ...]:
    """Energies below, inside and beyond the range of a generator.

    Returns:
        Half of the lowest energy; the lowest, the highest, and quarter, half and three quarters
        between them; 1.5 and 2 times the highest; GeV. For 1 to 100 GeV these contain, but for
        rounding, those of CaloGAN: 1, 25, 50, 100 and 150 GeV.
    """
    low, high = generator.card.energy_range
    inside = np.unique(np.linspace(low, high, 5)).tolist()
    return (0.5 * low, *inside, 1.5 * high, 2.0 * high)


def conditional_response(
    generator: Generator, energies: Sequence[float], count: int, seed: int
) -> tuple[ConditionalPoint, ...]:
    """What a generator makes of fixed incident energies, also of those it was not made for.

    A generator that makes something that is no shower (a value that is no finite number, say) at
    some energy has failed there; the other energies are not affected.

    Args:
        generator: The generator.
        energies: Incident energies, GeV; see :func:`conditional_energies`.
        count: Showers of each, at least 20.
        seed: Seed of the showers and of the bootstrap errors.

    Returns:
        A point for each energy, in the order given; the linearity is that among them.

    Raises:
        EnergyError: An energy is not positive and finite.
        CaloforgeError: There are too few showers.
    """
    if count < _LEAST:
        msg = f"count: got {count}, must be at least {_LEAST}"
        raise CaloforgeError(msg)
    made: dict[int, FloatArray] = {}
    problems: dict[int, str] = {}
    for i, energy in enumerate(energies):
        try:
            made[i] = _responses(generator, energy, count, seed, first=i * count)
        except ShowersError as error:
            problems[i] = str(error)
    rng = stream(seed, Purpose.CONDITIONAL)
    exact = [(float(energies[i]), float(energies[i])) for i in made]
    samples = [(np.full(count, energies[i]), values) for i, values in made.items()]
    points = dict(zip(made, _points(exact, samples, rng), strict=True))
    return tuple(
        ConditionalPoint(
            float(energy), _where(generator, energy), points.get(i), problems.get(i, "")
        )
        for i, energy in enumerate(energies)
    )


def resolution(responses: FloatArray, weights: FloatArray | None = None) -> float:
    """Half of the central 68% of the response, over the mean response.

    Args:
        responses: E_deposited / E_incident of showers of about one incident energy: shape (N,).
        weights: Weights of the showers, not negative and not all zero: shape (N,); one each by
            default.

    Returns:
        The resolution; 0 where no energy was deposited.

    Examples:
        >>> round(resolution(np.linspace(0.5, 1.5, 101)), 3)
        0.34
    """
    mean = float(np.average(responses, weights=weights))
    low, high = _quantiles(responses, _CENTRAL, weights)
    return 0.5 * (high - low) / max(mean, _TINY)


def _quantiles(
    values: FloatArray, levels: tuple[float, ...], weights: FloatArray | None
) -> list[float]:
    """Quantiles, between values on a straight line: equal weights give those without weights."""
    if weights is None:
        return [float(found) for found in np.quantile(values, levels)]
    values, weights = values[weights > 0], weights[weights > 0]
    order = np.argsort(values)
    # Where the middle of each shower is, from that of the first to that of the last.
    middle = np.cumsum(weights[order]) - 0.5 * weights[order]
    place = (middle - middle[0]) / max(middle[-1] - middle[0], _TINY)
    return [float(found) for found in np.interp(levels, place, values[order])]


def _where(generator: Generator, energy: float) -> Literal["below", "inside", "beyond"]:
    low, high = generator.card.energy_range
    if energy < low:
        return "below"
    return "beyond" if energy > high else "inside"


def _responses(
    generator: Generator, energy: float, count: int, seed: int, *, first: int
) -> FloatArray:
    """E_deposited / E_incident of showers of one energy, shape (count,), in bounded memory."""
    found = [
        generator.sample(
            np.full(min(BATCH, count - start), energy),
            seed=seed,
            first=first + start,
            extrapolate=True,
        ).response
        for start in range(0, count, BATCH)
    ]
    return np.concatenate(found)


def _divide(energy: FloatArray) -> tuple[list[tuple[float, float]], NDArray[np.intp]]:
    """Points or slices: where each begins and ends, GeV, and the one of each shower."""
    values = np.sort(energy)
    starts = values[np.diff(values, prepend=0.0) > _SAME * values]
    if len(starts) <= _MANY:
        index = np.searchsorted(starts, energy, side="right") - 1
        return [(start, start) for start in starts.tolist()], index
    present, index = np.unique(slice_of(energy), return_inverse=True)
    return [slice_edges(i) for i in present.tolist()], index.ravel()


def _points(
    limits: Sequence[tuple[float, float]],
    samples: Sequence[tuple[FloatArray, FloatArray]],
    rng: np.random.Generator,
) -> tuple[EnergyPoint, ...]:
    """The points of one sample, given the energies and responses of the showers of each."""
    measured = [_measure(values, rng) for _, values in samples]
    mean = max(float(np.mean([response.value for response, *_ in measured] or [0.0])), _TINY)
    found = []
    for (low, high), (energy, _), estimates in zip(limits, samples, measured, strict=True):
        response, peak, deviation, resolution = estimates
        linearity = Estimate(response.value / mean, response.error / mean)
        found.append(
            EnergyPoint(
                low,
                high,
                float(energy.mean()),
                len(energy),
                response,
                peak,
                linearity,
                deviation,
                resolution,
            )
        )
    return tuple(found)


def _measure(values: FloatArray, rng: np.random.Generator) -> list[Estimate]:
    """Response, peak, deviation and resolution with bootstrap errors."""
    n = len(values)
    varied = [_statistics(values[rng.integers(0, n, n)]) for _ in range(N_BOOTSTRAP)]
    errors = np.std(varied, axis=0)
    return [Estimate(*pair) for pair in zip(_statistics(values), errors.tolist(), strict=True)]


def _statistics(values: FloatArray) -> list[float]:
    ordered = np.sort(values)
    mean = float(ordered.mean())
    scale = max(mean, _TINY)  # showers without energy have no width
    inside = max(1, round(_PEAK * len(ordered)))
    widths = ordered[inside:] - ordered[:-inside]
    at = int(widths.argmin())
    peak = 0.5 * float(ordered[at] + ordered[at + inside])
    return [mean, peak, float(ordered.std(ddof=1)) / scale, resolution(ordered)]


def _ratio(first: Estimate, second: Estimate) -> Estimate:
    scale = max(second.value, _TINY)
    ratio = first.value / scale
    return Estimate(ratio, float(np.hypot(first.error, ratio * second.error)) / scale)
