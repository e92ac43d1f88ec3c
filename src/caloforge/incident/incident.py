"""The particles that showers are asked for: at the front face, one for each shower."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from caloforge.detector import Detector
from caloforge.errors import CaloforgeError, EnergyError
from caloforge.particles import particle_name
from caloforge.showers import Showers

__all__ = ["Incident"]

FloatArray = NDArray[np.float64]

_UNIT = 1e-5  # how far the length of a direction may be from 1: files hold them as float32


@dataclass(frozen=True, eq=False)
class Incident:
    """N particles of one kind at the front face: the fields that :class:`Showers` has of them.

    Attributes:
        energy: Incident energy (kinetic): shape (N,), GeV.
        particle: PDG name or identifier, kept as the name; empty where it is not said.
        entry_point: Where they enter the front face: shape (N, 2), x and y in mm; None where it is
            not said, which is at the centre.
        direction: Where they fly to: shape (N, 3), unit vectors with z > 0; None where it is not
            said, which is perpendicular to the front face.

    Raises:
        EnergyError: An energy is not positive and finite, or their shape is wrong.
        CaloforgeError: The shape of another array is wrong, a value is not finite, or a direction
            is no unit vector into the detector.
        ParticleError: There is no such particle.

    Examples:
        >>> Incident.of([10.0, 50.0], "e+")
        Incident(2 e+, 10-50 GeV)
    """

    energy: FloatArray
    particle: str = ""
    entry_point: FloatArray | None = None
    direction: FloatArray | None = None

    def __post_init__(self) -> None:
        energy = np.asarray(self.energy, dtype=np.float64)
        if energy.ndim != 1:
            msg = f"energies: have shape {energy.shape}, must be (N,), in GeV"
            raise EnergyError(msg)
        bad = ~(np.isfinite(energy) & (energy > 0))
        if bad.any():
            msg = f"energies: got {energy[bad][0]} GeV, must be positive and finite"
            raise EnergyError(msg)
        object.__setattr__(self, "energy", energy)
        if self.particle:
            object.__setattr__(self, "particle", particle_name(self.particle))
        for name, width in (("entry_point", 2), ("direction", 3)):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, self._array(name, width))
        if self.direction is not None:
            self._check_directions(self.direction)

    @classmethod
    def of(cls, energies: ArrayLike, particle: str | int = "") -> Incident:
        """Particles of the given energies, at the centre and perpendicular.

        Args:
            energies: Incident energies: shape (N,) or (N, 1), or one number, GeV.
            particle: PDG name or identifier; empty where it is not said.

        Raises:
            EnergyError: The shape is wrong, or an energy is not positive and finite.
            ParticleError: There is no such particle.
        """
        energy = np.atleast_1d(np.asarray(energies, dtype=np.float64))
        if energy.ndim == 2 and energy.shape[1] == 1:
            energy = energy[:, 0]
        if energy.ndim != 1:
            msg = f"energies: have shape {energy.shape}, must be (N,) or (N, 1), in GeV"
            raise EnergyError(msg)
        return cls(energy, str(particle))

    @classmethod
    def of_showers(cls, showers: Showers) -> Incident:
        """The particles that made some showers."""
        return cls(showers.energy, showers.particle, showers.entry_point, showers.direction)

    def __len__(self) -> int:
        return len(self.energy)

    def __repr__(self) -> str:
        if not len(self):
            return "Incident(none)"
        span = f"{self.energy.min():.4g}-{self.energy.max():.4g} GeV"
        return f"Incident({len(self)} {self.particle or 'particles'}, {span})"

    def __getitem__(self, rows: slice | NDArray[np.bool_] | NDArray[np.integer]) -> Incident:
        """The chosen particles.

        Args:
            rows: A slice, a mask of shape (N,), or indices of shape (M,).
        """
        point, direction = self.entry_point, self.direction
        return replace(
            self,
            energy=self.energy[rows],
            entry_point=None if point is None else point[rows],
            direction=None if direction is None else direction[rows],
        )

    @property
    def points(self) -> FloatArray:
        """Entry points, where none are said the centre: shape (N, 2), mm."""
        return np.zeros((len(self), 2)) if self.entry_point is None else self.entry_point

    @property
    def directions(self) -> FloatArray:
        """Directions, where none are said perpendicular ones: shape (N, 3)."""
        if self.direction is None:
            return np.tile([0.0, 0.0, 1.0], (len(self), 1))
        return self.direction

    def explicit(self) -> Incident:
        """The same with entry points and directions that are said."""
        return replace(self, entry_point=self.points, direction=self.directions)

    def showers(
        self,
        detector: Detector,
        deposits: NDArray[np.floating],
        *,
        overflow: FloatArray | None = None,
        leakage: FloatArray | None = None,
    ) -> Showers:
        """What the particles left in a detector.

        Args:
            detector: What the showers are recorded in.
            deposits: Energy left in each cell: shape (N, n_cells), MeV.
            overflow: Energy beside the cells: shape (N, n_layers), MeV.
            leakage: Energy that left the stack: shape (N,), MeV.

        Raises:
            ShowersError: Shapes do not fit together, or a value is negative, infinite or NaN.
        """
        return Showers(
            detector,
            self.energy,
            deposits,
            self.particle,
            overflow=overflow,
            entry_point=self.entry_point,
            direction=self.direction,
            leakage=leakage,
        )

    def _array(self, name: str, width: int) -> FloatArray:
        value = np.asarray(getattr(self, name), dtype=np.float64)
        if value.shape != (len(self), width):
            msg = f"{name}: has shape {value.shape}, must be {(len(self), width)}"
            raise CaloforgeError(msg)
        if not np.isfinite(value).all():
            row = int(np.argmin(np.isfinite(value).all(axis=1)))
            msg = f"{name}: particle {row} has {value[row].tolist()}, must be finite"
            raise CaloforgeError(msg)
        return value

    @staticmethod
    def _check_directions(direction: FloatArray) -> None:
        length = np.linalg.norm(direction, axis=1)
        bad = (np.abs(length - 1) > _UNIT) | (direction[:, 2] <= 0)
        if bad.any():
            row = int(bad.argmax())
            msg = (
                f"direction: particle {row} has {direction[row].tolist()}, must be a unit vector "
                "into the detector (z > 0)"
            )
            raise CaloforgeError(msg)
