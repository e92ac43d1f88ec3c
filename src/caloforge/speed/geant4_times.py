"""How long Geant4 takes for a shower in the shipped detectors, by incident energy, as measured.

``python docs/make_geant4_times.py`` measures it and writes ``geant4-times.json``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from caloforge.detector import Detector, load_detector
from caloforge.particles import particle_name

__all__ = ["TIMES", "Geant4Time", "geant4_time"]

TIMES = "geant4-times.json"
_BEYOND = 1.3  # how far beyond what was measured a shower may lie


@dataclass(frozen=True)
class Geant4Time:
    """Processor time of Geant4 for a shower.

    Attributes:
        detectors: Shipped readouts of the stack of plates that it was measured in.
        particle: PDG name of the particle.
        energies: Incident energies, increasing: shape (M,), GeV.
        seconds: Time for a shower at each of them, on one core: shape (M,), s.
        showers: How many were made at each of them: shape (M,).
        physics: Physics of Geant4.
        machine: What it was measured on.
    """

    detectors: tuple[str, ...]
    particle: str
    energies: tuple[float, ...]
    seconds: tuple[float, ...]
    showers: tuple[int, ...]
    physics: str
    machine: str

    def mean(
        self, energies: NDArray[np.float64], counts: NDArray[np.integer] | None = None
    ) -> float | None:
        """Mean time for showers, between the energies that were measured.

        Args:
            energies: Incident energies: shape (M,), GeV.
            counts: Number of showers of each: shape (M,); None for one.

        Returns:
            Seconds per shower; None where there are none, or some beyond what was measured.

        Examples:
            >>> time = Geant4Time(("calogan",), "e+", (1, 100), (0.01, 1), (9, 9), "any", "any")
            >>> round(time.mean(np.array([50.0])), 3)
            0.5
        """
        low, high = self.energies[0] / _BEYOND, self.energies[-1] * _BEYOND
        if not len(energies) or energies.min() < low or energies.max() > high:
            return None
        # Time grows nearly as the energy: what is interpolated is the time per GeV.
        each = np.interp(energies, self.energies, np.divide(self.seconds, self.energies))
        return float(np.average(each * energies, weights=counts))


def geant4_time(detector: Detector, particle: str) -> Geant4Time | None:
    """How long Geant4 takes for showers of a particle, where it was measured.

    Args:
        detector: What the showers are recorded in.
        particle: PDG name or identifier; empty where it is not known.
    """
    for time in _times():
        if particle and time.particle == particle_name(particle):
            readouts = (load_detector(name) for name in time.detectors)
            if any(detector.same_readout(readout) for readout in readouts):
                return time
    return None


@cache
def _times() -> tuple[Geant4Time, ...]:
    text = (resources.files("caloforge.speed") / TIMES).read_text("utf-8")
    return TypeAdapter(tuple[Geant4Time, ...]).validate_json(text)
