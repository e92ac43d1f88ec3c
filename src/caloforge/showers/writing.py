"""Writing showers to files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import h5py
import numpy as np
from numpy.typing import DTypeLike, NDArray

from caloforge.atomic import SHOWERS, check_new, check_suffix, reason, replacing
from caloforge.detector import detector_to_json
from caloforge.errors import FileFormatError, ShowersError
from caloforge.explain import option
from caloforge.showers.container import Showers
from caloforge.showers.fields import (
    DETECTOR_ATTRIBUTE,
    RUN_ATTRIBUTE,
    FormatName,
)
from caloforge.showers.formats import Format, choose_format
from caloforge.showers.hdf5.chunks import Column
from caloforge.showers.hdf5.disk import Disk

__all__ = ["ShowerSink", "rows_until", "write_showers"]

_FIRST_ROW = "caloforge_first_row"


def write_showers(
    path: str | Path,
    showers: Showers,
    *,
    format: FormatName | None = None,  # noqa: A002
    overwrite: bool = False,
) -> None:
    """Write showers to a file, which appears whole or not at all.

    Args:
        path: HDF5 file to make.
        showers: What to write.
        format: ``"calogan"`` or ``"calochallenge"``; by default the first where every layer has
            rectangular cells, else the second.
        overwrite: Replace a file that is there.

    Raises:
        OutputError: The file exists already or cannot be written.
        DetectorError: The detector does not fit the format.
    """
    path = Path(path)
    check_suffix(path, SHOWERS)
    check_new(path, overwrite=overwrite)
    with replacing(path) as beside, ShowerSink(beside, format=format) as sink:
        sink.append(showers)


class ShowerSink:
    """A file that showers are appended to; a context manager.

    It makes no promise if the process dies: write to a path that nobody looks at and rename it
    (:func:`caloforge.atomic.replacing`), or use :class:`caloforge.showers.output.Output`.
    """

    def __init__(
        self,
        path: Path,
        *,
        format: FormatName | None = None,  # noqa: A002
        run: Mapping[str, object] | None = None,
        first: int | None = None,
    ) -> None:
        """Make the file.

        Args:
            path: HDF5 file to make; what is there is lost.
            format: Format; None for the usual one of the detector.
            run: How the showers were made; kept in the file as JSON.
            first: For a segment of a larger file, how many rows are before it; it can then be
                copied by :meth:`copy`, but not be read by itself.

        Raises:
            OSError: The file cannot be made; or, later, not be written.
        """
        self._disk = Disk(path)
        self._file = h5py.File(self._disk, "w")
        self._format_name = format
        self._format: Format | None = None
        self._first = first or 0
        self._columns: dict[str, Column] = {}
        if run is not None:
            self._file.attrs[RUN_ATTRIBUTE] = json.dumps(run, sort_keys=True)
        if first is not None:
            self._file.attrs[_FIRST_ROW] = first

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            for column in self._columns.values():
                column.finish()
        self._file.close()
        self._disk.close()
        if error is None:
            self._disk.check()

    @property
    def rows(self) -> int:
        """Number of showers appended so far."""
        return next((column.rows for column in self._columns.values()), 0)

    def append(self, showers: Showers) -> None:
        """Add showers behind those that are there.

        Raises:
            DetectorError: The detector does not fit the format.
            ShowersError: They have not the same as those that are there (overflow, ...).
        """
        if self._format is None:
            self._format = choose_format(showers.detector, self._format_name)
        arrays = self._format.arrays(showers)
        if not self._columns:
            self._create({key: (values.dtype, values.shape[1:]) for key, values in arrays.items()})
            self._file.attrs[DETECTOR_ATTRIBUTE] = detector_to_json(showers.detector)
            if showers.particle:
                self._file.attrs["particle"] = showers.particle
        if differing := sorted(arrays.keys() ^ self._columns.keys()):
            msg = f"showers: only some of them have {', '.join(differing)}, must be all or none"
            raise ShowersError(msg)
        for key, values in arrays.items():
            self._columns[key].append(values)
        self._disk.check()

    def copy(self, segments: Sequence[Path]) -> None:
        """Add all that the segments of a run hold, column by column, as it is.

        Args:
            segments: Files that sinks wrote one after the other, the first from row 0.

        Raises:
            FileFormatError: A segment is damaged.
        """
        with _opened(segments[0]) as file:
            self._create({key: (item.dtype, item.shape[1:]) for key, item in file.items()})
            for key, value in file.attrs.items():
                if key != _FIRST_ROW:
                    self._file.attrs[key] = value
        for key, column in self._columns.items():
            for path in segments:
                with _opened(path) as file:
                    column.copy(file[key], int(file.attrs[_FIRST_ROW]))
                self._disk.check()

    def write_split(self, split: NDArray[np.int8]) -> None:
        """Say which part of the data each row belongs to.

        Args:
            split: Shape (N,), 0 train, 1 validation, 2 test.
        """
        self._file.create_dataset("split", data=split)

    def _create(self, columns: Mapping[str, tuple[DTypeLike, tuple[int, ...]]]) -> None:
        self._columns = {
            key: Column(self._file, key, dtype, shape, self._first)
            for key, (dtype, shape) in columns.items()
        }


def rows_until(segment: Path) -> int:
    """Rows of a run up to the end of a segment.

    Raises:
        FileFormatError: The segment is damaged.
    """
    with _opened(segment) as file:
        first = int(file.attrs[_FIRST_ROW])
        (rows,) = {len(item) - first % item.chunks[0] for item in file.values()}
        return first + int(rows)


@contextmanager
def _opened(segment: Path) -> Iterator[h5py.File]:
    try:
        with h5py.File(segment, "r") as file:
            yield file
    except (OSError, KeyError) as error:
        what = reason(error) if isinstance(error, OSError) else str(error)
        msg = f"file {segment}: is damaged ({what}); begin anew ({option('overwrite')})"
        raise FileFormatError(msg) from None
