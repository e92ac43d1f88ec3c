"""Reading files of showers: whole, in part or block by block."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import h5py
import numpy as np
from numpy.typing import NDArray

from caloforge.atomic import reason
from caloforge.detector import Detector, detector_from_json, load_detector
from caloforge.errors import FileFormatError, ParticleError
from caloforge.particles import particle_name
from caloforge.showers.container import Showers
from caloforge.showers.fields import (
    BLOCK,
    DETECTOR_ATTRIBUTE,
    OPTIONAL,
    RUN_ATTRIBUTE,
    SPLITS,
    Split,
)
from caloforge.showers.formats import FORMATS, Format

__all__ = ["ShowerFile", "open_showers", "read_part", "read_parts", "read_showers"]

_BLOCK_BYTES = 1 << 24  # of deposits that are read at a time where only some rows are kept

Rows = slice | NDArray[np.bool_] | NDArray[np.integer]


class ShowerFile:
    """An open file of showers; a context manager.

    Attributes:
        path: The file.
        format: Its format.
        detector: What its showers are recorded in.
        particle: PDG name of the particle, empty where the file does not say.
        run: How the file was made, where it says so.
        split: Part of each row: shape (N,), 0 train, 1 validation, 2 test; None if there is none.
    """

    def __init__(self, path: str | Path, detector: str | Path | Detector | None = None) -> None:
        """Open a file and check that all its datasets have the right shapes.

        Args:
            path: HDF5 file in one of the formats.
            detector: What its showers are recorded in, where the file does not say.

        Raises:
            FileFormatError: The file is missing, damaged or not in a known format.
            DetectorError: The detector is not known.
        """
        self.path = Path(path)
        self._file = _open(self.path)
        try:
            self.format = self._find_format()
            self.detector = self._find_detector(detector)
            self._count = self.format.check(self._file, self.detector, str(self.path))
            name = self._attribute("particle")
            self.particle = particle_name(name) if name else ""
            self.run = self._find_run()
            self.split = self._find_split()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        return self._count

    def energies(self, rows: slice = slice(None)) -> NDArray[np.float64]:
        """Incident energies: shape (N,), GeV.

        Raises:
            FileFormatError: The file is damaged.
        """
        with self._reading():
            return self.format.energies(self._file, rows)

    def raw(self, rows: slice) -> dict[str, NDArray[np.number]]:
        """Energies (GeV), deposits (N, n_cells) and the rest, unchecked, by their name in Showers.

        Raises:
            FileFormatError: The file is damaged.
        """
        with self._reading():
            extra = {
                key: np.asarray(self._file[key][rows], dtype=field.memory)
                for key, field in OPTIONAL.items()
                if key in self._file
            }
            deposits = self.format.deposits(self._file, self.detector, rows)
            return {"energy": self.energies(rows), "deposits": deposits, **extra}

    def read(self, start: int = 0, stop: int | None = None) -> Showers:
        """The showers ``start`` to ``stop``.

        Raises:
            ShowersError: A value is negative, infinite or not a number.
            FileFormatError: The file is damaged.
        """
        arrays = self.raw(slice(start, stop))
        try:
            return Showers(self.detector, particle=self.particle, **arrays)  # type: ignore[arg-type]
        except ValueError as error:
            msg = f"file {self.path}, rows from {start}: {error}"
            raise type(error)(msg) from None

    def read_rows(self, rows: Rows) -> Showers:
        """Some of the showers; no more of the file is in memory than these and a block.

        Args:
            rows: A slice, a mask of shape (N,), or indices of shape (M,).

        Raises:
            ShowersError: A value is negative, infinite or not a number.
            FileFormatError: The file is damaged, or has no such rows.
        """
        return self.read_parts([rows])[0]

    def read_parts(self, parts: Sequence[Rows]) -> list[Showers]:
        """Several selections of the showers in one pass; see :meth:`read_rows`.

        Args:
            parts: The rows of each: a slice, a mask of shape (N,), or indices of shape (M,).

        Returns:
            The showers of each part, in the order of its rows.

        Raises:
            ShowersError: A value is negative, infinite or not a number.
            FileFormatError: The file is damaged, or has no such rows.
        """
        chosen = [self._indices(rows) for rows in parts]
        # In the order of the file, and where each of them goes.
        targets = [np.argsort(rows, kind="stable") for rows in chosen]
        rows_of = [rows[target] for rows, target in zip(chosen, targets, strict=True)]
        made = [self._empty(len(rows)) for rows in chosen]
        size = int(np.clip(_BLOCK_BYTES // (4 * self.detector.n_cells), 1, BLOCK))
        for start in range(0, len(self), size):
            ends = [np.searchsorted(rows, (start, start + size)) for rows in rows_of]
            if not any(stop > first for first, stop in ends):
                continue
            block = self.read(start, start + size)
            for arrays, target, rows, (first, stop) in zip(
                made, targets, rows_of, ends, strict=True
            ):
                for key, values in arrays.items():
                    values[target[first:stop]] = getattr(block, key)[rows[first:stop] - start]
        return [
            Showers(self.detector, particle=self.particle, **arrays)  # type: ignore[arg-type]
            for arrays in made
        ]

    def blocks(self, size: int = BLOCK) -> Iterator[Showers]:
        """All showers, ``size`` at a time."""
        for start in range(0, max(1, len(self)), size):  # no showers are one empty block
            yield self.read(start, start + size)

    def rows_of(self, split: Split) -> NDArray[np.bool_]:
        """Which rows belong to a part of the data: shape (N,).

        Raises:
            FileFormatError: The file is not split, or there is no such part.
        """
        if split not in SPLITS:
            msg = f"split: {split!r} is not known, must be one of {', '.join(SPLITS)}"
            raise FileFormatError(msg)
        if self.split is None:
            msg = f"file {self.path}: is not split into train, validation and test"
            raise FileFormatError(msg)
        chosen: NDArray[np.bool_] = self.split == SPLITS[split]
        return chosen

    @property
    def split_counts(self) -> dict[str, int]:
        """Rows of each part; empty where the file is not split."""
        if self.split is None:
            return {}
        return {name: int((self.split == number).sum()) for name, number in SPLITS.items()}

    def _indices(self, rows: Rows) -> NDArray[np.intp]:
        try:
            chosen: NDArray[np.intp] = np.arange(len(self))[rows]
        except IndexError as error:
            msg = f"rows: are not in file {self.path}, which has {len(self)}: {error}"
            raise FileFormatError(msg) from None
        return chosen

    def _empty(self, count: int) -> dict[str, NDArray[np.number]]:
        """Room for as many showers, by the name in Showers."""
        return {
            "energy": np.empty(count),
            "deposits": np.empty((count, self.detector.n_cells), np.float32),
            **{
                key: np.empty((count, *field.shape(self.detector)), field.memory)
                for key, field in OPTIONAL.items()
                if key in self._file
            },
        }

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            msg = f"file {self.path}: is damaged: {reason(error)}"
            raise FileFormatError(msg) from None

    def _attribute(self, key: str) -> str:
        value = self._file.attrs.get(key, "")
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)

    def _find_format(self) -> Format:
        keys = list(self._file)
        for candidate in FORMATS.values():
            if candidate.energy_key in keys and candidate.deposit_keys(self._file):
                candidate.check_types(self._file, str(self.path))
                return candidate
        wanted = " or ".join(
            f"{name} ({fmt.energy_key}, {'layer_0' if name == 'calogan' else 'showers'}, ...)"
            for name, fmt in FORMATS.items()
        )
        found = ", ".join(keys[:8]) or "nothing"
        msg = f"file {self.path}: has {found}; must be in the format {wanted}"
        raise FileFormatError(msg)

    def _find_detector(self, detector: str | Path | Detector | None) -> Detector:
        if isinstance(detector, Detector):
            return detector
        if detector is not None:
            return load_detector(detector)
        if DETECTOR_ATTRIBUTE in self._file.attrs:
            return detector_from_json(self._attribute(DETECTOR_ATTRIBUTE), f"file {self.path}")
        guess = self.format.guess_detector(self._file)
        if guess is None:
            keys = self.format.deposit_keys(self._file)
            shapes = ", ".join(f"{key} {self._file[key].shape}" for key in keys)
            msg = f"file {self.path}: no shipped detector has {shapes}; name the detector"
            raise FileFormatError(msg)
        return guess

    def _find_run(self) -> dict[str, object]:
        try:
            run = json.loads(self._attribute(RUN_ATTRIBUTE) or "{}")
        except json.JSONDecodeError:
            run = None
        if not isinstance(run, dict):
            msg = f"file {self.path}: the attribute {RUN_ATTRIBUTE!r} must be a JSON object"
            raise FileFormatError(msg)
        return run

    def _find_split(self) -> NDArray[np.int8] | None:
        if "split" not in self._file:
            return None
        split = self._file["split"]
        if isinstance(split, h5py.Dataset) and split.shape == (self._count,):
            with self._reading():
                values = np.asarray(split[:])
            if np.isin(values, list(SPLITS.values())).all():
                return values.astype(np.int8)
        msg = (
            f"file {self.path}: 'split' must have shape {(self._count,)} and hold 0 (train), "
            "1 (validation) or 2 (test)"
        )
        raise FileFormatError(msg)


def open_showers(path: str | Path, detector: str | Path | Detector | None = None) -> ShowerFile:
    """Open a file of showers to read it block by block; see :class:`ShowerFile`."""
    return ShowerFile(path, detector)


def read_showers(
    path: str | Path,
    *,
    detector: str | Path | Detector | None = None,
    split: Split | None = None,
    rows: slice | None = None,
) -> Showers:
    """Read showers from a file.

    Args:
        path: HDF5 file in one of the formats.
        detector: What its showers are recorded in, where the file does not say.
        split: Only the rows of this part of the data.
        rows: Only these rows (of the file, before ``split`` is looked at).

    Raises:
        FileFormatError: The file is missing, damaged or not in a known format.
        ShowersError: A value is negative, infinite or not a number.
        DetectorError: The detector is not known.
    """
    with ShowerFile(path, detector) as file:
        start, stop, step = (rows or slice(None)).indices(len(file))
        if step != 1:
            msg = f"rows: has step {step}, must be 1"
            raise FileFormatError(msg)
        chosen = np.arange(start, max(start, stop))
        return file.read_rows(chosen if split is None else chosen[file.rows_of(split)[chosen]])


def read_part(path: str | Path, split: Split, particle: str) -> Showers:
    """Read the train, validation or test rows of a file of one particle; see :func:`read_parts`."""
    return read_parts(path, [split], particle)[0]


def read_parts(path: str | Path, splits: Sequence[Split], particle: str) -> list[Showers]:
    """Read several parts of a file of one particle in one pass, and no other rows.

    Args:
        path: HDF5 file in one of the formats.
        splits: Which rows: train, validation or test.
        particle: PDG name that the file must have, if it has any; the showers get it.

    Returns:
        The showers of each part.

    Raises:
        FileFormatError: The file is wrong or has no rows in one of the parts.
        ShowersError: A value is negative, infinite or not a number.
        ParticleError: The showers are of another particle.
    """
    with ShowerFile(path) as file:
        if file.particle and file.particle != particle:
            msg = f"particle: {path} holds {file.particle}, not {particle}"
            raise ParticleError(msg)
        masks = [file.rows_of(split) for split in splits]
        for split, mask in zip(splits, masks, strict=True):
            if not mask.any():
                msg = f"file {path}: has no {split} rows; split it first (caloforge data split)"
                raise FileFormatError(msg)
        return [replace(showers, particle=particle) for showers in file.read_parts(masks)]


def _open(path: Path) -> h5py.File:
    try:
        if path.is_dir():
            what = "is a folder, must be an HDF5 file"
        elif path.stat().st_size == 0:
            what = "is empty, must be an HDF5 file of showers"
        else:
            return h5py.File(path, "r")
    except FileNotFoundError:
        what = "does not exist"
    except PermissionError:
        what = "no permission to read it"
    except OSError as error:
        if "truncated" in str(error):
            what = "is truncated; fetch or make it again"
        elif "signature" in str(error):
            what = "is not an HDF5 file"
        else:
            what = f"cannot be opened as HDF5: {reason(error)}"
    msg = f"file {path}: {what}"
    raise FileFormatError(msg)
