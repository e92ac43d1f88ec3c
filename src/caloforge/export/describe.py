"""What the cards of all artefacts state in the same way."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from caloforge.detector import Detector, detector_to_json
from caloforge.evaluation.summary import SummaryBuilder
from caloforge.runtime.generator import Generator
from caloforge.showers import Showers

__all__ = ["artefact_name", "definition", "speed", "write_reference"]

_SHOWERS = 4096
_SLUGS = {"e+": "eplus", "e-": "eminus", "pi+": "piplus", "pi-": "piminus"}


def artefact_name(system: str, particle: str) -> str:
    """Name of an artefact.

    Examples:
        >>> artefact_name("calogan", "e+")
        'calogan-eplus'
    """
    return f"{system}-{_SLUGS.get(particle, particle.lower())}"


def definition(detector: Detector) -> dict[str, Any]:
    """The definition of a detector, as in a detector file."""
    found: dict[str, Any] = json.loads(detector_to_json(detector))
    return found


def write_reference(folder: Path, showers: Showers) -> None:
    """Put the summary of Geant4 showers into an artefact, for the pages that compare with it."""
    builder = SummaryBuilder(showers.detector, showers.particle)
    builder.add(showers)
    path = folder / f"reference-{showers.detector.name}.json"
    path.write_text(builder.result().to_json(), "utf-8")


def speed(generator: Generator, seed: int) -> dict[str, float]:
    """Showers per second of one process, start-up apart, uniform over the range of energies."""
    low, high = generator.card.energy_range
    energies = np.linspace(low, high, _SHOWERS)
    generator.sample(energies[:64], seed=seed)
    start = time.perf_counter()
    generator.sample(energies, seed=seed)
    return {"showers_per_second": round(_SHOWERS / (time.perf_counter() - start), 1)}
