"""Geant4 inside this process: one shot of a few showers, and what they left where.

Geant4 keeps its physics in global variables, so a process has one :class:`PhysicsSettings` for
life (calzone lets it be changed, but what comes out then is not what a fresh process gives:
measured with calzone 1.2.2, ``standard`` followed by ``option1``). Geometry and particle may
change from shot to shot; that was found to leave no trace.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import Hits, Stack
from caloforge.errors import CaloforgeError, DetectorError
from caloforge.fullsim.data import import_calzone, require_data
from caloforge.fullsim.geometry import build_geometry, sensitive_volumes
from caloforge.fullsim.physics import PhysicsSettings
from caloforge.random import Purpose, shower_words
from caloforge.units import MEV_PER_GEV

__all__ = ["Primaries", "Shot", "ShotError", "random_index", "shoot"]

FloatArray = NDArray[np.float64]

# The generator of calzone (PCG64-MCG) multiplies modulo 2^128 and has the period 2^126; a stream
# index is a jump within that one cycle, and all showers jump from this one start.
_START = 0x9E3779B97F4A7C15F39CC0605CEDC835
_MM = 10.0  # calzone counts in cm, we in mm
_BEFORE = 0.01  # particles start this far before the front face, mm
_physics_of_process: list[PhysicsSettings] = []


class ShotError(Exception):
    """Geant4 complained about a shower; calzone then gives nothing of the whole shot."""


@dataclass(frozen=True)
class Primaries:
    """The particles of one shot of N showers.

    Attributes:
        pdg: PDG identifier.
        energy: Kinetic energy: shape (N,), GeV.
        entry_point: On the front face: shape (N, 2), mm.
        direction: Unit vectors: shape (N, 3).
        index: Where in the cycle of random numbers each shower begins: shape (N, 2), high and low
            word, see :func:`random_index`.
    """

    pdg: int
    energy: FloatArray
    entry_point: FloatArray
    direction: FloatArray
    index: NDArray[np.uint64]

    def __getitem__(self, rows: slice) -> Primaries:
        """Some of the particles."""
        return Primaries(
            self.pdg,
            self.energy[rows],
            self.entry_point[rows],
            self.direction[rows],
            self.index[rows],
        )


@dataclass(frozen=True)
class Shot:
    """What the N showers of one shot left.

    Attributes:
        hits: The deposits. One along a step is at the middle of the step, one at a point is there.
        leakage: Kinetic energy of all particles, neutrinos included, that left the stack, summed
            per shower: shape (N,), MeV.
    """

    hits: Hits
    leakage: FloatArray


def random_index(seed: int, shower: int, attempt: int = 0) -> NDArray[np.uint64]:
    """Where in Geant4's cycle of random numbers a shower begins.

    In a multiplicative congruential generator modulo 2^128 two streams whose distance is a
    multiple of 2^k share their k + 2 lowest bits for ever, so indices at a regular stride (and
    above all at a power of two) give showers that know of each other. The index is therefore 126
    bits of Philox output. Streams overlap only by accident: a million showers of 10^9 numbers
    each do so with a probability of 10^-17.

    Args:
        seed: Seed of the run.
        shower: Index of the shower in the run.
        attempt: Counts the streams of this shower that Geant4 complained about.

    Returns:
        Shape (2,): high and low word of the index, below 2^126.
    """
    words = shower_words(seed, shower, Purpose.GEANT4, 2 * attempt + 2)[-2:]
    words[0] >>= np.uint64(2)
    return words


def shoot(
    stack: Stack, physics: PhysicsSettings, primaries: Primaries, *, record: bool = True
) -> Shot:
    """Simulate a few showers.

    Deposits take 120 bytes each while they are read, and a shower of 50 GeV has a quarter of a
    million: shoot few at a time.

    Args:
        stack: The plates.
        physics: Physics list and cut.
        primaries: The particles.
        record: Whether to read out anything at all; without it the hits are empty (for timing).

    Raises:
        Geant4DataError: calzone or the data tables are missing.
        CaloforgeError: This process has run other physics already, or Geant4 does not know the
            particle or a material.
        ShotError: Geant4 raised an exception of its own, even a mere warning.
    """
    _claim_process(physics)
    calzone = import_calzone()
    n = len(primaries.energy)
    direction = primaries.direction
    start = np.column_stack([primaries.entry_point, np.zeros(n)]) - _BEFORE * direction
    with _stdout_to_stderr():
        simulation = _simulation(stack, physics)
        simulation.sample_deposits = "detailed" if record else None
        simulation.sample_particles = record
        particles = calzone.particles(
            n,
            pid=primaries.pdg,
            energy=MEV_PER_GEV * primaries.energy,
            position=start / _MM,
            direction=direction,
        )
        try:
            result = simulation.run(particles, random_indices=primaries.index)
        except calzone.Geant4Exception as error:
            raise ShotError(" ".join(str(error).split())) from None
        except ValueError as error:
            msg = f"Geant4 cannot simulate PDG particle {primaries.pdg}: {error}"
            raise CaloforgeError(msg) from None
    if not record:
        return Shot(Hits([], [], [], []), np.zeros(n))
    return _read(stack, result, n)


def _claim_process(physics: PhysicsSettings) -> None:
    if not _physics_of_process:
        require_data(physics)
        _physics_of_process.append(physics)
    elif _physics_of_process[0] != physics:
        msg = (
            f"physics: this process already runs Geant4 with {_physics_of_process[0]}, it cannot "
            f"switch to {physics}; use a new process"
        )
        raise CaloforgeError(msg)


@lru_cache(maxsize=1)
def _simulation(stack: Stack, physics: PhysicsSettings) -> Any:
    calzone = import_calzone()
    try:
        geometry = calzone.Geometry(build_geometry(stack))
    except (ValueError, KeyError, calzone.Geant4Exception) as error:
        msg = f"stack: Geant4 cannot build it: {error}"
        raise DetectorError(msg) from None
    simulation = calzone.Simulation(geometry, random=calzone.Random(_START))
    simulation.physics = calzone.Physics(
        physics.em,
        default_cut=physics.cut_mm / _MM,
        had_model=None if physics.hadronic == "none" else physics.hadronic,
    )
    return simulation


def _read(stack: Stack, result: Any, n_showers: int) -> Shot:
    # Always plate after plate: calzone lists them as they were hit, which depends on the other
    # showers of the shot, and so would the rounding of the sums.
    read = [result.deposits[name] for name in sensitive_volumes(stack) if name in result.deposits]
    size = sum(len(plate.line) + len(plate.point) for plate in read)
    position = np.empty((size, 3))
    energy = np.empty(size)
    shower = np.empty(size, dtype=np.intp)
    end = 0
    for plate in read:
        for deposits in (plate.line, plate.point):
            part = slice(end, end + len(deposits))
            if deposits is plate.line:
                np.add(deposits["start"], deposits["end"], out=position[part])
                position[part] *= 0.5
            else:
                position[part] = deposits["position"]
            energy[part] = deposits["value"]
            shower[part] = deposits["event"]
            end = part.stop
    position *= _MM
    leaving = result.particles.get("World")
    leakage = np.zeros(n_showers)
    if leaving is not None:
        np.add.at(leakage, leaving["event"].astype(np.intp), leaving["energy"])
    x, y, z = position.T
    return Shot(Hits(x, y, z, energy, shower), leakage)


@contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    """Let what Geant4 writes to the standard output come out on the standard error.

    Output is for results; Geant4 prints banners and, before it aborts, its last words there.
    """
    sys.stdout.flush()
    saved = os.dup(1)
    try:
        os.dup2(2, 1)
        yield
    finally:
        # C++ keeps its own buffer; what is in it must not come out after the switch back.
        ctypes.CDLL("ucrtbase" if os.name == "nt" else None).fflush(None)
        os.dup2(saved, 1)
        os.close(saved)
