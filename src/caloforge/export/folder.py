"""Artefact folders, which appear whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from caloforge.atomic import already_there, check_folder, reason
from caloforge.errors import OutputError
from caloforge.runtime.card import CARD

__all__ = ["artefact_folder"]


@contextmanager
def artefact_folder(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary folder; when the block ends well, it takes the place of ``path``.

    Args:
        path: Folder of the artefact to make.
        overwrite: Replace an artefact that is there.

    Yields:
        A folder beside it to write to.

    Raises:
        OutputError: Something is there already that is not to be replaced, or is no artefact, or
            the folder cannot be written.
    """
    check_folder(path / CARD if path.is_dir() else path)
    if path.exists() and not (overwrite and (path / CARD).is_file()):
        if not overwrite:
            raise already_there(path)
        msg = f"output {path}: is not an artefact and will not be replaced; choose another name"
        raise OutputError(msg)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    old = path.with_name(f".{path.name}.{os.getpid()}.old")
    try:
        beside.mkdir()
        yield beside
        if path.exists():
            path.rename(old)
        beside.rename(path)
    except OSError as error:
        msg = f"output {path}: cannot be written: {reason(error)}"
        raise OutputError(msg) from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
