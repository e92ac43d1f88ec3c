"""A number and its statistical error."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["N_BOOTSTRAP", "Estimate"]


@dataclass(frozen=True)
class Estimate:
    """A number and its statistical error.

    Attributes:
        value: The number.
        error: One standard deviation, in the same unit.
    """

    value: float
    error: float


N_BOOTSTRAP = 200
"""Bootstrap samples of every error."""
