"""Calorimeter showers: Geant4, fast generators, and the judge between them, in one package.

>>> import caloforge
>>> showers = caloforge.load("fastcalosim-eplus").sample([10.0, 50.0], seed=1)
>>> showers
Showers(2 e+, 10-50 GeV, 'calogan')
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from caloforge.version import __version__

if TYPE_CHECKING:
    from caloforge.detector import Detector, load_detector
    from caloforge.errors import CaloforgeError
    from caloforge.evaluation import evaluate
    from caloforge.export import export_run
    from caloforge.fullsim import simulate
    from caloforge.incident.incident import Incident
    from caloforge.runtime import Generator, generate, load
    from caloforge.showers import Showers
    from caloforge.showers import open_showers as open  # noqa: A004
    from caloforge.showers import read_showers as read
    from caloforge.showers import write_showers as write
    from caloforge.showers.examples import example_showers as example
    from caloforge.training import Recipe, train

__all__ = [
    "CaloforgeError",
    "Detector",
    "Generator",
    "Incident",
    "Recipe",
    "Showers",
    "__version__",
    "evaluate",
    "example",
    "export_run",
    "generate",
    "load",
    "load_detector",
    "open",
    "read",
    "simulate",
    "train",
    "write",
]

# Loaded when first used: `import caloforge` itself is quick and needs neither ONNX Runtime nor
# calzone.
_HOME = {
    "CaloforgeError": ("errors", "CaloforgeError"),
    "Detector": ("detector", "Detector"),
    "Generator": ("runtime", "Generator"),
    "Incident": ("incident.incident", "Incident"),
    "Recipe": ("training", "Recipe"),
    "Showers": ("showers", "Showers"),
    "evaluate": ("evaluation", "evaluate"),
    "example": ("showers.examples", "example_showers"),
    "export_run": ("export", "export_run"),
    "generate": ("runtime", "generate"),
    "load": ("runtime", "load"),
    "load_detector": ("detector", "load_detector"),
    "open": ("showers", "open_showers"),
    "read": ("showers", "read_showers"),
    "simulate": ("fullsim", "simulate"),
    "train": ("training", "train"),
    "write": ("showers", "write_showers"),
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        module, attribute = _HOME[name]
        return getattr(import_module(f"caloforge.{module}"), attribute)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted(__all__)
