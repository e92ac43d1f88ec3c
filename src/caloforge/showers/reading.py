"""Reading files of showers: in part or block by block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import h5py
import numpy as np
from numpy.typing import NDArray

from caloforge.detector import Detector, detector_from_json, load_detector
from caloforge.errors import CaloforgeError, FileFormatError, ParticleError, ShowersError
from caloforge.particles import particle_name
from caloforge.showers.container import Showers
from caloforge.showers.fields import (
    BLOCK,
    DETECTOR_ATTRIBUTE,
    OPTIONAL,
    SPLITS,
    Split,
)
from caloforge.showers.formats import Format
from caloforge.showers.opening import (
    Paths,
    attribute,
    check_datasets,
    find_files,
    find_format,
    find_run,
    find_split,
    open_file,
    reading,
)

__all__ = ["Rows", "ShowerFile"]

_BLOCK_BYTES = 1 << 24  # of deposits that are read at a time where only some rows are kept

Rows = slice | NDArray[np.bool_] | NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class _Part:
    """One of the HDF5 files of a sample.

    Attributes:
        path: Where it lies.
        file: The open file.
        format: Its format.
        first: Index within the sample of its first shower.
        count: Number of its showers.
        first_event: What is added to the events of its showers.
    """

    path: Path
    file: h5py.File
    format: Format
    first: int
    count: int
    first_event: int


class ShowerFile:
    """An open file of showers, or several that hold one sample; a context manager.

    Attributes:
        path: The file; of several the first.
        paths: All the files.
        format: Its format; of several that of the first.
        detector: What its showers are recorded in.
        particle: PDG name of the particle, empty where the file does not say.
        run: How the file was made, where it says so; empty for several.
        split: Part of each row: shape (N,), 0 train, 1 validation, 2 test; None if there is none.
    """

    def __init__(
        self,
        path: Paths,
        detector: str | Path | Detector | None = None,
        particle: str | int | None = None,
    ) -> None:
        """Open a file and check that all its datasets have the right shapes.

        Args:
            path: HDF5 file in one of the formats, or several: a list, or a name with ``*``.
            detector: What its showers are recorded in, where the file does not say.
            particle: What its showers are of, where the file does not say.

        Raises:
            FileFormatError: The file is missing, damaged or not in a known format.
            DetectorError: The detector is not known.
            ParticleError: The particle is not known, or the file says another.
            ShowersError: Several files hold different showers.
        """
        self.paths = find_files(path)
        self.path = self.paths[0]
        self.particle = "" if particle is None else particle_name(particle)
        self._asked = detector
        self._parts: list[_Part] = []
        with ExitStack() as stack:
            splits = []
            for each in self.paths:
                file = stack.enter_context(open_file(each))
                with reading(each):
                    splits.append(self._add(each, file))
            first = self._parts[0]
            self.format = first.format
            self.run = find_run(first.file, self.path) if len(self._parts) == 1 else {}
            self.split = self._join(splits)
            self._optional = [
                key for key in OPTIONAL if all(key in part.file for part in self._parts)
            ]
            self._open = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()

    def __len__(self) -> int:
        return self._parts[-1].first + self._parts[-1].count

    def energies(self, rows: slice = slice(None)) -> NDArray[np.float64]:
        """Incident energies: shape (N,), GeV.

        Args:
            rows: Which; with step 1.

        Raises:
            FileFormatError: The file is damaged.
        """
        found = []
        for part, inside in self._slices(rows):
            with reading(part.path):
                found.append(part.format.energies(part.file, inside))
        return np.concatenate(found)

    def raw(self, rows: slice) -> dict[str, NDArray[np.number]]:
        """Energies (GeV), deposits (N, n_cells) and the rest, unchecked, by their name in Showers.

        Args:
            rows: Which; with step 1.

        Raises:
            FileFormatError: The file is damaged.
        """
        found: list[dict[str, NDArray[np.number]]] = []
        for part, inside in self._slices(rows):
            with reading(part.path):
                extra = {
                    key: np.asarray(part.file[key][inside], dtype=OPTIONAL[key].memory)
                    for key in self._optional
                }
                if "event" in extra:
                    extra["event"] = extra["event"] + part.first_event
                energy = part.format.energies(part.file, inside)
                deposits = part.format.deposits(part.file, self.detector, inside)
                found.append({"energy": energy, "deposits": deposits, **extra})
        if len(found) == 1:
            return found[0]
        return {key: np.concatenate([each[key] for each in found]) for key in found[0]}

    def read(self, start: int = 0, stop: int | None = None) -> Showers:
        """The showers ``start`` to ``stop``.

        Raises:
            ShowersError: A value is negative, infinite or not a number.
            FileFormatError: The file is damaged.
        """
        first, last, _ = slice(start, stop).indices(len(self))
        found = [
            self.checked(self.raw(slice(*rows)), rows[0])
            for rows in self.spans(max(1, last - first), first, last)
        ]
        return found[0] if len(found) == 1 else Showers.concatenate(found)

    def spans(
        self, size: int = BLOCK, start: int = 0, stop: int | None = None
    ) -> Iterator[tuple[int, int]]:
        """First row of each block and the one behind its last; no block is of two files.

        Args:
            size: Rows of a block at most.
            start: The first row.
            stop: The row behind the last; None for all.

        Yields:
            At least one block: no rows are one that is empty.
        """
        stop = len(self) if stop is None else stop
        if start >= stop:
            yield start, start
        while start < stop:
            part = next(part for part in self._parts if start < part.first + part.count)
            end = min(start + size, stop, part.first + part.count)
            yield start, end
            start = end

    def checked(self, arrays: dict[str, NDArray[np.number]], start: int) -> Showers:
        """Showers of what :meth:`raw` gave, from row ``start`` on.

        Raises:
            ShowersError: A value is negative, infinite or not a number.
        """
        try:
            return Showers(self.detector, particle=self.particle, **arrays)  # type: ignore[arg-type]
        except CaloforgeError as error:
            part = next(part for part in reversed(self._parts) if part.first <= start)
            msg = f"file {part.path}, rows from {start - part.first}: {error}"
            if (arrays["deposits"] < 0).any():
                msg += " ('caloforge data convert --clip' sets negative deposits to zero)"
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
        for start, stop in self.spans(size):
            yield self.read(start, stop)

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
                if key in self._optional
            },
        }

    def _slices(self, rows: slice) -> Iterator[tuple[_Part, slice]]:
        """The parts that rows lie in, and where; at least one."""
        start, stop, _ = rows.indices(len(self))
        inside = [
            part
            for part in self._parts
            if part.first < stop and start < part.first + part.count and start < stop
        ]
        for part in inside or self._parts[:1]:
            first = min(max(start - part.first, 0), part.count)
            yield part, slice(first, max(first, min(stop - part.first, part.count)))

    def _add(self, path: Path, file: h5py.File) -> NDArray[np.int8] | None:
        """Take in one more file; returns what its rows are for."""
        format_ = find_format(file, path)
        keys = [*format_.deposit_keys(file), format_.energy_key, *OPTIONAL, "split"]
        check_datasets(file, keys, path)
        format_.check_types(file, str(path))
        name = attribute(file, "particle")
        try:
            particle = particle_name(name) if name else ""
        except ParticleError as error:
            msg = f"file {path}: {error}"
            raise ParticleError(msg) from None
        if particle and self.particle and particle != self.particle:
            msg = f"particle: {path} holds {particle}, not {self.particle}"
            raise ParticleError(msg)
        self.particle = self.particle or particle
        self._find_detector(file, format_, path)
        count = format_.check(file, self.detector, str(path))
        last = self._parts[-1] if self._parts else None
        events = 0
        if last is not None and "event" in last.file and last.count:
            events = last.first_event + int(last.file["event"][:].max()) + 1
        first = last.first + last.count if last else 0
        self._parts.append(_Part(path, file, format_, first, count, events))
        return find_split(file, count, path)

    def _find_detector(self, file: h5py.File, format_: Format, path: Path) -> None:
        asked = self._asked
        if isinstance(asked, Detector):
            found: Detector | None = asked
        elif asked is not None:
            cells = sum(int(np.prod(file[key].shape[1:])) for key in format_.deposit_keys(file))
            found = load_detector(asked, self.particle or None, n_cells=cells)
        elif DETECTOR_ATTRIBUTE in file.attrs:
            found = detector_from_json(attribute(file, DETECTOR_ATTRIBUTE), f"file {path}")
        elif self._parts:
            return
        else:
            found = format_.guess_detector(file)
        if found is None:
            keys = format_.deposit_keys(file)
            shapes = ", ".join(f"{key} {file[key].shape}" for key in keys)
            msg = f"file {path}: no shipped detector has {shapes}; name the detector"
            raise FileFormatError(msg)
        if not self._parts:
            self.detector = found
            return
        if not found.same_readout(self.detector) or not found.same_stack(self.detector):
            msg = (
                f"file {path}: is of {found.name!r}, but {self.path} of {self.detector.name!r}; "
                "several files of one sample must have the same readout and stack"
            )
            raise ShowersError(msg)

    def _join(self, splits: Sequence[NDArray[np.int8] | None]) -> NDArray[np.int8] | None:
        known = [split for split in splits if split is not None]
        if known and len(known) < len(splits):
            whole = self.paths[[split is None for split in splits].index(True)]
            msg = (
                f"file {whole}: is not split, but others of the same sample are; split all or none"
            )
            raise FileFormatError(msg)
        return np.concatenate(known) if known else None
