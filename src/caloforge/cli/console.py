"""What every command shares: progress bars, results, options that mean the same everywhere."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from caloforge.cli.log import Log
from caloforge.cli.numbers import whole
from caloforge.errors import ConfigError

__all__ = [
    "Json",
    "Output",
    "Overwrite",
    "Phi",
    "Quiet",
    "Resume",
    "Seed",
    "Spread",
    "Theta",
    "bar",
    "need_training",
    "progress_line",
    "show",
]

Output = Annotated[str, Parameter(name=["--output", "-o"], help="File to make.")]
Seed = Annotated[
    int, Parameter(converter=whole, help="Seed; the same seed gives the same showers.")
]
Resume = Annotated[bool, Parameter(negative="", help="Go on with an unfinished run.")]
Overwrite = Annotated[bool, Parameter(negative="", help="Replace what is there.")]
Quiet = Annotated[bool, Parameter(negative="", help="No progress bar, no text.")]
Spread = Annotated[
    float, Parameter(help="Entry points are uniform within this many mm of the centre.")
]
Theta = Annotated[str, Parameter(help="Polar angle, degrees: 10 or 0:20.")]
Phi = Annotated[str, Parameter(help="Azimuth, degrees: 90 or 0:360.")]
Json = Annotated[bool, Parameter(negative="", help="Print the result as JSON.")]

_TRAINING = ("torch", "onnx", "onnxscript", "safetensors", "yaml")
# What users write (file names, particles) is printed as it is: no markup, no emoji, no colours.
_WIDE = 10_000  # where there is no terminal, no line is broken or cut
_stderr = Console(stderr=True, markup=False, emoji=False, highlight=False)


def need_training() -> None:
    """Refuse to go on without what training and export need.

    Raises:
        ConfigError: Some of it is not installed.
    """
    missing = [name for name in _TRAINING if find_spec(name) is None]
    if missing:
        msg = f"training and export need {', '.join(missing)}; pip install 'caloforge[train]'"
        raise ConfigError(msg)


class _Rate(ProgressColumn):
    """How many are done per second."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        text = "" if speed is None else f"{speed:,.4g} {self._unit}/s"
        return Text(text, style="progress.data.speed")


@contextmanager
def bar(
    what: str, total: int, *, quiet: bool, unit: str = "showers"
) -> Iterator[Callable[[int], None]]:
    """A progress bar on standard error, from the first call on.

    Args:
        what: What is being done.
        total: How many there are to do.
        quiet: Show nothing.
        unit: What they are.

    Yields:
        A function to call with the number that are done so far.
    """
    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(unit),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=_stderr,
        disable=quiet or not _stderr.is_terminal,  # a log file has lines instead
    )
    task = progress.add_task(what, total=total)
    log = None if quiet or _stderr.is_terminal else Log(what)

    def update(done: int) -> None:
        if log is not None:
            log.tell(done / max(1, total), f"{done:,} of {total:,} {unit}")
        # Starting late leaves bad input to its one line of explanation.
        progress.start()
        progress.update(task, completed=done)

    try:
        yield update
    finally:
        if progress.live.is_started:
            progress.stop()


@contextmanager
def progress_line(what: str, *, quiet: bool) -> Iterator[Callable[[float, str], None]]:
    """A progress bar of fractions on standard error, with a line of text below.

    Args:
        what: What is being done.
        quiet: Show nothing.

    Yields:
        A function to call with the fraction that is done, and the text.
    """
    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("\n{task.fields[text]}", markup=False),
        console=_stderr,
        disable=quiet or not _stderr.is_terminal,
    )
    task = progress.add_task(what, total=1.0, text="")
    log = None if quiet or _stderr.is_terminal else Log(what)

    def update(done: float, text: str) -> None:
        if log is not None:
            log.tell(done, text)
        progress.start()
        progress.update(task, completed=done, text=text)

    try:
        yield update
    finally:
        if progress.live.is_started:
            progress.stop()


def show(
    result: Mapping[str, object], view: RenderableType, *, as_json: bool, quiet: bool = False
) -> None:
    """Print a result on standard output.

    Args:
        result: The result as JSON values.
        view: The same for people.
        as_json: Print the JSON.
        quiet: Print nothing but JSON that was asked for.
    """
    if as_json:
        sys.stdout.write(json.dumps(result, indent=1) + "\n")
    elif not quiet:
        console = Console(
            soft_wrap=isinstance(view, str),
            markup=False,
            emoji=False,
            highlight=False,
            width=None if sys.stdout.isatty() else _WIDE,
        )
        console.print(view)
