"""What the particle flies through: plates of material, one behind the other."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from caloforge.errors import DetectorError

__all__ = ["Material", "Plate", "Stack"]


@dataclass(frozen=True)
class Material:
    """A material that the Geant4 (NIST) table does not have.

    Attributes:
        name: CamelCase name by which plates refer to it.
        density: g/cm^3.
        state: ``"solid"``, ``"liquid"`` or ``"gas"``.
        elements: Number of atoms of each element, by chemical symbol.
    """

    name: str
    density: float
    state: str
    elements: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Plate:
    """A slab of material across the whole stack.

    Attributes:
        material: A Geant4 material (``"G4_Pb"``) or one that the detector file defines.
        thickness: mm.
        sensitive: Whether energy left in it is recorded.
    """

    material: str
    thickness: float
    sensitive: bool = True

    def __post_init__(self) -> None:
        if not (np.isfinite(self.thickness) and self.thickness > 0):
            msg = f"thickness: got {self.thickness} mm for {self.material}, must be positive"
            raise DetectorError(msg)


@dataclass(frozen=True)
class Stack:
    """The plates of a calorimeter, in the order in which a particle enters them.

    Attributes:
        plates: All plates, repetitions written out.
        lateral: Side of the square plates, mm.
        materials: Materials of its own.
    """

    plates: tuple[Plate, ...]
    lateral: float
    materials: tuple[Material, ...] = field(default=())

    def __post_init__(self) -> None:
        if not self.plates:
            msg = "stack: has no plates, must have at least one"
            raise DetectorError(msg)
        if not (np.isfinite(self.lateral) and self.lateral > 0):
            msg = f"lateral: got {self.lateral} mm, must be positive"
            raise DetectorError(msg)

    @property
    def thickness(self) -> float:
        """Depth of the whole stack, mm."""
        return sum(plate.thickness for plate in self.plates)
