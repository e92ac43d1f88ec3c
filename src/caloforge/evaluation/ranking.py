"""One table over many evaluations: a row per sample, the best in bold, the floor as a row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from caloforge.errors import CaloforgeError
from caloforge.evaluation.results import GEANT4, Evaluation, Headline, SampleResult

__all__ = ["Cell", "leaderboard", "markdown", "ranked_numbers"]


@dataclass(frozen=True)
class Cell:
    """A cell of the table.

    Attributes:
        text: What it says.
        error: Statistical error, with its sign; empty where there is none.
        best: Whether it is the best of its column among equals.
    """

    text: str
    error: str = ""
    best: bool = False


def leaderboard(evaluations: Sequence[Evaluation]) -> list[list[Cell]]:
    """The table.

    Only samples that were judged against the same reference in the same way are compared: within
    such a group the best generator of each column is marked; the floor never is, nor is any sample
    whose name begins with "Geant4".

    Args:
        evaluations: What to compare.

    Returns:
        Rows of cells; the first is the head.

    Raises:
        CaloforgeError: There are no evaluations.
    """
    groups = _groups(evaluations)
    columns = {
        item.name: item.label
        for evaluation in evaluations
        for sample in evaluation.samples
        for item in sample.headlines
    }
    head = [Cell(text) for text in ("sample", "particle", "showers", *columns.values())]
    rows = [head]
    for group in groups:
        best = {name: _best(name, group) for name in columns}
        rows += [
            [
                Cell(sample.name),
                Cell(sample.info.particle),
                Cell(f"{sample.info.showers:,}"),
                *(_cell(sample.headline(name), best[name] is sample) for name in columns),
            ]
            for sample in group
        ]
    return rows


def ranked_numbers(evaluations: Sequence[Evaluation]) -> list[dict[str, Any]]:
    """What the table says, as numbers with errors: for programs.

    Args:
        evaluations: What to compare.

    Returns:
        For each sample its name, particle, number of showers, verdicts and, by their names, its
        numbers, each with whether it is the best of its group.

    Raises:
        CaloforgeError: There are no evaluations.
    """
    found = []
    for group in _groups(evaluations):
        for sample in group:
            numbers = {
                item.name: {
                    **item.model_dump(mode="json", exclude={"name"}),
                    "best": _best(item.name, group) is sample,
                }
                for item in sample.headlines
            }
            found.append(
                {
                    "sample": sample.name,
                    "particle": sample.info.particle,
                    "showers": sample.info.showers,
                    "verdicts": list(sample.verdicts),
                    "numbers": numbers,
                }
            )
    return found


def _groups(evaluations: Sequence[Evaluation]) -> list[list[SampleResult]]:
    """Samples that were judged against the same reference in the same way, the floor first."""
    if not evaluations:
        msg = "evaluations: got none, must be at least one"
        raise CaloforgeError(msg)
    groups: dict[tuple[str, str, bool], list[SampleResult]] = {}
    for evaluation in evaluations:
        reference = evaluation.reference
        key = (reference.particle, f"{reference.sha256} {reference.rows}", evaluation.quick)
        group = groups.setdefault(key, [evaluation.floor])
        group += [sample for sample in evaluation.samples[1:] if sample not in group]
    return list(groups.values())


def markdown(rows: Sequence[Sequence[Cell]]) -> str:
    """The table in Markdown."""
    lines = []
    for i, row in enumerate(rows):
        texts = [f"{cell.text} {cell.error}".strip().replace("|", "\\|") for cell in row]
        marked = [
            f"**{text}**" if cell.best else text for text, cell in zip(texts, row, strict=True)
        ]
        lines.append(f"| {' | '.join(marked)} |")
        if i == 0:
            lines.append("|" + "---|" * len(row))
    return "\n".join(lines) + "\n"


def _cell(item: Headline | None, best: bool) -> Cell:
    if item is None or item.value is None:
        return Cell("")
    if item.error is None or item.error <= 0:
        return Cell(f"{item.value:.3g}", best=best)
    digits = max(0, 1 - math.floor(math.log10(item.error)))
    if digits > 5:
        return Cell(f"{item.value:.2e}", f"± {item.error:.0e}", best)
    return Cell(f"{item.value:.{digits}f}", f"± {item.error:.{digits}f}", best)


def _best(name: str, group: Sequence[SampleResult]) -> SampleResult | None:
    found = [
        (_badness(item), i, sample)
        for i, sample in enumerate(group)
        if not sample.name.startswith(GEANT4)
        and (item := sample.headline(name)) is not None
        and item.value is not None
    ]
    return min(found)[2] if len(found) > 1 else None


def _badness(item: Headline) -> float:
    value = item.value or 0.0
    return {
        "lower": value,
        "higher": -value,
        "half": abs(value - 0.5),
        "one": abs(value - 1.0),
    }[item.better]
