"""Whether two samples can be compared: of one readout, of one particle, and not empty.

This is the one place that says so. The judge asks at its door, together with the incident energies
(:func:`caloforge.evaluation.matching.require_comparable`); metrics that can be called on their own
ask here.
"""

from __future__ import annotations

from typing import Protocol

from caloforge.detector import Detector
from caloforge.errors import ShowersError
from caloforge.showers import Showers

__all__ = ["Recorded", "check_alike", "check_kind", "check_readout", "stack_warnings"]


class Recorded(Protocol):
    """What was recorded in a detector: showers, and what is kept of them."""

    @property
    def detector(self) -> Detector:
        """What it is recorded in."""

    @property
    def particle(self) -> str:
        """PDG name of the particle, empty where it is not known."""


def check_readout(reference: Recorded, showers: Recorded, name: str = "showers") -> None:
    """Check that two samples are of the same readout.

    Args:
        reference: What is compared with.
        showers: What is compared.
        name: What that is called, for the message.

    Raises:
        ShowersError: They are not.
    """
    if not reference.detector.same_readout(showers.detector):
        msg = (
            f"{name}: got showers in the detector {showers.detector.name!r}, must be in the same "
            f"readout as the reference, {reference.detector.name!r}; convert them first (caloforge "
            "data convert)"
        )
        raise ShowersError(msg)


def check_kind(reference: Recorded, showers: Recorded, name: str = "showers") -> None:
    """Check that two samples are of the same readout and particle.

    A sample whose particle is not known is taken to be of that of the other.

    Args:
        reference: What is compared with.
        showers: What is compared.
        name: What that is called, for the message.

    Raises:
        ShowersError: They are not.
    """
    check_readout(reference, showers, name)
    if reference.particle and showers.particle and reference.particle != showers.particle:
        msg = (
            f"{name}: got showers of {showers.particle}, must be of the same particle as the "
            f"reference, {reference.particle}"
        )
        raise ShowersError(msg)


def check_alike(reference: Showers, showers: Showers, name: str = "showers") -> None:
    """Check that two samples are of the same readout and particle, and that neither is empty.

    Args:
        reference: What is compared with.
        showers: What is compared.
        name: What that is called, for the message.

    Raises:
        ShowersError: They are not.
    """
    check_kind(reference, showers, name)
    if not (len(reference) and len(showers)):
        msg = (
            f"{name}: got {len(reference)} showers of the reference and {len(showers)} to compare, "
            "must be some of both"
        )
        raise ShowersError(msg)


def stack_warnings(reference: Recorded, showers: Recorded) -> tuple[str, ...]:
    """What to say where two samples of one readout are of two known stacks of plates."""
    if reference.detector.same_stack(showers.detector):
        return ()
    message = (
        f"detector: these are showers of another stack of plates ({showers.detector.name!r}) than "
        f"the reference ({reference.detector.name!r}), though of the same readout; what differs "
        "may be the detectors alone"
    )
    return (message,)
