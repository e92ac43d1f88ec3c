"""Writing showers to files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from caloforge.atomic import SHOWERS, check_new, check_suffix, replacing
from caloforge.detector import detector_to_json
from caloforge.showers.container import Showers
from caloforge.showers.disk import Disk
from caloforge.showers.fields import (
    BLOCK,
    DETECTOR_ATTRIBUTE,
    RUN_ATTRIBUTE,
    FormatName,
)
from caloforge.showers.formats import Format, choose_format

__all__ = ["ShowerSink", "write_showers"]

# Rows of one compressed chunk: near a quarter of a megabyte, so that a few rows are read quickly
# and a whole file compresses well.
_CHUNK_BYTES = 1 << 18


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
        compression: Literal["gzip", "lzf"] = "gzip",
    ) -> None:
        """Make the file.

        Args:
            path: HDF5 file to make; what is there is lost.
            format: Format; None for the usual one of the detector.
            run: How the showers were made; kept in the file as JSON.
            compression: ``"gzip"`` for files that others read, ``"lzf"`` for speed.

        Raises:
            OSError: The file cannot be made; or, later, not be written.
        """
        self._disk = Disk(path)
        self._file = h5py.File(self._disk, "w")
        self._format_name = format
        self._run = run
        self._filter: dict[str, object] = {"compression": compression, "shuffle": True}
        if compression == "gzip":
            self._filter["compression_opts"] = 1
        self._format: Format | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        self._disk.close()
        if error is None:
            self._disk.check()

    def append(self, showers: Showers) -> None:
        """Add showers behind those that are there.

        Raises:
            DetectorError: The detector does not fit the format.
        """
        if self._format is None:
            self._format = choose_format(showers.detector, self._format_name)
            self._create(self._format, showers)
        for key, values in self._format.arrays(showers).items():
            dataset = self._file[key]
            dataset.resize(dataset.shape[0] + len(values), axis=0)
            dataset[dataset.shape[0] - len(values) :] = values
        self._disk.check()

    def write_split(self, split: NDArray[np.int8]) -> None:
        """Say which part of the data each row belongs to.

        Args:
            split: Shape (N,), 0 train, 1 validation, 2 test.
        """
        self._file.create_dataset("split", data=split)

    def _create(self, fmt: Format, showers: Showers) -> None:
        for key, values in fmt.arrays(showers).items():
            shape = values.shape[1:]
            rows = max(1, _CHUNK_BYTES // (values.itemsize * max(1, int(np.prod(shape)))))
            self._file.create_dataset(
                key,
                shape=(0, *shape),
                maxshape=(None, *shape),
                chunks=(min(rows, BLOCK), *shape),
                dtype=values.dtype,
                **self._filter,
            )
        self._file.attrs[DETECTOR_ATTRIBUTE] = detector_to_json(showers.detector)
        if showers.particle:
            self._file.attrs["particle"] = showers.particle
        if self._run is not None:
            self._file.attrs[RUN_ATTRIBUTE] = json.dumps(self._run, sort_keys=True)
