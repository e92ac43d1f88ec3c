"""Option values and files that nobody can mean: never a traceback, never anything left behind."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from artefacts import make_artefact
from bad_files import arrays, write
from caloforge.cli import main
from caloforge.detector import load_detector
from caloforge.showers import Showers, write_showers

# Of each command: what it needs, and the options that get odd values.
COMMANDS: dict[str, tuple[str, ...]] = {
    "generate --model tiny --particle e+ --energy 5 -n 2 --workers 1 -o out.h5": (
        *("particle", "energy", "count", "output", "seed", "model", "spread", "theta", "phi"),
        *("detector", "format", "page", "workers", "batch"),
    ),
    "geant4 --particle e- --energy 1 -n 0 -o out.h5": (
        *("particle", "energy", "output", "seed", "detector", "readout", "format"),
        *("physics-list", "em", "cut", "spread", "theta", "phi", "workers"),
    ),
    "data info good.h5": ("detector", "particle"),
    "data convert good.h5 -o out.h5": (
        *("output", "detector", "source-detector", "particle", "threshold", "drop"),
        *("energy-range", "format", "points"),
    ),
    "data join good.h5 good.h5 -o out.h5": ("output", "detector", "particle"),
    "data split good.h5 -o out.h5": ("output", "fractions", "detector", "particle", "seed"),
    "evaluate --reference good.h5 --showers good.h5 --quick -o report": (
        *("reference", "showers", "output", "rows", "detector", "particle", "model", "repeats"),
        *("device", "seed"),
    ),
    "train fastcalosim --particle e+ --data good.h5 -o made": (
        *("particle", "data", "output", "cells", "energy-range", "seed"),
    ),
    "train library --particle e+ --data good.h5 -o made": (
        *("particle", "data", "output", "energy-range", "nearest", "seed"),
    ),
    "export none -o made": ("output", "format", "particle", "test-data", "energy-range"),
    "compare none": ("output",),
    "models show tiny": (),
    "benchmark tiny --batch 0": (
        *("particle", "energy", "batch", "threads", "budget", "geant4-showers", "output", "seed"),
    ),
}
VALUES = [
    *("", " ", "0", "-1", "nan", "inf", "-inf", "1e300", "99999999999999999999", "1e-320", "x"),
    *(".", "..", "/", "good.h5", "none.h5", "tiny", "own.toml", "file:good.h5", "file:", "1:2:3"),
    *("5:1", "1,,2", "log:0:1", "[red]", "[/b]", "e+", "11", "*", "?.h5", "a" * 300, "\u00e9"),
    *("--", "-n", "cpu", "cuda:99", "test", "/dev/null", "good.h5/x"),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("odd")
    make_artefact(folder / "tiny")
    write(folder / "good.h5", arrays(), particle="e+")
    voxels = load_detector("lar-voxels")
    rng = np.random.default_rng(1)
    showers = Showers(
        voxels, rng.uniform(1, 9, 6), rng.exponential(1, (6, 363)).astype(np.float32), "e+"
    )
    write_showers(folder / "voxels.h5", showers)
    (folder / "own.toml").write_text("name = 'own'\n[[layers]]\nr_edges=[0,1]\nn_alpha=1\n")
    return folder


@contextmanager
def copied(home: Path) -> Iterator[Path]:
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "here"
        shutil.copytree(home, folder)
        os.chdir(folder)
        try:
            yield folder
        finally:
            os.chdir(before)


def run(*arguments: str) -> tuple[int, str]:
    """The command line in this process; anything but an exit is a bug."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main(arguments)
        except SystemExit as stopped:
            return int(stopped.code or 0), err.getvalue()
    pytest.fail("a command must exit")


def check(folder: Path, before: set[Path], arguments: list[str]) -> None:
    code, err = run(*arguments)
    assert code in {0, 2}, (arguments, err)
    if code == 2:
        assert len(err.splitlines()) == 1, (arguments, err)
        assert err.startswith("caloforge: error: "), (arguments, err)
        assert set(folder.rglob("*")) == before, arguments
    assert not list(folder.rglob(".*.tmp")), arguments


def try_option(home: Path, command: str, option: str, value: str) -> None:
    with copied(home) as folder:
        check(folder, set(folder.rglob("*")), [*command.split(), f"--{option}={value}"])


odd = st.sampled_from(
    [(command, option) for command, known in COMMANDS.items() for option in known]
)
text = st.sampled_from(VALUES) | st.floats().map(str) | st.integers().map(str)
quick = settings(max_examples=100, suppress_health_check=list(HealthCheck), derandomize=True)
thorough = settings(max_examples=2000, suppress_health_check=list(HealthCheck))


@quick
@given(where=odd, value=text)
def test_odd_options(home: Path, where: tuple[str, str], value: str) -> None:
    try_option(home, *where, value)


@pytest.mark.slow
@thorough
@given(where=odd, value=text)
def test_many_odd_options(home: Path, where: tuple[str, str], value: str) -> None:
    try_option(home, *where, value)


READERS = (
    "data info good.h5",
    "data convert good.h5 -o out.h5",
    "data split good.h5 -o out.h5",
    "generate --model tiny --particle e+ --energy file:good.h5 -n 2 --workers 1 -o out.h5",
    "models show tiny",
    "generate --model tiny --particle e+ --energy 5 -n 2 --workers 1 -o out.h5",
    "data info good.h5 --detector own.toml",
)
FILES = ("good.h5", "tiny/card.json", "tiny/generator.onnx", "own.toml")


def mutate(content: bytes, flips: list[tuple[float, int]], kept: float) -> bytes:
    """Bytes changed at some places (fractions of the length), and the end cut off."""
    changed = bytearray(content[: max(0, int(len(content) * kept))])
    for place, byte in flips:
        if changed:
            changed[int(place * (len(changed) - 1))] = byte
    return bytes(changed)


def try_file(
    home: Path, command: str, name: str, flips: list[tuple[float, int]], kept: float
) -> None:
    with copied(home) as folder:
        path = folder / name
        path.write_bytes(mutate(path.read_bytes(), flips, kept))
        check(folder, set(folder.rglob("*")), command.split())


places = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=8)
ends = st.just(1.0) | st.floats(0, 1)


@quick
@given(command=st.sampled_from(READERS), name=st.sampled_from(FILES), flips=places, kept=ends)
def test_mutated_files(
    home: Path, command: str, name: str, flips: list[tuple[float, int]], kept: float
) -> None:
    try_file(home, command, name, flips, kept)


@pytest.mark.slow
@settings(max_examples=1000, suppress_health_check=list(HealthCheck))
@given(command=st.sampled_from(READERS), name=st.sampled_from(FILES), flips=places, kept=ends)
def test_many_mutated_files(
    home: Path, command: str, name: str, flips: list[tuple[float, int]], kept: float
) -> None:
    try_file(home, command, name, flips, kept)
