"""Distances and coverage in the space of high-level features and of cells."""

from __future__ import annotations

import numpy as np

from caloforge.evaluation.distances.coverage import log_cells, prdc
from caloforge.evaluation.distances.physics import PhysicsDistance, fpd, kpd
from caloforge.evaluation.estimate import Estimate
from caloforge.evaluation.features.calochallenge import high_level
from caloforge.evaluation.features.studied import once
from caloforge.evaluation.results import Headline
from caloforge.evaluation.sections.pair import Finding, Pair

__all__ = ["manifold_section"]


def manifold_section(pair: Pair) -> Finding:
    """FPD, KPD, precision, recall, density and coverage."""
    samples = (pair.reference, pair.showers)
    features = [np.asarray(once(sample, high_level), dtype=np.float64) for sample in samples]
    few = min(map(len, features))
    # The batches of the CaloChallenge need 10,000 showers; of fewer, take what there is.
    largest = min(50_000, few)
    frechet = fpd(
        features[0],
        features[1],
        pair.rng("fpd"),
        min_samples=min(10_000, max(2, largest // 2)),
        max_samples=largest,
        num_batches=5 if pair.quick else 20,
    )
    batch = min(2_500 if pair.quick else 10_000, few)
    kernel = kpd(features[0], features[1], pair.rng("kpd"), batch_size=batch)
    rows = 2_000 if pair.quick else 20_000
    rng = pair.rng("prdc")
    cells = [once(sample, log_cells, rng.permutation(len(sample))[:rows]) for sample in samples]
    scores = prdc(cells[0], cells[1], rng)
    headlines = (
        Headline.of("fpd", "FPD x 1000", _thousandfold(frechet), "lower"),
        Headline.of("kpd", "KPD x 1000", _thousandfold(kernel), "lower"),
        Headline.of("precision", "precision", scores.precision, "higher"),
        Headline.of("recall", "recall", scores.recall, "higher"),
        Headline.of("density", "density", scores.density, "one"),
        Headline.of("coverage", "coverage", scores.coverage, "higher"),
    )
    cut = frechet.diverged[1]
    warnings = [f"{cut} showers diverged and were left out of FPD and KPD"] if cut else []
    return Finding({"fpd": frechet, "kpd": kernel, "prdc": scores}, headlines, tuple(warnings))


def _thousandfold(found: PhysicsDistance) -> Estimate:
    return Estimate(1e3 * found.value, 1e3 * found.error)
