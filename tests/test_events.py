"""Events of any number of showers through long runs: nothing but a source of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from caloforge.errors import OutputError, WorkerError
from caloforge.showers import (
    Showers,
    inspect_file,
    open_showers,
    output,
    read_showers,
    split_file,
    write_showers,
)
from caloforge.showers.output import Output, output_paths
from caloforge.showers.production import blocks, produce
from sources import BOX
from toys.events import PARTICLES, Events

COUNT = 300
TOY = Events(quiet=range(90, 180))


def go(
    path: Path,
    source: Events = TOY,
    *,
    count: int = COUNT,
    block_size: int = 16,
    workers: int = 1,
    resume: bool = False,
) -> list[int]:
    """Make events; what was said about the progress."""
    said: list[int] = []
    with Output(output_paths(path, PARTICLES), {"seed": 1}, count, resume=resume) as destination:
        produce(
            source,
            destination,
            count,
            block_size=block_size,
            workers=workers,
            progress=said.append,
        )
    return said


def content(path: Path) -> list[bytes]:
    return [each.read_bytes() for each in output_paths(path, PARTICLES)]


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "_SEGMENT_ROWS", 50)


def assert_is(made: Showers, expected: Showers) -> None:
    for name in ("energy", "deposits", "event"):
        np.testing.assert_array_equal(getattr(made, name), getattr(expected, name), err_msg=name)
    assert made.particle == expected.particle


def test_events_are_those_of_the_source(tmp_path: Path) -> None:
    assert go(tmp_path / "a.h5")[-1] == COUNT  # events are counted, not showers
    for label, path in enumerate(output_paths(tmp_path / "a.h5", PARTICLES)):
        made = read_showers(path)
        assert_is(made, TOY.showers(0, COUNT, label))
        assert made.event is not None
        # Where each event begins, events without showers included.
        offsets = np.searchsorted(made.event, np.arange(COUNT + 1))
        assert offsets[-1] == len(made) > COUNT
        assert offsets[180] == offsets[90]
        assert 0 < np.diff(offsets).max() <= 5
        for i in (0, 89, 100, 180, COUNT - 1):
            assert_is(made[offsets[i] : offsets[i + 1]], TOY.showers(i, 1, label))


@pytest.mark.usefixtures("small_segments")
@pytest.mark.parametrize(("block_size", "workers"), [(1, 1), (7, 2), (64, 2), (1000, 1)])
def test_same_files_whatever_the_blocks(tmp_path: Path, block_size: int, workers: int) -> None:
    go(tmp_path / "a.h5")
    go(tmp_path / "b.h5", block_size=block_size, workers=workers)
    assert content(tmp_path / "a.h5") == content(tmp_path / "b.h5")


def test_a_block_says_how_many_events_it_covers() -> None:
    made = list(blocks(TOY, 80, 130, block_size=20))
    assert [block.count for block in made] == [20, 20, 10]
    assert len(made[0].parts[0]) > 0
    assert [len(part) for block in made[1:] for part in block.parts] == [0, 0, 0, 0]


@pytest.mark.usefixtures("small_segments")
@pytest.mark.parametrize("dies_at", [20, 150, 299])
def test_resume_after_the_death_of_a_worker(tmp_path: Path, dies_at: int) -> None:
    go(tmp_path / "a.h5")
    with pytest.raises(WorkerError, match="a worker process ended with exit code 9"):
        go(tmp_path / "b.h5", Events(quiet=TOY.quiet, dies_at=dies_at), block_size=10, workers=2)
    said = go(tmp_path / "b.h5", block_size=16, workers=2, resume=True)
    assert said[0] == dies_at // 10 * 10  # all whole blocks, those without a shower included
    assert content(tmp_path / "a.h5") == content(tmp_path / "b.h5")


@pytest.mark.parametrize("pieces", [1, 2])
def test_no_showers_in_any_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pieces: int
) -> None:
    monkeypatch.setattr(output, "_SEGMENT_ROWS", 40 // pieces)
    go(tmp_path / "a.h5", Events(quiet=range(40)), count=40)
    for path, particle in zip(output_paths(tmp_path / "a.h5", PARTICLES), PARTICLES, strict=True):
        made = read_showers(path)
        assert (len(made), made.particle) == (0, particle)
        assert made.event is not None
        assert made.event.dtype == np.int64


def test_finish_counts_events(tmp_path: Path) -> None:
    with Output(output_paths(tmp_path / "a.h5", PARTICLES), {}, 20) as destination:
        destination.append(TOY.block(0, 19))
        with pytest.raises(OutputError, match="has 19 of 20"):
            destination.finish()


SCRIPT = """
from pathlib import Path
import sys
from caloforge.showers import output
from toys.events import Events
from test_events import go, TOY

output._SEGMENT_ROWS, output._SEGMENT_SECONDS = 50, 0.1
go(Path(sys.argv[1]), Events(quiet=TOY.quiet, pause=0.05), block_size=8, workers=2, resume=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_resume_after_kill(tmp_path: Path) -> None:
    go(tmp_path / "a.h5")
    path = tmp_path / "b.h5"
    part = tmp_path / "b-e-.h5.part"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for segments in (1, 3, 6):
        run = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(path)], env=environment, start_new_session=True
        )
        deadline = time.monotonic() + 120
        while len(list(part.glob("*.0.h5"))) < segments:
            assert run.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.005)
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        assert not path.exists()
    said = go(path, workers=2, resume=True)
    assert said[0] > 0
    assert content(tmp_path / "a.h5") == content(path)


def test_event_stays_with_its_shower(tmp_path: Path) -> None:
    whole = TOY.showers(0, COUNT, 0)
    assert whole.event is not None
    rows = np.array([7, 3, 100])
    np.testing.assert_array_equal(whole[rows].event, whole.event[rows])
    np.testing.assert_array_equal(
        Showers.concatenate([whole[:5], whole[5:9]]).event, whole.event[:9]
    )
    far = Showers(
        BOX, np.ones(2), np.ones((2, 100), np.float32), event=np.array([2**53, 2**53 + 1])
    )
    write_showers(tmp_path / "far.h5", far)  # more than a float64 could tell apart
    np.testing.assert_array_equal(read_showers(tmp_path / "far.h5").event, far.event)
    write_showers(tmp_path / "a.h5", whole)
    split_file(tmp_path / "a.h5", tmp_path / "b.h5")
    with open_showers(tmp_path / "b.h5") as file:
        np.testing.assert_array_equal(file.read().event, whole.event)
    assert inspect_file(tmp_path / "b.h5").problems == ()
