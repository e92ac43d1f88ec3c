"""File formats of showers, one module each."""

from __future__ import annotations

from typing import get_args

from caloforge.detector import Detector
from caloforge.errors import FileFormatError
from caloforge.showers.fields import FormatName
from caloforge.showers.formats.base import Format
from caloforge.showers.formats.calochallenge import CaloChallengeFormat
from caloforge.showers.formats.calogan import CaloGANFormat

__all__ = ["FORMATS", "Format", "choose_format"]

FORMATS: dict[str, Format] = {
    format_.name: format_ for format_ in (CaloGANFormat(), CaloChallengeFormat())
}


def choose_format(detector: Detector, name: str | None) -> Format:
    """The format of that name, or the usual one of a detector.

    Raises:
        FileFormatError: There is no such format.
    """
    if name is None:
        name = "calogan" if detector.is_rectangular else "calochallenge"
    if name not in FORMATS:
        msg = f"format: {name!r} is not known, must be one of {', '.join(get_args(FormatName))}"
        raise FileFormatError(msg)
    return FORMATS[name]
