"""Reading samples of showers in one call: all of a file, or its train, validation or test rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import Detector
from caloforge.errors import FileFormatError
from caloforge.showers.container import Showers
from caloforge.showers.fields import Split
from caloforge.showers.opening import (
    Paths,
    check_datasets,
    find_files,
    find_format,
    open_file,
    reading,
)
from caloforge.showers.reading import ShowerFile

__all__ = ["open_showers", "read_energies", "read_part", "read_parts", "read_showers"]


def open_showers(
    path: Paths,
    detector: str | Path | Detector | None = None,
    particle: str | int | None = None,
) -> ShowerFile:
    """Open a file of showers to read it block by block; see :class:`ShowerFile`."""
    return ShowerFile(path, detector, particle)


def read_showers(
    path: Paths,
    *,
    detector: str | Path | Detector | None = None,
    particle: str | int | None = None,
    split: Split | None = None,
    rows: slice | None = None,
) -> Showers:
    """Read showers from a file.

    Args:
        path: HDF5 file in one of the formats, or several: a list, or a name with ``*``.
        detector: What its showers are recorded in, where the file does not say.
        particle: What its showers are of, where the file does not say.
        split: Only the rows of this part of the data.
        rows: Only these rows (of the file, before ``split`` is looked at).

    Raises:
        FileFormatError: The file is missing, damaged or not in a known format.
        ShowersError: A value is negative, infinite or not a number.
        DetectorError: The detector is not known.
    """
    with ShowerFile(path, detector, particle) as file:
        start, stop, step = (rows or slice(None)).indices(len(file))
        if step != 1:
            msg = f"rows: has step {step}, must be 1"
            raise FileFormatError(msg)
        chosen = np.arange(start, max(start, stop))
        return file.read_rows(chosen if split is None else chosen[file.rows_of(split)[chosen]])


def read_energies(path: Paths) -> NDArray[np.float64]:
    """The incident energies of a file, whatever its showers are recorded in.

    Args:
        path: HDF5 file in one of the formats, or several.

    Returns:
        Shape (N,), GeV; unchecked.

    Raises:
        FileFormatError: A file is missing, damaged or not in a known format.
    """
    found = []
    for each in find_files(path):
        with open_file(each) as file, reading(each):
            format_ = find_format(file, each)
            key = format_.energy_key
            check_datasets(file, [key], each)
            format_.check_types(file, str(each))
            shape = file[key].shape
            if shape[1:] not in ((), (1,)) or not shape:
                msg = f"file {each}: {key!r} has shape {shape}, must be (N, 1)"
                raise FileFormatError(msg)
            found.append(format_.energies(file, slice(None)))
    return np.concatenate(found)


def read_part(
    path: Paths,
    split: Split,
    particle: str,
    detector: str | Path | Detector | None = None,
) -> Showers:
    """Read the train, validation or test rows of a file of one particle; see :func:`read_parts`."""
    return read_parts(path, [split], particle, detector)[0]


def read_parts(
    path: Paths,
    splits: Sequence[Split],
    particle: str,
    detector: str | Path | Detector | None = None,
) -> list[Showers]:
    """Read several parts of a file of one particle in one pass, and no other rows.

    Args:
        path: HDF5 file in one of the formats, or several: a list, or a name with ``*``.
        splits: Which rows: train, validation or test.
        particle: PDG name that the file must have, if it has any; the showers get it.
        detector: What its showers are recorded in, where the file does not say.

    Returns:
        The showers of each part.

    Raises:
        FileFormatError: The file is wrong or has no rows in one of the parts.
        ShowersError: A value is negative, infinite or not a number.
        ParticleError: The showers are of another particle.
    """
    with ShowerFile(path, detector, particle) as file:
        masks = [file.rows_of(split) for split in splits]
        for split, mask in zip(splits, masks, strict=True):
            if not mask.any():
                msg = (
                    f"file {file.path}: has no {split} rows; split it first (caloforge data split)"
                )
                raise FileFormatError(msg)
        return [replace(showers, particle=particle) for showers in file.read_parts(masks)]
