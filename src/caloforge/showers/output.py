"""Long runs of showers into files that appear whole, and that survive being killed.

While a run lasts, its showers lie in the folder ``NAME.part`` beside the file-to-be: small
*segments*, each a whole HDF5 file that was renamed into place, and ``run.json``, which says what
the run is. When all showers are there, the segments are copied into one file, which is renamed to
its name, and the folder goes. A run that was killed at any moment leaves the segments that it had
finished; started again with ``resume`` it goes on behind them and ends with the same data.

What is counted are the indices of the run, which are showers or events: a segment is named by the
indices that it covers, and may hold more rows than that, fewer, or none.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import FileLock, Timeout

from caloforge.atomic import SHOWERS, already_there, check_folder, check_suffix, reason, write_text
from caloforge.errors import OutputError
from caloforge.explain import option
from caloforge.showers.container import Showers
from caloforge.showers.fields import BLOCK, FormatName
from caloforge.showers.reading import ShowerFile
from caloforge.showers.source import Block
from caloforge.showers.writing import ShowerSink

__all__ = ["Output", "output_paths"]

_SEGMENT_ROWS = 8192
_SEGMENT_SECONDS = 5.0
_WORDS = {"artefact", "command"}  # what was typed and where things lay: it decides no shower
_SEGMENT_NAME = re.compile(r"(\d{12})-(\d{12})\.0\.h5")


def output_paths(path: Path, names: Sequence[str]) -> list[Path]:
    """Where the showers of each readout go.

    Args:
        path: What the user asked for.
        names: Names of the readouts.

    Returns:
        ``path`` itself for one readout; for several ``showers-NAME.h5`` each.
    """
    if len(names) == 1:
        return [path]
    return [path.with_name(f"{path.stem}-{name}{path.suffix}") for name in names]


class Output:
    """The files of a run, one per readout, while they are being made; a context manager.

    Attributes:
        paths: The files to make.
        done: Indices whose showers are safe on disk.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        run: Mapping[str, object],
        count: int,
        *,
        format: FormatName | None = None,  # noqa: A002
        resume: bool = False,
        overwrite: bool = False,
    ) -> None:
        """Describe the run; nothing is touched before the context is entered.

        Args:
            paths: Files to make, one for each part of a block; the first gives the part folder its
                name.
            run: Everything that the showers depend on, as JSON values: a run can be resumed only
                with the same.
            count: Number of indices (showers, or events) in all.
            format: Format of the files; None for the usual one of each detector.
            resume: Go on with an unfinished run.
            overwrite: Replace files that are there, and drop an unfinished run.
        """
        self.paths = list(paths)
        self.done = 0
        self._run = json.loads(json.dumps(run))
        self._count = count
        self._format = format
        self._resume = resume
        self._overwrite = overwrite
        self._part = paths[0].with_name(paths[0].name + ".part")
        self._lock = FileLock(self._part / "lock", timeout=0)
        self._waiting: list[Block] = []
        self._complete = False
        self._flushed = time.monotonic()

    @property
    def finished(self) -> bool:
        """Whether all showers are safe on disk."""
        return self.done >= self._count

    def __enter__(self) -> Self:
        for path in self.paths:
            check_suffix(path, SHOWERS)
            check_folder(path)
        with self._reporting():
            fresh = not self._part.exists()
            self._part.mkdir(exist_ok=True)
            try:
                self._lock.acquire()
            except Timeout:
                msg = f"output {self.paths[0]}: another run is writing it; choose another name"
                raise OutputError(msg) from None
            try:
                self._begin(fresh)
            except BaseException:
                self._release(remove=fresh)
                raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A run that fails or is interrupted keeps what it has, if it has anything.
        try:
            if error is not None and self._waiting:
                with self._reporting():
                    self._flush()
        finally:
            self._release(remove=self._complete or not self.done)

    def append(self, block: Block) -> None:
        """Add the next block, in order.

        Args:
            block: Its parts are in the order of ``paths``.

        Raises:
            OutputError: They cannot be written, for example because the disk is full.
        """
        self._waiting.append(block)
        rows = sum(max(block.count, *map(len, block.parts)) for block in self._waiting)
        if rows >= _SEGMENT_ROWS or time.monotonic() - self._flushed > _SEGMENT_SECONDS:
            with self._reporting():
                self._flush()

    def finish(self, progress: Callable[[int], None] = lambda _: None) -> None:
        """Put the segments together; the files appear.

        Args:
            progress: Called with the number of showers copied so far.

        Raises:
            OutputError: Showers are missing, or the files cannot be written.
        """
        with self._reporting():
            if self._waiting:
                self._flush()
            if not self.finished:
                msg = f"output {self.paths[0]}: has {self.done} of {self._count} showers"
                raise OutputError(msg)
            for i, path in enumerate(self.paths):
                whole = self._part / f"whole.{i}.h5"
                copied = 0
                try:
                    with ShowerSink(whole, format=self._format, run=self._run) as sink:
                        for showers in self._stored(i):
                            sink.append(showers)
                            copied += len(showers)
                            progress(copied)
                    whole.replace(path)
                finally:
                    whole.unlink(missing_ok=True)
            self._complete = True

    def _begin(self, fresh: bool) -> None:
        manifest = self._part / "run.json"
        if manifest.exists() and not self._overwrite and not self._resume:
            msg = (
                f"output {self.paths[0]}: {self._part} holds an unfinished run; "
                f"resume it ({option('resume')}) or drop it ({option('overwrite')})"
            )
            raise OutputError(msg)
        if manifest.exists() and self._resume:
            self._check_same(_read_manifest(manifest), str(manifest))
            segments = self._segments()
            self.done = segments[-1][1] if segments else 0
            self._drop_all_but(segments)
        else:
            self._refuse_existing()
            self._drop_all_but([])
            if not fresh:
                manifest.unlink(missing_ok=True)
            write_text(manifest, json.dumps(self._run, indent=1, sort_keys=True))

    def _refuse_existing(self) -> None:
        for path in self.paths:
            if not path.exists() or self._overwrite:
                continue
            if self._resume:
                with ShowerFile(path) as file:
                    self._check_same(file.run, str(path))
                msg = f"output {path}: is finished already, there is nothing to resume"
                raise OutputError(msg)
            raise already_there(path)

    def _check_same(self, other: dict[str, object], where: str) -> None:
        for key in sorted((self._run.keys() | other.keys()) - _WORDS):
            if self._run.get(key) != other.get(key):
                msg = (
                    f"output {self.paths[0]}: cannot resume, {key} was {_short(other.get(key))} "
                    f"and is now {_short(self._run.get(key))} (see {where})"
                )
                raise OutputError(msg)

    def _segments(self) -> list[tuple[int, int]]:
        """First index and the one behind the last of the segments that follow each other from 0."""
        found = sorted(
            (int(match[1]), int(match[2]))
            for file in self._part.iterdir()
            if (match := _SEGMENT_NAME.fullmatch(file.name))
        )
        indices, end = [], 0
        for start, stop in found:
            whole = all(self._segment(start, stop, i).exists() for i in range(len(self.paths)))
            if start == end and whole:
                indices.append((start, stop))
                end = stop
        return indices

    def _drop_all_but(self, segments: Sequence[tuple[int, int]]) -> None:
        # What lies behind a gap would overlap with what is made from there on.
        kept = {self._segment(*both, i) for both in segments for i in range(len(self.paths))}
        for old in self._part.glob("*.h5"):
            if old not in kept:
                old.unlink()

    def _segment(self, start: int, stop: int, part: int) -> Path:
        return self._part / f"{start:012d}-{stop:012d}.{part}.h5"

    def _stored(self, part: int) -> Iterator[Showers]:
        """All showers in blocks of one size, so that the file does not depend on the segments."""
        parts: list[Showers] = []
        for start, stop in self._segments():
            with ShowerFile(self._segment(start, stop, part)) as file:
                row = 0
                if start == 0:  # a file has what showers have, even where it holds none
                    yield file.read(0, 0)
                while row < len(file):
                    wanted = BLOCK - sum(map(len, parts))
                    parts.append(file.read(row, min(len(file), row + wanted)))
                    row += len(parts[-1])
                    if sum(map(len, parts)) == BLOCK:
                        yield Showers.concatenate(parts)
                        parts = []
        if parts:
            yield Showers.concatenate(parts)

    def _flush(self) -> None:
        blocks = [block.parts for block in self._waiting]
        parts = [Showers.concatenate(each) for each in zip(*blocks, strict=True)]
        stop = self.done + sum(block.count for block in self._waiting)
        self._waiting.clear()
        # The first part last: a segment counts once that one is there.
        for i, showers in reversed(list(enumerate(parts))):
            unfinished = self._part / "unfinished"
            try:
                with ShowerSink(unfinished, format=self._format, compression="lzf") as sink:
                    sink.append(showers)
                unfinished.replace(self._segment(self.done, stop, i))
            finally:
                unfinished.unlink(missing_ok=True)
        self.done = stop
        self._flushed = time.monotonic()

    def _release(self, *, remove: bool) -> None:
        if remove:
            shutil.rmtree(self._part, ignore_errors=True)
        self._lock.release()

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        """Say in one sentence what the operating system did not let us do."""
        try:
            yield
        except OutputError:
            raise
        except OSError as error:
            kept = (
                f"; {self.done} of {self._count} showers are kept in {self._part}, "
                f"go on from there ({option('resume')})"
                if self.done
                else ""
            )
            msg = f"output {self.paths[0]}: cannot be written: {reason(error)}{kept}"
            raise OutputError(msg) from None


def _read_manifest(path: Path) -> dict[str, object]:
    try:
        run = json.loads(path.read_text("utf-8"))
    except ValueError:
        run = None
    if not isinstance(run, dict):
        msg = (
            f"output: {path} is damaged, the run cannot be resumed; drop it ({option('overwrite')})"
        )
        raise OutputError(msg)
    return run


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
