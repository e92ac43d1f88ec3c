"""The card of an artefact: what it is, where it comes from, how good it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from caloforge.detector import Detector, detector_from_json
from caloforge.errors import ArtefactError
from caloforge.particles import particle_name
from caloforge.provenance import file_sha256

__all__ = ["CARD", "Card", "Measurement", "Score", "TensorSpec", "TrainingRows", "card_schema"]

CARD = "card.json"
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TensorSpec(_Part):
    """An input or output of a generator."""

    name: str
    shape: tuple[int | str, ...]
    """A name stands for a length that is free; ``"N"`` is the number of showers."""
    unit: str
    description: str = ""


class TrainingRows(_Part):
    """The showers that a generator was made from."""

    file: str
    sha256: Sha256
    rows: Annotated[int, Field(ge=1)]
    split: Literal["train", "validation", "test"] | None
    source: str = ""


class Measurement(_Part):
    """One number of a generator beside the same number of Geant4, on rows never used before."""

    quantity: str
    energy: Positive | None
    """Incident energy, GeV; None for all energies."""
    value: float
    reference: float
    error: float
    """Statistical error of the difference."""
    tolerance: Positive | None = None
    """How large the difference may be; None where there is no target."""


class Score(_Part):
    """What the judge says of a generator: one number, on rows never used before."""

    name: str
    label: str
    value: float
    error: float | None = None
    """Statistical error; None where there is none."""
    showers: Annotated[int, Field(ge=1)]
    """How many showers of Geant4 and of the generator went in, each."""


class Card(_Part):
    """What ``card.json`` holds; every artefact has one."""

    schema_version: Literal[1] = 1
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")]
    system: str
    version: str
    description: str
    runtime: Literal["fastcalosim", "onnx"]
    config: dict[str, Any] = Field(default_factory=dict)
    """Settings of the system that it was trained with."""
    detector: dict[str, Any]
    """The definition of the detector that it fills, as in a detector file."""
    particle: str
    energy_range: tuple[Positive, Positive]
    """Incident energies that it was made for, GeV."""
    conditions: tuple[str, ...] = ("energy",)
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    training: tuple[TrainingRows, ...]
    command: str
    seed: int
    wall_time: float
    """Time that making it took, seconds."""
    machine: str
    metrics: tuple[Measurement, ...]
    scores: tuple[Score, ...] = ()
    speed: dict[str, float] = Field(default_factory=dict)
    limits: tuple[str, ...]
    licence: str
    references: tuple[str, ...] = ()
    files: dict[str, Sha256]
    """SHA-256 of every other file of the artefact."""

    @field_validator("particle")
    @classmethod
    def _known(cls, value: str) -> str:
        return particle_name(value)

    @field_validator("energy_range")
    @classmethod
    def _increasing(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] > value[1]:
            msg = f"goes from {value[0]:g} to {value[1]:g} GeV, must not decrease"
            raise ValueError(msg)
        return value

    @classmethod
    def read(cls, folder: Path) -> Card:
        """Read and check the card of an artefact, and the hashes of its files.

        Args:
            folder: The artefact.

        Raises:
            ArtefactError: The card is missing or wrong, or a file does not fit it.
        """
        path = folder / CARD
        if not path.is_file():
            msg = f"artefact {folder}: has no {CARD}"
            raise ArtefactError(msg)
        try:
            card = cls.model_validate_json(path.read_bytes())
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"]) or "the file"
            msg = f"artefact {folder}: {CARD}: {place}: {first['msg']}"
            raise ArtefactError(msg) from None
        for name, expected in card.files.items():
            file = folder / name
            if Path(name).name != name or not file.is_file():
                msg = f"artefact {folder}: the file {name!r} that its card names is missing"
                raise ArtefactError(msg)
            if file_sha256(file) != expected:
                msg = f"artefact {folder}: {name} is not the file that its card describes (SHA-256)"
                raise ArtefactError(msg)
        return card

    def load_detector(self) -> Detector:
        """The detector that the artefact fills.

        Raises:
            DetectorError: Its definition is wrong.
        """
        return detector_from_json(json.dumps(self.detector), f"card of {self.name}")

    def to_json(self) -> str:
        """The text of ``card.json``."""
        return json.dumps(self.model_dump(mode="json"), indent=1) + "\n"


def card_schema() -> dict[str, Any]:
    """The JSON schema of ``card.json``, for those who read cards in other languages."""
    return Card.model_json_schema()
