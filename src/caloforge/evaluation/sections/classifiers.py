"""The classifier tests that were published, with networks."""

from __future__ import annotations

from importlib.util import find_spec

from caloforge.evaluation.classifiers.network_test import classifier_test, find_protocol
from caloforge.evaluation.estimate import Estimate
from caloforge.evaluation.results import Headline
from caloforge.evaluation.sections.pair import Finding, Pair

__all__ = ["classifiers_section"]

_PROTOCOLS = (
    "caloflow",
    "caloflow-normalised",
    "calochallenge-high",
    "calochallenge-low",
    "calochallenge-low-normalised",
)


def classifiers_section(pair: Pair) -> Finding:
    """AUC of the published networks; small ones, as quick evaluations allow, see nothing."""
    if pair.quick:
        return Finding({})
    if find_spec("torch") is None:
        note = "PyTorch is not installed, so no classifiers: pip install 'caloforge[torch]'"
        return Finding({}, (), (note,))
    details, headlines, warnings = {}, [], []
    for name in _PROTOCOLS:
        found = classifier_test(
            pair.reference,
            pair.showers,
            find_protocol(name),
            seed=pair.seed,
            repeats=pair.repeats,
            device=pair.device,
        )
        details[found.name] = found
        warnings += [f"{found.name}: {warning}" for warning in found.warnings]
        auc = Estimate(found.auc, found.auc_error)
        headlines.append(Headline.of(f"auc_{name}", f"AUC, {found.name}", auc, "half"))
    return Finding(details, tuple(headlines), tuple(dict.fromkeys(warnings)))
