"""Whether a sample is told from Geant4 better than Geant4 from itself: what no section can say."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from caloforge.evaluation.results import GEANT4, Evaluation, Headline, SampleResult

__all__ = ["HEADLINE", "auc_text", "beside_floor", "headline_aucs", "opening", "told_apart"]

HEADLINE = "headline_auc"
"""How the names of the AUCs of the headline test begin."""
SIGMAS = 5.0
"""Errors from which on two AUCs are told to differ."""


def headline_aucs(sample: SampleResult) -> tuple[Headline, ...]:
    """The AUCs of the headline test, the lowest threshold first; none where it was left out."""
    return tuple(item for item in sample.headlines if item.name.startswith(HEADLINE))


def auc_text(item: Headline) -> str:
    """An AUC with its error, with as many digits as it takes."""
    error = item.error or 0.0
    digits = min(5, max(3, 1 - math.floor(math.log10(error)))) if error > 0 else 3
    return f"{_value(item):.{digits}f} ± {max(error, 10**-digits):.{digits}f}"


def told_apart(sample: SampleResult, floor: SampleResult | None = None) -> tuple[Headline, ...]:
    """The AUCs that are larger than those of the floor by more than five errors.

    Args:
        sample: What was judged.
        floor: Geant4, judged in the same way; without it 0.5 takes its place, as it does where the
            floor is below.
    """
    return tuple(_told(sample, floor))


def beside_floor(samples: Sequence[SampleResult]) -> tuple[SampleResult, ...]:
    """The same results with the verdict of the headline test, the floor first.

    Where Geant4 itself is told from Geant4, that is a warning of the floor: its rows and those of
    the reference are not of one simulation.
    """
    floor = samples[0]
    return (
        _with_warning(floor),
        *(
            sample.model_copy(update={"verdicts": ("told apart", *sample.verdicts)})
            if told_apart(sample, floor)
            else sample
            for sample in samples[1:]
        ),
    )


def opening(evaluation: Evaluation) -> list[str]:
    """What an evaluation is about, in sentences: how well each sample is told, and who wins."""
    floor, said = evaluation.floor, []
    for sample in evaluation.samples[1:]:
        aucs = headline_aucs(sample)
        told = told_apart(sample, floor)
        if aucs:
            how = "is told from Geant4" if told else "is not told from Geant4"
            numbers = ", ".join(f"{_deposits(item)} {auc_text(item)}" for item in aucs)
            clean = ", ".join(auc_text(item) for item in headline_aucs(floor))
            said.append(f"{sample.name} {how}: AUC for {numbers}; Geant4 itself {clean}.")
    return [*_winners(evaluation), *said]


def _winners(evaluation: Evaluation) -> Iterator[str]:
    """Which generator is hardest to tell, and by how much, at each threshold."""
    others = [
        sample
        for sample in evaluation.samples[1:]
        if not sample.name.startswith(GEANT4) and headline_aucs(sample)
    ]
    if len(others) < 2:
        return
    parts = []
    for i, item in enumerate(headline_aucs(others[0])):
        found = [(headline_aucs(sample)[i], sample.name) for sample in others]
        (best, name), (second, next_name) = sorted(found, key=lambda pair: _value(pair[0]))[:2]
        apart = _value(second) - _value(best)
        error = float(np.hypot(best.error or 0.0, second.error or 0.0))
        sure = "" if apart > SIGMAS * error else " (by chance, perhaps)"
        parts.append(
            f"{_deposits(item)} {name}, {auc_text(best)} against {auc_text(second)} of "
            f"{next_name}{sure}"
        )
    yield f"Hardest to tell from Geant4 (AUC): for {'; '.join(parts)}."


def _deposits(item: Headline) -> str:
    """Which deposits an AUC is of."""
    return item.label.removeprefix("AUC, ")


def _value(item: Headline) -> float:
    return 1.0 if item.value is None else item.value


def _told(sample: SampleResult, floor: SampleResult | None) -> Iterator[Headline]:
    for item in headline_aucs(sample):
        other = floor.headline(item.name) if floor else None
        least = max(0.5, (other.value if other else None) or 0.5)
        error = np.hypot(item.error or 0.0, (other.error if other else None) or 0.0)
        if item.value is not None and item.value > least + SIGMAS * error:
            yield item


def _with_warning(floor: SampleResult) -> SampleResult:
    told = told_apart(floor)
    if not told:
        return floor
    first = told[0]
    said = (
        f"floor: Geant4 is told from Geant4 ({_deposits(first)}: AUC {auc_text(first)}), so these "
        "rows and those of the reference are not of one simulation; an AUC of a sample says "
        "something beside that of the floor alone"
    )
    return floor.model_copy(update={"warnings": (*floor.warnings, said)})
