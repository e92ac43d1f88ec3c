"""What is wrong with what a user wrote, in one sentence."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from pydantic import BaseModel, ValidationError

__all__ = ["explain", "suggestion"]


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """One sentence on the first thing that is wrong with what a user wrote."""
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"{place}: is no setting; {suggestion(place, model.model_fields)}"
    if first["type"] == "missing":
        return f"{place}: is missing"
    return f"{place}: got {first['input']!r}; {first['msg'][0].lower()}{first['msg'][1:]}"


def suggestion(name: str, known: Iterable[str]) -> str:
    """What to write instead of a name that is not known."""
    known = sorted(known)
    near = get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
