"""Registries: what can be chosen by a name, imported when it is chosen."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from caloforge.errors import CaloforgeError
from caloforge.explain import suggestion

__all__ = ["Entry", "chosen"]

Entry = str | tuple[str, str]
"""Where a thing is, ``"module:attribute"``, and perhaps a line about it."""


def chosen(what: str, name: str, known: Mapping[str, Entry], error: type[CaloforgeError]) -> Any:
    """What a name stands for.

    Args:
        what: What is chosen, for the message.
        name: What was asked for.
        known: The registry.
        error: What to raise if there is none of that name.

    Raises:
        CaloforgeError: There is none of that name; of the class ``error``.

    Examples:
        >>> chosen("number", "tau", {"tau": "math:tau", "pi": "math:pi"}, CaloforgeError)
        6.283185307179586
    """
    if name not in known:
        msg = f"{what}: {name!r} is not known; {suggestion(name, known)}"
        raise error(msg)
    entry = known[name]
    module, _, attribute = (entry if isinstance(entry, str) else entry[0]).partition(":")
    return getattr(import_module(module), attribute)
