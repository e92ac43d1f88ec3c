"""Long runs of showers into files that appear whole, and that survive being killed.

While a run lasts, its showers lie in the folder ``NAME.part`` beside the file-to-be: small
*segments*, each a whole HDF5 file that was renamed into place, and ``run.json``, which says what
the run is. When all showers are there, the segments are copied into one file, chunk by chunk as
they are, which is renamed to its name, and the folder goes. A run that was killed at any moment
leaves the segments that it had finished; started again with ``resume`` it goes on behind them and
ends with the same data.

What is counted are the indices of the run, which are showers or events: a segment is named by the
indices that it covers, and may hold more rows than that, fewer, or none.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self

from filelock import FileLock, Timeout

from caloforge.atomic import SHOWERS, already_there, check_folder, check_suffix, reason, write_text
from caloforge.errors import OutputError
from caloforge.explain import option
from caloforge.showers.fields import FormatName
from caloforge.showers.reading import ShowerFile
from caloforge.showers.segments import Segments
from caloforge.showers.source import Block

__all__ = ["Output", "output_paths"]

_SEGMENT_ROWS = 8192
_SEGMENT_SECONDS = 5.0
_WORDS = {"artefact", "command"}  # what was typed and where things lay: it decides no shower


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
        self._run = json.loads(json.dumps(run))
        self._count = count
        self._resume = resume
        self._overwrite = overwrite
        self._part = paths[0].with_name(paths[0].name + ".part")
        self._lock = FileLock(self._part / "lock", timeout=0)
        self._segments = Segments(self._part, len(paths), format)
        self._complete = False
        self._flushed = time.monotonic()
        self._writing = Lock()  # blocks may come from a thread that is not the one that ends

    @property
    def done(self) -> int:
        """Indices whose showers are safe on disk."""
        return self._segments.done

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
            if error is not None:
                with self._reporting(), self._writing:
                    self._segments.flush()
        finally:
            self._release(remove=self._complete or not self.done)

    def append(self, block: Block) -> None:
        """Add the next block, in order.

        Args:
            block: Its parts are in the order of ``paths``.

        Raises:
            OutputError: They cannot be written, for example because the disk is full.
        """
        with self._reporting(), self._writing:
            self._segments.append(block)
            late = time.monotonic() - self._flushed > _SEGMENT_SECONDS
            if late or self._segments.waiting >= _SEGMENT_ROWS:
                self._segments.flush()
                self._flushed = time.monotonic()

    def finish(self) -> None:
        """Put the segments together; the files appear.

        Raises:
            OutputError: Showers are missing, or the files cannot be written.
            FileFormatError: A segment is damaged.
        """
        with self._reporting():
            self._segments.flush()
            if not self.finished:
                msg = f"output {self.paths[0]}: has {self.done} of {self._count} showers"
                raise OutputError(msg)
            for i, path in enumerate(self.paths):
                whole = self._part / f"whole.{i}.h5"
                try:
                    self._segments.join(i, whole, self._run)
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
            self._segments.find()
        else:
            self._refuse_existing()
            self._segments.clear()
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
