"""Recipes: all that a training is asked to do, as a YAML file or as options."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from caloforge.errors import ConfigError, FileFormatError
from caloforge.explain import explain, suggestion
from caloforge.models.config import SystemConfig
from caloforge.models.systems import system_type
from caloforge.particles import particle_name
from caloforge.provenance import command_line
from caloforge.training.selection import Criterion

__all__ = ["Recipe", "recipe_names"]

_OPTIONS = ("seed", "budget", "choose_by", "validate_every", "augment", "precision")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}


def _seconds(value: object) -> object:
    """A time such as ``40m``, in seconds."""
    if isinstance(value, str):
        match = re.fullmatch(r"\s*([0-9.]+)\s*([smh]?)\s*", value)
        if match is None:
            msg = "must be a time such as 90s, 40m or 1.5h"
            raise ValueError(msg)
        return float(match[1]) * _UNITS[match[2]]
    return value


def _several(value: object) -> object:
    """One file may be written without a list around it."""
    return (value,) if isinstance(value, str | Path) else value


Files = Annotated[tuple[Path, ...], BeforeValidator(_several), Field(min_length=1)]
Time = Annotated[float, BeforeValidator(_seconds), Field(gt=0, allow_inf_nan=False)]


class Recipe(BaseModel):
    """What a training is asked to do.

    Attributes:
        system: Name of the system.
        preset: Named configuration of the system that ``settings`` change.
        settings: Settings of the system that differ from the preset.
        data: Files of Geant4 showers of each particle to make showers of.
        teacher: Run of the system that this one learns from, for one that does.
        seed: Seed of everything that is random.
        budget: Wall-clock time after which training ends with the best epoch, seconds; None for
            all epochs.
        choose_by: What the best epoch is the smallest of, on validation rows; None for what the
            system says.
        validate_every: Epochs between two looks at the validation rows.
        checkpoint_every: Seconds between two checkpoints.
        augment: Use the mirror symmetries of the detector.
        device: Where to train: ``"cpu"``, ``"cuda"``, ``"cuda:1"``.
        precision: Of the losses: ``"bfloat16"`` is mixed precision, for a GPU.
        threads: Threads on the CPU; 0 for as many as the job has cores. On a machine that does
            other work, too, more than one can be slower than one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    system: str
    preset: str = "cpu"
    settings: dict[str, Any] = Field(default_factory=dict)
    data: dict[Annotated[str, BeforeValidator(particle_name)], Files] = Field(min_length=1)
    teacher: Path | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    budget: Time | None = None
    choose_by: Criterion | None = None
    validate_every: Annotated[int, Field(ge=1)] = 1
    checkpoint_every: Time = 120.0
    augment: bool = True
    device: Annotated[str, Field(pattern=r"^(cpu|cuda(:\d+)?|mps)$")] = "cpu"
    precision: Literal["float32", "bfloat16"] = "float32"
    threads: Annotated[int, Field(ge=0)] = 1

    @classmethod
    def parse(cls, content: Mapping[str, Any]) -> Self:
        """Read what a user wrote.

        Raises:
            ConfigError: A key is unknown or missing, or a value is not legal.
        """
        try:
            recipe = cls.model_validate(dict(content))
        except ValidationError as error:
            msg = f"recipe: {explain(error, cls.model_fields)}"
            raise ConfigError(msg) from None
        _ = recipe.config
        return recipe

    @classmethod
    def read(cls, source: str | Path, **changes: Any) -> Self:
        """Read a recipe.

        Args:
            source: YAML file, or name of a recipe that comes with caloforge.
            changes: What to take instead of what it says; ``settings`` are merged.

        Raises:
            ConfigError: There is no such recipe, or it is wrong.
            FileFormatError: The file is no YAML.
        """
        path = Path(source)
        if not path.is_file() and str(source) in recipe_names():
            path = _shipped() / f"{source}.yaml"
        if not path.is_file():
            hint = suggestion(str(source), recipe_names())
            msg = f"recipe: {str(source)!r} is no file and comes not with caloforge; {hint}"
            raise ConfigError(msg)
        try:
            content = yaml.safe_load(path.read_text("utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
            msg = f"recipe {path}: is no YAML: {str(error).splitlines()[0]}"
            raise FileFormatError(msg) from None
        if not isinstance(content, dict):
            msg = f"recipe {path}: holds no keys; see docs/training.md"
            raise ConfigError(msg)
        return cls._merged(content, changes)

    def changed(self, **changes: Any) -> Self:
        """The same with some things changed; ``settings`` are merged.

        With another preset, settings of this one do not stay.

        Raises:
            ConfigError: A key is unknown, or a value is not legal.
        """
        content = self.model_dump()
        if changes.get("preset", self.preset) != self.preset:
            content["settings"] = {}
        return self._merged(content, changes)

    @classmethod
    def _merged(cls, content: Mapping[str, Any], changes: Mapping[str, Any]) -> Self:
        settings = {**(content.get("settings") or {}), **changes.get("settings", {})}
        return cls.parse({**content, **changes, "settings": settings})

    @property
    def particles(self) -> tuple[str, ...]:
        """Particles to make showers of."""
        return tuple(self.data)

    @property
    def criterion(self) -> Criterion:
        """What the best epoch is the smallest of: what was asked for, or what the system says."""
        return self.choose_by or cast("Criterion", system_type(self.system).choose_by)

    @property
    def config(self) -> SystemConfig:
        """The configuration of the system.

        Raises:
            ConfigError: The preset or a setting is unknown, or a value is not legal.
        """
        config_type = system_type(self.system).config_type
        return config_type.preset(self.preset).changed(**self.settings)

    def command(self) -> str:
        """The command that does this, with files by their names, without where they lie."""
        base = system_type(self.system).config_type.preset(self.preset).model_dump()
        changed = {
            key: value for key, value in self.config.model_dump().items() if value != base[key]
        }
        for key in _OPTIONS:
            value = getattr(self, key)
            default = type(self).model_fields[key].default
            if key == "choose_by":
                default = system_type(self.system).choose_by
            if value not in (None, default):
                changed[key] = f"{value:g}s" if key == "budget" else value
        words = ["train", self.system, "--preset", self.preset]
        for particle, files in self.data.items():
            for file in files:
                words += ["--particle", particle, "--data", file.name]
        if self.teacher is not None:
            words += ["--teacher", self.teacher.name]
        options = {
            f"no_{key}" if value is False else key: True if value is False else value
            for key, value in changed.items()
        }
        return command_line(*words, **options)

    def to_yaml(self) -> str:
        """The text of a recipe file."""
        text: str = yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)
        return text


def recipe_names() -> list[str]:
    """Names of the recipes that come with caloforge."""
    return sorted(file.stem for file in _shipped().glob("*.yaml"))


def _shipped() -> Path:
    return Path(str(resources.files("caloforge.training.recipes")))
