"""How long Geant4 takes for a shower, by incident energy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Timing"]

_BEYOND = 1.3  # how far beyond what was measured a shower may lie


@dataclass(frozen=True)
class Timing:
    """Processor time of Geant4 for a shower, as it was measured at some incident energies.

    Attributes:
        energies: Incident energies, GeV, increasing.
        seconds: Processor time for a shower at each of them, on one core, s.
        machine: What it was measured on.
    """

    energies: tuple[float, ...]
    seconds: tuple[float, ...]
    machine: str

    def mean(self, energies: np.ndarray, counts: np.ndarray) -> float | None:
        """Mean time for showers, between the energies that were measured.

        Args:
            energies: Incident energies: shape (M,), GeV.
            counts: Number of showers of each: shape (M,).

        Returns:
            Seconds per shower; None where showers lie beyond what was measured.

        Examples:
            >>> timing = Timing((1.0, 100.0), (0.01, 1.0), "a machine")
            >>> round(timing.mean(np.array([50.0]), np.array([10])), 3)
            0.5
        """
        low, high = self.energies[0] / _BEYOND, self.energies[-1] * _BEYOND
        if not len(energies) or energies.min() < low or energies.max() > high:
            return None
        # Time grows as the energy, near enough.
        each = np.interp(energies, self.energies, np.divide(self.seconds, self.energies))
        return float(np.average(each * energies, weights=counts))
