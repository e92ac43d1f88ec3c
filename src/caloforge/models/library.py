"""A shower library (frozen showers): showers of Geant4 that come out again.

A shower of incident energy E is one of the library whose own energy E' is near, as a mirror of the
detector shows it, and every deposit times E / E'. *Near* are the k showers whose energies differ
least from E, and those whose energies differ no more; all of them, and all mirror images, are as
likely. This is what experiments sped up their simulation with before there were networks. It costs
next to nothing, and it invents nothing: every shower is a copy, and of one energy there are no more
different ones than k times the number of mirror images.

References:
    ATLAS Collaboration, *The ATLAS Simulation Infrastructure*, arXiv:1005.4568 (frozen showers).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from caloforge.detector import Detector
from caloforge.detector.mirrors import mirror_images
from caloforge.errors import ArtefactError, ShowersError
from caloforge.showers import Showers

__all__ = ["NUMBERS", "Library", "LibraryConfig", "check_centred"]

Floats = NDArray[np.float64]

NUMBERS = 2
"""Uniform random numbers that a shower is drawn with: which one, and in which mirror."""

_USUAL = {"entry_point": (0.0, 0.0), "direction": (0.0, 0.0, 1.0)}
_ROUNDING = 1e-6  # of entry points and directions: files hold them in single precision


class LibraryConfig(BaseModel):
    """Settings of a library.

    Attributes:
        nearest: How many showers are near an incident energy, at least. More of them are more
            different showers of one energy, each scaled by more.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    nearest: int = Field(default=10, ge=1)


