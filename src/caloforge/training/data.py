"""Geant4 showers as training sees them: rows, mirror images, batches."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from caloforge.detector import Detector
from caloforge.detector.mirrors import mirror_images
from caloforge.errors import TrainingError
from caloforge.models.system import CONDITIONS, Batch, GeneratorNetwork, Given, Setting
from caloforge.particles import particle_name
from caloforge.provenance import file_sha256
from caloforge.random import Purpose, stream
from caloforge.runtime.card import TrainingRows
from caloforge.showers import Showers, Split, open_showers, read_parts

__all__ = ["Mirrors", "TrainingData"]

_PARTS: tuple[Split, ...] = ("train", "validation")
# Train rows beyond this many bytes are kept in a file that is mapped into memory, not in memory.
_IN_MEMORY = 4 << 30

Order = Callable[[Batch, int, np.random.Generator], NDArray[np.int64]]


@dataclass(frozen=True)
class Mirrors:
    """The products of the mirror symmetries of a detector, the identity first.

    Attributes:
        cells: Permutations of the cells: shape (n, n_cells). ``deposits[:, permutation]`` are
            showers as likely as the original ones, where what they were given is mirrored too.
        signs: What x and y are multiplied with: shape (n, 2), each 1 or -1.
    """

    cells: Tensor
    signs: Tensor

    def __len__(self) -> int:
        return len(self.cells)

    @classmethod
    def of(cls, detector: Detector, *, augment: bool = True) -> Mirrors:
        """Those of a detector.

        Args:
            detector: A detector.
            augment: All symmetries; otherwise the identity alone.
        """
        cells, signs = mirror_images(detector)
        count = len(cells) if augment else 1
        return cls(
            torch.from_numpy(cells[:count].astype(np.int64)),
            torch.from_numpy(signs[:count].astype(np.float32)),
        )

    def seen(self, batch: Batch, mirror: Tensor) -> Batch:
        """Showers seen in mirrors.

        Args:
            batch: N showers.
            mirror: Which mirror for which shower: shape (N,).
        """
        if len(self) == 1:
            return batch
        deposits = batch.deposits.gather(1, self.cells[mirror])
        return Batch(batch.given.mirrored(self.signs[mirror]), deposits)


@dataclass(frozen=True)
class TrainingData:
    """The train and validation rows of the files of each particle.

    Attributes:
        setting: The readout that is filled, the particles, the range of incident energies.
        train: Train rows, on the CPU.
        validation: Validation rows of each particle.
        files: What was read, for the card.
        mirrors: What leaves the detector as it is.
    """

    setting: Setting
    train: Batch
    validation: tuple[Showers, ...]
    files: tuple[TrainingRows, ...]
    mirrors: Mirrors

    @classmethod
    def load(
        cls,
        files: Mapping[str, Sequence[str | Path]],
        readout: Callable[[Detector], Detector] = lambda detector: detector,
        *,
        augment: bool = True,
    ) -> TrainingData:
        """Read the rows to train on and those to choose on; test rows are never read.

        Args:
            files: For each particle one file or several, split into train, validation and test
                rows.
            readout: Gives the part of the files' detector that is to be filled.
            augment: Use the mirror symmetries of the detector.

        Raises:
            CaloforgeError: A file is missing, damaged, not split, of another particle, or the files
                are of different detectors.
        """
        names = tuple(particle_name(particle) for particle in files)
        if not files or not all(files.values()):
            msg = "data: got no file for a particle, need at least one for each"
            raise TrainingError(msg)
        paths = [
            (name, Path(path))
            for name, each in zip(names, files.values(), strict=True)
            for path in each
        ]
        rows = _Rows(sum(_count(path) for _, path in paths))
        validation: dict[str, list[Showers]] = {name: [] for name in names}
        about = []
        whole: Detector | None = None
        for name, path in paths:
            train, held_out = read_parts(path, _PARTS, name)
            whole = whole or train.detector
            if not train.detector.same_readout(whole):
                msg = (
                    f"data: {path} is of another detector ({train.detector.name!r}) than "
                    f"{paths[0][1]}"
                )
                raise TrainingError(msg)
            detector = readout(whole)
            rows.append(train.restricted(detector), names.index(name))
            validation[name].append(held_out.restricted(detector))
            about.append(
                TrainingRows(
                    file=path.name,
                    sha256=file_sha256(path),
                    rows=len(train),
                    split="train",
                    source="Geant4",
                )
            )
        return cls(
            Setting(detector, names, rows.span),
            rows.batch(),
            tuple(Showers.concatenate(validation[name]) for name in names),
            tuple(about),
            Mirrors.of(detector, augment=augment),
        )

    @property
    def validation_batch(self) -> Batch:
        """The validation rows of all particles, as training sees showers."""
        rows = _Rows(sum(map(len, self.validation)))
        for label, part in enumerate(self.validation):
            rows.append(part, label)
        return rows.batch()

    def require(self, generator: GeneratorNetwork, system: str) -> None:
        """Refuse data that do not say what a generator is to be told.

        Raises:
            TrainingError: The files have no entry points or directions, and it asks for them.
        """
        for name in CONDITIONS:
            if name in generator.conditions and getattr(self.train.given, name) is None:
                msg = (
                    f"data: has no {name}, which {system} is told; make showers that have it "
                    "(caloforge geant4 --spread, --theta, --phi)"
                )
                raise TrainingError(msg)

    def batches_per_epoch(self, size: int) -> int:
        """Number of whole batches of an epoch: what is left over waits for another order.

        Raises:
            TrainingError: There are fewer train rows than a batch has.
        """
        if size > len(self.train):
            msg = f"batch_size: a step takes {size} showers, there are {len(self.train)} train rows"
            raise TrainingError(msg)
        return len(self.train) // size

    def batches(
        self, seed: int, epoch: int, size: int, *, order: Order | None = None, skip: int = 0
    ) -> Iterator[Batch]:
        """The batches of an epoch: a function of the seed and the epoch alone.

        Args:
            seed: Seed of the training.
            epoch: Counts from 0.
            size: Showers of a batch.
            order: Gives the rows of an epoch in order; by default all, shuffled.
            skip: Batches at the beginning to leave out.

        Raises:
            TrainingError: The order is not of as many rows as there are.
        """
        n = len(self.train)
        rng = stream(seed, Purpose.ORDER, epoch)
        found = rng.permutation(n) if order is None else order(self.train, epoch, rng)
        if found.shape != (n,) or found.min(initial=0) < 0 or found.max(initial=0) >= n:
            msg = f"order: has shape {found.shape}, must be {n} rows of the {n} that there are"
            raise TrainingError(msg)
        rows_of_epoch = torch.from_numpy(found)
        mirror = torch.from_numpy(rng.integers(len(self.mirrors), size=n))
        for i in range(skip, self.batches_per_epoch(size)):
            rows = rows_of_epoch[i * size : (i + 1) * size]
            yield self.mirrors.seen(self.train[rows], mirror[rows])


class _Rows:
    """Showers of several files, one behind the other, as a batch on the CPU.

    What is large, the deposits, is put at once where it is to stay: in memory, or in a file that is
    mapped into it.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._filled = 0
        self._deposits: NDArray[np.float32] | None = None
        self._labels: list[NDArray[np.int64]] = []
        self._arrays: dict[str, list[NDArray[np.float64] | None]] = {
            "energy": [],
            "entry_point": [],
            "direction": [],
        }

    def append(self, showers: Showers, label: int) -> None:
        if self._deposits is None:
            self._deposits = _room(self._count, showers.detector.n_cells)
        self._deposits[self._filled : self._filled + len(showers)] = showers.deposits
        self._filled += len(showers)
        self._labels.append(np.full(len(showers), label))
        for name, parts in self._arrays.items():
            parts.append(getattr(showers, name))

    @property
    def span(self) -> tuple[float, float]:
        """Lowest and highest incident energy, to three digits, GeV."""
        energies = np.concatenate([part for part in self._arrays["energy"] if part is not None])
        return float(f"{energies.min():.3g}"), float(f"{energies.max():.3g}")

    def batch(self) -> Batch:
        energy, entry_point, direction = map(_joined, self._arrays.values())
        labels = torch.from_numpy(np.concatenate(self._labels))
        assert energy is not None  # noqa: S101
        assert self._deposits is not None  # noqa: S101
        given = Given(energy.reshape(-1, 1), labels, entry_point, direction)
        return Batch(given, torch.from_numpy(self._deposits))


def _count(path: Path) -> int:
    with open_showers(path) as file:
        return file.split_counts.get("train", 0)


def _joined(parts: Sequence[NDArray[np.float64] | None]) -> Tensor | None:
    """What all parts have; None where one has it not."""
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    return torch.from_numpy(np.concatenate(known).astype(np.float32))


def _room(count: int, cells: int) -> NDArray[np.float32]:
    if 4 * count * cells <= _IN_MEMORY:
        return np.empty((count, cells), dtype=np.float32)
    with tempfile.TemporaryFile() as file:  # its room is free again once nothing maps it
        return np.memmap(file, dtype=np.float32, mode="w+", shape=(count, cells))
