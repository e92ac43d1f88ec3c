"""Measure how long Geant4 takes for a shower: src/caloforge/speed/geant4-times.json.

Usage: python docs/make_geant4_times.py

Processor time of one process, so that other programs on the machine change it little; the first
shower, which builds the geometry and its tables, is not counted. Needs the data tables of Geant4.
"""

from __future__ import annotations

import json
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np

from caloforge.atomic import write_text
from caloforge.detector import load_detector
from caloforge.fullsim import Geant4Source, PhysicsSettings
from caloforge.incident.gun import Gun
from caloforge.incident.spectrum import Spectrum
from caloforge.provenance import processor
from caloforge.speed.geant4_times import TIMES, Geant4Time

DETECTORS = ("calogan", "lar-voxels")  # readouts of one stack
PARTICLES = ("e+", "gamma", "pi+")
SHOWERS = {1.0: 200, 3.0: 70, 10.0: 24, 30.0: 10, 100.0: 6}
PHYSICS = PhysicsSettings("option1", "FTFP_BERT", 0.7)  # of the showers that the judge knows


def measure(particle: str) -> Geant4Time:
    """In a fresh process: Geant4 is there once in each."""
    energies = np.repeat(list(SHOWERS), list(SHOWERS.values()))
    spectrum = Spectrum.of(np.concatenate([energies[:1], energies]))
    source = Geant4Source(load_detector(DETECTORS[0]), Gun(particle, spectrum), 1, physics=PHYSICS)
    source.block(0, 1)
    seconds, first = [], 1
    for count in SHOWERS.values():
        start = time.process_time()
        source.block(first, count)
        seconds.append(float(f"{(time.process_time() - start) / count:.3g}"))
        first += count
    words = f"{PHYSICS.hadronic}, {PHYSICS.em}, cut {PHYSICS.cut_mm:g} mm"
    return Geant4Time(
        DETECTORS, particle, tuple(SHOWERS), tuple(seconds), tuple(SHOWERS.values()), words,
        processor(),
    )  # fmt: skip


def main() -> None:
    context = multiprocessing.get_context("spawn")
    found = []
    for particle in PARTICLES:
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            found.append(asdict(pool.submit(measure, particle).result()))
        print(found[-1])
    path = Path(__file__).parents[1] / "src/caloforge/speed" / TIMES
    write_text(path, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
