"""Reading some rows of a file: the right ones, with all that they have, in the memory of these."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from caloforge.detector import load_detector
from caloforge.errors import FileFormatError, ParticleError, ShowersError
from caloforge.evaluation.samples import load_reference
from caloforge.showers import (
    ShowerFile,
    Showers,
    read_part,
    read_parts,
    read_showers,
    reading,
    split_file,
    write_showers,
)
from caloforge.showers.fields import OPTIONAL
from sources import BOX

COUNT = 50
MANY = 12_000
CALOGAN = load_detector("calogan")
ROW = 4 * CALOGAN.n_cells + 8  # bytes of a shower: deposits and energy


def make(count: int) -> Showers:
    rng = np.random.default_rng(3)
    optional: dict[str, Any] = {
        name: rng.integers(9, size=(count, *field.shape(BOX))).astype(field.memory)
        for name, field in OPTIONAL.items()
    }
    deposits = rng.exponential(1, (count, 100)).astype(np.float32)
    return Showers(BOX, np.arange(1.0, count + 1), deposits, "e-", **optional)


def assert_same(one: Showers, other: Showers) -> None:
    for name in ("energy", "deposits", *OPTIONAL):
        mine, theirs = getattr(one, name), getattr(other, name)
        assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine, theirs, err_msg=name)
    assert one.particle == other.particle


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Showers]:
    path = tmp_path_factory.mktemp("reading") / "a.h5"
    write_showers(path, make(COUNT))
    return path, make(COUNT)


masks = st.lists(st.booleans(), min_size=COUNT, max_size=COUNT).map(np.array)
indices = st.lists(st.integers(-COUNT, COUNT - 1)).map(lambda rows: np.array(rows, np.intp))
slices = st.builds(slice, st.none() | st.integers(-60, 60), st.none() | st.integers(-60, 60))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(masks | indices | slices, max_size=3), rows=st.sampled_from([1, 7, 50, 99]))
def test_rows_are_those_of_the_showers(
    written: tuple[Path, Showers], monkeypatch: pytest.MonkeyPatch, parts: list[Any], rows: int
) -> None:
    path, showers = written
    monkeypatch.setattr(reading, "_BLOCK_BYTES", rows * 400)
    with ShowerFile(path) as file:
        made = file.read_parts(parts)
        assert len(made) == len(parts)
        for part, chosen in zip(made, parts, strict=True):
            assert_same(part, showers[chosen])
            assert_same(file.read_rows(chosen), showers[chosen])


def test_rows_that_are_not_there(written: tuple[Path, Showers]) -> None:
    with ShowerFile(written[0]) as file:
        for rows in (np.array([COUNT]), np.ones(COUNT + 1, np.bool_)):
            with pytest.raises(FileFormatError, match=f"^rows: are not in file .*has {COUNT}:"):
                file.read_rows(rows)


def test_parts_of_the_data(written: tuple[Path, Showers], tmp_path: Path) -> None:
    path = tmp_path / "b.h5"
    split_file(written[0], path, fractions=(0.5, 0.5, 0.0), seed=1)
    with ShowerFile(path) as file:
        train, validation = (file.rows_of(name) for name in ("train", "validation"))
    both = read_parts(path, ["validation", "train"], "e-")
    for part, rows in zip(both, (validation, train), strict=True):
        assert_same(part, written[1][rows])
    assert_same(read_part(path, "train", "e-"), both[1])
    assert_same(read_showers(path, split="train"), both[1])
    with pytest.raises(FileFormatError, match="has no test rows; split it first"):
        read_parts(path, ["train", "test"], "e-")
    with pytest.raises(ParticleError, match="holds e-, not gamma"):
        read_part(path, "train", "gamma")
    with h5py.File(path, "a") as file:
        del file.attrs["particle"]
    assert read_part(path, "train", "gamma").particle == "gamma"


def test_wrong_values_are_named_by_their_row(written: tuple[Path, Showers], tmp_path: Path) -> None:
    path = tmp_path / "b.h5"
    path.write_bytes(written[0].read_bytes())
    with h5py.File(path, "a") as file:
        file["layer_0"][30, 0, 0] = np.nan
    with pytest.raises(ShowersError, match="deposits: shower 30 has the value nan"):
        read_showers(path)


def peak(read: Callable[[], object]) -> int:
    """The largest memory that reading takes, of what was there before aside; bytes."""
    gc.collect()
    tracemalloc.start()
    read()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 MB of showers, a tenth of them train rows and a tenth test rows."""
    folder = tmp_path_factory.mktemp("large")
    rng = np.random.default_rng(1)
    deposits = np.zeros((MANY, 504), np.float32)
    deposits[:, :20] = rng.exponential(1, (MANY, 20))
    write_showers(folder / "a.h5", Showers(CALOGAN, np.ones(MANY), deposits, "e+"))
    split_file(folder / "a.h5", folder / "b.h5", fractions=(0.1, 0.8, 0.1))
    return folder / "b.h5"


def test_memory_follows_the_rows(large: Path) -> None:
    block = 6 * 1024 * ROW  # a block as it is read, and what becomes of it
    whole = MANY * ROW
    assert peak(lambda: read_showers(large)) < whole + block
    for rows in (1, 600, 3000):
        chosen = np.arange(0, MANY, MANY // rows)[:rows]
        with ShowerFile(large) as file:
            most = peak(lambda chosen=chosen, file=file: file.read_rows(chosen))  # type: ignore[misc]
        assert most < 2 * rows * ROW + block
        assert most < 0.85 * whole
    tenth = 0.1 * whole
    assert peak(lambda: read_part(large, "test", "e+")) < 1.5 * tenth + block
    assert peak(lambda: read_parts(large, ["train", "test"], "e+")) < 3 * tenth + block
    assert peak(lambda: load_reference(large, seed=1)) < 3 * tenth + block
    assert 1.5 * tenth + block < 0.75 * whole  # so that the whole would have been noticed


def test_rows_that_nobody_asked_for_are_not_read(
    large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    genuine = ShowerFile.read

    def counted(self: ShowerFile, start: int = 0, stop: int | None = None) -> Showers:
        read.append(start)
        return genuine(self, start, stop)

    monkeypatch.setattr(ShowerFile, "read", counted)
    with ShowerFile(large) as file:
        file.read_parts([np.array([5000, 5003]), slice(9000, 9010)])
    assert len(read) == 2
