"""The quick classifier test: boosted trees."""

from __future__ import annotations

from caloforge.evaluation.classifiers.trees import trees_test
from caloforge.evaluation.results import Headline
from caloforge.evaluation.sections.pair import Finding, Pair

__all__ = ["trees_section"]


def trees_section(pair: Pair) -> Finding:
    """AUC of gradient-boosted trees on the high-level features."""
    found = trees_test(pair.reference, pair.showers, seed=pair.seed)
    headline = Headline(
        name="trees_auc",
        label="AUC, boosted trees",
        value=found.auc,
        error=found.auc_error,
        better="half",
    )
    return Finding(found.model_dump(mode="json"), (headline,), found.warnings)
