"""A file for HDF5 to write to on a disk that may become full.

The HDF5 library does not survive an error of the operating system while it writes: it drops data
without a word when a dataset is closed, and crashes when the file is. So it gets a file that
reports success whatever happens, keeps the first error (or an interrupt), and raises it when asked.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Disk"]


class Disk(io.FileIO):
    """A file to write, for ``h5py.File``.

    Attributes:
        failure: The first error; what is written after it is dropped.
    """

    def __init__(self, path: Path) -> None:
        """Make the file; what is there is lost.

        Raises:
            OSError: It cannot be made.
        """
        super().__init__(path, "w+")
        self.failure: OSError | KeyboardInterrupt | None = None

    def check(self) -> None:
        """Raise the first error.

        Raises:
            OSError: Something could not be written.
            KeyboardInterrupt: There was an interrupt while it was written.
        """
        if self.failure is not None:
            raise self.failure

    def write(self, data: Buffer, /) -> int:
        """Write all of ``data``; returns its size."""
        view = memoryview(data).cast("B")
        done = 0
        try:
            while self.failure is None and done < len(view):
                done += super().write(view[done:]) or 0
        except (OSError, KeyboardInterrupt) as error:
            self.failure = error
        return len(view)

    def truncate(self, size: int | None = None, /) -> int:
        """Change the size; returns it."""
        try:
            return super().truncate(size) if self.failure is None else size or 0
        except (OSError, KeyboardInterrupt) as error:
            self.failure = error
            return size or 0
