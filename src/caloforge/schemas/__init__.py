"""JSON schemas of what caloforge writes, as files, for programs in any language."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

from caloforge.errors import CaloforgeError
from caloforge.explain import suggestion

__all__ = ["read_schema", "schema_names"]

_END = ".schema.json"


def schema_names() -> list[str]:
    """Names of the schemas: ``"card-2"`` is that of version 2 of ``card.json``."""
    return sorted(file.name.removesuffix(_END) for file in _folder().glob(f"*{_END}"))


def read_schema(name: str) -> dict[str, Any]:
    """A schema.

    Args:
        name: One of :func:`schema_names`.

    Raises:
        CaloforgeError: There is no such schema.

    Examples:
        >>> read_schema("card-2")["properties"]["schema_version"]["const"]
        2
    """
    if name not in schema_names():
        msg = f"schema: {name!r} is not known; {suggestion(name, schema_names())}"
        raise CaloforgeError(msg)
    text = (_folder() / f"{name}{_END}").read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def _folder() -> Path:
    return Path(str(resources.files("caloforge.schemas")))
