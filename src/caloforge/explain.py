"""What is wrong with what a user wrote, in one sentence; and how to ask for something else."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from pydantic import ValidationError

from caloforge.errors import CaloforgeError

__all__ = ["check_between", "explain", "option", "suggestion"]

_LONGEST = 80  # characters of what was got that are told


def explain(error: ValidationError, known: Iterable[str] = (), *, root: str = "content") -> str:
    """One sentence on what is wrong with what a user wrote.

    Args:
        error: What pydantic found.
        known: The names that may be written, to suggest one instead of a misspelt one.
        root: What to call the place where all of it is wrong.
    """
    known = set(known)
    # A misspelt name may also be reported as another that is missing: the misspelling says more.
    errors = error.errors(include_url=False)
    misspelt = (
        each
        for each in errors
        if each["type"] == "extra_forbidden" and str(each["loc"][-1]) not in known
    )
    first = next(misspelt, errors[0])
    parts = [str(part) for part in first["loc"] if not str(part).startswith("_")]
    place = ".".join(parts) or root
    reason = f"{first['msg'][0].lower()}{first['msg'][1:]}"
    if first["type"] == "extra_forbidden":
        return f"{place}: is not known; {suggestion(parts[-1], known)}"
    if first["type"] == "missing":
        return f"{place}: is missing"
    if first["type"] == "json_invalid":
        return f"{place}: {reason}"
    got = repr(first["input"])
    got = got if len(got) <= _LONGEST else f"{got[: _LONGEST - 3]}..."
    return f"{place}: got {got}; {reason}"


def suggestion(name: str, known: Iterable[str]) -> str:
    """What to write instead of a name that is not known."""
    known = sorted(known)
    near = get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"


def option(name: str, flag: str = "") -> str:
    """How to switch something on, in Python and on the command line.

    Args:
        name: What Python calls it.
        flag: What the command line calls it, where that is another name.

    Examples:
        >>> option("overwrite")
        'overwrite=True, on the command line --overwrite'
    """
    return f"{name}=True, on the command line --{flag or name}"


def check_between(name: str, value: float, least: float, most: float) -> None:
    """Refuse a number that cannot be meant, before any work.

    Args:
        name: What it is called.
        value: What was given.
        least: The smallest that is legal.
        most: The largest that is legal.

    Raises:
        CaloforgeError: It is out of range, or no number.

    Examples:
        >>> check_between("workers", 0, 1, 64)
        Traceback (most recent call last):
        caloforge.errors.CaloforgeError: workers: got 0, must be at least 1
    """
    if not value >= least:
        msg = f"{name}: got {value}, must be at least {least:,}"
        raise CaloforgeError(msg)
    if not value <= most:
        msg = f"{name}: got {value}, must be at most {most:,}"
        raise CaloforgeError(msg)
