"""Calorimeter showers: Geant4, fast generators, and the judge between them, in one package.

>>> import caloforge
>>> showers = caloforge.load("fastcalosim-eplus").sample([10.0, 50.0], seed=1)
>>> showers
Showers(2 e+, 10-50 GeV, 'calogan')

Showers
    load            a generator, by name; its sample() makes showers
    generate        showers of a generator into a file
    simulate        showers of Geant4 into a file
    example         a thousand Geant4 showers that come with caloforge
    read, open      showers of a file, at once or block by block
    write           showers into a file
    convert         a file into another format or readout
    Showers         showers in memory
    Incident        particles that enter: energies, entry points, directions
    Detector        what showers are recorded in; load_detector reads one

Looking at them
    plot            a figure of the layers
    observables     a table of observables, for NumPy, pandas or awkward
    histogram       an observable as a histogram with errors (hist)
    to_awkward      deposits as an awkward array
    write_page      a page to look at, of one file or of two

Judging, training, deploying
    evaluate        showers against Geant4
    train, Recipe   a generator of your own, from Geant4 showers
    export_run      what was trained as an artefact that needs no PyTorch
    Generator       what load returns
    CaloforgeError  the base of all errors: one sentence each, on what to do

Judging needs ``pip install 'caloforge[evaluate]'``, training ``'caloforge[train]'``; all else needs
nothing more. Energies of particles are kinetic, in GeV; deposits are in MeV, lengths in mm.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from caloforge.version import __version__

if TYPE_CHECKING:
    from caloforge.detector import Detector, load_detector
    from caloforge.errors import CaloforgeError
    from caloforge.evaluation import evaluate
    from caloforge.evaluation.tables import histogram, observables, to_awkward
    from caloforge.export import export_run
    from caloforge.fullsim import simulate
    from caloforge.incident.incident import Incident
    from caloforge.runtime import Generator, generate, load
    from caloforge.showers import Showers
    from caloforge.showers import convert_file as convert
    from caloforge.showers import open_showers as open  # noqa: A004
    from caloforge.showers import read_showers as read
    from caloforge.showers import write_showers as write
    from caloforge.showers.examples import example_showers as example
    from caloforge.training import Recipe, train
    from caloforge.web.page import write_page
    from caloforge.web.plot import plot

__all__ = [
    "CaloforgeError",
    "Detector",
    "Generator",
    "Incident",
    "Recipe",
    "Showers",
    "__version__",
    "convert",
    "evaluate",
    "example",
    "export_run",
    "generate",
    "histogram",
    "load",
    "load_detector",
    "observables",
    "open",
    "plot",
    "read",
    "simulate",
    "to_awkward",
    "train",
    "write",
    "write_page",
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
    "convert": ("showers", "convert_file"),
    "evaluate": ("evaluation", "evaluate"),
    "example": ("showers.examples", "example_showers"),
    "export_run": ("export", "export_run"),
    "generate": ("runtime", "generate"),
    "histogram": ("evaluation.tables", "histogram"),
    "load": ("runtime", "load"),
    "load_detector": ("detector", "load_detector"),
    "observables": ("evaluation.tables", "observables"),
    "open": ("showers", "open_showers"),
    "plot": ("web.plot", "plot"),
    "read": ("showers", "read_showers"),
    "simulate": ("fullsim", "simulate"),
    "to_awkward": ("evaluation.tables", "to_awkward"),
    "train": ("training", "train"),
    "write": ("showers", "write_showers"),
    "write_page": ("web.page", "write_page"),
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        module, attribute = _HOME[name]
        try:
            return getattr(import_module(f"caloforge.{module}"), attribute)
        except ModuleNotFoundError as error:
            from caloforge.errors import NotInstalledError

            if (error.name or "caloforge").startswith("caloforge"):
                raise
            msg = f"caloforge.{name} needs {error.name}: pip install 'caloforge[train]'"
            raise NotInstalledError(msg) from None
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted(__all__)
