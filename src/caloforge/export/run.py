"""From a training to an artefact that runs without PyTorch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from caloforge.errors import ExportError, ParticleError
from caloforge.export.card import (
    artefact_name,
    definition,
    write_reference,
)
from caloforge.export.folder import artefact_folder
from caloforge.export.measure import measure
from caloforge.export.profiles import find_profile
from caloforge.export.profiles.base import Job
from caloforge.export.profiles.onnx import OnnxForm, OnnxProfile
from caloforge.particles import particle_name
from caloforge.provenance import file_sha256
from caloforge.runtime.card import CARD, Card, Parent, TrainingRows
from caloforge.runtime.conditions import Condition
from caloforge.runtime.onnx import OnnxGenerator
from caloforge.showers import Showers, open_showers, read_part
from caloforge.training.run import Run
from caloforge.version import __version__

__all__ = ["Origin", "export_generator", "export_run"]

_LIMIT_CELLS = "Energy beside the cells is not described."
_LIMIT_CENTRE = "Entry points and directions are those of the training showers; they are no input."


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
        parents: The trained systems that it learnt from.
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
    parents: tuple[Parent, ...] = ()


def export_run(
    run: str | Path,
    output: str | Path,
    *,
    particle: str | int | None = None,
    profiles: Sequence[str] = (),
    half: bool = False,
    test_data: str | Path | None = None,
    energy_range: tuple[float, float] | None = None,
    overwrite: bool = False,
) -> float:
    """Make an artefact of the best epoch of a training.

    Args:
        run: Folder of the training.
        output: Folder to make.
        particle: Which of the particles that it was trained for becomes part of the network; None
            for all of them.
        profiles: What to write beside ``generator.onnx``, for other hosts; names in
            :data:`~caloforge.export.profiles.PROFILES`.
        half: Store large weights in half precision.
        test_data: File of Geant4 showers whose test rows the card compares with; by default the
            files that were trained on, if they are still where they were.
        energy_range: Lowest and highest incident energy that the artefact is for, GeV; by default
            those of the showers that it learnt from.
        overwrite: Replace an artefact that is there.

    Returns:
        The largest deviation of the artefact from PyTorch; see
        :func:`~caloforge.export.profiles.onnx.export_onnx`.

    Raises:
        CaloforgeError: An argument is wrong, the run has no best epoch yet, its network cannot be
            written in a profile, or the folder cannot be made.
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
        parents=found.parents,
    )
    setting = found.setting
    if energy_range is not None:
        setting = replace(setting, energy_range=energy_range)
    job = Job(system.sampler, setting, label, half)
    return export_generator(
        job,
        Path(output),
        origin=origin,
        tests=_test_rows(found, job.particles, test_data),
        profiles=profiles,
        overwrite=overwrite,
    )


def export_generator(
    job: Job,
    output: Path,
    *,
    origin: Origin,
    tests: Sequence[Showers] = (),
    profiles: Sequence[str] = (),
    overwrite: bool = False,
) -> float:
    """Make an artefact of a network.

    Args:
        job: The network, and what it was trained for.
        output: Folder to make.
        origin: How it came to be.
        tests: Geant4 showers of each particle that the card compares with; nothing may have been
            chosen on them.
        profiles: What to write beside ``generator.onnx``.
        overwrite: Replace an artefact that is there.

    Returns:
        The largest deviation of what was written from PyTorch.

    Raises:
        ExportError: The network cannot be written in a profile, or has several particles that it
            does not tell apart.
        OutputError: The folder cannot be made.
    """
    if len(job.particles) > 1 and "label" not in job.generator.conditions:
        msg = (
            f"particle: the network does not tell {', '.join(job.particles)} apart; name one of "
            "them (particle=, on the command line --particle)"
        )
        raise ExportError(msg)
    # The artefact's own file last: the others refuse what they cannot hold before it is written.
    wanted = [find_profile(name) for name in dict.fromkeys(profiles) if name != OnnxProfile.name]
    wanted.append(OnnxProfile())
    for profile in wanted:
        profile.check(job)
    with artefact_folder(output, overwrite=overwrite) as folder:
        written = [profile.write(job, folder) for profile in wanted]
        for test in tests:
            write_reference(folder, test, several=len(tests) > 1)
        limits = [text for item in written for text in item.limits]
        card = _card(job, origin, tuple(limits), folder)
        makers = {name: OnnxGenerator(card, folder, particle=name) for name in card.particles}
        found = measure(makers, tests, seed=origin.seed)
        (folder / CARD).write_text(card.model_copy(update=found).to_json(), "utf-8")
    return max(item.deviation for item in written)


def _card(job: Job, origin: Origin, limits: tuple[str, ...], folder: Path) -> Card:
    """The card, without what is measured."""
    form = OnnxForm(job)
    detector, particles = job.setting.detector, job.particles
    limits = (*origin.limits, _LIMIT_CELLS, *limits)
    if "entry_point" not in form.conditions:
        limits = (*limits, _LIMIT_CENTRE)
    bounds = {"energy": job.setting.energy_range}
    return Card(
        name=artefact_name(origin.system, *particles),
        system=origin.system,
        version=__version__,
        description=(
            f"{origin.system} of {', '.join(particles)} in {detector.name}, epoch {origin.epoch}"
        ),
        runtime="onnx",
        config=dict(origin.config),
        detector=definition(detector),
        particles=particles,
        conditions=tuple(Condition.of(name, *bounds.get(name, ())) for name in form.conditions),
        inputs=form.inputs,
        outputs=form.outputs,
        training=origin.training,
        parents=origin.parents,
        command=origin.command,
        seed=origin.seed,
        wall_time=round(origin.wall_time, 1),
        machine=origin.machine,
        metrics=(),
        limits=limits,
        licence="Apache-2.0",
        references=origin.references,
        files={path.name: file_sha256(path) for path in sorted(folder.iterdir())},
    )


def _label(run: Run, particle: str | int | None) -> int | None:
    particles = run.setting.particles
    if particle is None:
        return None if len(particles) > 1 else 0
    name = particle_name(particle)
    if name not in particles:
        msg = f"particle: run {run.folder} is of {', '.join(particles)}, not of {name}"
        raise ParticleError(msg)
    return particles.index(name)


def _test_rows(
    run: Run, particles: Sequence[str], test_data: str | Path | None
) -> tuple[Showers, ...]:
    """The test rows to compare with, as the generator fills them; none if there are none."""
    if test_data is not None and len(particles) > 1:
        msg = (
            f"test_data: is one file, the run is of {', '.join(particles)}; name one particle, or "
            "leave it out"
        )
        raise ExportError(msg)
    found = []
    for particle in particles:
        paths = run.recipe.data[particle] if test_data is None else (Path(test_data),)
        if test_data is None:
            known = {item.sha256 for item in run.training}
            if not all(path.is_file() and file_sha256(path) in known for path in paths):
                continue  # a file that has changed may call rows of the training test rows
        # Files that are there to be learnt from alone have none, but one of them must have some.
        paths = tuple(path for path in paths if _has_test_rows(path)) or paths
        showers = Showers.concatenate([read_part(path, "test", particle) for path in paths])
        found.append(showers.restricted(run.setting.detector))
    return tuple(found)


def _has_test_rows(path: Path) -> bool:
    with open_showers(path) as file:
        return bool(file.split_counts.get("test"))
