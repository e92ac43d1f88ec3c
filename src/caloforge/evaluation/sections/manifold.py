"""Distances and coverage in the space of high-level features and of cells."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np

from caloforge.evaluation.distances.coverage import log_cells, prdc
from caloforge.evaluation.distances.physics import fpd, kpd
from caloforge.evaluation.features.calochallenge import high_level
from caloforge.evaluation.results import Headline
from caloforge.evaluation.sections.pair import Finding, Pair, finite

__all__ = ["manifold_section"]


def manifold_section(pair: Pair) -> Finding:
    """FPD, KPD, precision, recall, density and coverage."""
    samples = (pair.reference, pair.showers)
    features = [np.asarray(high_level(sample), dtype=np.float64) for sample in samples]
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
    batch = min(5_000 if pair.quick else 10_000, few)
    kernel = kpd(features[0], features[1], pair.rng("kpd"), batch_size=batch)
    rows = 2_000 if pair.quick else 20_000
    rng = pair.rng("prdc")
    cells = [log_cells(sample[rng.permutation(len(sample))[:rows]]) for sample in samples]
    scores = prdc(cells[0], cells[1], rng)
    lines = [
        ("fpd", "FPD x 1000", 1e3 * frechet.value, 1e3 * frechet.error, "lower"),
        ("kpd", "KPD x 1000", 1e3 * kernel.value, 1e3 * kernel.error, "lower"),
        ("precision", "precision", scores.precision.value, scores.precision.error, "higher"),
        ("recall", "recall", scores.recall.value, scores.recall.error, "higher"),
        ("density", "density", scores.density.value, scores.density.error, "one"),
        ("coverage", "coverage", scores.coverage.value, scores.coverage.error, "higher"),
    ]
    headlines = tuple(
        Headline.model_validate(
            {
                "name": name,
                "label": label,
                "value": finite(value),
                "error": finite(error),
                "better": better,
            }
        )
        for name, label, value, error, better in lines
    )
    cut = frechet.diverged[1]
    warnings = [f"{cut} showers diverged and were left out of FPD and KPD"] if cut else []
    details = {"fpd": asdict(frechet), "kpd": asdict(kernel), "prdc": asdict(scores)}
    return Finding(details, headlines, tuple(warnings))
