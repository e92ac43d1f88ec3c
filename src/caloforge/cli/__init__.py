"""The command line: a thin skin over the Python API."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError

from caloforge.cli.benchmark import benchmark
from caloforge.cli.data import data
from caloforge.cli.evaluate import compare, evaluate
from caloforge.cli.export import export
from caloforge.cli.geant4 import geant4
from caloforge.cli.generate import generate
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


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit.

    The exit code is 0 when it was done, 2 on bad input or usage (one line on standard error says
    what to do), 1 on anything else.

    Args:
        arguments: The arguments; those of the process by default.
    """
    sys.exit(_run(sys.argv[1:] if arguments is None else arguments))


def _run(arguments: Sequence[str]) -> int:
    try:
        app(list(arguments), exit_on_error=False, print_error=False, result_action="return_value")
    except CaloforgeError as error:
        return _complain(str(error), 2)
    except CycloptsError as error:
        return _complain(" ".join(str(error).split()), 2)
    except KeyboardInterrupt:
        return _complain("interrupted", 1)
    except BrokenPipeError:  # the reader of our output has gone: nothing is left to say
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


def _complain(text: str, code: int) -> int:
    sys.stderr.write(f"caloforge: error: {text}\n")
    return code
