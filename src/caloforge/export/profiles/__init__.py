"""Forms in which a generator leaves: one file each.

``onnx`` is what caloforge itself loads, and is in every artefact; the others stand beside it, for
other hosts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from caloforge.errors import ExportError
from caloforge.registry import chosen

if TYPE_CHECKING:
    from caloforge.export.profiles.base import Profile

__all__ = ["PROFILES", "find_profile"]

_HERE = "caloforge.export.profiles"
PROFILES = {
    "lwtnn": (f"{_HERE}.lwtnn:LwtnnProfile", "The dense network as JSON, for LWTNN in C++."),
    "onnx": (f"{_HERE}.onnx:OnnxProfile", "ONNX, which caloforge loads: always there."),
}
"""Where each class is, and one line about it. A new profile is a file and a line here."""


def find_profile(name: str) -> Profile:
    """A profile.

    Raises:
        ExportError: There is none of that name.
    """
    profile: Profile = chosen("profile", name, PROFILES, ExportError)()
    return profile
