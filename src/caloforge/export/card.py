"""What the cards of all artefacts state in the same way."""

from __future__ import annotations

import json
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from caloforge.detector import Detector, detector_to_json
from caloforge.evaluation.sections import SECTIONS
from caloforge.evaluation.sections.pair import Pair
from caloforge.evaluation.summary.file import write_summary
from caloforge.evaluation.summary.summary import SummaryBuilder
from caloforge.export.closure import asked
from caloforge.runtime.card import Score
from caloforge.runtime.generator import Generator
from caloforge.showers import Showers

__all__ = ["artefact_name", "definition", "scores", "speed", "write_reference"]

_SHOWERS = 4096
_SLUGS = {"e+": "eplus", "e-": "eminus", "pi+": "piplus", "pi-": "piminus"}


def artefact_name(system: str, *particles: str) -> str:
    """Name of an artefact.

    Examples:
        >>> artefact_name("calogan", "e+"), artefact_name("calogan", "e+", "gamma")
        ('calogan-eplus', 'calogan-eplus-gamma')
    """
    return "-".join([system, *(_SLUGS.get(name, name.lower()) for name in particles)])


def definition(detector: Detector) -> dict[str, Any]:
    """The definition of a detector, as in a detector file."""
    found: dict[str, Any] = json.loads(detector_to_json(detector))
    return found


def write_reference(folder: Path, showers: Showers, *, several: bool = False) -> None:
    """Put the summary of Geant4 showers into an artefact, for the pages that compare with it.

    Args:
        folder: The artefact.
        showers: The showers.
        several: Whether there are some of other particles beside them.
    """
    builder = SummaryBuilder(showers.detector, showers.particle)
    builder.add(showers)
    words = ["reference", showers.particle] if several else ["reference"]
    path = folder / f"{artefact_name(*words)}-{showers.detector.name}.json"
    path.write_text(write_summary(builder.result()), "utf-8")


def speed(generator: Generator, seed: int) -> dict[str, float]:
    """Showers per second of one process, start-up apart, uniform over the range of energies."""
    low, high = generator.card.energy_range
    energies = np.linspace(low, high, _SHOWERS)
    generator.sample(energies[:64], seed=seed)
    start = time.perf_counter()
    generator.sample(energies, seed=seed)
    return {"showers_per_second": round(_SHOWERS / (time.perf_counter() - start), 1)}


_SECTIONS = ("headline", "observables", "energy", "manifold", "trees")


_LEAST = 200  # showers: fewer say nothing, and some sections cannot compare them


def scores(generator: Generator, test: Showers, *, seed: int) -> tuple[Score, ...]:
    """Judge a generator quickly, with one shower of it for each of Geant4.

    Args:
        generator: A loaded artefact.
        test: Geant4 showers that nothing was fitted, chosen or tuned on.
        seed: Seed of the showers and of the judge.

    Returns:
        The judge's headlines; none of fewer than 200 showers, or where scikit-learn is not
        installed.
    """
    if len(test) < _LEAST or find_spec("sklearn") is None:
        return ()
    showers = generator.sample(asked(generator, test), seed=seed, detector=test.detector)
    pair = Pair(reference=test, showers=showers, training=None, seed=seed, quick=True)
    return tuple(
        Score(
            name=item.name, label=item.label, value=item.value, error=item.error, showers=len(test)
        )
        for section in _SECTIONS
        for item in SECTIONS[section](pair).headlines
        if item.value is not None
    )
