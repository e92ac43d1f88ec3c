"""Whether a sample is told from Geant4 better than Geant4 from itself: what no section can say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from caloforge.evaluation.results import Headline, SampleResult

__all__ = ["HEADLINE", "beside_floor", "headline_aucs", "told_apart"]

HEADLINE = "headline_auc"
"""How the names of the AUCs of the headline test begin."""
SIGMAS = 5.0
"""Errors from which on two AUCs are told to differ."""


def headline_aucs(sample: SampleResult) -> tuple[Headline, ...]:
    """The AUCs of the headline test, the lowest threshold first; none where it was left out."""
    return tuple(item for item in sample.headlines if item.name.startswith(HEADLINE))


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
        f"floor: Geant4 is told from Geant4 ({first.label.removeprefix('AUC, ')}: AUC "
        f"{first.value:.3f} ± {first.error:.3f}), so these rows and those of the reference are not "
        "of one simulation; an AUC of a sample says something beside that of the floor alone"
    )
    return floor.model_copy(update={"warnings": (*floor.warnings, said)})
