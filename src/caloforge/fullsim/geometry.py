"""From the stack of plates of a detector to the geometry that calzone builds."""

from __future__ import annotations

from typing import Any

from caloforge.detector import Detector, Stack
from caloforge.errors import DetectorError

__all__ = ["build_geometry", "require_stack", "sensitive_volumes"]

_CM = 0.1  # calzone counts in cm, we in mm
_MARGIN = 10.0  # vacuum between the stack and the walls of the world, mm
# calzone leaves a broken material behind where it meets an element that Geant4 does not have, and
# the process crashes later: so they are checked before.
_ELEMENTS = """
H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr
Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb
Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U
"""


def require_stack(detector: Detector) -> Stack:
    """The stack of a detector.

    Raises:
        DetectorError: The detector has a readout only.
    """
    if detector.stack is None:
        msg = (
            f"detector: {detector.name!r} has no stack of plates, which Geant4 needs; "
            "give one whose file has a [stack]"
        )
        raise DetectorError(msg)
    return detector.stack


def build_geometry(stack: Stack) -> dict[str, Any]:
    """The geometry of a stack, as ``calzone.Geometry`` reads it.

    The front face is the plane z = 0 and plates follow along +z, so z is the depth. The world is
    vacuum and catches whatever enters it from the plates: nothing that leaves a convex stack
    comes back, and what is caught is the leakage.

    Args:
        stack: The plates.

    Returns:
        Nested dictionary, lengths in cm. Plate ``i`` is the volume ``World.Plate<i>``; only
        sensitive plates record deposits.

    Raises:
        DetectorError: A material has an element that does not exist.
    """
    for material in stack.materials:
        unknown = sorted({symbol for symbol, _ in material.elements} - set(_ELEMENTS.split()))
        if unknown:
            msg = f"materials.{material.name}: {unknown[0]!r} is no chemical symbol from H to U"
            raise DetectorError(msg)
    side = stack.lateral + 2 * _MARGIN
    world: dict[str, Any] = {
        "material": "G4_Galactic",
        # The world is centred at the origin, the stack begins there: hence twice its depth.
        "box": {"size": [side * _CM, side * _CM, 2 * (stack.thickness + _MARGIN) * _CM]},
        "role": "catch_ingoing",
    }
    molecules = {
        material.name: {
            "density": material.density,
            "state": material.state,
            "composition": dict(material.elements),
        }
        for material in stack.materials
    }
    if molecules:
        world["materials"] = {"molecules": molecules}
    front = 0.0
    for i, plate in enumerate(stack.plates):
        volume: dict[str, Any] = {
            "material": plate.material,
            "box": {"size": [stack.lateral * _CM, stack.lateral * _CM, plate.thickness * _CM]},
            "position": [0.0, 0.0, (front + 0.5 * plate.thickness) * _CM],
        }
        if plate.sensitive:
            volume["role"] = "record_deposits"
        world[f"Plate{i}"] = volume
        front += plate.thickness
    return {"World": world}


def sensitive_volumes(stack: Stack) -> tuple[str, ...]:
    """Paths of the volumes that record deposits, in the order of the plates."""
    return tuple(f"World.Plate{i}" for i, plate in enumerate(stack.plates) if plate.sensitive)
