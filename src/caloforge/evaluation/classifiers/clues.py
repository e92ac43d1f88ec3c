"""What gives a sample away: the single numbers that differ most, in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from caloforge.evaluation.classifiers.scores import roc_auc
from caloforge.evaluation.features.columns import Column, Columns, Scale

__all__ = ["Clue", "find_clues", "null_error"]

FloatArray = NDArray[np.float64]

_SIGNIFICANT = 5.0  # errors; there are some hundred columns to choose from
_NEIGHBOURS = 3.0  # errors from which on adjacent windows are told as one
_CANDIDATES = 60
_ALIKE = 0.6  # correlation from which on two columns say the same
_RATHER_SPREAD = 1.2
_TELLING = 0.52  # AUC: with many showers a difference can be certain and mean nothing


class Clue(BaseModel):
    """A number of single showers that is distributed otherwise than in the reference.

    Attributes:
        name: Short name of the number.
        title: What it is, in words.
        family: Of which kind, in words.
        place: Layers that it is of; empty for the whole shower.
        unit: Its unit.
        scale: ``"count"``, ``"log10"`` (of something in the unit; values here are in the unit) or
            ``"plain"``.
        kind: ``"shift"``: values are too large or too small; ``"spread"``: they vary too much or
            too little.
        reference: Mean of counts, median of all else, or half of the central 68% (of logarithms:
            as a factor).
        showers: The same of the sample.
        more: Whether the sample has more of it.
        auc: AUC of this number alone, at least 0.5.
        auc_error: Its error, where there is no difference.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    family: str
    place: str
    unit: str
    scale: Scale
    kind: Literal["shift", "spread"]
    reference: float
    showers: float
    more: bool
    auc: float
    auc_error: float

    @property
    def text(self) -> str:
        """The clue as a sentence without a full stop."""
        mine, other = _numbers(self.showers, self.reference)
        unit = f" {self.unit}" if self.unit else ""
        if self.kind == "spread":
            how = "much" if self.more else "little"
            by = "a factor " if self.scale == "log10" else ""
            unit = "" if self.scale == "log10" else unit
            what = f"number of {self.title}" if self.scale == "count" else self.title
            said = f"{what} varies too {how}: by {by}{mine} against {other}{unit}"
        elif self.scale == "count":
            how = "many" if self.more else "few"
            said = f"too {how} {self.title}: {mine} against {other} a shower"
        else:
            how = "large" if self.more else "small"
            said = f"{self.title} too {how}: {mine} against {other}{unit}"
        return said


def null_error(n_reference: int, n_showers: int) -> float:
    """Error of an AUC where there is no difference (Mann and Whitney)."""
    return float(np.sqrt((n_reference + n_showers + 1) / (12 * n_reference * n_showers)))


@dataclass(frozen=True, eq=False)
class _Candidate:
    """A column that tells something.

    Attributes:
        column: What it is.
        values: Shape (N,).
        labels: True for the reference: shape (N,).
        spread: Whether it is looked at for how much it varies.
    """

    column: Column
    values: FloatArray
    labels: NDArray[np.bool_]
    spread: bool

    @cached_property
    def seen(self) -> FloatArray:
        """What is compared: the values, or their distances from the median of the reference."""
        if not self.spread:
            return self.values
        return np.abs(self.values - np.median(self.values[self.labels]))

    @cached_property
    def signed_auc(self) -> float:
        """Below 0.5 where the sample has more."""
        return roc_auc(self.seen, self.labels)

    @property
    def auc(self) -> float:
        """At least 0.5."""
        return max(self.signed_auc, 1 - self.signed_auc)

    @cached_property
    def residual(self) -> FloatArray:
        """What is compared without the difference of the classes, normalised."""
        found = self.seen.copy()
        for rows in (self.labels, ~self.labels):
            found[rows] -= found[rows].mean()
        return found / max(float(np.linalg.norm(found)), 1e-12)

    def repeats(self, told: _Candidate) -> bool:
        """Whether it says again what another one says."""
        mine, other = self.column, told.column
        if mine.window and other.window and mine.place == other.place:
            return mine.window[0] < other.window[1] and other.window[0] < mine.window[1]
        if (mine.stem, mine.place) == (other.stem, other.place):
            return mine.window is None
        return abs(float(self.residual @ told.residual)) > _ALIKE

    def clue(self, error: float) -> Clue | None:
        """The clue; None where neither mean nor median say what the AUC says."""
        more = self.signed_auc < 0.5
        pairs = [
            pair for pair in self._pairs() if pair[0] != pair[1] and (pair[1] > pair[0]) == more
        ]
        if not pairs:
            return None
        return Clue(
            name=self.column.name,
            title=self.column.title,
            family=self.column.family,
            place=self.column.place,
            unit=self.column.unit,
            scale=self.column.scale,
            kind="spread" if self.spread else "shift",
            reference=pairs[0][0],
            showers=pairs[0][1],
            more=more,
            auc=self.auc,
            auc_error=error,
        )

    def _pairs(self) -> list[tuple[float, float]]:
        """What could be said of reference and sample, the best first."""
        one, other = self.values[self.labels], self.values[~self.labels]
        if self.spread:
            found = [(_width(one), _width(other)), (float(one.std()), float(other.std()))]
        else:
            means = float(one.mean()), float(other.mean())
            medians = float(np.median(one)), float(np.median(other))
            found = [means, medians] if self.column.scale == "count" else [medians, means]
        if self.column.scale == "log10":
            found = [(10 ** pair[0], 10 ** pair[1]) for pair in found]
        return found


