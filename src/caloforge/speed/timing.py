"""What :mod:`caloforge.speed.benchmark` runs in a process of its own: the timing itself.

A fresh process per generator and number of threads, so that its peak memory is its own, numerical
libraries have as many threads as they are given, and Geant4 can be one of them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import Detector
from caloforge.fullsim import Geant4Source
from caloforge.incident.gun import Gun
from caloforge.incident.spectrum import Spectrum
from caloforge.runtime import load
from caloforge.runtime.generator import BATCH

__all__ = ["Timing", "peak_memory", "stratified", "time_geant4", "time_generator"]

FloatArray = NDArray[np.float64]

_LEAST, _MOST = 3, 1000  # repeats
_DRAWN = 10_000
_CENTRAL = (0.16, 0.84)


@dataclass(frozen=True)
class Timing:
    """How long showers took that were made together.

    Attributes:
        batch: Showers that were made together.
        threads: Threads that they could use.
        seconds: Time per shower: median over the repeats, s.
        spread: Half of the central 68% of the repeats, s.
        repeats: How often the batch was made.
        memory: Peak memory of the process so far, interpreter and libraries included, bytes; None
            where the system does not tell.
        processor: Processor time per shower of all threads: median over the repeats, s. Where
            other programs run beside, it is disturbed less than the time that passes.
    """

    batch: int
    threads: int
    seconds: float
    spread: float
    repeats: int
    memory: int | None
    processor: float


def time_generator(
    artefact: Path,
    particle: str,
    spectrum: Spectrum,
    batches: Sequence[int],
    *,
    threads: int,
    seed: int,
    budget: float,
) -> tuple[float, list[Timing]]:
    """Time a generator.

    Args:
        artefact: Its folder.
        particle: PDG name of what showers are of.
        spectrum: Incident energies; see :func:`stratified`.
        batches: Numbers of showers that are made together, in one call.
        threads: Threads that a network may use.
        seed: Seed of the showers.
        budget: Time to spend on each batch, s; each is made at least three times.

    Returns:
        The time that loading took, s, and one timing for each batch, in increasing order.
    """
    start = time.perf_counter()
    generator = load(artefact, particle, threads=threads)
    loading = time.perf_counter() - start
    timings = []
    for batch in sorted(batches):
        energies = stratified(spectrum, batch, seed)
        part = batch if generator.threaded else min(batch, BATCH)

        def make(
            repeat: int, energies: FloatArray = energies, batch: int = batch, part: int = part
        ) -> None:
            generator.sample(energies, seed=seed, first=repeat * batch, batch=part)

        timings.append(_time(make, batch, threads, budget))
    return loading, timings


def time_geant4(
    detector: Detector, particle: str, spectrum: Spectrum, count: int, *, seed: int, budget: float
) -> Timing:
    """Time Geant4, on one thread.

    Args:
        detector: What the particle flies through, and what is read out.
        particle: PDG name.
        spectrum: Incident energies; see :func:`stratified`.
        count: Showers of each repeat.
        seed: Seed of the showers.
        budget: Time to spend, s; all showers are made at least three times.

    Raises:
        Geant4DataError: calzone or the data tables are missing.
    """
    energies = np.tile(stratified(spectrum, count, seed), _MOST + 1)
    source = Geant4Source(detector, Gun(particle, Spectrum.of(energies)), seed)

    def make(repeat: int) -> None:
        source.block(repeat * count, count)

    return _time(make, count, 1, budget)


def stratified(spectrum: Spectrum, count: int, seed: int) -> FloatArray:
    """Energies that stand for a spectrum: its quantiles in the middle of equal shares.

    So few showers take as long per shower as many do, and a single one has the median energy.

    Args:
        spectrum: Incident energies.
        count: How many.
        seed: Seed of the energies that the quantiles are taken of.

    Returns:
        Shape (count,), in increasing order, GeV.
    """
    drawn = len(spectrum.values) if spectrum.finite else _DRAWN
    levels = (np.arange(count) + 0.5) / count
    return np.asarray(np.quantile(spectrum.sample(seed, 0, drawn), levels), dtype=np.float64)


def _time(make: Callable[[int], None], batch: int, threads: int, budget: float) -> Timing:
    make(0)  # the first time includes what is done only once
    seconds: list[float] = []
    processor: list[float] = []
    while len(seconds) < _LEAST or (sum(seconds) < budget and len(seconds) < _MOST):
        start, worked = time.perf_counter(), time.process_time()
        make(len(seconds) + 1)
        processor.append(time.process_time() - worked)
        seconds.append(time.perf_counter() - start)
    low, median, high = np.quantile(seconds, (_CENTRAL[0], 0.5, _CENTRAL[1])) / batch
    spread, work = 0.5 * float(high - low), float(np.median(processor)) / batch
    return Timing(batch, threads, float(median), spread, len(seconds), peak_memory(), work)


def peak_memory() -> int | None:
    """Largest memory that this process has had, bytes.

    The ``ru_maxrss`` of Linux will not do: a new process inherits it from the one that made it.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text("ascii").splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return None
