"""Whether two samples can be compared at all: the same readout, the same particle."""

from __future__ import annotations

from caloforge.errors import ShowersError
from caloforge.showers import Showers

__all__ = ["check_alike", "check_readout"]


def check_readout(reference: Showers, showers: Showers) -> None:
    """Check that two samples are of the same readout.

    Raises:
        ShowersError: They are not.
    """
    if not reference.detector.same_readout(showers.detector):
        msg = (
            f"showers: are of the detector {showers.detector.name!r}, must be of the same readout "
            f"as the reference, {reference.detector.name!r}"
        )
        raise ShowersError(msg)


def check_alike(reference: Showers, showers: Showers) -> None:
    """Check that two samples can be compared.

    Raises:
        ShowersError: They are of different readouts or particles.
    """
    check_readout(reference, showers)
    if reference.particle and showers.particle and reference.particle != showers.particle:
        msg = (
            f"showers: are of {showers.particle}, must be of the same particle as the reference, "
            f"{reference.particle}"
        )
        raise ShowersError(msg)
