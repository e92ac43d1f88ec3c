"""All distances of all observables.

None is zero for two samples of one distribution: the judge makes the same table of Geant4 against
itself (:mod:`caloforge.evaluation.judge`), which each number is to be read beside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import CaloforgeError
from caloforge.evaluation.comparable import check_alike
from caloforge.evaluation.distances.histograms import Histogram, bin_edges, bin_index, fill
from caloforge.evaluation.distances.single import (
    ChiSquare,
    SortedPair,
    chi2_test,
    kolmogorov_p_value,
    resample,
    separation,
)
from caloforge.evaluation.estimate import Estimate
from caloforge.evaluation.features.observables import Observable, compute, observables
from caloforge.evaluation.features.studied import once
from caloforge.showers import Showers

__all__ = [
    "DistanceTable",
    "Distances",
    "Row",
    "compare_observables",
    "compare_values",
]

FloatArray = NDArray[np.float64]
Values = Mapping[str, FloatArray]


@dataclass(frozen=True, eq=False)
class Distances:
    """How far one sample is from the reference in one observable.

    Attributes:
        histogram: The sample in the bins of the row.
        counts: Showers of the reference and of the sample in which the observable is defined.
        undefined: Shares of the reference and of the sample in which it is not.
        chi2: Weighted chi-square test, underflow and overflow included.
        separation: Separation power, underflow and overflow included.
        wasserstein: Wasserstein-1 distance, in the unit of the observable.
        kolmogorov_smirnov: sup |F - G|.
        p_value: Of the Kolmogorov-Smirnov test.
    """

    histogram: Histogram
    counts: tuple[int, int]
    undefined: tuple[float, float]
    chi2: ChiSquare
    separation: Estimate
    wasserstein: Estimate
    kolmogorov_smirnov: Estimate
    p_value: float

    def to_dict(self) -> dict[str, object]:
        """The numbers by name, without the histogram."""
        return {
            "counts": self.counts,
            "undefined": self.undefined,
            "chi2": self.chi2.value,
            "ndf": self.chi2.ndf,
            "chi2_ndf": Estimate(self.chi2.reduced, self.chi2.reduced_error),
            "chi2_p_value": self.chi2.p_value,
            "sparse_bins": self.chi2.sparse_bins,
            "separation_power": self.separation,
            "wasserstein": self.wasserstein,
            "kolmogorov_smirnov": self.kolmogorov_smirnov,
            "kolmogorov_smirnov_p_value": self.p_value,
        }


@dataclass(frozen=True, eq=False)
class Row:
    """One observable.

    Attributes:
        observable: The observable.
        spread: Standard deviation in the reference, which Wasserstein distances are to be seen
            against.
        histogram: The reference.
        distances: Of the sample.
    """

    observable: Observable
    spread: float
    histogram: Histogram
    distances: Distances

    def to_dict(self) -> dict[str, object]:
        """What the observable is, and its numbers, by name."""
        return {
            "name": self.observable.name,
            "title": self.observable.title,
            "unit": self.observable.unit,
            "formula": self.observable.formula,
            "source": self.observable.source,
            "spread": self.spread,
            **self.distances.to_dict(),
        }


@dataclass(frozen=True, eq=False)
class DistanceTable:
    """The distances of a sample from the reference in many observables.

    Attributes:
        rows: One per observable.
        replicas: Bootstrap samples that the errors are from.
    """

    rows: tuple[Row, ...]
    replicas: int

    def __getitem__(self, name: str) -> Row:
        """The row of an observable.

        Raises:
            KeyError: There is no such observable.
        """
        for row in self.rows:
            if row.observable.name == name:
                return row
        raise KeyError(name)

    def to_dict(self) -> dict[str, object]:
        """All of it by name."""
        return {"replicas": self.replicas, "observables": self.rows}


def compare_observables(
    reference: Showers,
    showers: Showers,
    rng: np.random.Generator,
    *,
    chosen: Sequence[Observable] | None = None,
    replicas: int = 20,
) -> DistanceTable:
    """Compare two samples in every observable of their detector.

    Args:
        reference: Geant4 showers.
        showers: Showers to be judged.
        rng: Random numbers, for the errors.
        chosen: Which observables; all that apply to the detector by default.
        replicas: Number of bootstrap samples for the errors.

    Raises:
        ShowersError: The samples are of different detectors or particles, or one is empty.
        CaloforgeError: There are fewer than two replicas.
    """
    check_alike(reference, showers)
    if chosen is None:
        chosen = observables(reference.detector)
    values = [once(sample, compute, tuple(chosen)) for sample in (reference, showers)]
    return compare_values(chosen, values[0], values[1], rng, replicas=replicas)


def compare_values(
    chosen: Sequence[Observable],
    reference: Values,
    showers: Values,
    rng: np.random.Generator,
    *,
    replicas: int = 20,
) -> DistanceTable:
    """Compare observables that are computed already.

    Bootstrap samples are drawn once, of whole showers, and used for all observables.

    Args:
        chosen: The observables.
        reference: Of the reference, by name: shape (N,), NaN where not defined; see
            :func:`caloforge.evaluation.features.observables.compute`.
        showers: Of the sample: shape (M,).
        rng: Random numbers, for the errors.
        replicas: Number of bootstrap samples for the errors, at least two.

    Raises:
        CaloforgeError: There are fewer than two replicas.
    """
    if replicas < 2:
        msg = f"replicas: got {replicas}, errors need at least 2"
        raise CaloforgeError(msg)
    draws = _draws(reference, replicas, rng), _draws(showers, replicas, rng)
    rows = []
    for observable in chosen:
        name = observable.name
        values = reference[name]
        edges = bin_edges(values, logarithmic=observable.logarithmic)
        defined = values[~np.isnan(values)]
        rows.append(
            Row(
                observable,
                float(defined.std()) if len(defined) else float("nan"),
                fill(values, edges),
                _distances((values, showers[name]), edges, draws),
            )
        )
    return DistanceTable(tuple(rows), replicas)


def _draws(values: Values, replicas: int, rng: np.random.Generator) -> list[NDArray[np.uint16]]:
    """How often each shower is in each bootstrap sample."""
    size = len(next(iter(values.values()), ()))
    return [resample(size, rng).astype(np.uint16) for _ in range(replicas)] if size else []


def _distances(
    pair: tuple[FloatArray, FloatArray],
    edges: FloatArray,
    draws: tuple[list[NDArray[np.uint16]], list[NDArray[np.uint16]]],
) -> Distances:
    defined = [~np.isnan(values) for values in pair]
    first, second = (values[mask] for values, mask in zip(pair, defined, strict=True))
    histograms = [fill(values, edges) for values in pair]
    counts = (len(first), len(second))
    undefined = (1 - counts[0] / len(pair[0]), 1 - counts[1] / len(pair[1]))
    chi2 = chi2_test(*histograms, outside=True)
    if not min(counts):
        nothing = Estimate(float("nan"), float("nan"))
        return Distances(
            histograms[1], counts, undefined, chi2, nothing, nothing, nothing, float("nan")
        )
    measure = _Measure(first, second, edges)
    found = measure(np.ones(counts[0]), np.ones(counts[1]))
    spread = np.std(
        [
            measure(a[defined[0]].astype(np.float64), b[defined[1]].astype(np.float64))
            for a, b in zip(*draws, strict=True)
        ],
        axis=0,
        ddof=1,
    )
    power, distance, statistic = map(Estimate, found, spread.tolist())
    p_value = kolmogorov_p_value(statistic.value, *counts)
    return Distances(histograms[1], counts, undefined, chi2, power, distance, statistic, p_value)


class _Measure:
    """Distances that have no analytic error, quick for many sets of weights."""

    def __init__(self, first: FloatArray, second: FloatArray, edges: FloatArray) -> None:
        self._sorted = SortedPair(first, second)
        self._bins = [bin_index(values, edges) for values in (first, second)]
        self._size = len(edges) + 1

    def __call__(self, first: FloatArray, second: FloatArray) -> tuple[float, float, float]:
        """Separation power, Wasserstein-1 and Kolmogorov-Smirnov distance."""
        if not (first.any() and second.any()):  # no such shower was drawn
            return (float("nan"),) * 3
        sums = [
            np.bincount(where, weights, minlength=self._size).astype(np.float64)
            for where, weights in zip(self._bins, (first, second), strict=True)
        ]
        values = self._sorted.distances(first, second)
        return separation(sums[0], sums[1]), values.wasserstein, values.kolmogorov_smirnov
