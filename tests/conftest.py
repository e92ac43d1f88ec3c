"""What all tests share: data that may be absent, the command line, Hypothesis."""

from __future__ import annotations

import os

# One thread each for OpenMP and BLAS, here and in the processes that tests start; said before
# NumPy is imported. Two of them on a core that another program uses wait for each other most of
# the time.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pytest
from hypothesis import settings

from caloforge.cli import main

CI = os.environ.get("CI") == "true"
ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 1800.0
"""Seconds after which what must end by itself is taken to hang: no measure of speed."""

settings.register_profile("caloforge", deadline=None, derandomize=CI, print_blob=True)
settings.load_profile("caloforge")


class Result(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


class Cli(Protocol):
    """Run ``caloforge`` with some arguments."""

    def __call__(self, *arguments: object) -> Result: ...


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of showers, binning files and Geant4 tables that lies beside the repository."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        if CI:
            pytest.fail(f"{folder} is missing, in CI it must be there")
        pytest.skip(f"{folder} is missing")
    return folder


@pytest.fixture(scope="module")
def torch() -> Iterator[Any]:
    """PyTorch on one thread; in CI it must be there."""
    if CI:
        import torch
    else:
        torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield torch
    torch.set_num_threads(threads)


@pytest.fixture
def geant4_data(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The reduced Geant4 tables, which this and the processes it starts will use."""
    folder = shared / "geant4-data-lite"
    monkeypatch.setenv("GEANT4_DATA_DIR", str(folder))
    return folder


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    """The command line in this process: quick."""

    def run(*arguments: object) -> Result:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Result(int(stopped.value.code or 0), out, err)

    return run


@pytest.fixture
def run_cli() -> Cli:
    """The command line in a process of its own: what a user gets."""

    def run(*arguments: object) -> Result:
        command = [sys.executable, "-m", "caloforge", *map(str, arguments)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=PATIENCE
        )
        return Result(done.returncode, done.stdout, done.stderr)

    return run
