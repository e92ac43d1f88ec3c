"""The card of an artefact: what it is, where it comes from, how good it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from caloforge.detector import Detector, detector_from_json
from caloforge.errors import ArtefactError, ParticleError
from caloforge.incident.incident import Incident
from caloforge.particles import particle_name
from caloforge.provenance import file_sha256
from caloforge.runtime.conditions import QUANTITIES, Condition, DType, check_neutral

__all__ = [
    "CARD",
    "Card",
    "Domain",
    "Measurement",
    "Member",
    "Parent",
    "Score",
    "TensorSpec",
    "TrainingRows",
    "card_schema",
    "read_content",
]

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
    dtype: DType = "FP32"
    description: str = ""


class Domain(_Part):
    """Showers that a member makes, both ends of the energies included."""

    particles: tuple[Annotated[str, AfterValidator(particle_name)], ...] = Field(min_length=1)
    energy: tuple[Positive, Positive]
    """Incident energies, GeV."""


class Member(_Part):
    """Another artefact that this one is made of."""

    artefact: str
    """Name of a shipped artefact, or folder relative to that of this one."""
    sha256: Sha256
    """Of its card."""
    domain: Domain | None = None
    """What it makes; None where it takes part in everything."""
    weight: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None


class Parent(_Part):
    """A training that this one learnt from: its teacher."""

    system: str
    sha256: Sha256
    """Of its best checkpoint."""


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
    particle: str | None = None
    """What the showers are of; None where the artefact makes but one particle."""


class Score(_Part):
    """What the judge says of a generator: one number, on rows never used before."""

    name: str
    label: str
    value: float
    error: float | None = None
    """Statistical error; None where there is none."""
    showers: Annotated[int, Field(ge=1)]
    """How many showers of Geant4 and of the generator went in, each."""
    particle: str | None = None
    """What the showers are of; None where the artefact makes but one particle."""


class Card(_Part):
    """What ``card.json`` holds; every artefact has one."""

    schema_version: Literal[2] = 2
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")]
    system: str
    version: str
    description: str
    runtime: str
    """What runs it: one of :data:`caloforge.runtime.kinds.KINDS`."""
    config: dict[str, Any] = Field(default_factory=dict)
    """Settings of the system that it was trained with."""
    detector: dict[str, Any]
    """The definition of the detector that it fills, as in a detector file."""
    particles: tuple[Annotated[str, AfterValidator(particle_name)], ...] = Field(min_length=1)
    """What it makes showers of; the label of a shower is an index into them."""
    conditions: tuple[Condition, ...]
    """What it is asked for; of the rest it knows the usual alone."""
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    members: tuple[Member, ...] = ()
    """What it is made of, where that are other artefacts."""
    training: tuple[TrainingRows, ...]
    parents: tuple[Parent, ...] = ()
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

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if len(set(self.particles)) < len(self.particles):
            msg = f"particles {', '.join(self.particles)} must differ"
            raise ValueError(msg)
        names = [item.name for item in self.conditions]
        if len(set(names)) < len(names):
            msg = f"conditions {', '.join(names)} must differ"
            raise ValueError(msg)
        energy = self.condition("energy")
        low, high = (0.0, 0.0) if energy is None else (energy.low, energy.high)
        if not (isinstance(low, float) and isinstance(high, float) and low > 0):
            msg = "conditions must hold the energy with its lowest and highest value, positive"
            raise ValueError(msg)
        return self

    @property
    def energy_range(self) -> tuple[float, float]:
        """Incident energies that it was made for, GeV."""
        (energy,) = (item for item in self.conditions if item.name == "energy")
        (low,), (high,) = energy.bounds
        return float(low), float(high)

    def condition(self, name: str) -> Condition | None:
        """The condition of that name, if the generator is asked for it."""
        return next((item for item in self.conditions if item.name == name), None)

    def accept(self, incident: Incident, *, extrapolate: bool = False) -> Incident:
        """The particles as the generator takes them, or a refusal.

        Args:
            incident: What showers are asked for.
            extrapolate: Allow what is out of the bounds that the generator was made for.

        Returns:
            The same; the particle is named, and where it is a condition, entry points and
            directions are said.

        Raises:
            ParticleError: It does not make showers of that particle, or of several and none is
                named.
            EnergyError: An energy is out of range.
            CaloforgeError: Another condition is out of range, or not the usual for a generator that
                is not asked for it.
        """
        if incident.particle not in self.particles:
            if incident.particle or len(self.particles) > 1:
                got = incident.particle or "none"
                msg = f"particle: got {got}, {self.name} is for {', '.join(self.particles)} alone"
                raise ParticleError(msg)
            incident = replace(incident, particle=self.particles[0])
        for name, quantity in QUANTITIES.items():
            condition = self.condition(name)
            if condition is None:
                check_neutral(incident, name, self.name)
                continue
            if not extrapolate:
                condition.check(quantity.values(incident, self.particles), self.name)
            if name == "entry_point":
                incident = replace(incident, entry_point=incident.points)
            elif name == "direction":
                incident = replace(incident, direction=incident.directions)
        return incident

    @classmethod
    def read(cls, folder: Path) -> Card:
        """Read and check the card of an artefact, but not its files.

        Args:
            folder: The artefact.

        Raises:
            ArtefactError: The card is missing or wrong.
        """
        try:
            return cls.model_validate(read_content(folder))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"]) or "the file"
            msg = f"artefact {folder}: {CARD}: {place}: {first['msg']}"
            raise ArtefactError(msg) from None

    def check_files(self, folder: Path) -> None:
        """Check the files of the artefact against their hashes.

        Args:
            folder: The artefact.

        Raises:
            ArtefactError: One is missing or is not that of the card.
        """
        for name, expected in self.files.items():
            file = folder / name
            if Path(name).name != name or not file.is_file():
                msg = f"artefact {folder}: the file {name!r} that its card names is missing"
                raise ArtefactError(msg)
            if file_sha256(file) != expected:
                msg = f"artefact {folder}: {name} is not the file that its card describes (SHA-256)"
                raise ArtefactError(msg)

    def load_detector(self) -> Detector:
        """The detector that the artefact fills.

        Raises:
            DetectorError: Its definition is wrong.
        """
        return detector_from_json(json.dumps(self.detector), f"card of {self.name}")

    def to_json(self) -> str:
        """The text of ``card.json``."""
        return json.dumps(self.model_dump(mode="json"), indent=1) + "\n"


def read_content(folder: Path) -> dict[str, Any]:
    """What a card says, as the newest version of cards says it, but not checked.

    Args:
        folder: The artefact.

    Raises:
        ArtefactError: There is no card, or it is no JSON object.
    """
    path = folder / CARD
    if not path.is_file():
        msg = f"artefact {folder}: has no {CARD}"
        raise ArtefactError(msg)
    try:
        content = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        msg = f"artefact {folder}: {CARD}: is no JSON: {error}"
        raise ArtefactError(msg) from None
    if not isinstance(content, dict):
        msg = f"artefact {folder}: {CARD}: must be a JSON object"
        raise ArtefactError(msg)
    return _upgraded(content)


def _upgraded(content: Mapping[str, Any]) -> dict[str, Any]:
    """A card of version 1 as one of version 2; any other as it is."""
    new = dict(content)
    match new:
        case {"schema_version": 1, "particle": particle, "energy_range": [low, high]}:
            del new["particle"], new["energy_range"]
            energy = {"name": "energy", "unit": "GeV", "low": low, "high": high}
            return new | {"schema_version": 2, "particles": [particle], "conditions": [energy]}
    return new


def card_schema() -> dict[str, Any]:
    """The JSON schema of ``card.json``, for those who read cards in other languages.

    It is shipped as a file, too: :func:`caloforge.schemas.read_schema`.
    """
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": dialect, **Card.model_json_schema()}
