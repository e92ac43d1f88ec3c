"""The judge: generated showers against Geant4."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from caloforge.errors import NotInstalledError

if TYPE_CHECKING:
    from caloforge.evaluation.judge import evaluate
    from caloforge.evaluation.ranking import leaderboard, markdown
    from caloforge.evaluation.results import Evaluation, prepare_folder, read_evaluation
    from caloforge.evaluation.samples import load_reference, load_sample
    from caloforge.evaluation.sections import SECTIONS

__all__ = [
    "SECTIONS",
    "Evaluation",
    "evaluate",
    "leaderboard",
    "load_reference",
    "load_sample",
    "markdown",
    "prepare_folder",
    "read_evaluation",
]

# Loaded when first used: pages and parametrisations use parts of this room and need no SciPy.
_HOME = {
    "SECTIONS": "sections",
    "Evaluation": "results",
    "evaluate": "judge",
    "leaderboard": "ranking",
    "load_reference": "samples",
    "load_sample": "samples",
    "markdown": "ranking",
    "prepare_folder": "results",
    "read_evaluation": "results",
}
_EXTRA = {"scipy", "sklearn", "threadpoolctl"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    try:
        return getattr(import_module(f"caloforge.evaluation.{_HOME[name]}"), name)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in _EXTRA:
            raise
        msg = f"judging needs {error.name}: pip install 'caloforge[evaluate]'"
        raise NotInstalledError(msg) from None
