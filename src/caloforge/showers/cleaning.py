"""What to make of deposits that cannot be, and which showers to keep, while a file is converted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import ShowersError
from caloforge.showers.fields import OPTIONAL

__all__ = ["Cleaning", "Kind", "Tally"]

Raw = dict[str, NDArray[np.number]]
_LARGEST = 1e9  # MeV
Kind = Literal["empty", "invalid"]
"""Showers without any deposit, and those with a value that no shower can have."""


@dataclass(frozen=True)
class Tally:
    """What was changed.

    Attributes:
        read: Showers that were looked at.
        kept: Showers that are left.
        cells: Cells that were set to zero, of the showers that are left.
        energy: What was in them, MeV; negative where negative deposits outweigh the others.
    """

    read: int = 0
    kept: int = 0
    cells: int = 0
    energy: float = 0.0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.read + other.read,
            self.kept + other.kept,
            self.cells + other.cells,
            self.energy + other.energy,
        )


@dataclass(frozen=True)
class Cleaning:
    """What is done to showers as they are read; by default nothing.

    Attributes:
        clip: Negative deposits (and overflow) become zero, as where noise was subtracted.
        threshold: Deposits below this become zero, MeV; negative ones too.
        drop: Kinds of showers that are left out.
        energy_range: Lowest and highest incident energy that is kept, GeV.

    Raises:
        ShowersError: A setting is out of range.
    """

    clip: bool = False
    threshold: float = 0.0
    drop: tuple[Kind, ...] = ()
    energy_range: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= _LARGEST:
            msg = f"threshold: got {self.threshold} MeV, must be from 0 to {_LARGEST:g} MeV"
            raise ShowersError(msg)
        unknown = sorted(set(self.drop) - set(get_args(Kind)))
        if unknown:
            msg = f"drop: got {unknown[0]!r}, must be among {', '.join(get_args(Kind))}"
            raise ShowersError(msg)

    def apply(self, arrays: Raw) -> tuple[Raw, NDArray[np.bool_], Tally]:
        """Clean a block of showers.

        Args:
            arrays: N showers as :meth:`~caloforge.showers.ShowerFile.raw` gives them.

        Returns:
            The showers that are left, which of the N these are, shape (N,), and what was changed.
        """
        energy, deposits = arrays["energy"], np.array(arrays["deposits"])
        cleared = np.zeros(deposits.shape, dtype=np.bool_)
        if self.threshold > 0:
            cleared = (deposits < self.threshold) & (deposits != 0)
        elif self.clip:
            cleared = deposits < 0
        removed = np.where(cleared, deposits, 0).sum(axis=1, dtype=np.float64)
        deposits[cleared] = 0
        changed: Raw = {**arrays, "deposits": deposits}
        if self.clip and "overflow" in changed:
            changed["overflow"] = np.where(changed["overflow"] < 0, 0, changed["overflow"])
        kept = np.ones(len(energy), dtype=np.bool_)
        if self.energy_range is not None:
            kept &= (energy >= self.energy_range[0]) & (energy <= self.energy_range[1])
        if "empty" in self.drop:
            kept &= (deposits != 0).any(axis=1)
        if "invalid" in self.drop:
            kept &= ~_invalid(changed)
        tally = Tally(
            len(kept),
            int(kept.sum()),
            int(cleared[kept].sum()),
            float(removed[kept].sum()),
        )
        if not kept.all():
            changed = {key: values[kept] for key, values in changed.items()}
        return changed, kept, tally


def _invalid(arrays: Raw) -> NDArray[np.bool_]:
    """Which showers have a value that no shower can have: shape (N,)."""
    bad = ~(arrays["energy"] > 0)
    for key, values in arrays.items():
        flat = values.reshape(len(bad), -1)
        bad |= ~np.isfinite(flat).all(axis=1)
        if key not in OPTIONAL or not OPTIONAL[key].signed:
            bad |= (flat < 0).any(axis=1)
    return bad
