"""The total energy: chi2/NDF of FastCaloGAN, response and resolution."""

from __future__ import annotations

from typing import Any

from caloforge.evaluation.distances.energy_chi2 import fastcalogan_energy_chi2
from caloforge.evaluation.distances.response import compare_energy
from caloforge.evaluation.results import Headline
from caloforge.evaluation.sections.pair import Finding, Pair, finite

__all__ = ["energy_section"]


def energy_section(pair: Pair) -> Finding:
    """Total energy: the test of FastCaloGAN, response, resolution."""
    # As many of either: the test estimates variances from the counts, which in sparse bins of
    # samples of unequal size makes chi2/NDF of Geant4 against itself 1.3 (measured, 1,314 e+
    # against 5,000).
    size = min(len(pair.reference), len(pair.showers))
    found = fastcalogan_energy_chi2(pair.reference[:size], pair.showers[:size])
    chi2 = found.chi2
    details: dict[str, Any] = {
        "showers": size,
        "continuous": found.continuous,
        "left_out": found.left_out,
        "chi2": chi2.value,
        "ndf": chi2.ndf,
        "points": [
            {
                "energy": list(point.energy),
                "response_range": list(point.response),
                "counts": list(point.counts),
                "chi2": point.chi2.value,
                "ndf": point.chi2.ndf,
            }
            for point in found.points
        ],
    }
    points = compare_energy(pair.reference, pair.showers, pair.rng("response"))
    details["response"] = points.to_dict()
    headline = Headline(
        name="energy_chi2_ndf",
        label="chi2/NDF of the total energy",
        value=finite(chi2.reduced),
        error=finite(chi2.reduced_error),
        better="lower",
    )
    return Finding(details, (headline,), (), {"response": points})
