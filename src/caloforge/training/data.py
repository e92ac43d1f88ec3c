"""Geant4 showers as training sees them: rows, mirror images, batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from caloforge.detector import Detector
from caloforge.errors import ParticleError, TrainingError
from caloforge.models.system import Batch, Setting
from caloforge.particles import particle_name
from caloforge.provenance import file_sha256
from caloforge.random import Purpose, shower_rng
from caloforge.runtime.card import TrainingRows
from caloforge.showers import Showers, Split, read_part

__all__ = ["TrainingData", "mirror_images"]

_PARTS: tuple[Split, ...] = ("train", "validation")


@dataclass(frozen=True)
class TrainingData:
    """The train and validation rows of one file per particle.

    Attributes:
        setting: The readout that is filled, the particles, the range of incident energies.
        train: Train rows, on the CPU.
        validation: Validation rows of each particle.
        files: What was read, for the card.
        mirrors: Permutations of the cells that leave the detector as it is: shape
            (n_symmetries, n_cells), the identity first.
    """

    setting: Setting
    train: Batch
    validation: tuple[Showers, ...]
    files: tuple[TrainingRows, ...]
    mirrors: Tensor

    @classmethod
    def load(
        cls,
        files: Sequence[str | Path],
        particles: Sequence[str],
        readout: Callable[[Detector], Detector] = lambda detector: detector,
        *,
        augment: bool = True,
    ) -> TrainingData:
        """Read the rows to train on and those to choose on; test rows are never read.

        Args:
            files: One file per particle, split into train, validation and test rows.
            particles: Names of the particles.
            readout: Gives the part of the files' detector that is to be filled.
            augment: Use the mirror symmetries of the detector.

        Raises:
            CaloforgeError: A file is missing, damaged, not split, of another particle, or the files
                are of different detectors.
        """
        if len(files) != len(particles) or not files:
            msg = f"data: got {len(files)} files for {len(particles)} particles, need one for each"
            raise TrainingError(msg)
        names = tuple(particle_name(particle) for particle in particles)
        if len(set(names)) < len(names):
            msg = f"particle: got {', '.join(names)}; name each once"
            raise ParticleError(msg)
        parts = [
            [read_part(file, split, name) for file, name in zip(files, names, strict=True)]
            for split in _PARTS
        ]
        detector = readout(parts[0][0].detector)
        for file, part in zip(files, parts[0], strict=True):
            if not part.detector.same_readout(parts[0][0].detector):
                msg = (
                    f"data: {file} is of another detector ({part.detector.name!r}) than {files[0]}"
                )
                raise TrainingError(msg)
        parts = [[each.restricted(detector) for each in part] for part in parts]
        energies = np.concatenate([part.energy for part in parts[0]])
        span = float(f"{energies.min():.3g}"), float(f"{energies.max():.3g}")
        return cls(
            Setting(detector, names, span),
            Batch(
                torch.from_numpy(energies.astype(np.float32)).reshape(-1, 1),
                torch.from_numpy(np.concatenate([part.deposits for part in parts[0]])),
                torch.repeat_interleave(torch.tensor([len(part) for part in parts[0]])),
            ),
            tuple(parts[1]),
            tuple(
                TrainingRows(
                    file=Path(file).name,
                    sha256=file_sha256(Path(file)),
                    rows=len(part),
                    split="train",
                    source="Geant4",
                )
                for file, part in zip(files, parts[0], strict=True)
            ),
            torch.from_numpy(mirror_images(detector) if augment else _identity(detector)),
        )

    def batches_per_epoch(self, size: int) -> int:
        """Number of whole batches of an epoch: what is left over waits for another order.

        Raises:
            TrainingError: There are fewer train rows than a batch has.
        """
        if size > len(self.train):
            msg = f"batch_size: a step takes {size} showers, there are {len(self.train)} train rows"
            raise TrainingError(msg)
        return len(self.train) // size

    def batches(self, seed: int, epoch: int, size: int, *, skip: int = 0) -> Iterator[Batch]:
        """The batches of an epoch: a function of the seed and the epoch alone.

        Args:
            seed: Seed of the training.
            epoch: Counts from 0.
            size: Showers of a batch.
            skip: Batches at the beginning to leave out.
        """
        rng = shower_rng(seed, epoch, Purpose.ORDER)
        order = torch.from_numpy(rng.permutation(len(self.train)))
        mirror = torch.from_numpy(rng.integers(len(self.mirrors), size=len(self.train)))
        for i in range(skip, self.batches_per_epoch(size)):
            rows = order[i * size : (i + 1) * size]
            batch = self.train[rows]
            if len(self.mirrors) > 1:
                cells = batch.deposits.gather(1, self.mirrors[mirror[rows]])
                batch = replace(batch, deposits=cells)
            yield batch


def mirror_images(detector: Detector) -> NDArray[np.int64]:
    """All products of the detector's mirror symmetries, the identity first.

    Args:
        detector: A detector.

    Returns:
        Permutations of the cells, shape (n, n_cells): ``deposits[:, permutation]`` are showers as
        likely as the original ones, where particles enter at the centre, perpendicular.
    """
    mirrors = list(detector.symmetries.values())
    found = [_identity(detector)[0]]
    for count in range(1, len(mirrors) + 1):
        for chosen in combinations(mirrors, count):
            product = found[0]
            for permutation in chosen:
                product = product[permutation]
            found.append(product)
    return np.stack(found)


def _identity(detector: Detector) -> NDArray[np.int64]:
    return np.arange(detector.n_cells, dtype=np.int64)[None]
