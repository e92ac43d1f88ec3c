"""What all trainings share: epochs, the best of them, checkpoints, budgets, logs."""

from __future__ import annotations

import json
import math
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch

from caloforge.atomic import reason
from caloforge.cores import available_cores
from caloforge.errors import CaloforgeError, OutputError, TrainingError
from caloforge.models.system import Losses, System
from caloforge.models.systems import system_type
from caloforge.random import Purpose, shower_words
from caloforge.training.checkpoint import load_checkpoint, save_checkpoint
from caloforge.training.curve import draw_curve
from caloforge.training.data import TrainingData
from caloforge.training.recipe import Recipe
from caloforge.training.run import Run, find_teacher
from caloforge.training.selection import Criterion, sample, score, validation_loss
from caloforge.training.steps import find_step

__all__ = ["Progress", "train"]

Progress = Callable[[float, str], None]
"""Called with the fraction that is done and a line on how it goes."""

# Measured at each look where showers are made in seconds; the others take seconds themselves.
_ALWAYS: tuple[Criterion, ...] = ("energy-chi2", "frechet")
_COLLAPSED = 0.5
_PATIENCE = 10


@dataclass
class _State:
    """Where training stands; all of it is in the checkpoint.

    Attributes:
        epoch: Epochs that are done.
        batch: Steps that are done of the next one.
        seconds: Time spent, in all sessions.
        best: Smallest value of the criterion so far.
        best_epoch: When that was.
        collapsed: Looks in a row at which the generator made but few different showers.
        log_size: Length of the log, bytes.
        sums: Sums of the losses over the steps of this epoch.
    """

    epoch: int = 0
    batch: int = 0
    seconds: float = 0.0
    best: float = math.inf
    best_epoch: int = 0
    collapsed: int = 0
    log_size: int = 0
    sums: dict[str, float] = field(default_factory=dict)


def train(
    recipe: Recipe,
    output: str | Path,
    *,
    resume: bool = False,
    tensorboard: bool = False,
    progress: Progress = lambda done, text: None,  # noqa: ARG005
) -> Run:
    """Train a system.

    All that is random is drawn from the seed and the number of the step, so a training that was
    stopped and resumed goes through the same numbers as one that was not, on the same machine with
    as many threads.

    Args:
        recipe: What to do.
        output: Run folder to make.
        resume: Go on with an unfinished run of the same recipe.
        tensorboard: Write the metrics for TensorBoard too, into ``output/tensorboard``.
        progress: Told how far training is.

    Returns:
        The run, with its best epoch.

    Raises:
        TrainingError: The run cannot be resumed, a loss is not finite, or the generator collapsed;
            the run folder keeps the last checkpoint and the best epoch.
        CaloforgeError: A setting or a file is wrong.
        KeyboardInterrupt: SIGINT or SIGTERM came; a checkpoint was written first.
    """
    device = _device(recipe.device)
    system_class = system_type(recipe.system)
    config = recipe.config
    data = TrainingData.load(
        recipe.data,
        lambda detector: system_class.readout(config, detector),
        augment=recipe.augment,
    )
    teacher = find_teacher(recipe, data.setting)
    parents = () if teacher is None else (teacher.parent,)
    folder = Path(output)
    if resume and folder.exists():
        run = Run.open(folder)
        run.check_same(recipe, data.files, parents)
    else:
        run = Run.create(folder, recipe, data.setting, data.files, parents)
    with (
        run.lock(),
        _threads(recipe.threads or available_cores()),
        torch.random.fork_rng(),
        _signals() as stopped,
    ):
        run.write_state("running")
        try:
            training = _Training(
                run,
                recipe,
                data,
                device,
                progress,
                stopped,
                teacher=None if teacher is None else teacher.load_best(),
                tensorboard=tensorboard,
            )
            training.go()
        except OutputError:
            # A full disk: what was just made goes, what can be resumed stays.
            if not run.checkpoint.exists():
                shutil.rmtree(run.folder, ignore_errors=True)
            raise
        except OSError as error:
            if not run.checkpoint.exists():
                shutil.rmtree(run.folder, ignore_errors=True)
            msg = f"output {run.folder}: cannot be written: {reason(error)}"
            raise OutputError(msg) from None
        except CaloforgeError as error:
            run.write_state("failed", str(error))
            raise
        except KeyboardInterrupt:
            run.write_state("stopped")
            raise
        run.write_state("done")
    return run


