"""The shell completes commands and options."""

from __future__ import annotations

import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from conftest import Cli


def complete(script: Path, words: str) -> list[str]:
    """What bash offers behind some words."""
    code = f"""
source {script}
COMP_WORDS=({words} "")
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_caloforge
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash(cli: Cli, tmp_path: Path) -> None:
    script = tmp_path / "caloforge.bash"
    result = cli("--install-completion", "--shell", "bash", "-o", script)
    assert (result.code, result.err) == (0, "")
    assert {"generate", "geant4", "data"} <= set(complete(script, "caloforge"))
    assert {"info", "page", "example"} <= set(complete(script, "caloforge data"))
    assert "complete -o default -F" in script.read_text("utf-8")  # files, where nothing else fits


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells(cli: Cli, tmp_path: Path, shell: str) -> None:
    script = tmp_path / "deep" / "script"
    assert cli("--install-completion", "--shell", shell, "-o", script).code == 0
    assert "--conserve-energy" in script.read_text("utf-8") or shell == "fish"
    assert "conserve-energy" in script.read_text("utf-8")


def test_where_the_shell_looks(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cli("--install-completion", "--shell", "bash").code == 0
    path = tmp_path / ".local/share/bash-completion/completions/caloforge"
    assert path.is_file()
    assert str(path) in (tmp_path / ".bashrc").read_text("utf-8")


def test_without_pytorch(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The options of training are not known then; all the rest is."""
    import caloforge.cli as command_line
    from caloforge.cli import completion
    from caloforge.cli.train import train

    kept = dict(train._commands)
    monkeypatch.setattr(
        completion, "find_spec", lambda name: None if name == "torch" else find_spec(name)
    )
    try:
        script = completion.completion_script(command_line.app, "bash")
    finally:
        train._commands.update(kept)
    assert "fastcalosim" in script
    assert "--latent" not in script


def test_what_cannot_be(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = cli("--install-completion", "--shell", "bash", "-o", tmp_path / "file" / "x")
    assert result.code == 2
    assert "cannot be written" in result.err
