"""The judge: generated showers against Geant4."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from caloforge.evaluation.judge import evaluate
    from caloforge.evaluation.ranking import leaderboard, markdown
    from caloforge.evaluation.results import Evaluation, read_evaluation
    from caloforge.evaluation.sections import SECTIONS

__all__ = ["SECTIONS", "Evaluation", "evaluate", "leaderboard", "markdown", "read_evaluation"]

# Loaded when first used: pages and parametrisations use parts of this room and need no SciPy.
_HOME = {
    "SECTIONS": "sections",
    "Evaluation": "results",
    "evaluate": "judge",
    "leaderboard": "ranking",
    "markdown": "ranking",
    "read_evaluation": "results",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"caloforge.evaluation.{_HOME[name]}"), name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
