"""Showers beyond all of the reference."""

from __future__ import annotations

import math

from caloforge.evaluation.distances.tails import Tail, Tails, compare_tails
from caloforge.evaluation.results import Headline, Verdict
from caloforge.evaluation.sections.pair import Finding, Pair
from caloforge.evaluation.shown import Row, Table

__all__ = ["tails_section"]

_ROWS = 8


def tails_section(pair: Pair) -> Finding:
    """Share of the showers beyond all of the reference in any observable, and their chance."""
    found = compare_tails(pair.reference, pair.showers)
    headline = Headline.of("beyond", "share beyond all of the reference", found.share, "lower")
    unlikely = found.unlikely
    warnings = (_warning(found, unlikely[0]),) if unlikely else ()
    verdicts: tuple[Verdict, ...] = ("outliers",) if unlikely else ()
    return Finding(found, (headline,), warnings, (), (_table(found),), verdicts)


def _warning(found: Tails, tail: Tail) -> str:
    what = tail.observable
    unit = f" {what.unit}" if what.unit else ""
    more = len(found.unlikely) - 1
    others = f"; so it is in {more} other observable{'s' * (more > 1)}" if more else ""
    return (
        f"outliers: {tail.count:,} of {found.counts[1]:,} showers have {what.title} {tail.side} "
        f"all {found.counts[0]:,} of the reference ({tail.worst:.4g}{unit} against {tail.limit:.4g}"
        f"{unit}), by chance {_chance(tail.chance)}{others}"
    )


def _table(found: Tails) -> Table:
    rows = tuple(
        Row(
            tail.observable.title,
            (
                f"{tail.count:,} {tail.side}",
                f"{tail.worst:.4g} {tail.observable.unit}".strip(),
                f"{tail.limit:.4g} {tail.observable.unit}".strip(),
                _chance(tail.chance),
            ),
        )
        for tail in found.tails[:_ROWS]
    )
    columns = ("observable", "showers", "most extreme", "in the reference", "chance")
    return Table(title="Beyond all of the reference", columns=columns, rows=rows)


def _chance(chance: float) -> str:
    """A probability; 0 is one that is too small for a number."""
    if chance >= 0.01:
        return f"{chance:.2f}"
    return f"10^{math.ceil(math.log10(chance))}" if chance > 0 else "below 10^-300"
