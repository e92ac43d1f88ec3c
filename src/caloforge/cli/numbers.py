"""Whole numbers on the command line: ``10000``, ``10_000`` and ``1e4`` are the same."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, get_args, get_origin

from cyclopts import CoercionError, Token

from caloforge.errors import CaloforgeError

__all__ = ["whole", "whole_number"]

_DIGITS = 30  # more have no use, and would only take time


def whole(kind: Any, tokens: Sequence[Token]) -> int | list[int]:
    """Convert what was typed for an option that takes a whole number, or several.

    Args:
        kind: Type of the option: ``int``, ``int | None``, ``list[int]`` or ``list[int] | None``.
        tokens: What was typed.

    Raises:
        CoercionError: It is no whole number.
    """
    try:
        found = [whole_number(token.value, token.keyword or "value") for token in tokens]
    except CaloforgeError as error:
        raise CoercionError(msg=str(error)) from None
    several = list in {get_origin(item) for item in (kind, *get_args(kind))}
    return found if several else found[0]


def whole_number(text: str, name: str) -> int:
    """A whole number, which may be written as a decimal one.

    Args:
        text: What was typed.
        name: Name of the option, for the message.

    Raises:
        CaloforgeError: It is no whole number.

    Examples:
        >>> whole_number("1e4", "-n"), whole_number("10_000", "-n"), whole_number("2.5e3", "-n")
        (10000, 10000, 2500)
        >>> whole_number("2.7", "-n")
        Traceback (most recent call last):
        caloforge.errors.CaloforgeError: -n: got '2.7', must be a whole number, such as 10000 or 1e4
    """
    plain = text.strip()
    if re.fullmatch(r"[+-]?[0-9](_?[0-9])*", plain, re.ASCII) and len(plain) <= _DIGITS:
        return int(plain)
    try:
        number = Decimal(plain)
        if number.is_finite() and number.adjusted() < _DIGITS and number == number.to_integral():
            return int(number)
    except InvalidOperation:
        pass
    msg = f"{name}: got {text!r}, must be a whole number, such as 10000 or 1e4"
    raise CaloforgeError(msg)
