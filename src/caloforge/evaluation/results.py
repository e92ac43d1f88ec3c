"""What an evaluation found, as it is written to ``metrics.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from caloforge.atomic import check_folder, write_text
from caloforge.errors import FileFormatError, OutputError
from caloforge.evaluation.estimate import Estimate
from caloforge.evaluation.plain import plain
from caloforge.explain import explain, option

__all__ = [
    "FLOOR",
    "GEANT4",
    "METRICS",
    "TRANSFER",
    "Evaluation",
    "Headline",
    "SampleInfo",
    "SampleResult",
    "Verdict",
    "evaluation_schema",
    "prepare_folder",
    "read_evaluation",
    "write_evaluation",
]

METRICS = "metrics.json"
TRANSFER = "transfer.json"
GEANT4 = "Geant4"
"""How the names of samples begin that are of Geant4: no generator is compared with these."""
FLOOR = f"{GEANT4} (floor)"
"""Name under which Geant4 is judged against Geant4, as one more sample."""


class _Part(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


Better = Literal["lower", "higher", "half", "one"]
Verdict = Literal["told apart", "energy", "outliers", "layers", "memorised", "collapsed"]
"""What is wrong with a sample: a classifier tells it from Geant4 better than it tells Geant4 from
Geant4; deposits that cannot be; showers beyond all of the reference; layers that do not go
together; training showers that come out again; showers that are too much alike."""


class Headline(_Part):
    """One number of a sample that a leaderboard shows."""

    name: str
    label: str
    value: float | None
    """None where it is not defined."""
    error: float | None = None
    """Statistical error; None where there is none."""
    better: Better
    """Which values are better; ``"half"``: nearer to 0.5, as of an AUC; ``"one"``: nearer to 1."""

    @classmethod
    def of(cls, name: str, label: str, found: Estimate, better: Better) -> Self:
        """An estimate as a headline."""
        return cls(name=name, label=label, better=better, **plain(found))


class SampleInfo(_Part):
    """Which showers were looked at."""

    file: str
    """Name of the file; "in memory" where there was none."""
    sha256: str
    """SHA-256 of the file; of the deposits (float32, row by row) of showers in memory."""
    showers: int
    """How many were used."""
    available: int
    """How many there are in the file, or in memory."""
    rows: str
    """Which, in words."""
    particle: str
    detector: str
    energy: tuple[float, float]
    """Smallest and largest incident energy, GeV."""
    run: dict[str, Any] = Field(default_factory=dict)
    """How the file was made, where it says so."""


class SampleResult(_Part):
    """All that was found about one sample."""

    name: str
    info: SampleInfo
    headlines: tuple[Headline, ...]
    sections: dict[str, Any]
    """By section (distances, classifiers, ...) everything in detail, as JSON values."""
    verdicts: tuple[Verdict, ...] = ()
    """What is wrong with the showers, in words that never change."""
    warnings: tuple[str, ...]
    """What is wrong, and what makes numbers doubtful, in sentences."""
    seconds: float
    """Wall time."""

    def headline(self, name: str) -> Headline | None:
        """The headline of that name, if there is one."""
        return next((item for item in self.headlines if item.name == name), None)


class Evaluation(_Part):
    """What ``metrics.json`` holds."""

    schema_version: Literal[1] = 1
    caloforge: str
    """Version of caloforge."""
    versions: dict[str, str]
    """Versions of Python and of packages."""
    machine: str
    command: str
    """How it was called; empty where that is not known."""
    seed: int
    """Seed of everything that is random."""
    quick: bool
    """Whether the quick variants were taken; quick and full ones must not be compared."""
    reference: SampleInfo
    """What the samples were compared with."""
    samples: tuple[SampleResult, ...]
    """The floor, then the samples in the order in which they were given."""
    conditional: dict[str, tuple[dict[str, Any], ...]] = Field(default_factory=dict)
    """By generator what it makes of single incident energies, those beyond its range included."""
    seconds: float
    """Wall time."""

    @property
    def floor(self) -> SampleResult:
        """Geant4 against Geant4."""
        return self.samples[0]


def write_evaluation(path: Path, evaluation: Evaluation) -> None:
    """Write ``metrics.json``, whole or not at all.

    Raises:
        OutputError: The file cannot be written.
    """
    text = json.dumps(evaluation.model_dump(mode="json"), indent=1, allow_nan=False)
    write_text(path, text + "\n")


def read_evaluation(path: str | Path) -> Evaluation:
    """Read ``metrics.json``.

    Args:
        path: The file, or the folder that it is in.

    Raises:
        FileFormatError: There is none, or it is not one.
    """
    path = Path(path)
    file = path / METRICS if path.is_dir() else path
    if not file.is_file():
        msg = f"file {file}: does not exist; make it with 'caloforge evaluate'"
        raise FileFormatError(msg)
    try:
        return Evaluation.model_validate_json(file.read_bytes())
    except ValidationError as error:
        msg = f"file {file}: {explain(error, Evaluation.model_fields)}"
        raise FileFormatError(msg) from None


def evaluation_schema() -> dict[str, Any]:
    """The JSON schema of ``metrics.json``, for those who read it in other languages.

    It is shipped as a file, too: :func:`caloforge.schemas.read_schema`.
    """
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": dialect, **Evaluation.model_json_schema()}


def prepare_folder(path: str | Path, *, overwrite: bool) -> Path:
    """The folder for a report, refused where there is one already that is not to be replaced.

    Raises:
        OutputError: There is a report, or the folder cannot be made.
    """
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        msg = f"output {folder}: is a file, must be a folder"
        raise OutputError(msg)
    if not overwrite and any((folder / name).exists() for name in (METRICS, TRANSFER)):
        how = f"choose another or overwrite it ({option('overwrite')})"
        msg = f"output {folder}: holds an evaluation already; {how}"
        raise OutputError(msg)
    check_folder(folder / METRICS if folder.is_dir() else folder)
    return folder
