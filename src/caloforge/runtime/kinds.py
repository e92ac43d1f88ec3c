"""The kinds of artefacts: what runs them, by the word on the card."""

from __future__ import annotations

from caloforge.errors import ArtefactError
from caloforge.registry import chosen
from caloforge.runtime.generator import Generator

__all__ = ["KINDS", "find_kind"]

KINDS = {
    "choice": "caloforge.runtime.choice:ChoiceGenerator",
    "fastcalosim": "caloforge.runtime.parametric:ParametricGenerator",
    "library": "caloforge.runtime.library:LibraryGenerator",
    "onnx": "caloforge.runtime.onnx:OnnxGenerator",
}
"""Where the class of each kind is; it is imported when the first such artefact is loaded."""


def find_kind(runtime: str) -> type[Generator]:
    """The class that runs a kind of artefacts.

    Args:
        runtime: What the card says.

    Raises:
        ArtefactError: There is no such kind.
    """
    kind: type[Generator] = chosen("runtime", runtime, KINDS, ArtefactError)
    return kind
