"""From a model to an artefact, and to what other hosts load."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from caloforge.export.fastcalosim import train_fastcalosim
    from caloforge.export.folder import artefact_folder
    from caloforge.export.library import train_library
    from caloforge.export.run import export_run

__all__ = ["artefact_folder", "export_run", "train_fastcalosim", "train_library"]

# Loaded when first used: parametrisations and libraries need no PyTorch, and the names of the
# profiles nothing.
_HOME = {
    "artefact_folder": "folder",
    "export_run": "run",
    "train_fastcalosim": "fastcalosim",
    "train_library": "library",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"caloforge.export.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
