"""What a shower has beside energy and deposits, and what files call it; parts of the data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import DTypeLike

from caloforge.detector import Detector

__all__ = [
    "BLOCK",
    "DETECTOR_ATTRIBUTE",
    "OPTIONAL",
    "RUN_ATTRIBUTE",
    "SPLITS",
    "Field",
    "FormatName",
    "Split",
]

FormatName = Literal["calogan", "calochallenge"]

Split = Literal["train", "validation", "test"]
SPLITS: Mapping[str, int] = {"train": 0, "validation": 1, "test": 2}
"""What the dataset ``split`` holds for the rows of each part."""

DETECTOR_ATTRIBUTE = "caloforge_detector"
RUN_ATTRIBUTE = "caloforge_run"
BLOCK = 1024
"""Showers that are read or written at a time where memory must stay constant."""


@dataclass(frozen=True)
class Field:
    """What showers may have.

    Attributes:
        unit: Its unit, empty where there is none.
        shape: Shape of it for one shower, in a detector.
        signed: Whether it may be negative.
        memory: Type of its numbers in memory.
        disk: Type of its numbers in files.
    """

    unit: str
    shape: Callable[[Detector], tuple[int, ...]]
    signed: bool = False
    memory: DTypeLike = np.float64
    disk: DTypeLike = np.float32


OPTIONAL: Mapping[str, Field] = {
    "overflow": Field("MeV", lambda detector: (detector.n_layers,)),
    "entry_point": Field("mm", lambda _: (2,), signed=True),
    "direction": Field("", lambda _: (3,), signed=True),
    "leakage": Field("MeV", lambda _: ()),
    "event": Field("", lambda _: (), memory=np.int64, disk=np.int64),
}
"""All that is optional, under the same name in :class:`~caloforge.showers.Showers` and in files."""
