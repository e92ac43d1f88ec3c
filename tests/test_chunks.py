"""Chunks in their final form: readable by anyone, compressed once, whatever runs are cut into."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from caloforge.detector import load_detector
from caloforge.errors import EnergyError, FileFormatError, ShowersError
from caloforge.showers import Showers, output, read_showers, write_showers, writing
from caloforge.showers.hdf5 import chunks
from caloforge.showers.hdf5.disk import Disk
from caloforge.showers.output import Output
from caloforge.showers.production import produce
from caloforge.showers.segments import Segments
from caloforge.showers.source import Block
from caloforge.showers.writing import ShowerSink
from sources import BOX, ROD, Cheap

COUNT = 300
SMALL = 8  # rows of a chunk of deposits in the tests that want many chunks
WHOLE = Cheap(readouts=(BOX, ROD)).block(0, COUNT).parts


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "_CHUNK_BYTES", SMALL * 4 * BOX.n_cells)


def assert_same(one: Showers, other: Showers) -> None:
    np.testing.assert_array_equal(one.energy, other.energy)
    np.testing.assert_array_equal(one.deposits, other.deposits)
    np.testing.assert_array_equal(one.overflow, np.asarray(other.overflow, np.float32))


def test_readable_without_us(tmp_path: Path) -> None:
    write_showers(tmp_path / "a.h5", WHOLE[0])
    program = (
        "import h5py, sys\n"
        "with h5py.File(sys.argv[1]) as file:\n"
        "    for name, item in file.items():\n"
        "        assert item.compression == 'gzip' and not item.shuffle, name\n"
        "        assert len(item[:]) == 300\n"
        "    print(file['layer_0'][7, 0, 5])\n"
        "assert not {'isal', 'caloforge', 'hdf5plugin'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "a.h5")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(done.stdout) == pytest.approx(float(WHOLE[0].deposits[7, 5]), rel=1e-6)


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 16, 300])
@pytest.mark.usefixtures("small_chunks")
def test_all_sizes(tmp_path: Path, n: int) -> None:
    write_showers(tmp_path / "a.h5", WHOLE[0][:n])
    assert_same(read_showers(tmp_path / "a.h5"), WHOLE[0][:n])
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["layer_0"].chunks == (SMALL, 10, 10)
        assert file["energy"].chunks == (256, 1)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, COUNT), max_size=8), ends=st.sets(st.integers(0, 8)))
@pytest.mark.usefixtures("small_chunks")
def test_same_file_whatever_it_is_cut_into(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], ends: set[int]
) -> None:
    """Blocks end anywhere, and so do segments, whose first rows lie anywhere in a chunk."""
    folder = tmp_path_factory.mktemp("cuts")
    segments = Segments(folder, 2, None)
    at = 0
    for i, stop in enumerate([*sorted(cuts), COUNT]):
        segments.append(Block(stop - at, tuple(part[at:stop] for part in WHOLE)))
        at = stop
        if i in ends:
            segments.flush()
    segments.flush()
    assert segments.done == COUNT
    again = Segments(folder, 2, None)
    again.find()
    assert again.done == COUNT
    for i, whole in enumerate(WHOLE):
        again.join(i, folder / "joined.h5", {})
        assert_same(read_showers(folder / "joined.h5"), whole)
        one = Segments(tmp_path_factory.mktemp("one"), 1, None)
        one.append(Block(COUNT, (whole,)))
        one.flush()
        one.join(0, folder / "one.h5", {})
        assert (folder / "joined.h5").read_bytes() == (folder / "one.h5").read_bytes()


@pytest.mark.usefixtures("small_chunks")
def test_a_chunk_is_compressed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    genuine = chunks.compress

    def counted(values: NDArray[np.number]) -> bytes:
        calls.append(len(values))
        return genuine(values)

    monkeypatch.setattr(chunks, "compress", counted)
    monkeypatch.setattr(output, "_SEGMENT_ROWS", 1024)  # where chunks of all columns end
    with Output([tmp_path / "a.h5"], {}, 4096) as destination:
        for start in range(0, 4096, 128):
            destination.append(Cheap().block(start, 128))
        before = len(calls)
        destination.finish()
    assert len(calls) == before
    with h5py.File(tmp_path / "a.h5") as file:
        assert before == sum(len(item) // item.chunks[0] for item in file.values())


@pytest.mark.parametrize("first", ["isal", "zlib"])
def test_one_compressor_goes_on_where_the_other_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    isal = pytest.importorskip("isal.isal_zlib").compress
    both = [isal, zlib.compress] if first == "isal" else [zlib.compress, isal]
    monkeypatch.setattr(output, "_SEGMENT_ROWS", 50)
    path = tmp_path / "a.h5"
    monkeypatch.setattr(chunks, "_deflate", both[0])
    with pytest.raises(KeyboardInterrupt), Output([path], {}, COUNT) as destination:
        produce(Cheap(fails_at=150, how="interrupt"), destination, COUNT, block_size=20)
    monkeypatch.setattr(chunks, "_deflate", both[1])
    with Output([path], {}, COUNT, resume=True) as destination:
        assert destination.done == 140
        produce(Cheap(), destination, COUNT, block_size=20)
    assert_same(read_showers(path), WHOLE[0])


def test_memory_does_not_grow_with_segments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "_SEGMENT_ROWS", 10**9)
    monkeypatch.setattr(output, "_SEGMENT_SECONDS", 1e9)
    calogan = load_detector("calogan")
    rng = np.random.default_rng(1)

    def peak(blocks: int) -> int:
        tracemalloc.start()
        with Output([tmp_path / f"{blocks}.h5"], {}, 200 * blocks) as destination:
            for _ in range(blocks):
                deposits = rng.random((200, 504), np.float32)
                destination.append(Block(200, (Showers(calogan, np.ones(200), deposits),)))
            destination.finish()
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(1)
    assert peak(60) < 1.2 * peak(10) + (1 << 20)  # of 24 MB and 4 MB


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("place", [0, 1])
def test_interrupt_while_a_block_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    """What is half written is dropped, the segments before are kept."""
    paths = [tmp_path / "a.h5", tmp_path / "b.h5"]
    source = Cheap(readouts=(BOX, ROD))
    genuine = chunks.Column.append
    calls = 0

    def interrupted(self: chunks.Column, values: NDArray[np.number]) -> None:
        nonlocal calls
        calls += 1
        if calls == 2 + 3 * place:
            raise KeyboardInterrupt
        genuine(self, values)

    def run() -> None:
        with Output(paths, {}, COUNT) as destination:
            destination.append(source.block(0, 40))
            with monkeypatch.context() as patch:
                patch.setattr(output, "_SEGMENT_ROWS", 1)
                destination.append(source.block(40, 33))
            monkeypatch.setattr(chunks.Column, "append", interrupted)
            destination.append(source.block(73, 40))

    with pytest.raises(KeyboardInterrupt):
        run()
    monkeypatch.setattr(chunks.Column, "append", genuine)
    with Output(paths, {}, COUNT, resume=True) as destination:
        assert destination.done == 73
        produce(source, destination, COUNT, block_size=50)
    for path, whole in zip(paths, WHOLE, strict=True):
        assert_same(read_showers(path), whole)


class Interrupted(Disk):
    """A disk at which the user presses Ctrl-C while HDF5 writes."""

    when = 3

    @property  # type: ignore[override]
    def failure(self) -> BaseException | None:
        self.when -= 1
        if not self.when:
            raise KeyboardInterrupt
        return self.kept

    @failure.setter
    def failure(self, error: OSError | KeyboardInterrupt | None) -> None:
        self.kept = error


@pytest.mark.usefixtures("small_chunks")
def test_interrupt_while_hdf5_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It must not meet HDF5, which would lose data or crash: it comes behind the call."""
    monkeypatch.setattr(writing, "Disk", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_showers(tmp_path / "a.h5", WHOLE[0])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["cut", "zeroed", "foreign"])
