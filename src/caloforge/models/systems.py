"""The systems that are trained, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from caloforge.errors import ConfigError
from caloforge.registry import chosen

if TYPE_CHECKING:
    from caloforge.models.system import System

__all__ = ["SYSTEMS", "system_type"]

_HERE = "caloforge.models"
SYSTEMS = {
    "anvil": (f"{_HERE}.anvil.system:Anvil", "Our own: cells drawn group by group."),
    "atlas-vae": (f"{_HERE}.atlas_vae.system:AtlasVAE", "The ATLAS variational autoencoder."),
    "caloflow": (
        f"{_HERE}.caloflow.system:CaloFlow",
        "CaloFlow: autoregressive flows, the teacher.",
    ),
    "caloflow-student": (
        f"{_HERE}.caloflow.student:CaloFlowStudent",
        "CaloFlow: its fast student, which needs a teacher.",
    ),
    "calogan": (f"{_HERE}.calogan:CaloGAN", "CaloGAN: one LAGAN per layer, attention between."),
    "lagan": (f"{_HERE}.lagan.system:LAGAN", "LAGAN: one layer as an image."),
}
"""Where each class is, and one line about it. A new system is a file and a line here."""


def system_type(name: str) -> type[System]:
    """The class of a system.

    Raises:
        ConfigError: There is no such system.
    """
    found: type[System] = chosen("system", name, SYSTEMS, ConfigError)
    return found
