"""Judge showers against Geant4: one call, every metric, with errors, seeds and the floor."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from caloforge import __version__
from caloforge.errors import CaloforgeError, ShowersError
from caloforge.evaluation.energy import conditional_energies, conditional_response
from caloforge.evaluation.matching import match_energies, require_comparable
from caloforge.evaluation.results import (
    FLOOR,
    Evaluation,
    SampleInfo,
    SampleResult,
)
from caloforge.evaluation.sections import SECTIONS, Finding, Pair
from caloforge.random import check_seed
from caloforge.runtime.card import file_sha256
from caloforge.runtime.generator import Generator
from caloforge.showers import ShowerFile, Showers, Split

__all__ = ["Judged", "Sample", "evaluate", "load_reference", "load_sample"]

_PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "h5py")


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

    def rows(self, rows: Any, words: str) -> Sample:
        """Some of the showers; ``words`` say which."""
        showers = self.showers[rows]
        return replace(self, showers=showers, info=_info(self.info, showers, words))


@dataclass(frozen=True)
class Reference:
    """Geant4 showers, in three parts that have none in common but what is said.

    Attributes:
        sample: What is compared with.
        floor: Further showers, judged like a generator.
        training: Showers that generators may have been made from; None where the file is not
            split. The floor is part of them.
    """

    sample: Sample
    floor: Sample
    training: Showers | None


@dataclass(frozen=True)
class Judged:
    """A sample and what was found, with the arrays that figures are drawn from.

    Attributes:
        result: The numbers.
        drawing: By section, then by name.
    """

    result: SampleResult
    drawing: Mapping[str, Mapping[str, Any]]


def load_sample(path: str | Path, name: str | None = None) -> Sample:
    """Read a file of showers to judge.

    Args:
        path: File of showers.
        name: What to call it; by default the name of the file.

    Raises:
        FileFormatError: The file is missing, damaged or not in a known format.
        ShowersError: A value is negative, infinite or not a number.
    """
    path = Path(path)
    with ShowerFile(path) as file:
        showers = file.read()
        info = _info(_about(file), showers, "all")
    return Sample(name or path.stem, showers, info)


def load_reference(path: str | Path, *, seed: int, rows: Split | None = None) -> Reference:
    """Read Geant4 showers, and set those aside that the floor is made from.

    Where the file is split, the reference is its test rows, so that nothing was ever fitted on
    them, and the floor is of its train rows. Where it is not, half of the rows, chosen at random,
    are the reference and the other half the floor.

    Args:
        path: File of Geant4 showers.
        seed: Seed of the choice.
        rows: Which rows of a file that is split are the reference; the floor is of its train rows,
            or of its test rows where the reference is the train rows.

    Raises:
        CaloforgeError: The file cannot be read, or has too few showers.
    """
    path = Path(path)
    with ShowerFile(path) as file:
        showers = file.read()
        about = _about(file)
        split = (
            {name: file.rows_of(name) for name in ("train", "test")} if file.split_counts else {}
        )
        chosen = file.rows_of(rows) if rows is not None else split.get("test")
    if chosen is None:
        order = np.random.Generator(np.random.Philox(key=[check_seed(seed), 99])).permutation(
            len(showers)
        )
        half = np.zeros(len(showers), dtype=np.bool_)
        half[order[: len(showers) // 2]] = True
        parts, words, training = (half, ~half), ("half, at random", "the other half"), None
    else:
        other = "test" if rows == "train" else "train"
        parts = (chosen, split[other])
        words = (f"{rows or 'test'} rows", f"{other} rows")
        training = showers[split["train"]]
    first, second = (
        Sample(name, showers[part], _info(about, showers[part], text))
        for name, part, text in zip(("Geant4", FLOOR), parts, words, strict=True)
    )
    if min(len(first.showers), len(second.showers)) < 100:
        msg = (
            f"reference {path}: has {len(first.showers)} showers to compare with and "
            f"{len(second.showers)} for the floor, must have at least 100 of both"
        )
        raise ShowersError(msg)
    return Reference(first, second, training)


def evaluate(
    reference: Reference | str | Path,
    samples: Sequence[Sample | str | Path],
    *,
    seed: int = 1,
    quick: bool = True,
    match: bool = False,
    repeats: int = 1,
    device: str = "cpu",
    sections: Sequence[str] = tuple(SECTIONS),
    models: Sequence[Generator] = (),
    command: str = "",
    progress: Callable[[int, str], None] = lambda _done, _what: None,
) -> tuple[Evaluation, list[Judged]]:
    """Judge samples of showers, and Geant4 itself, against Geant4.

    Args:
        reference: Geant4 showers, or their file; see :func:`load_reference`.
        samples: Showers to judge, or their files.
        seed: Seed of everything that is random.
        quick: Take the quick variants of what takes long; numbers of quick and full evaluations
            must not be compared with each other.
        match: Where the incident energies of a sample have another distribution than those of the
            reference, compare showers of equal energy and leave out the others; otherwise such a
            sample is refused.
        repeats: Trainings of each classifier.
        device: Where classifiers are trained.
        sections: What to look at; names of :data:`caloforge.evaluation.sections.SECTIONS`.
        models: Generators that are asked for single incident energies below, inside and beyond the
            range that they were made for.
        command: How this was called, for the record.
        progress: Called before each step with the number of steps done and what is next; there are
            ``len(sections) * (1 + len(samples))``.

    Returns:
        All numbers, and for each sample (the floor first) what figures are drawn from.

    Raises:
        CaloforgeError: A file cannot be read, or samples cannot be compared.
    """
    start = time.perf_counter()
    check_seed(seed)
    unknown = [name for name in sections if name not in SECTIONS]
    if unknown:
        msg = f"sections: {unknown[0]!r} is not known, must be among {', '.join(SECTIONS)}"
        raise CaloforgeError(msg)
    if not isinstance(reference, Reference):
        reference = load_reference(reference, seed=seed)
    loaded = [item if isinstance(item, Sample) else load_sample(item) for item in samples]
    pairs = [_pair(reference.sample, sample, match=match, seed=seed) for sample in loaded]
    largest = max(
        [len(sample.showers) for _, sample in pairs], default=len(reference.sample.showers)
    )
    floor = reference.floor
    if len(floor.showers) > largest:
        floor = floor.rows(slice(0, largest), f"{floor.info.rows}, the first {largest}")
    judged = []
    for i, (truth, sample) in enumerate([(reference.sample, floor), *pairs]):
        judged.append(
            _judge(
                Pair(
                    truth.showers,
                    sample.showers,
                    None if sample is floor else reference.training,
                    seed,
                    quick,
                    repeats,
                    device,
                ),
                sample,
                sections,
                partial(_later, progress, i * len(sections)),
            )
        )
    evaluation = Evaluation(
        caloforge=__version__,
        versions=_versions(),
        machine=f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}",
        command=command,
        seed=seed,
        quick=quick,
        reference=reference.sample.info,
        samples=tuple(item.result for item in judged),
        conditional={model.card.name: _conditional(model, seed, quick=quick) for model in models},
        seconds=time.perf_counter() - start,
    )
    return evaluation, judged


def _pair(reference: Sample, sample: Sample, *, match: bool, seed: int) -> tuple[Sample, Sample]:
    """The reference and the sample, cut down to equal energies if that was asked for."""
    if not match:
        require_comparable(reference.showers, sample.showers, sample.info.file)
        return reference, _named(sample, reference)
    rng = np.random.Generator(np.random.Philox(key=[seed, 98]))
    first, second = match_energies(reference.showers.energy, sample.showers.energy, rng)
    truth = reference.rows(first, f"{reference.info.rows}, energies matched")
    matched = sample.rows(second, f"{sample.info.rows}, energies matched")
    require_comparable(truth.showers, matched.showers, sample.info.file)
    return truth, _named(matched, reference)


def _named(sample: Sample, reference: Sample) -> Sample:
    """A file that does not say which particle it holds is taken to hold that of the reference."""
    if sample.showers.particle:
        return sample
    return replace(sample, showers=replace(sample.showers, particle=reference.showers.particle))


def _judge(
    pair: Pair, sample: Sample, sections: Sequence[str], progress: Callable[[int, str], None]
) -> Judged:
    start = time.perf_counter()
    findings: dict[str, Finding] = {}
    for i, name in enumerate(sections):
        progress(i, f"{sample.name}: {name}")
        findings[name] = SECTIONS[name](pair)
    result = SampleResult(
        name=sample.name,
        info=sample.info,
        headlines=tuple(line for found in findings.values() for line in found.headlines),
        sections={name: _plain(found.details) for name, found in findings.items()},
        warnings=tuple(text for found in findings.values() for text in found.warnings),
        seconds=time.perf_counter() - start,
    )
    return Judged(result, {name: found.drawing for name, found in findings.items()})


def _conditional(model: Generator, seed: int, *, quick: bool) -> tuple[dict[str, Any], ...]:
    points = conditional_response(model, conditional_energies(model), 200 if quick else 2000, seed)
    return tuple(_plain(point.to_dict()) for point in points)


def _later(progress: Callable[[int, str], None], before: int, done: int, what: str) -> None:
    progress(before + done, what)


def _plain(value: Any) -> Any:
    """JSON values only; what is not a finite number becomes None."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return value


def _about(file: ShowerFile) -> SampleInfo:
    return SampleInfo(
        file=file.path.name,
        sha256=file_sha256(file.path),
        showers=0,
        available=len(file),
        rows="",
        particle=file.particle,
        detector=file.detector.name,
        energy=(0.0, 0.0),
        run=file.run,
    )


def _info(about: SampleInfo, showers: Showers, rows: str) -> SampleInfo:
    span = (
        (float(showers.energy.min()), float(showers.energy.max())) if len(showers) else (0.0, 0.0)
    )
    return about.model_copy(update={"showers": len(showers), "rows": rows, "energy": span})


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
