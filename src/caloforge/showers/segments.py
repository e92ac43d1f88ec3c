"""The segments of a long run: small files in a folder, each there as a whole or not at all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from caloforge.showers.fields import FormatName
from caloforge.showers.source import Block
from caloforge.showers.writing import ShowerSink, rows_until

__all__ = ["Segments"]

_NAME = re.compile(r"(\d{12})-(\d{12})\.0\.h5")


class Segments:
    """The segments of a run, one after the other; each has a file for every part of a block.

    What is appended is written at once, so memory does not grow with the size of a segment, but it
    is not safe before :meth:`flush`.

    Attributes:
        done: Indices whose showers are safe on disk.
        waiting: Indices that have been appended since, or rows where these are more.
    """

    def __init__(self, folder: Path, parts: int, format_: FormatName | None) -> None:
        """Describe them; nothing is touched yet.

        Args:
            folder: Where they are.
            parts: Parts of each block.
            format_: Format of the files; None for the usual one of each detector.
        """
        self.done = 0
        self.waiting = 0
        self._folder = folder
        self._parts = range(parts)
        self._format = format_
        self._count = 0
        self._rows = [0 for _ in self._parts]  # of each part that are safe
        self._sinks: list[ShowerSink] = []
        self._open = ExitStack()
        self._whole = True

    def find(self) -> None:
        """Go on behind those that are there and follow each other from index 0; drop all else.

        Raises:
            FileFormatError: The last of them is damaged.
        """
        kept = self._there()
        # What lies behind a gap would overlap with what is made from there on.
        self._drop_all_but({self._path(*both, i) for both in kept for i in self._parts})
        if kept:
            self.done = kept[-1][1]
            self._rows = [rows_until(self._path(*kept[-1], i)) for i in self._parts]

    def clear(self) -> None:
        """Drop those that are there."""
        self._drop_all_but(set())

    def append(self, block: Block) -> None:
        """Add the next block.

        Raises:
            OSError: It cannot be written.
        """
        self._whole = False  # until all parts have the block
        if not self._sinks:
            for i, first in enumerate(self._rows):
                sink = ShowerSink(self._unfinished(i), format=self._format, first=first)
                self._sinks.append(self._open.enter_context(sink))
        for sink, showers in zip(self._sinks, block.parts, strict=True):
            sink.append(showers)
        self._count += block.count
        self.waiting += max(block.count, *map(len, block.parts))
        self._whole = True

    def flush(self) -> None:
        """End the segment that is being written, if there is one: it is safe then.

        Where the last block could not be appended, the segment is dropped.

        Raises:
            OSError: It cannot be written; what was appended since the last time is lost.
        """
        sinks, stop = self._sinks, self.done + self._count
        if not sinks or not self._whole:
            self.drop()
            return
        try:
            self._open.close()
            # The first part last: a segment counts once that one is there.
            for i in reversed(self._parts):
                self._unfinished(i).replace(self._path(self.done, stop, i))
        except BaseException:
            self.drop()
            raise
        self._rows = [rows + sink.rows for rows, sink in zip(self._rows, sinks, strict=True)]
        self.done = stop
        self._forget()

    def drop(self) -> None:
        """Drop the segment that is being written."""
        error = InterruptedError()
        self._open.__exit__(type(error), error, None)
        for i in self._parts:
            self._unfinished(i).unlink(missing_ok=True)
        self._forget()

    def join(self, part: int, path: Path, run: Mapping[str, object]) -> None:
        """Make one file of all segments.

        Args:
            part: Which part of the blocks.
            path: The file.
            run: How the showers were made.

        Raises:
            OSError: It cannot be written.
            FileFormatError: A segment is damaged.
        """
        with ShowerSink(path, run=run) as sink:
            sink.copy([self._path(*both, part) for both in self._there()])

    def _forget(self) -> None:
        self._count, self.waiting = 0, 0
        self._sinks, self._open, self._whole = [], ExitStack(), True

    def _there(self) -> list[tuple[int, int]]:
        """First index and the one behind the last of the segments that follow each other from 0."""
        found = sorted(
            (int(match[1]), int(match[2]))
            for file in self._folder.iterdir()
            if (match := _NAME.fullmatch(file.name))
        )
        indices, end = [], 0
        for start, stop in found:
            whole = all(self._path(start, stop, i).exists() for i in self._parts)
            if start == end and whole:
                indices.append((start, stop))
                end = stop
        return indices

    def _drop_all_but(self, kept: set[Path]) -> None:
        for old in self._folder.glob("*.h5"):
            if old not in kept:
                old.unlink()

    def _path(self, start: int, stop: int, part: int) -> Path:
        return self._folder / f"{start:012d}-{stop:012d}.{part}.h5"

    def _unfinished(self, part: int) -> Path:
        return self._folder / f"unfinished.{part}"
