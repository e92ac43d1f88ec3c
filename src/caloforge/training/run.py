"""A run folder: a training that describes itself."""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch
from filelock import FileLock, Timeout

from caloforge.atomic import check_folder, reason, write_text
from caloforge.cores import available_cores
from caloforge.detector import detector_from_json, detector_to_json
from caloforge.errors import OutputError, TrainingError
from caloforge.explain import option
from caloforge.models.system import Setting, System
from caloforge.models.systems import system_type
from caloforge.provenance import file_sha256
from caloforge.runtime.card import Parent, TrainingRows
from caloforge.training.checkpoint import load_checkpoint, read_state
from caloforge.training.recipe import Recipe
from caloforge.version import __version__

__all__ = ["Run", "State", "find_teacher"]

_ABOUT = "run.json"
_LOCK = ".lock"
_PACKAGES = ("h5py", "numpy", "safetensors", "torch")
_STATE = "state.json"
_MAY_CHANGE = ("budget", "checkpoint_every", "threads", "device")

State = Literal["new", "running", "stopped", "done", "failed"]


@dataclass(frozen=True)
class Run:
    """A training on disk.

    Attributes:
        folder: Where it lies.
        recipe: What was asked for.
        setting: What the system is trained for.
        training: The rows that it learns from.
        environment: Versions, system, processor.
        parents: The trained systems that it learns from.
    """

    folder: Path
    recipe: Recipe
    setting: Setting
    training: tuple[TrainingRows, ...]
    environment: Mapping[str, Any]
    parents: tuple[Parent, ...] = ()

    @property
    def checkpoint(self) -> Path:
        """Where training goes on from."""
        return self.folder / "checkpoint.safetensors"

    @property
    def best(self) -> Path:
        """The best epoch so far."""
        return self.folder / "best.safetensors"

    @property
    def metrics(self) -> Path:
        """One JSON object a line: losses of each epoch, criteria of each validation."""
        return self.folder / "metrics.jsonl"

    @property
    def curve(self) -> Path:
        """Picture of what the best epoch was chosen by."""
        return self.folder / "selection.png"

    @property
    def machine(self) -> str:
        """Where it ran, in words."""
        return str(self.environment["machine"])

    @classmethod
    def create(
        cls,
        folder: Path,
        recipe: Recipe,
        setting: Setting,
        training: tuple[TrainingRows, ...],
        parents: tuple[Parent, ...] = (),
    ) -> Run:
        """Begin a run in a new folder.

        Raises:
            OutputError: There is something already, or the folder cannot be made.
        """
        check_folder(folder / _ABOUT if folder.is_dir() else folder)
        if folder.exists():
            msg = f"output {folder}: exists already; go on ({option('resume')}) or choose another"
            raise OutputError(msg)
        # With all settings: a preset may change from version to version.
        full = recipe.model_copy(
            update={
                "settings": recipe.config.model_dump(mode="json"),
                "choose_by": recipe.criterion,
                # As they are from anywhere: the run may be resumed from another folder.
                "data": {
                    particle: tuple(path.absolute() for path in paths)
                    for particle, paths in recipe.data.items()
                },
                "teacher": None if recipe.teacher is None else recipe.teacher.absolute(),
            }
        )
        run = cls(folder, full, setting, training, _environment(recipe), parents)
        try:
            folder.mkdir()
            run.write_state("new")
            write_text(folder / "recipe.yaml", recipe.to_yaml())
            write_text(folder / _ABOUT, json.dumps(run.about(), indent=1) + "\n")
        except BaseException as error:
            shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, OSError):
                msg = f"output {folder}: cannot be written: {reason(error)}"
                raise OutputError(msg) from None
            raise
        return run

    @classmethod
    def open(cls, folder: str | Path) -> Run:
        """Open a run that has begun.

        Raises:
            TrainingError: The folder is none of a training, or is damaged.
        """
        folder = Path(folder)
        try:
            about = json.loads((folder / _ABOUT).read_text("utf-8"))
            setting = about["setting"]
            return cls(
                folder,
                Recipe.parse(about["recipe"]),
                Setting(
                    detector_from_json(json.dumps(setting["detector"]), f"{_ABOUT} of {folder}"),
                    tuple(setting["particles"]),
                    (setting["energy_range"][0], setting["energy_range"][1]),
                ),
                tuple(TrainingRows.model_validate(item) for item in about["training"]),
                about["environment"],
                tuple(Parent.model_validate(item) for item in about["parents"]),
            )
        except (OSError, KeyError, TypeError, json.JSONDecodeError) as error:
            msg = f"run {folder}: is no folder of a training ({_ABOUT}: {error})"
            raise TrainingError(msg) from None

    @staticmethod
    def remove(folder: Path) -> None:
        """Remove a run, to begin anew in its place.

        Raises:
            OutputError: The folder is none of a training.
        """
        if not folder.exists():
            return
        if not (folder / _ABOUT).is_file():
            msg = f"output {folder}: is not of a training and will not be removed; choose another"
            raise OutputError(msg)
        shutil.rmtree(folder)

    def about(self) -> dict[str, Any]:
        """What ``run.json`` holds."""
        return {
            "caloforge": __version__,
            "recipe": self.recipe.model_dump(mode="json"),
            "setting": {
                "detector": json.loads(detector_to_json(self.setting.detector)),
                "particles": list(self.setting.particles),
                "energy_range": list(self.setting.energy_range),
            },
            "training": [item.model_dump(mode="json") for item in self.training],
            "environment": dict(self.environment),
            "parents": [item.model_dump(mode="json") for item in self.parents],
        }

    @property
    def state(self) -> State:
        """How far it is: what the last process that trained here said of it.

        A process that was killed could not say so: if it was ``"running"`` and none is training
        here now, it is ``"stopped"``. On file systems without locks across machines, ask whoever
        started it.
        """
        state: State = self._read_state()["state"]
        if state != "running":
            return state
        lock = FileLock(self.folder / _LOCK)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            return "running"
        lock.release()
        return "stopped"

    @property
    def problem(self) -> str:
        """Why it failed, in a sentence; empty unless it did."""
        return str(self._read_state()["problem"])

    def write_state(self, state: State, problem: str = "") -> None:
        """Say how far it is.

        Raises:
            OutputError: The folder cannot be written.
        """
        about = {"state": state, "problem": problem}
        write_text(self.folder / _STATE, json.dumps(about) + "\n")

    def _read_state(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self.folder / _STATE).read_text("utf-8"))
        except (OSError, ValueError) as error:
            msg = f"run {self.folder}: is no folder of a training ({_STATE}: {error})"
            raise TrainingError(msg) from None
        return found

    @property
    def parent(self) -> Parent:
        """What a system that learns from this one says of it.

        Raises:
            TrainingError: No epoch has ended yet.
        """
        self._check_best()
        return Parent(system=self.recipe.system, sha256=file_sha256(self.best))

    def check_same(
        self,
        recipe: Recipe,
        training: tuple[TrainingRows, ...],
        parents: tuple[Parent, ...] = (),
    ) -> None:
        """Refuse to go on with other settings or other data.

        Raises:
            TrainingError: Something differs that decides the numbers.
        """
        if [item.sha256 for item in training] != [item.sha256 for item in self.training]:
            msg = f"run {self.folder}: began with other data files; give the same, or begin anew"
            raise TrainingError(msg)
        if parents != self.parents:
            msg = f"run {self.folder}: began with another teacher; give the same, or begin anew"
            raise TrainingError(msg)
        free = set(_MAY_CHANGE) | {"data", "preset", "settings", "teacher", "choose_by"}
        before, now = (each.model_dump(exclude=free) for each in (self.recipe, recipe))
        before["choose_by"], now["choose_by"] = self.recipe.criterion, recipe.criterion
        before |= self.recipe.config.model_dump()
        now |= recipe.config.model_dump() if recipe.system == self.recipe.system else {}
        for key, value in before.items():
            if now.get(key) != value:
                msg = (
                    f"run {self.folder}: began with {key} {value}, not {now.get(key)}; give the "
                    "same, or begin anew"
                )
                raise TrainingError(msg)

    def build(self) -> System:
        """A new system, its parameters drawn from PyTorch's global random numbers."""
        return system_type(self.recipe.system)(self.recipe.config, self.setting)

    def load_best(self) -> System:
        """The system of the best epoch, in evaluation mode.

        Raises:
            TrainingError: No epoch has ended yet, or the file is damaged.
        """
        self._check_best()
        with torch.random.fork_rng(devices=[]):
            system = self.build()
        load_checkpoint(self.best, system)
        return system.eval()

    @property
    def best_epoch(self) -> int:
        """The best epoch so far, from 1.

        Raises:
            TrainingError: No epoch has been looked at yet, or the file is damaged.
        """
        self._check_best()
        return int(read_state(self.best)["epoch"])

    @property
    def wall_time(self) -> float:
        """Time that training took so far, seconds."""
        return float(read_state(self.checkpoint)["seconds"])

    def records(self, kind: str) -> list[dict[str, Any]]:
        """Lines of the metrics of one kind, ``"epoch"`` or ``"validation"``."""
        lines = self.metrics.read_text("utf-8").splitlines() if self.metrics.exists() else []
        return [record for line in lines if (record := json.loads(line))["kind"] == kind]

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from training in this folder.

        Raises:
            OutputError: One does already.
        """
        lock = FileLock(self.folder / _LOCK)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            msg = f"output {self.folder}: another process is training there"
            raise OutputError(msg) from None
        try:
            yield
        finally:
            lock.release()

    def _check_best(self) -> None:
        if not self.best.exists():
            msg = f"run {self.folder}: no epoch has been looked at yet; train longer"
            raise TrainingError(msg)


def find_teacher(recipe: Recipe, setting: Setting) -> Run | None:
    """The run of the teacher that a recipe names; None for a system that has none.

    Raises:
        TrainingError: It is missing, not needed, of another system, or was trained for another
            detector, other particles or other energies.
    """
    wanted = system_type(recipe.system).teacher_type
    if wanted is None and recipe.teacher is None:
        return None
    if wanted is None or recipe.teacher is None:
        what = "learns from none; leave it out" if wanted is None else "needs one; name its run"
        msg = f"teacher: {recipe.system} {what}"
        raise TrainingError(msg)
    run = Run.open(recipe.teacher)
    theirs, where = run.setting, f"teacher: {run.folder}"
    if not issubclass(system_type(run.recipe.system), wanted):
        msg = f"{where} is of {run.recipe.system}, which {recipe.system} does not learn from"
        raise TrainingError(msg)
    if not theirs.detector.same_readout(setting.detector):
        msg = f"{where} fills {theirs.detector.name!r}, not {setting.detector.name!r}"
        raise TrainingError(msg)
    if theirs.particles != setting.particles:
        msg = f"{where} is of {', '.join(theirs.particles)}, not of {', '.join(setting.particles)}"
        raise TrainingError(msg)
    return run


def _environment(recipe: Recipe) -> dict[str, Any]:
    cores = available_cores()
    threads = recipe.threads or cores
    where = "GPU" if recipe.device != "cpu" else f"{threads} of {cores} cores"
    return {
        "machine": f"{platform.machine()}, {where}, PyTorch {torch.__version__}",
        "platform": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in _PACKAGES},
    }