def test_damaged_segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    monkeypatch.setattr(output, "_SEGMENT_ROWS", 50)
    path = tmp_path / "a.h5"
    with pytest.raises(EnergyError), Output([path], {}, COUNT) as destination:
        produce(Cheap(fails_at=120), destination, COUNT, block_size=60)
    segment = sorted((tmp_path / "a.h5.part").glob("*.0.h5"))[1]
    content = segment.read_bytes()
    if damage == "cut":
        segment.write_bytes(content[: len(content) // 2])
    elif damage == "zeroed":
        segment.write_bytes(bytes(len(content)))
    else:
        segment.unlink()
        write_showers(segment, WHOLE[0])
    with (
        pytest.raises(FileFormatError, match=r"^file .*is damaged .*begin anew \(overwrite=True"),
        Output([path], {}, COUNT, resume=True) as destination,
    ):
        produce(Cheap(), destination, COUNT, block_size=50)
    with Output([path], {}, COUNT, overwrite=True) as destination:
        produce(Cheap(), destination, COUNT, block_size=50)
    assert_same(read_showers(path), WHOLE[0])


def test_showers_that_have_something_else(tmp_path: Path) -> None:
    bare = Showers(BOX, np.ones(2), np.ones((2, 100), np.float32), "e-")
    for order in ([WHOLE[0], bare], [bare, WHOLE[0]]):
        with (
            pytest.raises(ShowersError, match="only some of them have overflow"),
            ShowerSink(tmp_path / "a.h5") as sink,
        ):
            append(sink, order)


def append(sink: ShowerSink, showers: Sequence[Showers]) -> None:
    for part in showers:
        sink.append(part)
