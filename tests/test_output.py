"""Long runs into files: the same whatever the workers, resumed whatever stopped them."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from caloforge.errors import CaloforgeError, EnergyError, OutputError, WorkerError
from caloforge.showers import open_showers, output, read_showers
from caloforge.showers.output import Output, output_paths
from caloforge.showers.production import blocks, produce
from caloforge.showers.source import Block
from sources import BOX, ROD, Cheap, DiesAtBirth

COUNT = 200
RUN = {"seed": 1, "energy": "1:2", "nested": {"cut": 0.7}}


def go(
    path: Path,
    source: Cheap | None = None,
    *,
    count: int = COUNT,
    block_size: int = 16,
    workers: int = 1,
    isolated: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    run: dict[str, object] | None = None,
) -> list[int]:
    """Make showers; what was said about the progress."""
    said: list[int] = []
    source = source or Cheap()
    paths = output_paths(path, [readout.name for readout in source.readouts])
    with Output(paths, run or RUN, count, resume=resume, overwrite=overwrite) as destination:
        produce(
            source,
            destination,
            count,
            block_size=block_size,
            workers=workers,
            isolated=isolated,
            progress=said.append,
        )
    return said


def part(path: Path) -> Path:
    return path.with_name(path.name + ".part")


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "_SEGMENT_ROWS", 30)


@pytest.fixture
def whole(tmp_path: Path) -> bytes:
    """The bytes of an undisturbed run."""
    path = tmp_path / "undisturbed" / "a.h5"
    path.parent.mkdir()
    go(path)
    assert [item.name for item in path.parent.iterdir()] == ["a.h5"]
    return path.read_bytes()


def test_showers_are_those_of_the_source(tmp_path: Path) -> None:
    assert go(tmp_path / "a.h5") == [*range(0, COUNT, 16), COUNT]
    expected = Cheap().block(0, COUNT).parts[0]
    with open_showers(tmp_path / "a.h5") as file:
        assert file.run == RUN
        made = file.read()
    np.testing.assert_array_equal(made.energy, expected.energy)
    np.testing.assert_array_equal(made.deposits, expected.deposits)
    assert made.overflow is not None
    np.testing.assert_allclose(made.overflow, expected.overflow, rtol=1e-6)  # type: ignore[arg-type]
    assert made.particle == "e-"


@pytest.mark.parametrize("block_size", [1, 7, 16, 199, 200, 1000])
def test_bytes_do_not_depend_on_blocks(tmp_path: Path, whole: bytes, block_size: int) -> None:
    go(tmp_path / "a.h5", block_size=block_size)
    assert (tmp_path / "a.h5").read_bytes() == whole


@pytest.mark.parametrize("rows", [1, 30, 64, 10**6])
def test_bytes_do_not_depend_on_segments(
    tmp_path: Path, whole: bytes, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "_SEGMENT_ROWS", rows)
    go(tmp_path / "a.h5")
    assert (tmp_path / "a.h5").read_bytes() == whole
    monkeypatch.setattr(output, "_SEGMENT_SECONDS", 0.0)  # one for each block
    go(tmp_path / "b.h5", block_size=11)
    assert (tmp_path / "b.h5").read_bytes() == whole


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_bytes_do_not_depend_on_workers(tmp_path: Path, whole: bytes, workers: int) -> None:
    go(tmp_path / "a.h5", block_size=9, workers=workers, isolated=True)
    assert (tmp_path / "a.h5").read_bytes() == whole


def test_more_workers_than_blocks(tmp_path: Path, whole: bytes) -> None:
    go(tmp_path / "a.h5", block_size=150, workers=5)
    assert (tmp_path / "a.h5").read_bytes() == whole


def test_blocks_come_in_order_and_from_the_middle() -> None:
    made = [block.parts[0] for block in blocks(Cheap(), 50, 75, block_size=10, workers=2)]
    assert [len(showers) for showers in made] == [10, 10, 5]
    expected = Cheap().block(50, 25).parts[0].energy
    np.testing.assert_array_equal(np.concatenate([m.energy for m in made]), expected)
    assert list(blocks(Cheap(), 75, 75, block_size=10, workers=2)) == []
    endless = blocks(Cheap(), 0, 10**15, block_size=10, workers=2)
    assert len(next(endless).parts[0]) == 10
    endless.close()  # type: ignore[attr-defined]


def test_large_files_cross_the_boundaries_of_blocks(tmp_path: Path) -> None:
    go(tmp_path / "a.h5", count=3000, block_size=700)
    go(tmp_path / "b.h5", count=3000, block_size=64)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    assert len(read_showers(tmp_path / "a.h5")) == 3000


@pytest.mark.usefixtures("small_segments")
@pytest.mark.parametrize("how", ["error", "bug", "interrupt"])
def test_resume_after_exceptions(tmp_path: Path, whole: bytes, how: str) -> None:
    path = tmp_path / "a.h5"
    kinds = {"error": EnergyError, "bug": ZeroDivisionError, "interrupt": KeyboardInterrupt}
    for fails_at in (5, 40, 41, 170):
        with pytest.raises(kinds[how]):
            go(path, Cheap(fails_at=fails_at, how=how), resume=True)
        assert not path.exists()
        assert part(path).exists() == (fails_at > 16)
    said = go(path, resume=True)
    assert said[0] == 160  # all whole blocks before the last failure were kept
    assert path.read_bytes() == whole
    assert not part(path).exists()


@pytest.mark.usefixtures("small_segments")
def test_resume_with_other_blocks_and_workers(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "a.h5"
    with pytest.raises(EnergyError):
        go(path, Cheap(fails_at=120), block_size=9)
    go(path, block_size=25, workers=2, resume=True)
    assert path.read_bytes() == whole


def test_error_of_a_source_in_a_worker(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "a.h5"
    with pytest.raises(EnergyError, match=r"^energies: shower 100 is out of range$"):
        go(path, Cheap(fails_at=100), workers=2)
    assert go(path, resume=True)[0] == 96  # all blocks before the one that failed
    assert path.read_bytes() == whole


def test_bug_in_a_worker_is_reported_with_its_trace(tmp_path: Path) -> None:
    with pytest.raises(
        RuntimeError, match=r"a worker process failed:\n(.|\n)*ZeroDivisionError: a bug"
    ):
        go(tmp_path / "a.h5", Cheap(fails_at=1, how="bug"), workers=2)
    assert not list(tmp_path.iterdir())


def test_death_of_a_worker_keeps_the_part(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "a.h5"
    with pytest.raises(WorkerError, match="a worker process ended with exit code 9"):
        go(path, Cheap(fails_at=150, how="death"), workers=2)
    assert not path.exists()
    assert go(path, resume=True)[0] == 144
    assert path.read_bytes() == whole


def test_death_of_a_worker_before_its_first_block(tmp_path: Path) -> None:
    for _ in range(3):
        with pytest.raises(WorkerError, match="a worker process ended with exit code 9"):
            go(tmp_path / "a.h5", DiesAtBirth(), workers=2)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("small_segments")
@pytest.mark.parametrize(
    ("run", "word"),
    [
        ({**RUN, "seed": 2}, "seed was 1 and is now 2"),
        ({**RUN, "energy": "1:3"}, 'energy was "1:2" and is now "1:3"'),
        ({**RUN, "nested": {"cut": 1}}, "nested was"),
        ({"energy": "1:2", "nested": {"cut": 0.7}}, "seed was 1 and is now null"),
        ({**RUN, "new": [1]}, "new was null"),
    ],
)
def test_resume_with_other_arguments(tmp_path: Path, run: dict[str, object], word: str) -> None:
    path = tmp_path / "a.h5"
    with pytest.raises(EnergyError):
        go(path, Cheap(fails_at=100))
    before = sorted(item.name for item in part(path).iterdir())
    with pytest.raises(OutputError) as error:
        go(path, resume=True, run=run)
    assert word in str(error.value)
    assert sorted(item.name for item in part(path).iterdir()) == before
    with pytest.raises(OutputError, match="holds an unfinished run"):
        go(path)
    assert go(path, overwrite=True)[0] == 0
    with pytest.raises(OutputError, match="cannot resume" if run != RUN else "finished"):
        go(path, resume=True, run=run)
    with pytest.raises(OutputError, match="is finished already, there is nothing to resume"):
        go(path, resume=True)


def test_existing_file(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "a.h5"
    path.write_bytes(b"precious")
    with pytest.raises(OutputError, match="exists already"):
        go(path)
    with pytest.raises(CaloforgeError, match="is not an HDF5 file"):
        go(path, resume=True)
    with pytest.raises(EnergyError):  # what is there stays until the new file is whole
        go(path, Cheap(fails_at=100), overwrite=True)
    assert path.read_bytes() == b"precious"
    go(path, overwrite=True)
    assert path.read_bytes() == whole
    assert not part(path).exists()


@pytest.mark.parametrize("content", ["", "{", "[]", "null"])
@pytest.mark.usefixtures("small_segments")
def test_damaged_manifest(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.h5"
    with pytest.raises(EnergyError):
        go(path, Cheap(fails_at=100))
    (part(path) / "run.json").write_text(content)
    with pytest.raises(OutputError, match=r"run\.json"):
        go(path, resume=True)
    go(path, overwrite=True)
    assert json.loads(json.dumps(RUN)) == open_showers(path).run


@pytest.mark.usefixtures("small_segments")
def test_gaps_and_strangers_in_the_part_folder(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "a.h5"
    with pytest.raises(EnergyError):
        go(path, Cheap(fails_at=180))
    segments = sorted(part(path).glob("*.0.h5"))
    assert len(segments) == 6
    segments[2].unlink()
    (part(path) / "unfinished").write_bytes(b"half a segment")
    (part(path) / "notes.txt").write_text("of the user")
    assert go(path, resume=True)[0] == 64
    assert path.read_bytes() == whole


def test_lock(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "a.h5"
    with Output([path], RUN, COUNT) as first:
        for options in ({}, {"resume": True}, {"overwrite": True}):
            with pytest.raises(OutputError, match="another run is writing it"):
                go(path, **options)  # type: ignore[arg-type]
        produce(Cheap(), first, COUNT, block_size=50)
    assert path.read_bytes() == whole
    assert [item.name for item in tmp_path.iterdir() if item.is_file()] == ["a.h5"]


@pytest.mark.usefixtures("small_segments")
def test_several_readouts(tmp_path: Path) -> None:
    both = (BOX, ROD)
    path = tmp_path / "a.h5"
    with pytest.raises(EnergyError):
        go(path, Cheap(readouts=both, fails_at=100))
    assert part(tmp_path / "a-box.h5").is_dir()
    go(path, Cheap(readouts=both), resume=True, workers=2)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["a-box.h5", "a-rod.h5"]
    one, other = (read_showers(tmp_path / f"a-{name}.h5") for name in ("box", "rod"))
    np.testing.assert_array_equal(one.energy, other.energy)
    expected = Cheap(readouts=both).block(0, COUNT).parts[1]
    np.testing.assert_array_equal(other.deposits, expected.deposits)
    (tmp_path / "a-box.h5").unlink()
    with pytest.raises(OutputError, match=r"a-rod\.h5: exists"):
        go(path, Cheap(readouts=both))


def test_finish_says_what_is_missing(tmp_path: Path) -> None:
    with Output([tmp_path / "a.h5"], RUN, 20) as destination:
        destination.append(Cheap().block(0, 10))
        with pytest.raises(OutputError, match="has 10 of 20 showers"):
            destination.finish()


@pytest.mark.parametrize("name", ["none/a.h5", "file/a.h5", "folder", "long" * 80])
def test_places_where_no_file_can_be(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match=r"^output "):
        go(tmp_path / name)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["file", "folder"]


def test_place_of_the_part_is_taken(tmp_path: Path) -> None:
    (tmp_path / "a.h5.part").write_text("a file")
    with pytest.raises(OutputError, match="cannot be written"):
        go(tmp_path / "a.h5")
    assert os.listdir(tmp_path) == ["a.h5.part"]  # noqa: PTH208


class Slow(Output):
    """Writes a block no sooner than the next one has been made."""

    def __init__(self, path: Path, made: list[threading.Event]) -> None:
        super().__init__([path], RUN, 16 * len(made))
        self.made = made
        self.began: list[int] = []
        self.late: list[bool] = []

    def append(self, block: Block) -> None:
        at = len(self.began)
        self.began.append(at)
        self.late.append(at + 1 < len(self.made) and not self.made[at + 1].wait(60))
        assert not any(event.is_set() for event in self.made[at + 2 :])  # no more than one waits
        super().append(block)


class Counting(Cheap):
    """Says which blocks have been made."""

    made: list[threading.Event]

    def block(self, first: int, count: int) -> Block:
        found = super().block(first, count)
        self.made[first // 16].set()
        return found


def test_blocks_are_written_while_the_next_are_made(tmp_path: Path) -> None:
    made = [threading.Event() for _ in range(5)]
    source = Counting()
    object.__setattr__(source, "made", made)
    with Slow(tmp_path / "a.h5", made) as destination:
        produce(source, destination, 80, block_size=16)
    assert destination.late == [False] * 5
    go(tmp_path / "b.h5", count=80)
    first, second = (read_showers(tmp_path / name) for name in ("a.h5", "b.h5"))
    np.testing.assert_array_equal(first.deposits, second.deposits)
