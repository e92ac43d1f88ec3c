"""The quick classifier test: boosted trees."""

from __future__ import annotations

from caloforge.evaluation.classifiers.trees import trees_test
from caloforge.evaluation.estimate import Estimate
from caloforge.evaluation.results import Headline
from caloforge.evaluation.sections.pair import Finding, Pair

__all__ = ["trees_section"]


def trees_section(pair: Pair) -> Finding:
    """AUC of gradient-boosted trees on the high-level features."""
    found = trees_test(pair.reference, pair.showers, seed=pair.seed)
    auc = Estimate(found.auc, found.auc_error)
    headline = Headline.of("trees_auc", "AUC, boosted trees", auc, "half")
    return Finding(found, (headline,), found.warnings)
