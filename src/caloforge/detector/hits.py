"""Energy deposits in space, before any readout sums them into cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Hits"]


@dataclass(frozen=True, eq=False)
class Hits:
    """M energy deposits of one or several showers.

    Attributes:
        x: Shape (M,), mm.
        y: Shape (M,), mm.
        z: Depth behind the front face: shape (M,), mm.
        energy: Shape (M,), MeV.
        shower: Index of the shower of each deposit, from 0: shape (M,); by default all are of one.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    z: NDArray[np.float64]
    energy: NDArray[np.float64]
    shower: NDArray[np.intp]

    def __init__(
        self,
        x: ArrayLike,
        y: ArrayLike,
        z: ArrayLike,
        energy: ArrayLike,
        shower: ArrayLike | None = None,
    ) -> None:
        for name, values in (("x", x), ("y", y), ("z", z), ("energy", energy)):
            object.__setattr__(self, name, np.asarray(values, dtype=np.float64))
        index = np.zeros(len(self.x), np.intp) if shower is None else np.asarray(shower, np.intp)
        object.__setattr__(self, "shower", index)

    def __len__(self) -> int:
        return len(self.energy)
