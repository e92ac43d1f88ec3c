"""Judge showers against Geant4: one call, every metric, with errors, seeds and the floor."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from caloforge.errors import CaloforgeError, ShowersError
from caloforge.evaluation.classifiers.network_test import check_training
from caloforge.evaluation.comparable import stack_warnings
from caloforge.evaluation.distances.response import conditional_energies, conditional_response
from caloforge.evaluation.features.studied import StudiedShowers
from caloforge.evaluation.matching import match_energies, require_comparable
from caloforge.evaluation.plain import plain
from caloforge.evaluation.results import Evaluation, SampleResult
from caloforge.evaluation.samples import (
    LEAST,
    Reference,
    Sample,
    load_reference,
    load_sample,
    name_particle,
)
from caloforge.evaluation.sections import SECTIONS
from caloforge.evaluation.sections.pair import Finding, Pair
from caloforge.evaluation.shown import Shown
from caloforge.evaluation.verdicts import beside_floor
from caloforge.provenance import machine, versions
from caloforge.random import Purpose, check_seed, stream
from caloforge.runtime.generator import Generator
from caloforge.showers import Showers
from caloforge.version import __version__

__all__ = ["evaluate"]

_PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "h5py")


def evaluate(
    reference: Reference | Showers | str | Path,
    samples: Sequence[Sample | Showers | str | Path],
    *,
    seed: int = 1,
    quick: bool = True,
    match: bool = False,
    repeats: int = 1,
    device: str = "cpu",
    sections: Sequence[str] | None = None,
    models: Sequence[Generator] = (),
    command: str = "",
    progress: Callable[[int, str], None] = lambda _done, _what: None,
) -> tuple[Evaluation, list[Shown]]:
    """Judge samples of showers, and Geant4 itself, against Geant4.

    Args:
        reference: Geant4 showers, or their file; see :func:`load_reference`.
        samples: Showers to judge, or their files. Showers in memory are called by their place:
            "sample 1", ...
        seed: Seed of everything that is random.
        quick: Take the quick variants of what takes long; numbers of quick and full evaluations
            must not be compared with each other.
        match: Where the incident energies of a sample have another distribution than those of the
            reference, compare showers of equal energy and leave out the others; otherwise such a
            sample is refused.
        repeats: Trainings of each classifier.
        device: Where classifiers are trained.
        sections: What to look at; names of :data:`caloforge.evaluation.sections.SECTIONS`, by
            default all of them.
        models: Generators that are asked for single incident energies below, inside and beyond the
            range that they were made for.
        command: How this was called, for the record.
        progress: Called before each step with the number of steps done and what is next; there are
            ``len(sections) * (1 + len(samples))``.

    Returns:
        All numbers, and for each of its samples (the floor first) what a report shows beside them.

    Raises:
        CaloforgeError: A file cannot be read, or samples cannot be compared.
    """
    start = time.perf_counter()
    check_seed(seed)
    sections = tuple(SECTIONS) if sections is None else sections
    unknown = [name for name in sections if name not in SECTIONS]
    if unknown:
        msg = f"sections: {unknown[0]!r} is not known, must be among {', '.join(SECTIONS)}"
        raise CaloforgeError(msg)
    if "classifiers" in sections and find_spec("torch") is not None:
        check_training(repeats, device)
    if not isinstance(reference, Reference):
        reference = load_reference(reference, seed=seed)
    reference, loaded = name_particle(
        reference, [_sample(item, i, seed) for i, item in enumerate(samples, start=1)]
    )
    # What is computed of the reference is kept to the end, of a sample for as long as it is judged.
    truth = replace(reference.sample, showers=StudiedShowers.of(reference.sample.showers))
    pairs = [_pair(truth, sample, match=match, seed=seed) for sample in loaded]
    largest = max([len(sample.showers) for _, sample in pairs], default=len(truth.showers))
    floor = reference.floor
    if len(floor.showers) > largest:
        floor = floor.rows(slice(0, largest), f"{floor.info.rows}, the first {largest}")
    judged = [
        _judge(
            Pair(
                other.showers,
                sample.showers,
                reference.training,
                seed,
                quick,
                repeats,
                device,
                is_floor=sample is floor,
            ),
            sample,
            sections,
            partial(_later, progress, i * len(sections)),
        )
        for i, (other, sample) in enumerate([(truth, floor), *pairs])
    ]
    evaluation = Evaluation(
        caloforge=__version__,
        versions=versions(_PACKAGES),
        machine=machine(),
        command=command,
        seed=seed,
        quick=quick,
        reference=truth.info,
        samples=beside_floor([result for result, _ in judged]),
        conditional={model.card.name: _conditional(model, seed, quick=quick) for model in models},
        seconds=time.perf_counter() - start,
    )
    return evaluation, [shown for _, shown in judged]


def _sample(source: Sample | Showers | str | Path, number: int, seed: int) -> Sample:
    if isinstance(source, Sample):
        return source
    name = f"sample {number}" if isinstance(source, Showers) else None
    return load_sample(source, name, seed=seed)


def _require_enough(sample: Sample, what: str) -> None:
    """Refuse a sample that says nothing, before anything is computed.

    Raises:
        ShowersError: It has too few showers.
    """
    if len(sample.showers) < LEAST:
        msg = (
            f"showers {sample.info.file}: has {len(sample.showers)} showers {what}, must have at "
            f"least {LEAST}; make more of them"
        )
        raise ShowersError(msg)


def _pair(reference: Sample, sample: Sample, *, match: bool, seed: int) -> tuple[Sample, Sample]:
    """The reference and the sample, cut down to equal energies if that was asked for."""
    _require_enough(sample, "to judge")
    if not match:
        require_comparable(reference.showers, sample.showers, sample.info.file)
        return reference, sample
    rng = stream(seed, Purpose.MATCHING)
    first, second = match_energies(reference.showers.energy, sample.showers.energy, rng)
    truth = reference.rows(first, f"{reference.info.rows}, energies matched")
    matched = sample.rows(second, f"{sample.info.rows}, energies matched")
    _require_enough(matched, "with a partner of equal energy")
    require_comparable(truth.showers, matched.showers, sample.info.file)
    return truth, matched


def _judge(
    pair: Pair, sample: Sample, sections: Sequence[str], progress: Callable[[int, str], None]
) -> tuple[SampleResult, Shown]:
    start = time.perf_counter()
    findings: dict[str, Finding] = {}
    for i, name in enumerate(sections):
        progress(i, f"{sample.name}: {name}")
        findings[name] = SECTIONS[name](pair)
    result = SampleResult(
        name=sample.name,
        info=sample.info,
        headlines=tuple(line for found in findings.values() for line in found.headlines),
        sections={name: plain(found.details) for name, found in findings.items()},
        verdicts=tuple(word for found in findings.values() for word in found.verdicts),
        warnings=stack_warnings(pair.reference, pair.showers)
        + tuple(text for found in findings.values() for text in found.warnings),
        seconds=time.perf_counter() - start,
    )
    return result, Shown(
        tuple(panel for found in findings.values() for panel in found.panels),
        tuple(table for found in findings.values() for table in found.tables),
    )


def _conditional(model: Generator, seed: int, *, quick: bool) -> tuple[dict[str, Any], ...]:
    points = conditional_response(model, conditional_energies(model), 200 if quick else 2000, seed)
    return tuple(plain(point) for point in points)


def _later(progress: Callable[[int, str], None], before: int, done: int, what: str) -> None:
    progress(before + done, what)
