"""From a training to an artefact that runs without PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from caloforge.errors import ParticleError
from caloforge.export.card import (
    artefact_name,
    definition,
    scores,
    speed,
    write_reference,
)
from caloforge.export.closure import closure
from caloforge.export.folder import artefact_folder
from caloforge.export.profiles.lwtnn import LWTNN, export_lwtnn
from caloforge.export.profiles.onnx import export_onnx
from caloforge.models.system import GeneratorNetwork, Setting
from caloforge.particles import particle_name
from caloforge.provenance import file_sha256
from caloforge.runtime.card import CARD, Card, TensorSpec, TrainingRows
from caloforge.runtime.conditions import Condition
from caloforge.runtime.onnx import DEPOSITS, ENERGY, MODEL, NOISE, OnnxGenerator
from caloforge.showers import Showers, read_part
from caloforge.training.run import Run
from caloforge.version import __version__

__all__ = ["Origin", "export_generator", "export_run"]

_LIMITS = (
    "Entry points and directions are those of the training showers; they are no input.",
    "Energy beside the cells is not described.",
)
_LIMIT_HALF = "Weights are rounded to half precision."
_LIMIT_LWTNN = (
    f"{LWTNN} is the dense network alone; its entry 'miscellaneous' says what belongs around it."
)


@dataclass(frozen=True)
class Origin:
    """How a network came to be, for its card.

    Attributes:
        system: Name of the system.
        config: Its settings, JSON values.
        training: The showers that it learnt from.
        command: Command that trains it again.
        seed: Seed of the training.
        wall_time: Time that training took, s.
        machine: Where it was trained, in words.
        epoch: The epoch that was chosen, from 1.
        limits: What it cannot do, in sentences.
        references: Its papers.
    """

    system: str
    config: Mapping[str, Any]
    training: tuple[TrainingRows, ...]
    command: str
    seed: int
    wall_time: float
    machine: str
    epoch: int
    limits: tuple[str, ...] = ()
    references: tuple[str, ...] = ()


def export_run(
    run: str | Path,
    output: str | Path,
    *,
    particle: str | int | None = None,
    format: Literal["onnx", "lwtnn"] = "onnx",  # noqa: A002
    half: bool = False,
    test_data: str | Path | None = None,
    energy_range: tuple[float, float] | None = None,
    overwrite: bool = False,
) -> float:
    """Make an artefact of the best epoch of a training.

    Args:
        run: Folder of the training.
        output: Folder to make.
        particle: Which of the particles that it was trained for; None if there is but one.
        format: ``"lwtnn"`` adds the dense network as JSON for LWTNN.
        half: Store large weights in half precision.
        test_data: File of Geant4 showers whose test rows the card compares with; by default the
            file that was trained on, if it is still where it was.
        energy_range: Lowest and highest incident energy that the artefact is for, GeV; by default
            those of the showers that it learnt from.
        overwrite: Replace an artefact that is there.

    Returns:
        The largest deviation of the artefact from PyTorch; see
        :func:`~caloforge.export.profiles.onnx.export_onnx`.

    Raises:
        CaloforgeError: An argument is wrong, the run has no best epoch yet, its network cannot be
            written in that format, or the folder cannot be made.
    """
    found = Run.open(run)
    label = _label(found, particle)
    system = found.load_best()
    origin = Origin(
        system=found.recipe.system,
        config=found.recipe.config.model_dump(mode="json"),
        training=found.training,
        command=found.recipe.command(),
        seed=found.recipe.seed,
        wall_time=found.wall_time,
        machine=found.machine,
        epoch=found.best_epoch,
        limits=system.limits,
        references=system.references,
    )
    return export_generator(
        system.sampler,
        Path(output),
        setting=(
            found.setting
            if energy_range is None
            else replace(found.setting, energy_range=energy_range)
        ),
        label=label,
        origin=origin,
        test=_test_rows(found, label, test_data),
        format=format,
        half=half,
        overwrite=overwrite,
    )


def export_generator(
    generator: GeneratorNetwork,
    output: Path,
    *,
    setting: Setting,
    origin: Origin,
    label: int = 0,
    test: Showers | None = None,
    format: Literal["onnx", "lwtnn"] = "onnx",  # noqa: A002
    half: bool = False,
    overwrite: bool = False,
) -> float:
    """Make an artefact of a network.

    Args:
        generator: The network.
        output: Folder to make.
        setting: What it was trained for.
        origin: How it came to be.
        label: Index of the particle.
        test: Geant4 showers that the card compares with; nothing may have been chosen on them.
        format: ``"lwtnn"`` adds the dense network as JSON for LWTNN.
        half: Store large weights of the ONNX file in half precision.
        overwrite: Replace an artefact that is there.

    Returns:
        The largest deviation of the artefact from PyTorch.

    Raises:
        ExportError: The network cannot be written in that format.
        OutputError: The folder cannot be made.
    """
    particle, detector = setting.particles[label], setting.detector
    limits = [*origin.limits, *_LIMITS]
    with artefact_folder(output, overwrite=overwrite) as folder:
        if format == "lwtnn":
            export_lwtnn(generator, folder / LWTNN)
            limits.append(_LIMIT_LWTNN)
        if half:
            limits.append(_LIMIT_HALF)
        deviation = export_onnx(
            generator, folder / MODEL, label=label, half=half, energy_range=setting.energy_range
        )
        if test is not None:
            write_reference(folder, test)
        card = Card(
            name=artefact_name(origin.system, particle),
            system=origin.system,
            version=__version__,
            description=f"{origin.system} of {particle} in {detector.name}, epoch {origin.epoch}",
            runtime="onnx",
            config=dict(origin.config),
            detector=definition(detector),
            particles=(particle,),
            conditions=(Condition.of("energy", *setting.energy_range),),
            inputs=(
                TensorSpec(
                    name=NOISE,
                    shape=("N", generator.noise),
                    unit="",
                    description="independent standard normal noise",
                ),
                TensorSpec(name=ENERGY, shape=("N", 1), unit="GeV", description="incident energy"),
            ),
            outputs=(
                TensorSpec(
                    name=DEPOSITS,
                    shape=("N", detector.n_cells),
                    unit="MeV",
                    description="energy left in each cell",
                ),
            ),
            training=origin.training,
            command=origin.command,
            seed=origin.seed,
            wall_time=round(origin.wall_time, 1),
            machine=origin.machine,
            metrics=(),
            limits=tuple(limits),
            licence="Apache-2.0",
            references=origin.references,
            files={path.name: file_sha256(path) for path in sorted(folder.iterdir())},
        )
        made = OnnxGenerator(card, folder)
        changes: dict[str, Any] = {"speed": speed(made, origin.seed)}
        if test is not None:
            low, high = card.energy_range
            inside = test[(test.energy >= low) & (test.energy <= high)]
            changes["metrics"] = closure(made, inside, seed=origin.seed)
            changes["scores"] = scores(made, inside, seed=origin.seed)
        (folder / CARD).write_text(card.model_copy(update=changes).to_json(), "utf-8")
    return deviation


def _label(run: Run, particle: str | int | None) -> int:
    particles = run.setting.particles
    if particle is None:
        if len(particles) > 1:
            msg = f"particle: run {run.folder} is of {', '.join(particles)}; name one (--particle)"
            raise ParticleError(msg)
        return 0
    name = particle_name(particle)
    if name not in particles:
        msg = f"particle: run {run.folder} is of {', '.join(particles)}, not of {name}"
        raise ParticleError(msg)
    return particles.index(name)


def _test_rows(run: Run, label: int, test_data: str | Path | None) -> Showers | None:
    """The test rows to compare with, as the generator fills them; None if there are none."""
    particle = run.setting.particles[label]
    paths = run.recipe.data[particle] if test_data is None else (Path(test_data),)
    if test_data is None:
        known = {item.sha256 for item in run.training}
        if not all(path.is_file() and file_sha256(path) in known for path in paths):
            return None  # a file that has changed may call rows of the training test rows
    showers = Showers.concatenate([read_part(path, "test", particle) for path in paths])
    return showers.restricted(run.setting.detector)