class _Training:
    def __init__(
        self,
        run: Run,
        recipe: Recipe,
        data: TrainingData,
        device: torch.device,
        progress: Progress,
        stopped: Callable[[], bool],
        *,
        teacher: System | None,
        tensorboard: bool,
    ) -> None:
        self.run, self.recipe, self.data, self.device = run, recipe, data, device
        self.progress, self.stopped = progress, stopped
        self.config, self.criterion = recipe.config, recipe.criterion
        self.state = _State()
        torch.manual_seed(_seed(recipe.seed, 0, Purpose.INITIALISATION))
        self.system = run.build()
        data.require(self.system.generator, recipe.system)
        self.system.prepare(data.train)
        if teacher is not None:
            self.system.learn_from(teacher.to(device))
        self.system.to(device)
        self.train_step = find_step(self.system)
        self.optimizers = self.system.optimizers()
        self.rates = {
            name: [group["lr"] for group in optimizer.param_groups]
            for name, optimizer in self.optimizers.items()
        }
        if run.checkpoint.exists():
            found = load_checkpoint(run.checkpoint, self.system, self.optimizers)
            self.state = _State(**found)
            with run.metrics.open("r+b") as log:
                log.truncate(self.state.log_size)
        else:
            run.metrics.write_bytes(b"")
        self.step_size = self.config.batch_size * self.system.batches_per_step
        self.steps = data.batches_per_epoch(self.step_size)
        self.held_out = data.validation_batch if self.criterion == "loss" else None
        self.started = time.monotonic() - self.state.seconds
        self.saved = time.monotonic()
        self.boards = _board(run.folder / "tensorboard") if tensorboard else None

    def go(self) -> None:
        epochs = self.config.epochs
        if self.state == _State():
            self.save()
        while self.state.epoch < epochs and not self.out_of_time():
            self.epoch()
            last = self.state.epoch == epochs or self.out_of_time()
            if self.state.epoch % self.recipe.validate_every == 0 or last:
                self.validate()
            if time.monotonic() - self.saved > self.recipe.checkpoint_every:
                self.save()
        # Always, as time can run out anywhere in the loop.
        self.save()
        draw_curve(self.run.curve, self.run.records("validation"), self.criterion)
        self.progress(1.0, self.text())

    def epoch(self) -> None:
        """Train through the rest of an epoch."""
        state = self.state
        self.system.train()
        batches = self.data.batches(
            self.recipe.seed,
            state.epoch,
            self.step_size,
            order=self.system.order,
            skip=state.batch,
        )
        for batch in batches:
            step = state.epoch * self.steps + state.batch
            self.learning_rates(step)
            seed = _seed(self.recipe.seed, step, Purpose.TRAINING)
            torch.manual_seed(seed)  # what a layer draws by itself, such as dropout
            losses = self.train_step(
                self.system,
                batch.to(self.device),
                self.optimizers,
                torch.Generator().manual_seed(seed),
                self.precision,
            )
            self.system.update_average()
            for name, value in _numbers(losses, self.run, step).items():
                state.sums[name] = state.sums.get(name, 0.0) + value
            state.batch += 1
            self.tick()
            if self.stopped():
                self.save()
                raise KeyboardInterrupt
            if self.out_of_time():
                break
        means = {name: total / state.batch for name, total in state.sums.items()}
        state.epoch, state.batch, state.sums = state.epoch + 1, 0, {}
        self.log("epoch", **means)

    def precision(self) -> AbstractContextManager[object]:
        if self.recipe.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def learning_rates(self, step: int) -> None:
        factor = self.system.schedule(step / (self.steps * self.config.epochs))
        for name, optimizer in self.optimizers.items():
            for group, rate in zip(optimizer.param_groups, self.rates[name], strict=True):
                group["lr"] = rate * factor

    def validate(self) -> None:
        """Look at the validation rows, and keep this epoch if it is the best so far."""
        state, looked = self.state, self.look()
        value = looked[self.criterion]
        distinct = looked.get("distinct", 1.0)
        self.log("validation", **looked)
        if value < state.best or not state.best_epoch:
            state.best = value if math.isfinite(value) else math.inf
            state.best_epoch = state.epoch
            save_checkpoint(self.run.best, self.system, {"epoch": state.epoch, **looked})
        state.collapsed = state.collapsed + 1 if distinct < _COLLAPSED else 0
        if state.collapsed >= _PATIENCE:
            msg = (
                f"run {self.run.folder}: the generator collapsed: in {_PATIENCE} looks up to epoch "
                f"{state.epoch} fewer than {_COLLAPSED:.0%} of its showers were different; the "
                f"best was epoch {state.best_epoch}; lower its learning rate, or take another seed"
            )
            raise TrainingError(msg)

    def look(self) -> dict[str, float]:
        """The criteria; of showers too, unless they take long and nothing is chosen by them."""
        found: dict[str, float] = {}
        if self.held_out is not None:
            found["loss"] = validation_loss(self.system, self.held_out, seed=self.recipe.seed)
        sampler = self.system.sampler
        criteria = _ALWAYS if sampler.quick else ()
        criteria = tuple(dict.fromkeys((*criteria, self.criterion)))
        criteria = tuple(name for name in criteria if name != "loss")
        if not criteria:
            return found
        generated = [
            sample(sampler, like, label, seed=self.recipe.seed)
            for label, like in enumerate(self.data.validation)
        ]
        distinct = min(len(np.unique(part, axis=0)) / len(part) for part in generated)
        values = score(self.data.validation, generated, criteria, seed=self.recipe.seed)
        return {**found, "distinct": distinct, **values}

    def log(self, kind: str, **values: float) -> None:
        seconds = round(time.monotonic() - self.started, 2)
        record = {"kind": kind, "epoch": self.state.epoch, "seconds": seconds}
        record |= {key: value if math.isfinite(value) else None for key, value in values.items()}
        line = (json.dumps(record) + "\n").encode()
        with self.run.metrics.open("ab") as file:
            file.write(line)
        self.state.log_size += len(line)
        if self.boards is not None:
            for key, value in values.items():
                self.boards.add_scalar(f"{kind}/{key}", value, self.state.epoch)

    def save(self) -> None:
        self.state.seconds = time.monotonic() - self.started
        self.saved = time.monotonic()
        save_checkpoint(self.run.checkpoint, self.system, asdict(self.state), self.optimizers)

    def out_of_time(self) -> bool:
        budget = self.recipe.budget
        return budget is not None and time.monotonic() - self.started >= budget

    def tick(self) -> None:
        state = self.state
        steps = (state.epoch * self.steps + state.batch) / (self.config.epochs * self.steps)
        budget = self.recipe.budget
        spent = 0.0 if budget is None else (time.monotonic() - self.started) / budget
        self.progress(min(1.0, max(steps, spent)), self.text())
        if time.monotonic() - self.saved > self.recipe.checkpoint_every:
            self.save()

    def text(self) -> str:
        state = self.state
        losses = " ".join(f"{k} {v / state.batch:.3g}" for k, v in state.sums.items() if v)
        best = f"best {self.criterion} {state.best:.3g} (epoch {state.best_epoch})"
        return f"epoch {state.epoch + 1} {losses}" + (f" {best}" if state.best_epoch else "")


