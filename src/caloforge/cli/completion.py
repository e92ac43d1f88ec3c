"""``caloforge --install-completion``: the shell completes commands and options."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from caloforge.atomic import reason
from caloforge.cli.console import Quiet, show
from caloforge.errors import CaloforgeError, OutputError
from caloforge.models.systems import SYSTEMS

if TYPE_CHECKING:
    from cyclopts import App

__all__ = ["completion_script", "install_completion"]

Shell = Literal["bash", "zsh", "fish"]


def completion_script(app: App, shell: Shell) -> str:
    """What a shell reads to complete the commands and options of caloforge.

    Args:
        app: The command line.
        shell: Which shell.
    """
    if find_spec("torch") is None:  # the options of these commands are known only where it is
        for name in SYSTEMS:
            if name in app["train"]:
                del app["train"][name]
    script = app.generate_completion(shell=shell)
    # Where nothing of ours fits, names of files do.
    return script.replace("\ncomplete -F", "\ncomplete -o default -F")


def install_completion(
    *,
    shell: Annotated[Shell | None, Parameter(help="Default: the one that this runs in.")] = None,
    output: Annotated[
        Path | None,
        Parameter(name=["--output", "-o"], help="File to make; default: where the shell looks."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Let the shell complete commands and options, once and for all."""
    from cyclopts.completion.detect import ShellDetectionError, detect_shell
    from cyclopts.completion.install import add_to_rc_file, get_default_completion_path

    from caloforge.cli import app

    if shell is None:
        try:
            found = detect_shell()
        except ShellDetectionError:
            msg = "shell: cannot tell which one this is; name it (--shell bash, zsh or fish)"
            raise CaloforgeError(msg) from None
        if found == "powershell":
            msg = "shell: got powershell, must be bash, zsh or fish"
            raise CaloforgeError(msg)
        shell = found
    script = completion_script(app, shell)
    try:
        path = get_default_completion_path(shell, "caloforge") if output is None else output
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(script, "utf-8")
        if output is None and shell != "fish":
            add_to_rc_file(path, "caloforge", shell)
    except OSError as error:
        msg = f"output: the completion cannot be written: {reason(error)}"
        raise OutputError(msg) from None
    text = f"{path}: {shell} completes caloforge from the next time it starts on"
    show({"file": str(path)}, text, as_json=False, quiet=quiet)
