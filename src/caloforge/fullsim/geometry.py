"""From the stack of plates of a detector to the geometry that calzone builds."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import numpy as np

from caloforge.detector import CylindricalLayer, Detector, Layer, RectangularLayer, Stack
from caloforge.errors import DetectorError

__all__ = ["build_geometry", "require_readable", "require_stack", "sensitive_volumes"]

_CM = 0.1  # calzone counts in cm, we in mm
_MARGIN = 10.0  # vacuum between the stack and the walls of the world, mm
_THINNEST = 1e-6  # mm; Geant4 ends the process over a box of less than 4e-9 mm
_ROUNDING = 1e-6  # of the depth of the stack: plates are sums of their thicknesses
_LEAST_READ = 0.2  # of the sensitive depth: lengths in cm would be a tenth
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


def require_readable(stack: Stack, readout: Detector) -> None:
    """Refuse a readout that these plates cannot be meant for.

    Args:
        stack: The plates.
        readout: What is to be recorded; must have depths.

    Raises:
        DetectorError: No plate is sensitive or one is too thin, a layer lies outside the plates in
            part or in whole or holds none that is sensitive, or the layers hold but a small part
            of what is sensitive.
    """
    thin = min(stack.plates, key=lambda plate: plate.thickness)
    if stack.lateral < _THINNEST:
        msg = f"stack: lateral is {stack.lateral:g} mm, must be at least {_THINNEST:g} mm"
        raise DetectorError(msg)
    if thin.thickness < _THINNEST:
        msg = (
            f"stack: a plate of {thin.material} is {thin.thickness:g} mm thick, must be at least "
            f"{_THINNEST:g} mm; lengths are in mm"
        )
        raise DetectorError(msg)
    ends = np.array([0.0, *accumulate(plate.thickness for plate in stack.plates)])
    sensitive = np.array([plate.sensitive for plate in stack.plates])
    if not sensitive.any():
        msg = (
            "stack: none of its plates is sensitive, so nothing would be recorded; leave out "
            "'sensitive = false' where energy is to be recorded"
        )
        raise DetectorError(msg)
    wanted = float(np.diff(ends) @ sensitive)
    read = 0.0
    rounding = _ROUNDING * stack.thickness
    for i, layer in enumerate(readout.layers):
        where = f"readout {readout.name!r}: layer {i} is at {layer.z_min:g} to {layer.z_max:g} mm"
        if layer.z_min < -rounding or layer.z_max > stack.thickness + rounding:
            msg = (
                f"{where}, but the stack is {stack.thickness:g} mm deep; give depths in mm from "
                "its front face"
            )
            raise DetectorError(msg)
        if _beside(layer, 0.5 * stack.lateral):
            msg = (
                f"readout {readout.name!r}: layer {i} has cells that lie beside the plates, whose "
                f"side is {stack.lateral:g} mm; give x and y in mm from their centre"
            )
            raise DetectorError(msg)
        inside = np.diff(np.clip(ends, layer.z_min, layer.z_max)) @ sensitive
        if inside <= rounding:
            msg = f"{where}, where no plate is sensitive; move it, or leave it out"
            raise DetectorError(msg)
        read += float(inside)
    if read < _LEAST_READ * wanted:
        msg = (
            f"readout {readout.name!r}: its layers hold {read:g} of the {wanted:g} mm of sensitive "
            "plates; lengths are in mm; where it is to hold no more, give the other plates "
            "'sensitive = false'"
        )
        raise DetectorError(msg)


def _beside(layer: Layer, half: float) -> bool:
    """Whether a cell of a layer lies beside plates of half that side, so that nothing hits it."""
    if isinstance(layer, CylindricalLayer):
        return bool(layer.r_edges[-2] >= half * np.sqrt(2))
    edges = (layer.x_edges, layer.y_edges) if isinstance(layer, RectangularLayer) else ()
    return any(axis[-2] >= half or axis[1] <= -half for axis in edges)


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
