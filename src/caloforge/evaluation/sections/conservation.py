"""Energy conservation: showers that leave more energy than there is."""

from __future__ import annotations

from caloforge.evaluation.distances.tails import UNLIKELY, share_of
from caloforge.evaluation.features.shapes import total_energy
from caloforge.evaluation.features.studied import once
from caloforge.evaluation.results import Headline, Verdict
from caloforge.evaluation.sections.pair import Finding, Pair
from caloforge.runtime.conservation import allowed_energy
from caloforge.showers import Showers

__all__ = ["conservation_section"]


def conservation_section(pair: Pair) -> Finding:
    """Share of the showers that deposit more than kinetic energy and mass can."""
    particle = pair.reference.particle or pair.showers.particle
    if not particle:
        return Finding({})
    counts = [_impossible(each, particle) for each in (pair.reference, pair.showers)]
    shares = [
        share_of(count, len(each))
        for count, each in zip(counts, (pair.reference, pair.showers), strict=True)
    ]
    details = {
        "impossible": dict(zip(("reference", "showers"), counts, strict=True)),
        "shares": dict(zip(("reference", "showers"), shares, strict=True)),
    }
    label = "share above the incident energy"
    headline = Headline.of("above_incident", label, shares[1], "lower")
    warnings: tuple[str, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    if _chance(counts, (len(pair.reference), len(pair.showers))) < UNLIKELY:
        said = (
            f"energy: {counts[1]:,} of {len(pair.showers):,} showers deposit more than there is, "
            f"in the reference {counts[0]:,} of {len(pair.reference):,}"
        )
        warnings, verdicts = (said,), ("energy",)
    return Finding(details, (headline,), warnings, verdicts=verdicts)


def _impossible(showers: Showers, particle: str) -> int:
    most = allowed_energy(showers.energy, particle)
    return int((once(showers, total_energy) > most).sum())


def _chance(counts: list[int], sizes: tuple[int, int]) -> float:
    """Probability that so many of the showers that are impossible are of the sample."""
    from scipy.stats import binom

    share = sizes[1] / sum(sizes)
    return float(binom.sf(counts[1] - 1, sum(counts), share)) if counts[1] else 1.0
