"""Making any number of showers with a generator, straight into a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from caloforge.cores import available_cores, most_workers
from caloforge.detector import Detector, detector_to_json
from caloforge.explain import check_between
from caloforge.incident.beam import Beam
from caloforge.incident.gun import Gun
from caloforge.incident.spectrum import Spectrum
from caloforge.provenance import command_line
from caloforge.random import check_seed
from caloforge.runtime.artefacts import best_artefact, find_artefact, is_shipped, load
from caloforge.runtime.generator import BATCH, Generator
from caloforge.showers import FormatName
from caloforge.showers.output import Output
from caloforge.showers.production import produce
from caloforge.showers.source import MOST, Block
from caloforge.version import __version__

_MOST_BATCH = 100_000  # showers; more gain no time and fill the memory

__all__ = ["GeneratorSource", "generate"]


@dataclass(frozen=True)
class GeneratorSource:
    """A generator as a source of showers; see :class:`caloforge.showers.source.Source`.

    Attributes:
        artefact: Folder of the artefact.
        gun: The particles.
        seed: Seed of the run.
        detector: What the showers are read out in; None for the generator's own.
        extrapolate: Allow particles that the generator was not made for.
        threads: Threads that a network may use.
        conserve_energy: Draw showers again that deposit too much.
    """

    artefact: Path
    gun: Gun
    seed: int
    detector: Detector | None = None
    extrapolate: bool = False
    threads: int = 0
    conserve_energy: bool = False

    @cached_property
    def generator(self) -> Generator:
        """The generator, loaded on first use."""
        return load(self.artefact, threads=self.threads)

    def __getstate__(self) -> dict[str, object]:
        # Each worker process loads its own generator: a network cannot be sent.
        return {key: value for key, value in self.__dict__.items() if key != "generator"}

    def block(self, first: int, count: int) -> Block:
        """The showers ``first`` to ``first + count``."""
        showers = self.generator.sample(
            self.gun.sample(self.seed, first, count),
            seed=self.seed,
            first=first,
            detector=self.detector,
            batch=count,
            extrapolate=self.extrapolate,
            conserve_energy=self.conserve_energy,
        )
        return Block(count, (showers,))


def generate(
    output: str | Path,
    *,
    particle: str | int,
    energy: str | Spectrum,
    count: int,
    seed: int,
    model: str | Path | None = None,
    beam: Beam | None = None,
    detector: Detector | None = None,
    format: FormatName | None = None,  # noqa: A002
    workers: int = 1,
    batch: int = BATCH,
    extrapolate: bool = False,
    conserve_energy: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> Path:
    """Make showers with a generator and write them to a file, which appears whole or not at all.

    With more than one worker a script must guard its entry point (``if __name__ == "__main__"``),
    as with everything that uses :mod:`multiprocessing`.

    Args:
        output: File to make.
        particle: PDG name or identifier.
        energy: Incident energies, as on the command line; see :mod:`caloforge.incident.spectrum`.
        count: Number of showers.
        seed: Seed of the run; the same seed gives the same showers, whatever ``workers`` and
            ``batch``.
        model: Artefact or system; see :func:`caloforge.load`. None for the best that is shipped:
            :func:`~caloforge.runtime.artefacts.best_artefact`.
        beam: Entry points and directions, for generators that know them; the centre,
            perpendicular, by default.
        detector: Read the showers out in another detector, where the generator can.
        format: Format of the file; None for the usual one of the detector.
        workers: Number of processes.
        batch: Showers that are made at a time.
        extrapolate: Allow energies, entry points and directions outside the range of the
            generator.
        conserve_energy: Draw showers again that deposit too much; see
            :meth:`caloforge.Generator.sample`.
        resume: Go on with an unfinished run of the same arguments.
        overwrite: Replace a file that is there, and drop an unfinished run.
        progress: Called with the number of showers made so far.

    Returns:
        The file.

    Raises:
        CaloforgeError: An argument is wrong, or the file cannot be written.
    """
    spectrum = Spectrum.parse(energy) if isinstance(energy, str) else energy
    check_between("n", count, 1, MOST)
    check_between("workers", workers, 1, most_workers())
    check_between("batch", batch, 1, _MOST_BATCH)
    check_seed(seed)
    artefact = (
        best_artefact(particle, detector) if model is None else find_artefact(model, particle)
    )
    threads = max(1, available_cores() // workers)
    source = GeneratorSource(
        artefact,
        Gun(str(particle), spectrum, beam),
        seed,
        detector,
        extrapolate,
        threads,
        conserve_energy,
    )
    # Fail now, not in a worker: on a wrong detector, or a particle that is out of range.
    card = source.generator.card
    readout = source.generator.readout(detector)
    card.accept(source.gun.extremes(), extrapolate=extrapolate)
    if spectrum.finite:
        spectrum.sample(seed, count - 1, 1)
    path = Path(output)
    run = {
        "artefact": "" if is_shipped(artefact) else str(artefact),
        "beam": None if beam is None else asdict(beam),
        "caloforge": __version__,
        "command": command_line(
            "generate",
            particle=source.gun.particle,
            energy=spectrum.text,
            n=count,
            seed=seed,
            model=card.name if model is None else str(model),
            detector=None if detector is None else detector.name,
            **({} if beam is None else beam.options()),
            extrapolate=extrapolate,
            conserve_energy=conserve_energy,
        ),
        "conserve_energy": conserve_energy,
        "count": count,
        "detector": detector_to_json(readout),
        "energy": spectrum.describe(),
        "files": {**card.files, **{item.artefact: item.sha256 for item in card.members}},
        "format": format,
        "model": card.name,
        "particle": source.gun.particle,
        "seed": seed,
        "version": card.version,
    }
    with Output(
        [path], run, count, format=format, resume=resume, overwrite=overwrite
    ) as destination:
        produce(source, destination, count, block_size=batch, workers=workers, progress=progress)
    return path