@dataclass(frozen=True, eq=False)
class Library:
    """The showers of one kind of particle, from the lowest to the highest energy.

    Only cells with a deposit are kept, one shower after the other.

    Attributes:
        detector: What the showers are recorded in.
        energy: Incident energies: shape (n,), GeV, ascending.
        hit: Number of cells with a deposit, of each shower: shape (n,).
        cells: These cells: shape (sum of ``hit``,).
        deposits: What is in them: shape (sum of ``hit``,), float32, MeV.
        overflow: Energy beside the cells: shape (n, n_layers), float32, MeV; None where it is not
            known.

    Raises:
        ArtefactError: The arrays do not fit together or the detector, or hold what no showers do.
    """

    detector: Detector
    energy: Floats
    hit: NDArray[np.integer]
    cells: NDArray[np.integer]
    deposits: NDArray[np.float32]
    overflow: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        n, filled = len(self.energy), len(self.cells)
        shapes: dict[str, tuple[int, ...]] = {
            **dict.fromkeys(("energy", "hit"), (n,)),
            **dict.fromkeys(("cells", "deposits"), (filled,)),
        }
        if self.overflow is not None:
            shapes["overflow"] = (n, self.detector.n_layers)
        wrong = [name for name, shape in shapes.items() if getattr(self, name).shape != shape]
        wrong += [
            name
            for name in ("energy", "deposits", "overflow")
            if (values := getattr(self, name)) is not None
            and not (np.isfinite(values).all() and (values >= 0).all())
        ]
        if not n or (np.diff(self.energy, prepend=0.0) < 0).any() or not self.energy[0] > 0:
            wrong.append("energy")
        for name, most in (("hit", self.detector.n_cells), ("cells", self.detector.n_cells - 1)):
            values = getattr(self, name)
            whole = np.issubdtype(values.dtype, np.integer)
            if not whole or (values < 0).any() or (values > most).any():
                wrong.append(name)
        if not wrong and self.hit.sum() != filled:
            wrong.append("hit")
        if wrong:
            msg = f"library: {wrong[0]} is damaged or of another detector; make the library anew"
            raise ArtefactError(msg)

    def __len__(self) -> int:
        return len(self.energy)

    @classmethod
    def of(cls, showers: Showers) -> Library:
        """A library of given showers.

        Args:
            showers: Showers of particles that enter at the centre, perpendicular.

        Raises:
            ShowersError: There are none, or they are of other particles.
        """
        if not len(showers):
            msg = "showers: got none, a library must have at least one; give other files"
            raise ShowersError(msg)
        check_centred(showers)
        order = np.argsort(showers.energy, kind="stable")
        deposits = showers.deposits[order]
        row, cells = np.nonzero(deposits)
        overflow = showers.overflow
        return cls(
            showers.detector,
            showers.energy[order],
            np.bincount(row, minlength=len(order)).astype(np.uint32),
            cells.astype(np.min_scalar_type(showers.detector.n_cells - 1)),
            deposits[row, cells],
            None if overflow is None else overflow[order].astype(np.float32),
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All but the detector, by name."""
        names = ("energy", "hit", "cells", "deposits", "overflow")
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    @classmethod
    def from_arrays(cls, detector: Detector, arrays: Mapping[str, NDArray[Any]]) -> Library:
        """A library of what :meth:`arrays` gave.

        Raises:
            ArtefactError: Something is missing, unknown or wrong.
        """
        try:
            return cls(detector, **arrays)
        except TypeError:
            msg = f"library: holds {', '.join(sorted(arrays))}; make the library anew"
            raise ArtefactError(msg) from None

    def near(self, energy: Floats, nearest: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """The showers that are near incident energies.

        Args:
            energy: Shape (N,), GeV.
            nearest: How many are near, at least.

        Returns:
            The first of them and the one behind the last: shape (N,) each.

        Examples:
            >>> from caloforge.detector import load_detector
            >>> detector = load_detector("calogan")
            >>> empty = np.zeros((5, detector.n_cells), dtype=np.float32)
            >>> library = Library.of(Showers(detector, np.array([1, 2, 4, 4, 9.0]), empty))
            >>> [found.tolist() for found in library.near(np.array([0.5, 3.9, 8.0]), 2)]
            [[0, 2, 2], [2, 4, 5]]
        """
        size = min(nearest, len(self))
        at = np.searchsorted(self.energy, energy)
        # All runs of so many showers that may be the nearest, and how far each reaches.
        first = np.clip(at[:, np.newaxis] + np.arange(-size, 1), 0, len(self) - size)
        low, high = self.energy[first], self.energy[first + size - 1]
        reach = np.maximum(energy[:, np.newaxis] - low, high - energy[:, np.newaxis])
        best = reach == reach.min(axis=1, keepdims=True)
        lowest = np.where(best, low, np.inf).min(axis=1)
        highest = np.where(best, high, -np.inf).max(axis=1)
        return (
            np.searchsorted(self.energy, lowest, "left"),
            np.searchsorted(self.energy, highest, "right"),
        )

    def draw(
        self, energy: Floats, uniform: Floats, nearest: int
    ) -> tuple[NDArray[np.float32], Floats | None]:
        """Draw showers.

        Args:
            energy: Incident energies: shape (N,), GeV.
            uniform: Random numbers in [0, 1), shape (N, 2).
            nearest: How many showers are near an energy, at least.

        Returns:
            Deposits, shape (N, n_cells), MeV, and overflow, shape (N, n_layers), MeV, or None.
        """
        first, stop = self.near(energy, nearest)
        chosen = first + (uniform[:, 0] * (stop - first)).astype(np.intp)
        mirror = (uniform[:, 1] * len(self._moved)).astype(np.intp)
        scale = energy / self.energy[chosen]
        hit = self.hit[chosen].astype(np.intp)
        row = np.repeat(np.arange(len(energy)), hit)
        # Where the cells of each shower begin here, and in the library.
        begin = np.cumsum(hit) - hit
        where = np.arange(len(row)) + np.repeat(self._begin[chosen] - begin, hit)
        deposits = np.zeros((len(energy), self.detector.n_cells), dtype=np.float32)
        deposits[row, self._moved[mirror[row], self.cells[where]]] = (
            self.deposits[where] * scale.astype(np.float32)[row]
        )
        if self.overflow is None:
            return deposits, None
        return deposits, self.overflow[chosen] * scale[:, np.newaxis]

    @cached_property
    def _begin(self) -> NDArray[np.intp]:
        """Where the cells of each shower begin: shape (n,)."""
        hit = self.hit.astype(np.intp)
        return np.asarray(np.cumsum(hit) - hit)

    @cached_property
    def _moved(self) -> NDArray[np.intp]:
        """Which cell each cell is seen as, in each mirror: shape (n_mirrors, n_cells)."""
        return np.argsort(mirror_images(self.detector)[0], axis=1)


def check_centred(showers: Showers) -> None:
    """Refuse showers of particles that do not enter at the centre, perpendicular.

    Raises:
        ShowersError: There is one.
    """
    for name, usual in _USUAL.items():
        values = getattr(showers, name)
        if values is not None and (np.abs(values - usual) > _ROUNDING).any():
            msg = (
                f"showers: their {name} is not always {usual}, but a library is of particles "
                "that enter at the centre, perpendicular; simulate such showers"
            )
            raise ShowersError(msg)
