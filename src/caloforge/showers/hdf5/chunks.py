"""Columns of a file, written chunk by chunk in their final form.

A chunk is compressed once and handed to HDF5 as it is. What comes out is ordinary gzip, which any
reader of HDF5 knows, but it may be compressed by ISA-L, five times as fast as by zlib: which of the
two was there decides the bytes of a file, not what is read from it. Deposits are not shuffled
byte by byte before: half of them are zero, and the others have no bytes in common.
"""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
from numpy.typing import DTypeLike, NDArray

from caloforge.showers.fields import BLOCK

try:
    from isal.isal_zlib import compress as _deflate
except ImportError:  # where there is no ISA-L
    from zlib import compress as _deflate

__all__ = ["Column", "compress"]

_LEVEL = 1
# Bytes of a chunk before it is compressed, at most: a few rows are read quickly, and a whole file
# compresses well.
_CHUNK_BYTES = 1 << 18


def compress(values: NDArray[Any]) -> bytes:
    """A chunk as gzip (deflate, RFC 1950)."""
    return bytes(_deflate(values, _LEVEL))


class Column:
    """A dataset that rows are appended to.

    Attributes:
        chunk: Rows of a chunk: a power of two, so that blocks and segments end where chunks do.
        rows: Rows appended so far.
    """

    def __init__(
        self, file: h5py.File, key: str, dtype: DTypeLike, shape: tuple[int, ...], first: int = 0
    ) -> None:
        """Make the dataset.

        Args:
            file: File to make it in.
            key: Its name.
            dtype: Type of its numbers.
            shape: Shape of a row.
            first: Rows of the run before the first of this file. The file begins with so many empty
                ones that its chunks end where those of one file of all rows do.
        """
        size = max(1, np.dtype(dtype).itemsize * int(np.prod(shape)))
        self.chunk = min(BLOCK, 1 << (max(1, _CHUNK_BYTES // size).bit_length() - 1))
        self.rows = 0
        self._dataset = file.create_dataset(
            key,
            shape=(0, *shape),
            maxshape=(None, *shape),
            chunks=(self.chunk, *shape),
            dtype=dtype,
            compression="gzip",
            compression_opts=_LEVEL,
        ).id
        self._shape = shape
        self._at = (0,) * len(shape)  # where a chunk begins, but for its row
        self._begun = np.zeros((self.chunk, *shape), dtype)  # the chunk that is not full yet
        self._filled = first % self.chunk
        self._written = 0

    def append(self, values: NDArray[Any]) -> None:
        """Add rows."""
        self.rows += len(values)
        start = 0
        while start < len(values):
            stop = min(len(values), start + self.chunk - self._filled)
            if stop - start == self.chunk:
                self._write(values[start:stop], self.chunk)
            else:
                end = self._filled + stop - start
                self._begun[self._filled : end] = values[start:stop]
                self._filled = end
                if end == self.chunk:
                    self._write(self._begun, end)
                    self._filled = 0
            start = stop

    def copy(self, other: h5py.Dataset, first: int) -> None:
        """Add all rows of such a column of another file; whole chunks go as they are.

        Args:
            other: The column.
            first: What was said when it was made.
        """
        skipped = first % self.chunk
        for start in range(0, len(other), self.chunk):
            stop = min(start + self.chunk, len(other))
            rows = stop - max(start, skipped)
            if rows == self.chunk and not self._filled:
                self._place(other.id.read_direct_chunk((start, *self._at))[1], rows)
                self.rows += rows
            else:
                self.append(other[stop - rows : stop])

    def finish(self) -> None:
        """Write what is left."""
        if self._filled:
            self._begun[self._filled :] = 0
            self._write(self._begun, self._filled)

    def _write(self, values: NDArray[Any], rows: int) -> None:
        self._place(compress(np.ascontiguousarray(values, self._begun.dtype)), rows)

    def _place(self, data: bytes, rows: int) -> None:
        """Write a compressed chunk, of which so many rows count."""
        start = self._written
        self._written += rows
        self._dataset.set_extent((self._written, *self._shape))
        self._dataset.write_direct_chunk((start, *self._at), data)
