"""Killed at any moment and resumed, a run ends with the same showers as one left in peace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from artefacts import make_artefact
from caloforge.showers import Showers, read_showers
from caloforge.showers.fields import OPTIONAL
from conftest import PATIENCE

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals"),
]


class Run:
    """A command of caloforge that can be killed."""

    def __init__(self, log: Path, *arguments: object) -> None:
        command = [sys.executable, "-m", "caloforge", *map(str, arguments)]
        self.log = log
        with log.open("w") as file:
            self.process = subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=file, start_new_session=True
            )

    def members(self) -> list[int]:
        """Processes of its session that have not ended."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == self.process.pid and fields[0] != "Z":
                found.append(int(stat.parent.name))
        return found

    def kill(self, *, everything: bool) -> None:
        """SIGKILL to all its processes or to the first alone; then wait until all have ended."""
        if everything:
            os.killpg(self.process.pid, signal.SIGKILL)
        else:
            self.process.kill()
        self.process.wait()
        deadline = time.monotonic() + PATIENCE
        while self.members():
            assert time.monotonic() < deadline, "workers outlive the process that started them"
            time.sleep(0.02)

    def finish(self) -> None:
        if self.process.wait(PATIENCE):
            error = self.log.read_text()
            assert "is finished already, there is nothing to resume" in error, error

    def ended_within(self, seconds: float) -> bool:
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True


def assert_same(one: Showers, other: Showers) -> None:
    assert len(one) == len(other)
    for name in ("energy", "deposits", *OPTIONAL):
        mine, theirs = getattr(one, name), getattr(other, name)
        assert (mine is None) == (theirs is None)
        if mine is not None:
            np.testing.assert_array_equal(mine, theirs, err_msg=name)


def segments(part: Path) -> int:
    """Segments that a killed run has left; -1 where there is no folder of them."""
    return len(list(part.glob("*.0.h5"))) if part.exists() else -1


def torment(order: Callable[[Path], list[object]], folder: Path, kills: int = 20) -> None:
    """Kill and resume run after run until they were killed often enough."""
    reference = folder / "reference.h5"
    start = time.monotonic()
    log = folder / "log.txt"
    Run(log, *order(reference)).finish()
    horizon = time.monotonic() - start
    expected = read_showers(reference)
    rng = np.random.default_rng(kills)
    path, number = folder / "run0.h5", 0
    resumed: list[int] = []
    while len(resumed) < kills:
        part = path.with_name(path.name + ".part")
        before = segments(part)
        run = Run(log, *order(path), "--resume")
        start = time.monotonic()
        if len(resumed) % 2:
            # Every other time not before there is something new, however fast the machine is.
            while run.process.poll() is None and segments(part) <= before:
                time.sleep(0.002)
            moment = 0.2 * horizon * rng.random()
        else:
            # What is left gets shorter: sooner after a run that ended by itself, then later.
            moment = horizon * rng.random() ** 0.5
        if run.ended_within(moment):
            horizon = time.monotonic() - start
            run.finish()
            assert_same(read_showers(path), expected)
            assert not path.with_name(path.name + ".part").exists()
            number += 1
            path = folder / f"run{number}.h5"
            continue
        horizon *= 1.1
        run.kill(everything=bool(rng.random() < 0.5))
        resumed.append(segments(part))
        if path.exists():  # killed between the renaming and the tidying up
            assert_same(read_showers(path), expected)
    Run(log, *order(path), "--resume").finish()
    assert_same(read_showers(path), expected)
    assert max(resumed) > 0, "no kill met a run with something to resume"


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Small and frequent segments, and small blocks, in the processes that are started."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "from caloforge.fullsim import source\n"
        "from caloforge.showers import output\n"
        "output._SEGMENT_SECONDS, output._SEGMENT_ROWS = 0.2, 200\n"
        "source._BLOCK_ENERGY = 5.0\n"
    )
    known = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", f"{site}{os.pathsep}{known}" if known else str(site))


@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize("workers", [1, 2])
def test_generate(tmp_path: Path, workers: int) -> None:
    tiny = make_artefact(tmp_path / "tiny")
    torment(
        lambda path: [
            *("generate", "--model", tiny, "--particle", "e+", "--energy", "1:100", "--seed", 5),
            *("-n", 2500, "--batch", 100, "--workers", workers, "-o", path),
        ],
        tmp_path,
        kills=10,
    )


@pytest.mark.usefixtures("small_steps")
def test_generate_with_the_shipped_model_in_one_process(tmp_path: Path) -> None:
    torment(
        lambda path: [
            *("generate", "--model", "fastcalosim", "--particle", "e+", "--energy", "1:20"),
            *("--seed", 5, "-n", 2000, "--batch", 50, "--workers", 1, "-o", path),
        ],
        tmp_path,
        kills=5,
    )


@pytest.mark.usefixtures("small_steps", "geant4_data")
def test_geant4(tmp_path: Path) -> None:
    torment(
        lambda path: [
            *("geant4", "--particle", "gamma", "--energy", "1", "--seed", 5, "--fast-em"),
            *("-n", 250, "--workers", 2, "-o", path),
        ],
        tmp_path,
    )
