"""A disk that becomes full: one sentence, nothing half-written, and resumed when there is space."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from artefacts import make_artefact
from caloforge.detector import load_detector
from caloforge.errors import OutputError
from caloforge.evaluation import Evaluation, evaluate
from caloforge.evaluation.shown import Shown
from caloforge.showers import Showers, output, read_showers, split_file, write_showers
from caloforge.showers.output import Output
from caloforge.showers.production import produce
from caloforge.web.page import write_page
from caloforge.web.report import write_report
from conftest import Cli
from sources import Cheap

NO_SPACE = "cannot be written: no space left on the disk"


class SmallDisk:
    """A file system in memory, of a size that can be changed."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder

    def mount(self, *options: str) -> bool:
        command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(self.folder)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def resize(self, size: str) -> None:
        assert self.mount("remount", f"size={size}")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    disk = SmallDisk(tmp_path / "disk")
    if sys.platform != "linux" or os.geteuid() != 0 or not disk.mount("size=1m"):
        pytest.skip("only root can mount a small disk")
    yield disk
    subprocess.run(["umount", str(disk.folder)], check=True)


def showers(n: int) -> Showers:
    calogan = load_detector("calogan")
    rng = np.random.default_rng(1)
    return Showers(calogan, np.ones(n), rng.exponential(1, (n, 504)).astype(np.float32))


@pytest.mark.parametrize("count", [400, 600, 1024, 1500, 5000])
def test_writing(disk: SmallDisk, count: int) -> None:
    path = disk.folder / "a.h5"
    write_showers(path, showers(5))
    before = path.read_bytes()
    if count > 500:
        with pytest.raises(OutputError, match=NO_SPACE):
            write_showers(path, showers(count), overwrite=True)
        assert path.read_bytes() == before
        assert os.listdir(disk.folder) == ["a.h5"]  # noqa: PTH208
    disk.resize("50m")
    write_showers(path, showers(count), overwrite=True)
    assert len(read_showers(path)) == count


