"""Files that appear whole or not at all: written beside their place, then renamed."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from caloforge.errors import OutputError
from caloforge.explain import option

__all__ = [
    "PAGES",
    "SHOWERS",
    "already_there",
    "check_different",
    "check_folder",
    "check_new",
    "check_suffix",
    "reason",
    "replacing",
    "write_text",
]

SHOWERS = (".h5", ".hdf5")
"""How the names of files of showers end."""
PAGES = (".html", ".htm")
"""How the names of pages end."""


def check_folder(path: Path) -> None:
    """Refuse a path that no file can be made at.

    Raises:
        OutputError: The folder does not exist or cannot be written, or the path is a folder.
    """
    folder = path.parent
    try:
        there, in_the_way = folder.is_dir(), path.is_dir()
    except OSError as error:  # a name that is too long, a folder that must not be looked into
        msg = f"output {path}: cannot be written: {reason(error)}"
        raise OutputError(msg) from None
    if not there:
        msg = f"output {path}: there is no folder {folder}; make it first"
        raise OutputError(msg)
    if in_the_way:
        msg = f"output {path}: is a folder, must be a file"
        raise OutputError(msg)
    if not os.access(folder, os.W_OK | os.X_OK):
        msg = f"output {path}: no permission to write in {folder}"
        raise OutputError(msg)


def check_suffix(path: Path, legal: Sequence[str]) -> None:
    """Refuse a name that says that the file is something else than what will be in it.

    Args:
        path: The file to make; a name that says nothing is legal.
        legal: How it may end.

    Raises:
        OutputError: It ends otherwise.
    """
    if path.suffix and path.suffix.lower() not in legal:
        ends = " or ".join(legal)
        msg = f"output {path}: ends with {path.suffix}, must end with {ends}, which it will be"
        raise OutputError(msg)


def already_there(path: Path) -> OutputError:
    """The error that there is something already which must not be replaced."""
    how = f"choose another name or overwrite it ({option('overwrite')})"
    return OutputError(f"output {path}: exists already; {how}")


def check_different(**paths: str | Path | None) -> None:
    """Refuse two outputs, or an output and an input, that are the same file.

    Args:
        paths: Files by what they are called; None where there is none.

    Raises:
        OutputError: Two of them are the same.
    """
    seen: dict[Path, str] = {}
    for name, path in paths.items():
        if path is None:
            continue
        try:
            where = Path(path).resolve()
        except (OSError, RuntimeError):  # what cannot be is refused where it is used
            continue
        if where in seen:
            msg = f"{name}: got {path}, which is {seen[where]} too; give each a file of its own"
            raise OutputError(msg)
        seen[where] = name


def check_new(path: Path, *, overwrite: bool) -> None:
    """Refuse a path that no file can be made at, or that has one which must not be replaced.

    Raises:
        OutputError: There is a file, or none can be made.
    """
    check_folder(path)
    if path.exists() and not overwrite:
        raise already_there(path)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path; when the block ends well, it takes the place of ``path``.

    Args:
        path: The file to make or replace.

    Yields:
        A path in the same folder to write to.

    Raises:
        OutputError: The folder does not exist or cannot be written, or the disk is full.
    """
    check_folder(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield beside
        beside.replace(path)
    except OSError as error:
        msg = f"output {path}: cannot be written: {reason(error)}"
        raise OutputError(msg) from None
    finally:
        beside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all.

    Raises:
        OutputError: The folder does not exist or cannot be written, or the disk is full.
    """
    with replacing(path) as beside:
        beside.write_text(text, "utf-8")


def reason(error: OSError) -> str:
    """What an error of the operating system says, on one line.

    The HDF5 library wraps what the system said in a paragraph of its own.
    """
    if error.errno == errno.ENOSPC or os.strerror(errno.ENOSPC) in str(error):
        return "no space left on the disk"
    text = error.strerror or str(error)
    return next(iter(text.splitlines()), type(error).__name__)
