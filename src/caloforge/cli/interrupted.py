"""What an interrupted command says: how to go on, where something of it was kept."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

__all__ = ["way_on"]


def way_on(arguments: Sequence[str]) -> str:
    """The command that goes on with an interrupted one; empty where nothing was kept.

    Args:
        arguments: What was typed, without ``caloforge``.
    """
    words = list(arguments)
    output = _output(words)
    if output is None or not words:
        return ""
    if words[0] in {"generate", "geant4"}:
        # Of several readouts each has a name of its own: NAME-READOUT.h5.part.
        names = (f"{output.name}.part", f"{output.stem}-*{output.suffix}.part")
        kept = any(_there(output.parent, name) for name in names)
    else:
        kept = words[0] == "train" and _there(output, "checkpoint*")
    if not kept:
        return ""
    again = [word for word in words if word not in {"--overwrite", "--resume"}]
    return shlex.join(["caloforge", *again, "--resume"])


def _output(words: Sequence[str]) -> Path | None:
    for i, word in enumerate(words):
        if word in {"-o", "--output"} and i + 1 < len(words):
            return Path(words[i + 1])
        name, equals, value = word.partition("=")
        if equals and name in {"-o", "--output"}:
            return Path(value)
    return None


def _there(folder: Path, pattern: str) -> bool:
    escaped = pattern if "*" in pattern else pattern.replace("[", "[[]")
    try:
        return any(folder.glob(escaped))
    except (OSError, ValueError):
        return False