def test_last_bytes_do_not_fit(disk: SmallDisk) -> None:
    """At whatever byte the space ends, there is a whole file or none."""
    path, ballast = disk.folder / "a.h5", disk.folder / "ballast"
    write_showers(path, showers(200))
    size = path.stat().st_size
    path.unlink()
    outcomes = set()
    for missing in (-8192, 0, 1, 2048, 4096, 8192, 100_000, size - 4096, size):
        ballast.unlink(missing_ok=True)
        ballast.write_bytes(bytes(max(0, (1 << 20) - size + missing) // 4096 * 4096))
        try:
            write_showers(path, showers(200))
        except OutputError as error:
            assert NO_SPACE in str(error)  # noqa: PT017 (or it is written, see below)
            assert os.listdir(disk.folder) == ["ballast"]  # noqa: PTH208
            outcomes.add("refused")
        else:
            assert len(read_showers(path)) == 200
            path.unlink()
            outcomes.add("written")
    assert outcomes == {"refused", "written"}


def test_splitting(disk: SmallDisk, tmp_path: Path) -> None:
    write_showers(tmp_path / "a.h5", showers(3000))
    with pytest.raises(OutputError, match=NO_SPACE):
        split_file(tmp_path / "a.h5", disk.folder / "b.h5")
    assert not list(disk.folder.iterdir())


def test_resume_when_there_is_space(
    disk: SmallDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "_SEGMENT_ROWS", 500)

    def go(path: Path, *, resume: bool) -> int:
        said: list[int] = []
        with Output([path], {}, 4000, resume=resume) as destination:
            produce(Cheap(), destination, 4000, block_size=250, progress=said.append)
        return said[0]

    path = disk.folder / "a.h5"
    for _ in range(2):  # resuming on a full disk changes nothing
        with pytest.raises(OutputError, match=r"go on from there \(resume=True") as error:
            go(path, resume=True)
        assert NO_SPACE in str(error.value)
        assert not path.exists()
        assert 500 <= len(list((disk.folder / "a.h5.part").glob("*.0.h5"))) * 500 < 4000
        assert not list((disk.folder / "a.h5.part").glob("unfinished*"))
    disk.resize("2m")  # enough for the segments, not for the file
    with pytest.raises(OutputError, match="4000 of 4000 showers are kept"):
        go(path, resume=True)
    assert not path.exists()
    disk.resize("50m")
    assert go(path, resume=True) == 4000
    go(tmp_path / "b.h5", resume=False)
    assert path.read_bytes() == (tmp_path / "b.h5").read_bytes()
    assert os.listdir(disk.folder) == ["a.h5"]  # noqa: PTH208


def test_no_space_at_all(disk: SmallDisk) -> None:
    (disk.folder / "ballast").write_bytes(bytes(1 << 20))
    path = disk.folder / "a.h5"
    for resume in (False, True):
        with (
            pytest.raises(OutputError, match=NO_SPACE),
            Output([path], {}, 500, resume=resume) as destination,
        ):
            produce(Cheap(), destination, 500, block_size=100)
        assert os.listdir(disk.folder) == ["ballast"]  # noqa: PTH208


@pytest.mark.slow
def test_commands(disk: SmallDisk, tmp_path: Path, run_cli: Cli) -> None:
    tiny = make_artefact(tmp_path / "tiny")
    path = disk.folder / "a.h5"
    order = ("generate", "--model", tiny, "--particle", "e+", "--energy", "1:100", "--workers", 1)
    done = run_cli(*order, "-n", 2000, "-o", path)
    assert done.code == 2
    assert done.err == f"caloforge: error: output {path}: {NO_SPACE}\n"
    assert not list(disk.folder.iterdir())
    disk.resize("11m")
    done = run_cli(*order, "-n", 12000, "-o", path)
    assert done.code == 2
    assert done.err.startswith(f"caloforge: error: output {path}: {NO_SPACE}; 8192 of 12000 ")
    assert len(done.err.splitlines()) == 1
    assert not path.exists()
    disk.resize("60m")
    assert run_cli(*order, "-n", 12000, "-o", path, "--resume").code == 0
    assert len(read_showers(path)) == 12000
    disk.resize("20m")
    done = run_cli("data", "convert", path, "-o", disk.folder / "b.h5")
    assert (done.code, done.err.splitlines()[1:]) == (2, [])
    assert os.listdir(disk.folder) == ["a.h5"]  # noqa: PTH208


@pytest.mark.skipif(sys.platform == "win32", reason="no limits on the size of files")
def test_limit_on_the_size_of_files(tmp_path: Path) -> None:
    """What any user can meet, as a quota or a limit of the shell."""
    write_showers(tmp_path / "a.h5", showers(2000))
    code = (
        "import resource, sys; from caloforge.cli import main;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20)); main(sys.argv[1:])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "data", "convert", "a.h5", "-o", "b.h5"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "caloforge: error: output b.h5: cannot be written: File too large\n"
    assert os.listdir(tmp_path) == ["a.h5"]  # noqa: PTH208


@contextmanager
def limited(size: int) -> Iterator[None]:
    """No file may become larger: what a quota does, in this process."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture(scope="module")
def judged() -> tuple[Evaluation, list[Shown]]:
    made = replace(showers(400), energy=np.linspace(1, 2, 400))
    return evaluate(made, [made], sections=("energy",))


@pytest.mark.parametrize("size", [3000, 15_000])
@pytest.mark.parametrize("there", [False, True])
def test_a_report_is_whole_or_not_at_all(
    judged: tuple[Evaluation, list[Shown]], tmp_path: Path, size: int, there: bool
) -> None:
    folder = tmp_path / "report"
    if there:
        folder.mkdir()
        (folder / "notes.txt").write_text("mine")
    with limited(size), pytest.raises(OutputError, match="cannot be written: File too large"):
        write_report(folder, *judged, load_detector("calogan"))
    assert os.listdir(tmp_path) == (["report"] if there else [])  # noqa: PTH208
    if there:
        assert os.listdir(folder) == ["notes.txt"]  # noqa: PTH208
    write_report(folder, *judged, load_detector("calogan"))
    assert {"metrics.json", "report.html"} < set(os.listdir(folder))  # noqa: PTH208


def test_a_page_is_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    path.write_text("before")
    write_showers(tmp_path / "a.h5", showers(20))
    with limited(20_000), pytest.raises(OutputError, match="cannot be written: File too large"):
        write_page(path, tmp_path / "a.h5", particle="e+")
    assert path.read_text() == "before"
    assert sorted(os.listdir(tmp_path)) == ["a.h5", "a.html"]  # noqa: PTH208


def test_an_artefact_is_whole_or_not_at_all(tmp_path: Path) -> None:
    from caloforge.export.folder import artefact_folder

    def write() -> None:
        with artefact_folder(tmp_path / "made") as folder:
            (folder / "generator.onnx").write_bytes(bytes(50_000))
            (folder / "card.json").write_text("{}")

    with limited(20_000), pytest.raises(OutputError, match="cannot be written: File too large"):
        write()
    assert not os.listdir(tmp_path)  # noqa: PTH208
    write()
    assert os.listdir(tmp_path) == ["made"]  # noqa: PTH208