def _numbers(losses: Losses, run: Run, step: int) -> dict[str, float]:
    numbers = {name: float(value) for name, value in losses.items()}
    for name, value in numbers.items():
        if not math.isfinite(value):
            msg = (
                f"run {run.folder}: the loss {name} became {value} in step {step}; the last good "
                "checkpoint and the best epoch are kept; lower the learning rate"
            )
            raise TrainingError(msg)
    return numbers


def _seed(seed: int, index: int, purpose: Purpose) -> int:
    return int(shower_words(seed, index, purpose, 1)[0])


def _device(name: str) -> torch.device:
    if name.startswith("cuda") and not torch.cuda.is_available():
        msg = f"device: {name!r} is not there: PyTorch sees no GPU; take cpu"
        raise TrainingError(msg)
    try:
        found = torch.device(name)
    except RuntimeError:
        found = torch.device("meta")
    here = {"cpu": 1, "cuda": torch.cuda.device_count()}
    if (found.index or 0) >= here.get(found.type, 0):
        msg = f"device: there is no {name!r} here; take cpu, cuda or cuda:0"
        raise TrainingError(msg)
    return found


def _board(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        msg = "tensorboard: is not installed; pip install 'caloforge[tensorboard]'"
        raise TrainingError(msg) from None
    return SummaryWriter(str(folder))


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _signals() -> Iterator[Callable[[], bool]]:
    """Turn SIGINT and SIGTERM into a question that the loop asks after each step."""
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        came.append(number)

    try:
        before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread: signals are the caller's
        yield lambda: False
        return
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
