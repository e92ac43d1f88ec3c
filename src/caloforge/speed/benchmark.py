"""Speed: time per shower of generators, and of Geant4 beside them on the same machine.

What is timed is one call of :meth:`caloforge.runtime.Generator.sample`, from incident energies to
showers, after one call that is not counted. Every batch has the same distribution of energies
(:func:`caloforge.speed.timing.stratified`), and Geant4 has it, too.

Networks get a whole batch at once, and are timed with the numbers of threads that were asked for.
Parametrisations are NumPy code on one thread, so more threads do not apply to them (``caloforge
generate --workers`` runs them in several processes); they make a large batch in parts of 512
showers, as they do by default, since larger parts cost memory and gain no time.

The table is laid out as that of the CaloFlow talk: a row for each batch size, Geant4 in the last
column, the same in all rows as it makes one shower after the other.

References:
    C. Krause, D. Shih, CaloFlow II, arXiv:2110.11377.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

from caloforge.cores import available_cores, most_workers
from caloforge.detector import Detector
from caloforge.errors import EnergyError, Geant4DataError, ParticleError
from caloforge.explain import check_between
from caloforge.fullsim import PhysicsSettings
from caloforge.fullsim.data import import_calzone, require_data
from caloforge.incident.gun import Gun
from caloforge.incident.spectrum import Spectrum
from caloforge.particles import particle_name
from caloforge.provenance import processor, versions
from caloforge.random import check_seed
from caloforge.runtime import Card, find_artefact, load_card
from caloforge.runtime.kinds import find_kind
from caloforge.speed.timing import Timing, stratified, time_geant4, time_generator
from caloforge.version import __version__
from caloforge.workers import call_in_process

__all__ = ["BATCHES", "Benchmark", "Geant4Speed", "ModelSpeed", "benchmark"]

BATCHES = (1, 10, 100, 1_000, 10_000)
"""Batch sizes that are timed unless the caller says otherwise."""
THREADS = (1, 2)
"""Numbers of threads that networks are timed with unless the caller says otherwise."""
_LEVELS = 1000
_LIBRARIES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class ModelSpeed:
    """A generator.

    Attributes:
        name: Name of the artefact.
        system: System that it is of.
        runtime: What runs it.
        detector: Name of the detector that it fills.
        size: All files of the artefact, bytes.
        loading: Time to load it on one thread, s; the libraries were loaded before.
        timings: By number of threads, then by batch.
    """

    name: str
    system: str
    runtime: str
    detector: str
    size: int
    loading: float
    timings: tuple[Timing, ...]


@dataclass(frozen=True)
class Geant4Speed:
    """Geant4.

    Attributes:
        physics: Its settings.
        timing: ``batch`` are the showers of each repeat, made one after the other on one thread.
    """

    physics: PhysicsSettings
    timing: Timing


@dataclass(frozen=True)
class Benchmark:
    """All that was timed in one run on one machine.

    Attributes:
        particle: PDG name of the particle.
        energy: Spectrum of incident energies.
        mean_energy: Its mean, GeV.
        models: The generators, in the order given.
        geant4: Geant4; None where it was not timed.
        geant4_problem: Why it was not; empty where it was.
        machine: Processor, cores, system, and versions of what ran.
    """

    particle: str
    energy: str
    mean_energy: float
    models: tuple[ModelSpeed, ...]
    geant4: Geant4Speed | None
    geant4_problem: str
    machine: dict[str, str]

    def to_dict(self) -> dict[str, object]:
        """The numbers as JSON values; times in s, sizes and memory in bytes."""
        return asdict(self)

    def table(self) -> list[list[str]]:
        """The numbers for people: a row for each batch, the first row and column say what is what.

        Times are per shower, medians with half of the central 68% of the repeats; processor time is
        that of the largest batch. Where Geant4 was timed, the last row says how many times faster
        the fastest batch is.
        """
        columns = [
            (model, {timing.batch: timing for timing in model.timings if timing.threads == number})
            for model in self.models
            for number in dict.fromkeys(timing.threads for timing in model.timings)
        ]
        batches = sorted({batch for _, timings in columns for batch in timings})
        rows = [
            ["", *(model.name for model, _ in columns)],
            ["threads", *(str(timings[batches[0]].threads) for _, timings in columns)],
            ["artefact", *(_bytes(model.size) for model, _ in columns)],
            ["loading", *(_time(model.loading) for model, _ in columns)],
            # Memory is that of the process so far, and the largest batch comes last.
            ["peak memory", *(_bytes(timings[batches[-1]].memory) for _, timings in columns)],
            *(
                [f"batch {batch:,}", *(_time(*_cell(timings[batch])) for _, timings in columns)]
                for batch in batches
            ),
            ["processor", *(_time(timings[batches[-1]].processor) for _, timings in columns)],
        ]
        if self.geant4 is not None:
            timing = self.geant4.timing
            first = ["Geant4", "1", "", "", _bytes(timing.memory)]
            last = [_time(*_cell(timing))] * len(batches) + [_time(timing.processor)]
            rows = [[*row, text] for row, text in zip(rows, first + last, strict=True)]
            fastest = [min(own.seconds for own in timings.values()) for _, timings in columns]
            factors = [f"{timing.seconds / seconds:,.0f} x" for seconds in fastest]
            rows.append(["at most faster", *factors, ""])
        return rows

    def to_markdown(self) -> str:
        """The table in Markdown."""
        first, *others = self.table()
        lines = [first, ["---"] * len(first), *others]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def benchmark(
    models: Sequence[str | Path],
    *,
    particle: str | int | None = None,
    energy: str | None = None,
    batches: Sequence[int] = BATCHES,
    threads: Sequence[int] = THREADS,
    budget: float = 5.0,
    geant4: bool | None = None,
    geant4_showers: int = 10,
    seed: int = 0,
    progress: Callable[[int], None] = lambda _: None,
) -> Benchmark:
    """Time generators, and Geant4 beside them.

    Everything runs in processes of its own, one after the other, so a script must guard its entry
    point (``if __name__ == "__main__"``), as with everything that uses :mod:`multiprocessing`.

    Args:
        models: Artefacts or systems; see :func:`caloforge.load`.
        particle: PDG name or identifier, which chooses among the artefacts of a system.
        energy: Incident energies, as on the command line; by default uniform over the range that
            all the generators were made for.
        batches: Numbers of showers that are made together.
        threads: Numbers of threads that networks are timed with.
        budget: Time to spend on each batch, s; each is made at least three times besides.
        geant4: Time Geant4, too; None for where its data tables are there.
        geant4_showers: Showers of Geant4 that are timed together; with more, its time per shower
            is that of the spectrum more closely.
        seed: Seed of energies and showers.
        progress: Called with the number of generators that are done, Geant4 being one more.

    Raises:
        ParticleError: The generators are not all of one particle.
        EnergyError: A generator was not made for these energies.
        Geant4DataError: Geant4 was asked for, and it, its data tables or the stack of the detector
            are missing.
        CaloforgeError: Another argument is wrong.
    """
    for name, numbers, most in (
        ("models", [len(models)], 100),
        ("batches", batches or [0], 1_000_000),
        ("threads", threads or [0], most_workers()),
        ("geant4_showers", [geant4_showers], 1_000_000),
        ("budget", [budget], 86_400.0),
    ):
        for number in numbers:
            check_between(name, number, 0 if name == "budget" else 1, most)
    check_seed(seed)
    artefacts = [find_artefact(model, particle) for model in models]
    cards = [load_card(artefact) for artefact in artefacts]
    name = _common_particle(cards) if particle is None else particle_name(particle)
    spectrum = _common_range(cards) if energy is None else Spectrum.parse(energy)
    for card in cards:  # fail now, not after the first ones have been timed
        card.accept(Gun(name, spectrum).extremes())
    detector = cards[0].load_detector()
    problem = "not asked for" if geant4 is False else _geant4_problem(detector)
    if geant4 and problem:
        raise Geant4DataError(problem)
    progress(0)
    speeds = []
    for artefact, card in zip(artefacts, cards, strict=True):
        speeds.append(_time_model(artefact, card, name, spectrum, batches, threads, seed, budget))
        progress(len(speeds))
    full = None
    if not problem:
        timing = _isolated(
            1,
            partial(time_geant4, seed=seed, budget=budget),
            detector,
            name,
            spectrum,
            geant4_showers,
        )
        full = Geant4Speed(PhysicsSettings(), timing)
    progress(len(speeds) + 1)
    mean = float(stratified(spectrum, _LEVELS, seed).mean())
    return Benchmark(name, spectrum.text, mean, tuple(speeds), full, problem, _machine())


def _common_particle(cards: Sequence[Card]) -> str:
    common = [name for name in cards[0].particles if all(name in card.particles for card in cards)]
    if len(common) != 1:
        named = ", ".join(f"{card.name} ({', '.join(card.particles)})" for card in cards)
        what = "several particles" if common else "different particles"
        msg = f"models: {named} are for {what}, must be for one; name the particle"
        raise ParticleError(msg)
    return common[0]


def _common_range(cards: Sequence[Card]) -> Spectrum:
    low = max(card.energy_range[0] for card in cards)
    high = min(card.energy_range[1] for card in cards)
    if low > high:
        msg = "energy: the generators have no energies in common; give those to time them at"
        raise EnergyError(msg)
    if low == high:
        return Spectrum("list", (low,), f"{low:g}")
    return Spectrum("uniform", (low, high), f"{low:g}:{high:g}")


def _geant4_problem(detector: Detector) -> str:
    """Why Geant4 cannot be timed; empty where it can."""
    if detector.stack is None:
        return f"the detector {detector.name!r} has no stack of plates that Geant4 could simulate"
    try:
        import_calzone()
        require_data(PhysicsSettings())
    except Geant4DataError as error:
        return str(error)
    return ""


def _time_model(
    artefact: Path,
    card: Card,
    particle: str,
    spectrum: Spectrum,
    batches: Sequence[int],
    threads: Sequence[int],
    seed: int,
    budget: float,
) -> ModelSpeed:
    found = [
        _isolated(
            number,
            partial(time_generator, threads=number, seed=seed, budget=budget),
            artefact,
            particle,
            spectrum,
            sorted(set(batches)),
        )
        # More threads do nothing for a parametrisation.
        for number in (sorted(set(threads)) if find_kind(card.runtime).threaded else (1,))
    ]
    return ModelSpeed(
        card.name,
        card.system,
        card.runtime,
        card.load_detector().name,
        sum(file.stat().st_size for file in artefact.iterdir() if file.is_file()),
        found[0][0],
        tuple(timing for _, timings in found for timing in timings),
    )


def _isolated(threads: int, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Call a function in a fresh process whose numerical libraries have so many threads."""
    with _environment(dict.fromkeys(_LIBRARIES, str(threads))):
        return call_in_process(function, *arguments, **named)


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Environment variables for the processes that are started in the block."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _machine() -> dict[str, str]:
    return {
        "processor": processor(),
        "cores": str(available_cores()),
        "system": f"{platform.system()} {platform.machine()}",
        **versions(("numpy", "onnxruntime")),
        "caloforge": __version__,
    }


def _cell(timing: Timing) -> tuple[float, float]:
    return timing.seconds, timing.spread


def _time(seconds: float, spread: float | None = None) -> str:
    """A time with three digits.

    Examples:
        >>> _time(0.0123456), _time(0.0123456, 0.0007)
        ('12.3 ms', '12.3 ± 0.7 ms')
    """
    units = (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6))
    unit, scale = next((item for item in units if seconds >= item[1]), units[-1])
    error = "" if spread is None else f" ± {spread / scale:.2g}"
    return f"{seconds / scale:.3g}{error} {unit}"


def _bytes(size: int | None) -> str:
    """A size with three digits.

    Examples:
        >>> _bytes(1_234_567)
        '1.18 MiB'
    """
    if size is None:
        return "not known"
    units = (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))
    unit, scale = next((item for item in units if size >= item[1]), units[-1])
    return f"{size / scale:.3g} {unit}"
