"""The headline: can anything tell the sample from Geant4, and by what?"""

from __future__ import annotations

import numpy as np

from caloforge.evaluation.classifiers.strong import strong_test
from caloforge.evaluation.classifiers.strong_result import StrongProtocol, StrongResult, WindowMeans
from caloforge.evaluation.estimate import Estimate
from caloforge.evaluation.results import Headline
from caloforge.evaluation.sections.pair import Finding, Pair
from caloforge.evaluation.shown import PointsPanel, Row, Series, Table

__all__ = ["QUICK_SHOWERS", "headline_section"]

QUICK_SHOWERS = 4000
"""Showers of each class in quick evaluations."""

_CLUES = 6  # of each threshold in the report; the file of the numbers has all
_FEWEST_CELLS = 1e-3  # a shower: windows with less in both samples are not drawn


def headline_section(pair: Pair) -> Finding:
    """AUC of the headline test at four thresholds, and what gives the sample away."""
    protocol = StrongProtocol()
    if pair.quick:
        protocol = protocol.model_copy(update={"showers": QUICK_SHOWERS})
    found = strong_test(pair.reference, pair.showers, protocol, seed=pair.seed)
    headlines = tuple(
        Headline.of(
            _name(each.threshold),
            f"AUC, {_deposits(each.threshold)}",
            Estimate(each.auc, each.auc_error),
            "half",
        )
        for each in found.thresholds
    )
    return Finding(found, headlines, found.warnings, _panels(found), _tables(found))


def _name(threshold: float) -> str:
    """Of the headline: the first one is what cards and leaderboards are ordered by."""
    return f"headline_auc_{threshold:g}" if threshold else "headline_auc"


def _deposits(threshold: float) -> str:
    """Which deposits are looked at, in words."""
    if threshold == 0:
        return "every deposit"
    return f"> {threshold:g} MeV" if threshold >= 0.1 else f"> {1e3 * threshold:g} keV"


def _tables(found: StrongResult) -> tuple[Table, ...]:
    aucs = Table(
        title="The headline test",
        columns=("deposits", "AUC", "trees alone", "network alone"),
        rows=tuple(
            Row(
                _deposits(each.threshold),
                (
                    Estimate(each.auc, each.auc_error),
                    f"{each.members['trees']:.3f}",
                    f"{each.members['network']:.3f}",
                ),
            )
            for each in found.thresholds
        ),
    )
    clues = tuple(
        Row(_deposits(each.threshold), (clue.text, f"{clue.auc:.2f}"))
        for each in found.thresholds
        for clue in each.clues[:_CLUES]
    )
    nothing = (Row("all", ("no number alone differs by five errors", "")),)
    words = Table(
        title="What gives it away",
        columns=("deposits", "what, in the sample against Geant4", "AUC of this alone"),
        rows=clues or nothing,
    )
    return aucs, words


def _panels(found: StrongResult) -> tuple[PointsPanel, ...]:
    places = dict.fromkeys(each.place for each in found.windows)
    panels = []
    for place in places:
        drawn = [
            each
            for each in found.windows
            if each.place == place and max(each.reference, each.showers) > _FEWEST_CELLS
        ]
        at = tuple(map(_middle, drawn))
        theirs = tuple(Estimate(each.reference, each.reference_error) for each in drawn)
        mine = tuple(Estimate(each.showers, each.showers_error) for each in drawn)
        panels.append(
            PointsPanel(
                figure="windows",
                about="How many cells of a shower have which energy, in windows of energy.",
                label="energy of the cells / MeV",
                title=f"cells in a window, {place}",
                reference=Series(at, theirs),
                showers=Series(at, mine),
                logarithmic=True,
                steep=True,
            )
        )
    return tuple(panels)


def _middle(window: WindowMeans) -> float:
    low, high = window.window
    if low == 0:
        return high / 2
    return 2 * low if np.isinf(high) else float(np.sqrt(low * high))
