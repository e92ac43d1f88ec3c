"""Rank correlations of the centres of adjacent layers."""

from __future__ import annotations

from caloforge.evaluation.distances.alignment import Alignment, compare_alignment
from caloforge.evaluation.results import Headline, Verdict
from caloforge.evaluation.sections.pair import Finding, Pair
from caloforge.evaluation.shown import Row, Table

__all__ = ["alignment_section"]

_ROWS = 8


def alignment_section(pair: Pair) -> Finding:
    """The largest difference of the correlations of centres, and which layers they are of."""
    found = compare_alignment(pair.reference, pair.showers)
    if not found:
        return Finding({"correlations": found})
    ordered = sorted(found, key=lambda each: -each.difference.value / each.difference.error)
    worst = ordered[0]
    label = "worst difference of centre correlations"
    headline = Headline.of("alignment", label, worst.difference, "lower")
    warnings = (_warning(worst),) if worst.seen else ()
    verdicts: tuple[Verdict, ...] = ("layers",) if worst.seen else ()
    rows = tuple(
        Row(_words(each), (each.difference, each.reference, each.showers))
        for each in ordered[:_ROWS]
    )
    table = Table(
        title="Do centres of adjacent layers go together?",
        columns=("layers", "difference", "Geant4", "sample"),
        rows=rows,
    )
    return Finding({"correlations": found}, (headline,), warnings, (), (table,), verdicts)


def _words(each: Alignment) -> str:
    return f"{each.layers[0]} and {each.layers[1]} along {each.direction}"


def _warning(each: Alignment) -> str:
    how = "less" if abs(each.showers.value) < abs(each.reference.value) else "otherwise"
    return (
        f"layers: the centres of layers {_words(each)} go together {how} (rank correlation "
        f"{each.showers.value:.3f} against {each.reference.value:.3f}, errors "
        f"{each.showers.error:.3f} and {each.reference.error:.3f})"
    )
