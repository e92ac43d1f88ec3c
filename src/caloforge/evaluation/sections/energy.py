"""The total energy: chi2/NDF of FastCaloGAN, response and resolution."""

from __future__ import annotations

from typing import Literal

from caloforge.evaluation.distances.energy_chi2 import fastcalogan_energy_chi2
from caloforge.evaluation.distances.response import EnergyComparison, compare_energy
from caloforge.evaluation.estimate import Estimate
from caloforge.evaluation.results import Headline
from caloforge.evaluation.sections.pair import Finding, Pair
from caloforge.evaluation.shown import PointsPanel, Series

__all__ = ["energy_section"]


def energy_section(pair: Pair) -> Finding:
    """Total energy: the test of FastCaloGAN, response, resolution."""
    # As many of either: the test estimates variances from the counts, which in sparse bins of
    # samples of unequal size makes chi2/NDF of Geant4 against itself 1.3 (measured, 1,314 e+
    # against 5,000).
    size = min(len(pair.reference), len(pair.showers))
    found = fastcalogan_energy_chi2(pair.reference[:size], pair.showers[:size])
    chi2 = found.chi2
    response = compare_energy(pair.reference, pair.showers, pair.rng("response"))
    details = {
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
        "response": response,
    }
    reduced = Estimate(chi2.reduced, chi2.reduced_error)
    headline = Headline.of("energy_chi2_ndf", "chi2/NDF of the total energy", reduced, "lower")
    return Finding(details, (headline,), panels=_panels(response))


def _panels(found: EnergyComparison) -> tuple[PointsPanel, ...]:
    def panel(title: str, which: Literal["response", "resolution"]) -> PointsPanel:
        reference, showers = (
            Series(
                tuple(point.energy for point in points),
                tuple(getattr(point, which) for point in points),
            )
            for points in (found.reference, found.showers)
        )
        return PointsPanel(
            figure="response",
            about="Mean response, and resolution (half of the central 68% over the mean), against "
            "incident energy.",
            label="incident energy / GeV",
            title=title,
            reference=reference,
            showers=showers,
            logarithmic=True,
        )

    return (
        panel("mean response", "response"),
        panel("resolution", "resolution"),
    )
