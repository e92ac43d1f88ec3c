"""The particle gun: which particle enters as which shower of a run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from caloforge.incident.beam import Beam
from caloforge.incident.incident import Incident
from caloforge.incident.spectrum import Spectrum
from caloforge.particles import particle_name

__all__ = ["Gun"]


@dataclass(frozen=True)
class Gun:
    """Particles of one kind, the same for generators and for Geant4.

    Attributes:
        particle: PDG name or identifier, kept as the name.
        spectrum: Incident energies.
        beam: Entry points and directions; None where they are not said, which is at the centre of
            the front face and perpendicular to it.

    Raises:
        ParticleError: There is no such particle.

    Examples:
        >>> gun = Gun("e+", Spectrum.parse("1:100"))
        >>> gun.sample(1, 0, 100)[40:42].energy.tolist() == gun.sample(1, 40, 2).energy.tolist()
        True
    """

    particle: str
    spectrum: Spectrum
    beam: Beam | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "particle", particle_name(self.particle))

    def sample(self, seed: int, first: int, count: int) -> Incident:
        """The particles of the showers ``first`` to ``first + count`` of a run.

        Args:
            seed: Seed of the run.
            first: Index of the first shower.
            count: Number of showers.

        Returns:
            N = count particles, each of which depends on the seed and its index alone.

        Raises:
            EnergyError: The spectrum is a finite list and has fewer energies.
        """
        energy = self.spectrum.sample(seed, first, count)
        beam = () if self.beam is None else self.beam.sample(seed, first, count)
        return Incident(energy, self.particle, *beam)

    def extremes(self) -> Incident:
        """A few particles, between which in each of their numbers are all that can come."""
        ends = np.array([self.spectrum.minimum, self.spectrum.maximum])
        if self.beam is None:
            return Incident(ends, self.particle)
        points, directions = self.beam.extremes()
        return Incident(
            np.repeat(ends, len(points)),
            self.particle,
            np.tile(points, (2, 1)),
            np.tile(directions, (2, 1)),
        )