def find_clues(
    columns: Columns,
    labels: NDArray[np.bool_],
    aucs: FloatArray,
    spread_aucs: FloatArray,
    *,
    most: int,
) -> tuple[Clue, ...]:
    """The columns that tell most, each with something to say that those before it did not.

    Adjacent windows of cell energies that err to the same side are told as one.

    Args:
        columns: Of N showers.
        labels: True for those of the reference: shape (N,).
        aucs: AUC of each column alone: shape (n_columns,).
        spread_aucs: AUC of each column's distance from the median of the reference.
        most: How many clues at most.
    """
    error = null_error(int(labels.sum()), int((~labels).sum()))
    shifts, spreads = np.abs(aucs - 0.5), np.abs(spread_aucs - 0.5)
    least = 0.5 + max(_SIGNIFICANT * error, _TELLING - 0.5)
    order = np.argsort(-np.maximum(shifts, spreads), kind="stable")[:_CANDIDATES]
    candidates = [
        _Candidate(
            columns.columns[i],
            columns.values[:, i].astype(np.float64),
            labels,
            bool(spreads[i] > _RATHER_SPREAD * shifts[i]),
        )
        for i in order.tolist()
    ]
    candidates += [
        _Candidate(column, values, labels, spread=False)
        for column, values in _wider(columns, aucs, _NEIGHBOURS * error)
    ]
    candidates = [each for each in candidates if each.auc >= least]
    told: list[_Candidate] = []
    clues: list[Clue] = []
    for each in sorted(candidates, key=lambda each: (-each.auc, each.column.name)):
        if len(clues) == most:
            break
        clue = None if any(each.repeats(other) for other in told) else each.clue(error)
        if clue is not None:
            told.append(each)
            clues.append(clue)
    return tuple(clues)


def _wider(columns: Columns, aucs: FloatArray, least: float) -> Iterator[tuple[Column, FloatArray]]:
    """Runs of adjacent windows that err to the same side, as one window each."""
    start = 0
    n = len(columns.columns)
    while start < n:
        stop = start + 1
        first = columns.columns[start]
        side = np.sign(aucs[start] - 0.5) if abs(aucs[start] - 0.5) >= least else 0.0
        while (
            side
            and stop < n
            and first.window is not None
            and (now := columns.columns[stop]).window is not None
            and (before := columns.columns[stop - 1].window) is not None
            and now.place == first.place
            and now.window[0] == before[1]
            and (aucs[stop] - 0.5) * side >= least
        ):
            stop += 1
        last = columns.columns[stop - 1]
        if stop - start > 1 and first.window is not None and last.window is not None:
            values = columns.values[:, start:stop].sum(axis=1, dtype=np.float64)
            yield first.widened(last), values
        start = stop


def _width(values: FloatArray) -> float:
    low, high = np.quantile(values, [0.16, 0.84])
    return float(high - low) / 2


def _numbers(mine: float, other: float) -> tuple[str, str]:
    """Two numbers with as many digits as it takes to tell them apart."""
    for digits in range(3, 7):
        texts = f"{mine:.{digits}g}", f"{other:.{digits}g}"
        if texts[0] != texts[1] and abs(mine - other) > 0.02 * 10 ** (3 - digits) * abs(other):
            break
    return texts
