"""Observables: distances of each, and the separation powers of the CaloChallenge."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np

from caloforge.evaluation.distances.calochallenge import (
    calochallenge_separations,
    find_dataset,
)
from caloforge.evaluation.distances.table import compare_observables
from caloforge.evaluation.results import Headline
from caloforge.evaluation.sections.pair import Finding, Pair, finite

__all__ = ["observables_section"]


def observables_section(pair: Pair) -> Finding:
    """Distances of each observable; those of the CaloChallenge where the data set is one."""
    table = compare_observables(
        pair.reference, pair.showers, pair.rng("observables"), replicas=10 if pair.quick else 50
    )
    powers = np.array([row.distances.separation.value for row in table.rows])
    errors = np.array([row.distances.separation.error for row in table.rows])
    defined = np.isfinite(powers)
    worst = int(np.nanargmax(np.where(defined, powers, -1)))
    name = table.rows[worst].observable.title
    headlines = (
        Headline(
            name="separation_mean",
            label="mean separation power",
            value=float(powers[defined].mean()),
            error=float(np.sqrt(np.nansum(errors[defined] ** 2)) / max(1, defined.sum())),
            better="lower",
        ),
        Headline(
            name="separation_worst",
            label="worst separation power",
            value=float(powers[worst]),
            error=finite(errors[worst]),
            better="lower",
        ),
    )
    undefined = [
        f"{row.observable.title} is not defined in {row.distances.undefined[1]:.1%} of the showers "
        f"({row.distances.undefined[0]:.1%} of the reference)"
        for row in table.rows
        if abs(row.distances.undefined[1] - row.distances.undefined[0]) > 0.05
    ]
    dataset = find_dataset(pair.reference.detector)
    published = (
        () if dataset is None else calochallenge_separations(pair.reference, pair.showers, dataset)
    )
    details = {
        **table.to_dict(),
        "worst": name,
        "calochallenge": [asdict(separation) for separation in published],
    }
    return Finding(details, headlines, tuple(undefined), {"table": table})
