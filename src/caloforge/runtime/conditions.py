"""What a generator is asked for, by name: the numbers of a particle at the front face."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from caloforge.errors import CaloforgeError, EnergyError
from caloforge.explain import option
from caloforge.incident.incident import Incident

__all__ = ["QUANTITIES", "Condition", "Quantity", "check_neutral"]

Finite = Annotated[float, Field(allow_inf_nan=False)]

_ROUNDING = 1e-6  # of entry points and directions: files hold them in single precision


DType = Literal[
    "BOOL", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64",
    "FP16", "FP32", "FP64",
]  # fmt: skip
"""Types of numbers, in the words of the Open Inference Protocol."""


@dataclass(frozen=True)
class Quantity:
    """A number, or some, of each particle.

    Attributes:
        unit: Its unit, empty where there is none.
        width: How many numbers it is.
        dtype: What a network takes it as, in the words of the Open Inference Protocol.
        values: The numbers of N particles, shape (N, width), given the particles of a card, too.
        neutral: What a generator without this condition is made for; None where it may be any.
        without: How a refusal names that.
    """

    unit: str
    width: int
    dtype: DType
    values: Callable[[Incident, tuple[str, ...]], NDArray[Any]]
    neutral: tuple[float, ...] | None = None
    without: str = ""


def _label(incident: Incident, particles: tuple[str, ...]) -> NDArray[np.int64]:
    return np.full((len(incident), 1), particles.index(incident.particle), dtype=np.int64)


QUANTITIES: Mapping[str, Quantity] = {
    "energy": Quantity("GeV", 1, "FP32", lambda incident, _: incident.energy[:, np.newaxis]),
    "label": Quantity("", 1, "INT64", _label),
    "entry_point": Quantity(
        "mm",
        2,
        "FP32",
        lambda incident, _: incident.points,
        (0.0, 0.0),
        "particles that enter at the centre",
    ),
    "direction": Quantity(
        "",
        3,
        "FP32",
        lambda incident, _: incident.directions,
        (0.0, 0.0, 1.0),
        "particles that are perpendicular to the front face",
    ),
}
"""All conditions. ``label`` is the index of the particle within the particles of the card."""


class Condition(BaseModel):
    """What a generator is asked for, and between which bounds it was made for it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(json_schema_extra={"enum": list(QUANTITIES)})]
    unit: str
    low: Finite | tuple[Finite, ...] | None = None
    """Smallest value, component by component; None where there is no bound."""
    high: Finite | tuple[Finite, ...] | None = None

    @classmethod
    def of(
        cls,
        name: str,
        low: float | tuple[float, ...] | None = None,
        high: float | tuple[float, ...] | None = None,
    ) -> Condition:
        """A condition in its usual unit."""
        return cls(name=name, unit=QUANTITIES[name].unit, low=low, high=high)

    @field_validator("name")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in QUANTITIES:
            msg = f"{value!r} is not known, there are {', '.join(QUANTITIES)}"
            raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _sound(self) -> Self:
        quantity = QUANTITIES[self.name]
        if self.unit != quantity.unit:
            msg = f"the unit of {self.name} is {quantity.unit!r}, not {self.unit!r}"
            raise ValueError(msg)
        for bound in (self.low, self.high):
            if isinstance(bound, tuple) and len(bound) != quantity.width:
                msg = f"a bound of {self.name} has {len(bound)} numbers, must be {quantity.width}"
                raise ValueError(msg)
        low, high = self.bounds
        if (low > high).any():
            msg = f"{self.name} goes from {self.low} to {self.high}, must not decrease"
            raise ValueError(msg)
        return self

    @property
    def bounds(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Smallest and largest values: shape (width,), infinite where there is no bound."""
        width = QUANTITIES[self.name].width
        low = -np.inf if self.low is None else self.low
        high = np.inf if self.high is None else self.high
        return np.full(width, low), np.full(width, high)

    def check(self, values: NDArray[np.floating], who: str) -> None:
        """Refuse what the generator was not made for.

        Args:
            values: Shape (N, width).
            who: Name of the generator.

        Raises:
            EnergyError: An energy is out of bounds.
            CaloforgeError: Something else is.
        """
        low, high = self.bounds
        margin = 0.0 if self.name == "energy" else _ROUNDING
        bad = ((values < low - margin) | (values > high + margin)).any(axis=1)
        if not bad.any():
            return
        is_energy, unit = self.name == "energy", f" {self.unit}".rstrip()
        between = "-" if is_energy else " to "
        msg = (
            f"{'energies' if is_energy else self.name}: {_text(values[bad.argmax()])}{unit} is "
            f"outside the {_text(low)}{between}{_text(high)}{unit} that {who} was made for; "
            f"to go on, extrapolate ({option('extrapolate')})"
        )
        raise (EnergyError if is_energy else CaloforgeError)(msg)


def _text(values: NDArray[np.floating]) -> str:
    text = ", ".join(f"{value:g}" for value in values)
    return text if len(values) == 1 else f"({text})"


def check_neutral(incident: Incident, name: str, who: str) -> None:
    """Refuse particles that differ in what a generator is not asked for.

    Args:
        incident: The particles.
        name: The condition that the generator does not have.
        who: Name of the generator.

    Raises:
        CaloforgeError: One differs from what the generator is made for.
    """
    quantity = QUANTITIES[name]
    if quantity.neutral is None or getattr(incident, name) is None:
        return
    values = quantity.values(incident, ())
    bad = (np.abs(values - quantity.neutral) > _ROUNDING).any(axis=1)
    if bad.any():
        got = f"{_text(values[bad.argmax()])} {quantity.unit}".rstrip()
        msg = (
            f"{name}: got {got}, {who} is for {quantity.without} "
            f"alone; choose a model with the condition {name}"
        )
        raise CaloforgeError(msg)
