"""Configuration of the systems that are trained: one frozen class per system.

The same object is the options of the command line, the recipe, part of the checkpoint and of the
card.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from caloforge.errors import ConfigError
from caloforge.explain import explain, suggestion

__all__ = ["Positive", "SystemConfig"]

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class SystemConfig(BaseModel, ABC):
    """What every trained system has; a system's own class adds only what that system uses.

    Attributes:
        system: Name of the system, as on the command line.
        epochs: Times that training goes through all train rows.
        batch_size: Showers of one step.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    system: ClassVar[str]

    epochs: Annotated[int, Field(ge=1)]
    batch_size: Annotated[int, Field(ge=2)]

    @classmethod
    @abstractmethod
    def presets(cls) -> dict[str, Self]:
        """The named configurations: at least ``"paper"`` and ``"cpu"``."""

    @classmethod
    def preset(cls, name: str) -> Self:
        """A named configuration.

        Raises:
            ConfigError: There is none of that name.
        """
        presets = cls.presets()
        if name not in presets:
            msg = f"preset: {cls.system} has no {name!r}; {suggestion(name, presets)}"
            raise ConfigError(msg)
        return presets[name]

    def changed(self, **changes: Any) -> Self:
        """The same with some settings changed.

        Raises:
            ConfigError: A setting is unknown, or a value is not legal.
        """
        return self.parse(self.model_dump() | changes)

    @classmethod
    def parse(cls, settings: Mapping[str, Any]) -> Self:
        """Read settings that a user wrote.

        Raises:
            ConfigError: A setting is unknown, missing, or its value is not legal.
        """
        try:
            return cls.model_validate(dict(settings))
        except ValidationError as error:
            msg = f"{cls.system}: {explain(error, cls.model_fields)}"
            raise ConfigError(msg) from None
