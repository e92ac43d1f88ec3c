"""The command line: a thin skin over the Python API."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

from cyclopts import App, CycloptsError

from caloforge.atomic import reason
from caloforge.cli.benchmark import benchmark
from caloforge.cli.data import data
from caloforge.cli.evaluate import compare, evaluate
from caloforge.cli.export import export
from caloforge.cli.geant4 import geant4
from caloforge.cli.generate import generate
from caloforge.cli.interrupted import way_on
from caloforge.cli.models import models
from caloforge.cli.train import train
from caloforge.errors import CaloforgeError
from caloforge.version import __version__

__all__ = ["app", "main"]

app = App(
    name="caloforge",
    help="Calorimeter showers: Geant4, fast generators, and the judge between them.",
    help_format="markdown",
    help_epilogue="**Example:** caloforge generate --particle e+ --energy 1:100 -n 10000 -o e.h5",
    version=__version__,
    suppress_keyboard_interrupt=False,
)
for command in (generate, geant4, train, export, evaluate, compare, benchmark, data, models):
    app.command(command)
# By the path of the function: nothing else needs it.
app.command("caloforge.cli.completion:install_completion", name="--install-completion")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit.

    The exit code is 0 when it was done, 2 on bad input or usage (one line on standard error says
    what to do), 130 when it was interrupted, 1 on anything else.

    Args:
        arguments: The arguments; those of the process by default.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # whatever a terminal can show, nothing fails
            stream.reconfigure(errors="backslashreplace")
    with _signals():
        code = _run(sys.argv[1:] if arguments is None else arguments)
    sys.exit(code)


def _run(arguments: Sequence[str]) -> int:
    try:
        app(list(arguments), exit_on_error=False, print_error=False, result_action="return_value")
    except CaloforgeError as error:
        return _complain(str(error), 2)
    except CycloptsError as error:
        return _complain(" ".join(str(error).split()), 2)
    except MemoryError:
        return _complain("there is not enough memory for this; ask for less at a time", 2)
    except KeyboardInterrupt:
        way = way_on(arguments)
        return _complain(f"interrupted; go on with: {way}" if way else "interrupted", 130)
    except BrokenPipeError:  # the reader of our output has gone: nothing is left to say
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:  # what no one nearer to it has put into words
        where = f"{error.filename}: " if error.filename else ""
        return _complain(f"{where}{reason(error)}", 2)
    return 0


@contextmanager
def _signals() -> Iterator[None]:
    """Take SIGTERM and SIGHUP as an interrupt from the keyboard: nothing is left behind.

    Batch systems send SIGTERM when the time of a job is over, and may send it again; a terminal
    that is closed sends SIGHUP, unless someone asked that it be ignored (``nohup``).
    """

    def interrupt(number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {}
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            with suppress(ValueError):  # not in the main thread: signals are the caller's
                before[number] = signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _complain(text: str, code: int) -> int:
    sys.stderr.write(f"caloforge: error: {text}\n")
    return code
