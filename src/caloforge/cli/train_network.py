"""``caloforge train`` for the systems that are trained with PyTorch.

One command a system: its options are the settings of its configuration. Importing this module
imports PyTorch, so the command line loads it only when one of the commands is asked for.
"""

# Annotations are evaluated at once: they name what is known only inside a function.
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import docstring_parser
from cyclopts import Parameter
from pydantic import BaseModel, ConfigDict, create_model

from caloforge.cli.console import (
    Json,
    Overwrite,
    Quiet,
    Resume,
    need_training,
    progress_line,
    show,
)
from caloforge.cli.numbers import whole

need_training()

from caloforge.errors import TrainingError  # noqa: E402
from caloforge.models.config import SystemConfig  # noqa: E402
from caloforge.models.systems import SYSTEMS, system_type  # noqa: E402
from caloforge.particles import files_by_particle  # noqa: E402
from caloforge.training import Recipe, Run, train  # noqa: E402
from caloforge.training.selection import Criterion  # noqa: E402

__all__: list[str] = []


def _settings(config_type: type[SystemConfig]) -> type[BaseModel]:
    """The settings of a system, none of which has to be given: the preset has them all.

    They are not checked here: the configuration does, and says what is wrong in one sentence.
    """
    texts = {
        item.arg_name: item.description
        for each in reversed(config_type.__mro__)
        for item in docstring_parser.parse(each.__doc__ or "").params
    }
    fields: dict[str, Any] = {
        name: (
            Annotated[
                field.annotation | None,  # type: ignore[operator]
                Parameter(help=texts.get(name) or field.description, negative_iterable=""),
            ],
            None,
        )
        for name, field in config_type.model_fields.items()
    }
    return create_model(
        f"{config_type.__name__}Settings", __config__=ConfigDict(extra="forbid"), **fields
    )


def _begun(system: str, recipe: str | None, output: Path, *, resume: bool) -> Recipe | None:
    """What the options change: a recipe that was named, or that of the run to go on with."""
    if recipe is not None:
        return Recipe.read(recipe)
    if not (resume and output.exists()):
        return None
    found = Run.open(output).recipe
    if found.system != system:
        msg = f"output {output}: is a run of {found.system}, not of {system}"
        raise TrainingError(msg)
    return found


def _files(
    base: Recipe | None, particle: list[str] | None, data: list[Path] | None
) -> dict[str, tuple[Path, ...]] | None:
    """The data that are asked for; those of the recipe where none are."""
    if base is None or particle is not None:
        return files_by_particle(particle or [], data or [])
    return None if data is None else files_by_particle(base.particles, data)


def _command(system: str) -> Callable[..., None]:
    config_type = system_type(system).config_type
    settings_type = _settings(config_type)
    presets = ", ".join(config_type.presets())

    def command(
        *,
        output: Annotated[Path, Parameter(name=["--output", "-o"], help="Run folder to make.")],
        particle: Annotated[
            list[str] | None,
            Parameter(help="PDG name or identifier; one per file, or one for all.", negative=""),
        ] = None,
        data: Annotated[
            list[Path] | None,
            Parameter(
                help="Geant4 showers, split (caloforge data split); may be given again.",
                negative="",
            ),
        ] = None,
        recipe: Annotated[
            str | None,
            Parameter(help="YAML file, or name of a shipped recipe, that options change."),
        ] = None,
        preset: Annotated[str | None, Parameter(help=f"One of {presets}. Default: cpu.")] = None,
        teacher: Annotated[
            Path | None, Parameter(help="Run of the system to learn from, for a student.")
        ] = None,
        budget: Annotated[
            str | None, Parameter(help="End after this wall-clock time: 90s, 40m, 1.5h.")
        ] = None,
        choose_by: Annotated[
            Criterion | None, Parameter(help="What the best epoch is the smallest of.")
        ] = None,
        validate_every: Annotated[
            int | None,
            Parameter(converter=whole, help="Epochs between two looks at the validation rows."),
        ] = None,
        checkpoint_every: Annotated[
            str | None, Parameter(help="Time between two checkpoints. Default: 2m.")
        ] = None,
        augment: Annotated[
            bool | None, Parameter(help="Use the mirror symmetries of the detector. Default: yes.")
        ] = None,
        seed: Annotated[
            int | None, Parameter(converter=whole, help="Seed of everything random.")
        ] = None,
        device: Annotated[str | None, Parameter(help="cpu, cuda or cuda:1.")] = None,
        precision: Annotated[
            str | None, Parameter(help="float32, or bfloat16: mixed precision, for a GPU.")
        ] = None,
        threads: Annotated[
            int | None,
            Parameter(converter=whole, help="Threads on the CPU, 0: all cores. Default: 1."),
        ] = None,
        tensorboard: Annotated[
            bool, Parameter(help="Write metrics for TensorBoard too.", negative="")
        ] = False,
        settings: Annotated[settings_type | None, Parameter(name="*")] = None,  # type: ignore[valid-type]
        resume: Resume = False,
        overwrite: Overwrite = False,
        quiet: Quiet = False,
        json: Json = False,
    ) -> None:
        base = _begun(system, recipe, output, resume=resume)
        given: dict[str, Any] = {
            "data": _files(base, particle, data),
            "preset": preset,
            "teacher": teacher,
            "budget": budget,
            "choose_by": choose_by,
            "validate_every": validate_every,
            "checkpoint_every": checkpoint_every,
            "augment": augment,
            "seed": seed,
            "device": device,
            "precision": precision,
            "threads": threads,
        }
        changes = {key: value for key, value in given.items() if value is not None}
        changes["settings"] = {} if settings is None else settings.model_dump(exclude_unset=True)
        changes["system"] = system
        asked = Recipe.parse(changes) if base is None else base.changed(**changes)
        if overwrite:
            Run.remove(output)
        with progress_line("training", quiet=quiet or json) as progress:
            run = train(asked, output, resume=resume, tensorboard=tensorboard, progress=progress)
        text = f"{output}: best epoch {run.best_epoch} after {run.wall_time:.0f} s; now export it"
        show({"run": str(output), "best_epoch": run.best_epoch}, text, as_json=json, quiet=quiet)

    command.__doc__ = f"Train {system} on the train rows; choose the epoch on the validation rows."
    return command


def __getattr__(name: str) -> Callable[..., None]:
    system = name.replace("_", "-")
    if system in SYSTEMS:
        return _command(system)
    raise AttributeError(name)
