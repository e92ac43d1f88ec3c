"""Observables: distances of each, and the separation powers of the CaloChallenge."""

from __future__ import annotations

import numpy as np

from caloforge.evaluation.distances.calochallenge import calochallenge_separations, find_dataset
from caloforge.evaluation.distances.table import DistanceTable, compare_observables
from caloforge.evaluation.estimate import Estimate
from caloforge.evaluation.results import Headline
from caloforge.evaluation.sections.pair import Finding, Pair
from caloforge.evaluation.shown import HistogramPanel, Row, Table

__all__ = ["observables_section"]

# What goes on one page, by the beginning of an observable's name; the rest is left to the table.
_FIGURES = {
    "energies": ("total_energy", "response", "layer_energy", "layer_fraction"),
    "depths": ("depth", "shower_depth", "energy_ratio"),
    "widths": ("centre", "width"),
    "cells": ("brightest", "occupancy"),
}


def observables_section(pair: Pair) -> Finding:
    """Distances of each observable; those of the CaloChallenge where the data set is one."""
    table = compare_observables(
        pair.reference, pair.showers, pair.rng("observables"), replicas=10 if pair.quick else 50
    )
    powers = np.array([row.distances.separation.value for row in table.rows])
    errors = np.array([row.distances.separation.error for row in table.rows])
    defined = np.isfinite(powers)
    worst = int(np.nanargmax(np.where(defined, powers, -1)))
    mean = Estimate(
        float(powers[defined].mean()),
        float(np.sqrt(np.nansum(errors[defined] ** 2)) / max(1, defined.sum())),
    )
    largest = table.rows[worst].distances.separation
    headlines = (
        Headline.of("separation_mean", "mean separation power", mean, "lower"),
        Headline.of("separation_worst", "worst separation power", largest, "lower"),
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
        "worst": table.rows[worst].observable.title,
        "calochallenge": published,
    }
    return Finding(details, headlines, tuple(undefined), _panels(table), (_printed(table),))


def _panels(table: DistanceTable) -> tuple[HistogramPanel, ...]:
    return tuple(
        HistogramPanel(
            figure=figure,
            label=row.observable.axis,
            reference=row.histogram,
            showers=row.distances.histogram,
            distance=row.distances.separation.value,
            logarithmic=row.observable.logarithmic,
        )
        for figure, beginnings in _FIGURES.items()
        for row in table.rows
        if row.observable.name.startswith(beginnings)
    )


def _printed(table: DistanceTable) -> Table:
    rows = []
    for row in table.rows:
        found = row.distances
        relative = found.wasserstein.value / row.spread if row.spread else float("nan")
        cells = (
            found.separation,
            "" if np.isnan(relative) else f"{relative:.3f}",
            Estimate(found.chi2.reduced, found.chi2.reduced_error),
            found.kolmogorov_smirnov,
            row.observable.formula,
        )
        rows.append(Row(row.observable.title, cells))
    columns = ("observable", "separation power", "Wasserstein / spread", "chi2/NDF", "KS", "")
    return Table(title="Every observable", columns=columns, rows=tuple(rows), things="observables")
