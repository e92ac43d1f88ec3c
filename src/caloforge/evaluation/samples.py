"""What is judged, and what it is judged against: showers with a name, from files or memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import Detector
from caloforge.errors import ShowersError
from caloforge.evaluation.results import FLOOR, SampleInfo
from caloforge.provenance import files_sha256
from caloforge.random import check_seed
from caloforge.showers import Paths, ShowerFile, Showers, Split

__all__ = [
    "IN_MEMORY",
    "LEAST",
    "Reference",
    "Sample",
    "load_reference",
    "load_sample",
    "name_particle",
]

LEAST = 100
"""Showers that each sample must have: fewer say nothing."""
IN_MEMORY = "in memory"
"""What stands in place of the name of a file where there is none."""


@dataclass(frozen=True)
class Sample:
    """Showers, and which they are.

    Attributes:
        name: What tables call them.
        showers: The showers.
        info: Where they are from.
    """

    name: str
    showers: Showers
    info: SampleInfo

    def rows(self, rows: slice | NDArray[np.integer], words: str) -> Sample:
        """Some of the showers; ``words`` say which."""
        showers = self.showers[rows]
        return replace(self, showers=showers, info=_info(self.info, showers, words))

    def of(self, particle: str) -> Sample:
        """The same showers, now known to be of this particle."""
        return replace(
            self,
            showers=replace(self.showers, particle=particle),
            info=self.info.model_copy(update={"particle": particle}),
        )


@dataclass(frozen=True)
class Reference:
    """Geant4 showers, in three parts that have none in common but what is said.

    Attributes:
        sample: What is compared with.
        floor: Further showers, judged like a generator.
        training: Showers that generators may have been made from, none of which is in the sample;
            None where they are not known. The floor is part of them.
    """

    sample: Sample
    floor: Sample
    training: Showers | None


def load_sample(
    source: Showers | Paths,
    name: str | None = None,
    *,
    seed: int = 1,
    detector: str | Path | Detector | None = None,
    particle: str | int | None = None,
) -> Sample:
    """Showers to judge.

    Args:
        source: File of showers, or several that hold one sample, or showers.
        name: What to call it; by default the name of the file, or ``"showers"``.
        seed: Seed of the order that they are put in; that of the file never matters.
        detector: What they are recorded in, where the file does not say.
        particle: What they are of, where the file does not say.

    Raises:
        FileFormatError: The file is missing, damaged or not in a known format.
        ShowersError: A value is negative, infinite or not a number.
    """
    if isinstance(source, Showers):
        showers = source[_order([source], seed)]
        return Sample(name or "showers", showers, _info(_about(source), showers, "all"))
    with ShowerFile(source, detector, particle) as file:
        showers = file.read_rows(_order(file.blocks(), seed))
        info = _info(_about(file), showers, "all")
    return Sample(name or file.path.stem, showers, info)


def load_reference(
    source: Showers | Paths,
    *,
    seed: int,
    rows: Split | None = None,
    detector: str | Path | Detector | None = None,
    particle: str | int | None = None,
) -> Reference:
    """Geant4 showers, and those of them that are set aside to make the floor from.

    Where a file is split, the reference is its test rows, so that nothing was ever fitted on
    them, and the floor is of its train rows. Where it is not, and of showers in memory, half of the
    rows, chosen at random, are the reference and the other half the floor.

    Args:
        source: File of Geant4 showers, or several that hold one sample, or showers.
        seed: Seed of the choice, and of the order within the parts; that of the file never matters.
        rows: Which rows of a file that is split are the reference; the floor is of its train rows,
            or of its test rows where the reference is the train rows.
        detector: What they are recorded in, where the file does not say.
        particle: What they are of, where the file does not say.

    Raises:
        CaloforgeError: The file cannot be read, or has too few showers.
    """
    if isinstance(source, Showers):
        about, words, parts = _divide_showers(source, seed, rows)
    else:
        with ShowerFile(source, detector, particle) as file:
            about, words, parts = _divide_file(file, seed, rows)
    first, second = (
        Sample(name, part, _info(about, part, text))
        for name, part, text in zip(("Geant4", FLOOR), parts, words, strict=True)
    )
    if min(len(first.showers), len(second.showers)) < LEAST:
        msg = (
            f"reference {about.file}: has {len(first.showers)} showers to compare with and "
            f"{len(second.showers)} for the floor, must have at least {LEAST} of both"
        )
        raise ShowersError(msg)
    return Reference(first, second, parts[1] if words[1] == "train rows" else None)


Rows = NDArray[np.intp]
_Divided = tuple[SampleInfo, tuple[str, str], list[Showers]]


def _divide_file(file: ShowerFile, seed: int, rows: Split | None) -> _Divided:
    order = _order(file.blocks(), seed)
    if rows is None and file.split is None:
        chosen, words = _halves(order), _words(seed)
    else:
        names: tuple[Split, Split] = (rows or "test", "test" if rows == "train" else "train")
        first, second = (file.rows_of(name)[order] for name in names)
        chosen = (order[first], order[second])
        words = (f"{names[0]} rows", f"{names[1]} rows")
    return _about(file), words, file.read_parts(chosen)


def _divide_showers(showers: Showers, seed: int, rows: Split | None) -> _Divided:
    if rows is not None:
        msg = f"rows: got {rows!r}, but showers in memory are not split; give those to compare with"
        raise ShowersError(msg)
    parts = [showers[chosen] for chosen in _halves(_order([showers], seed))]
    return _about(showers), _words(seed), parts


def _words(seed: int) -> tuple[str, str]:
    # With the seed: what was judged against another half must not be compared.
    return f"half, at random (seed {seed})", "the other half"


def _halves(order: Rows) -> tuple[Rows, Rows]:
    return order[: len(order) // 2], order[len(order) // 2 :]


def _order(blocks: Iterable[Showers], seed: int) -> Rows:
    """The rows in an order that is random and depends on what is in them, not on where they stand.

    Args:
        blocks: N showers.
        seed: Seed of the order.

    Returns:
        A permutation: shape (N,).
    """
    key = check_seed(seed).to_bytes(8, "little")
    digests = b"".join(
        hashlib.blake2b(deposits.tobytes() + energy.tobytes(), digest_size=8, key=key).digest()
        for showers in blocks
        for deposits, energy in zip(showers.deposits, showers.energy, strict=True)
    )
    order: Rows = np.argsort(np.frombuffer(digests, dtype=np.uint64), kind="stable")
    return order


def name_particle(
    reference: Reference, samples: Sequence[Sample]
) -> tuple[Reference, list[Sample]]:
    """Files that do not say which particle they hold are taken to hold that of the others.

    Raises:
        ShowersError: The reference does not say, and the others hold several.
    """
    particle = reference.sample.showers.particle
    if not particle:
        known = sorted({sample.showers.particle for sample in samples} - {""})
        if len(known) > 1:
            msg = f"showers: hold {' and '.join(known)}, must all be what the reference holds"
            raise ShowersError(msg)
        particle = known[0] if known else ""
        training = reference.training
        reference = Reference(
            reference.sample.of(particle),
            reference.floor.of(particle),
            None if training is None else replace(training, particle=particle),
        )
    return reference, [item if item.showers.particle else item.of(particle) for item in samples]


def _about(source: ShowerFile | Showers) -> SampleInfo:
    """Where showers are from; which of them and how many is yet to be said."""
    file, sha256, run = IN_MEMORY, "", {}
    if isinstance(source, Showers):
        sha256 = hashlib.sha256(np.ascontiguousarray(source.deposits).data).hexdigest()
    else:
        file = ", ".join(path.name for path in source.paths)
        sha256, run = files_sha256(source.paths), source.run
    return SampleInfo(
        file=file,
        sha256=sha256,
        showers=0,
        available=len(source),
        rows="",
        particle=source.particle,
        detector=source.detector.name,
        energy=(0.0, 0.0),
        run=run,
    )


def _info(about: SampleInfo, showers: Showers, rows: str) -> SampleInfo:
    span = (
        (float(showers.energy.min()), float(showers.energy.max())) if len(showers) else (0.0, 0.0)
    )
    return about.model_copy(update={"showers": len(showers), "rows": rows, "energy": span})
