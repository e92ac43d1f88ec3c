"""Generators: what makes showers fast, whatever is inside."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from caloforge.detector import Detector
from caloforge.errors import CaloforgeError, DetectorError, EnergyError
from caloforge.random import Purpose, Streams
from caloforge.runtime.card import Card
from caloforge.runtime.conservation import allowed_energy
from caloforge.showers import Showers

__all__ = ["Generator"]

BATCH = 512
"""Showers that are made at a time unless the caller says otherwise."""

ATTEMPTS = 100
"""How often a shower is drawn at most until it conserves energy."""


class Generator(ABC):
    """A loaded artefact.

    Attributes:
        card: What it is.
        folder: Where it lies.
        detector: What it fills.
    """

    def __init__(self, card: Card, folder: Path) -> None:
        self.card = card
        self.folder = folder
        self.detector = card.load_detector()

    def __repr__(self) -> str:
        low, high = self.card.energy_range
        name = type(self).__name__
        return f"{name}({self.card.name!r}, {self.card.particle}, {low:g}-{high:g} GeV)"

    def sample(
        self,
        energies: ArrayLike,
        *,
        seed: int = 0,
        first: int = 0,
        detector: Detector | None = None,
        batch: int = BATCH,
        extrapolate: bool = False,
        conserve_energy: bool = False,
    ) -> Showers:
        """Make one shower for each energy.

        Args:
            energies: Incident energies: shape (N,) or (N, 1), or one number, GeV.
            seed: Seed of the run. The same seed gives the same showers.
            first: Index of the first shower within the run: ``sample(e[5:], first=5)`` are the last
                showers of ``sample(e)``.
            detector: Read the showers out in another detector, where the generator can.
            batch: Showers that are made at a time; it has no influence on them.
            extrapolate: Allow energies outside the range that the generator was made for.
            conserve_energy: Draw again, from the shower's own random numbers, each shower that
                deposits more than its incident energy and what the mass of the particle can
                release (:func:`~caloforge.runtime.conservation.released_energy`). Deposits beside
                the cells count where the generator makes them.

        Returns:
            N showers.

        Raises:
            EnergyError: An energy is not positive and finite, or out of range; or none of 100
                attempts at a shower conserves energy.
            DetectorError: The generator cannot fill that detector.
            CaloforgeError: Another argument is out of range.
        """
        energy = np.atleast_1d(np.asarray(energies, dtype=np.float64))
        if energy.ndim == 2 and energy.shape[1] == 1:
            energy = energy[:, 0]
        self.check_energies(energy, extrapolate=extrapolate)
        for name, value, least in (("batch", batch, 1), ("first", first, 0)):
            if value < least:
                msg = f"{name}: got {value}, must be at least {least}"
                raise CaloforgeError(msg)
        readout = self.readout(detector)
        parts = []
        for start in range(0, max(1, len(energy)), batch):
            part = energy[start : start + batch]
            showers = first + start + np.arange(len(part))
            streams = Streams(seed, showers, Purpose.GENERATOR)
            deposits, overflow = self._deposits(part, streams, readout)
            if conserve_energy:
                self._draw_again(part, streams, readout, deposits, overflow)
            parts.append(Showers(readout, part, deposits, self.card.particle, overflow))
        return Showers.concatenate(parts)

    def _draw_again(
        self,
        energy: NDArray[np.float64],
        streams: Streams,
        readout: Detector,
        deposits: NDArray[np.floating],
        overflow: NDArray[np.float64] | None,
    ) -> None:
        """Replace the showers that do not conserve energy, in place.

        Raises:
            EnergyError: No attempt at a shower conserves energy.
        """
        allowed = allowed_energy(energy, self.card.particle)
        rows = np.arange(len(energy))
        for attempt in range(1, ATTEMPTS + 1):
            total = deposits[rows].sum(axis=1, dtype=np.float64)
            if overflow is not None:
                total += overflow[rows].sum(axis=1)
            rows = rows[total > allowed[rows]]
            if not len(rows):
                return
            if attempt < ATTEMPTS:
                again = replace(streams, showers=streams.showers[rows], attempt=attempt)
                deposits[rows], beside = self._deposits(energy[rows], again, readout)
                if overflow is not None and beside is not None:
                    overflow[rows] = beside
        msg = (
            f"conserve_energy: {ATTEMPTS} attempts of {self.card.name} at shower "
            f"{streams.showers[rows[0]]} of {energy[rows[0]]:g} GeV all deposit too much; leave "
            "the option out, or choose another model or other energies"
        )
        raise EnergyError(msg)

    def check_energies(self, energy: NDArray[np.float64], *, extrapolate: bool) -> None:
        """Refuse energies that the generator was not made for.

        Args:
            energy: Shape (N,), GeV.
            extrapolate: Allow energies out of range.

        Raises:
            EnergyError: The shape is wrong, or an energy is not positive and finite or out of
                range.
        """
        if energy.ndim != 1:
            msg = f"energies: have shape {energy.shape}, must be (N,) or (N, 1), in GeV"
            raise EnergyError(msg)
        bad = ~(np.isfinite(energy) & (energy > 0))
        if bad.any():
            msg = f"energies: got {energy[bad][0]} GeV, must be positive and finite"
            raise EnergyError(msg)
        low, high = self.card.energy_range
        outside = energy[(energy < low) | (energy > high)]
        if len(outside) and not extrapolate:
            msg = (
                f"energies: {outside[0]:g} GeV is outside the {low:g}-{high:g} GeV that "
                f"{self.card.name} was made for; ask for extrapolation (--extrapolate) to go on"
            )
            raise EnergyError(msg)

    def readout(self, detector: Detector | None) -> Detector:
        """The detector that showers are read out in.

        Args:
            detector: What the user asked for; None for the generator's own.

        Raises:
            DetectorError: The generator cannot fill that detector.
        """
        if detector is None or detector.same_readout(self.detector):
            return self.detector
        msg = (
            f"detector: {self.card.name} fills {self.detector.name!r}, not {detector.name!r}; "
            "convert the file afterwards (caloforge data convert)"
        )
        raise DetectorError(msg)

    @abstractmethod
    def _deposits(
        self,
        energy: NDArray[np.float64],
        streams: Streams,
        readout: Detector,
    ) -> tuple[NDArray[np.floating], NDArray[np.float64] | None]:
        """Deposits, shape (N, n_cells), MeV, and overflow, shape (N, n_layers), MeV, or None.

        Each shower draws from its own stream alone.
        """
