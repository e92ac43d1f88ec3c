"""Simulating any number of showers with Geant4, straight into files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from caloforge.atomic import SHOWERS, check_suffix
from caloforge.cores import most_workers
from caloforge.detector import Detector, detector_to_json
from caloforge.errors import CaloforgeError
from caloforge.explain import check_between
from caloforge.fullsim.data import data_directory, require_data
from caloforge.fullsim.physics import PhysicsSettings
from caloforge.fullsim.source import Geant4Source
from caloforge.incident.beam import Beam
from caloforge.incident.gun import Gun
from caloforge.incident.spectrum import Spectrum
from caloforge.provenance import command_line
from caloforge.showers import FormatName
from caloforge.showers.formats import choose_format
from caloforge.showers.output import Output, output_paths
from caloforge.showers.production import produce
from caloforge.showers.source import MOST
from caloforge.version import __version__

__all__ = ["simulate"]


def simulate(
    output: str | Path,
    *,
    detector: Detector,
    particle: str | int,
    energy: str | Spectrum,
    count: int,
    seed: int,
    readouts: Sequence[Detector] = (),
    physics: PhysicsSettings | None = None,
    beam: Beam | None = None,
    format: FormatName | None = None,  # noqa: A002
    workers: int = 1,
    resume: bool = False,
    overwrite: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> list[Path]:
    """Simulate showers with Geant4 and write them to files, which appear whole or not at all.

    Geant4 always runs in processes of its own, so a script must guard its entry point
    (``if __name__ == "__main__"``), as with everything that uses :mod:`multiprocessing`.

    Args:
        output: File to make; with several readouts the name of each is added to its own.
        detector: What the particles fly through; must have a stack.
        particle: PDG name or identifier.
        energy: Incident energies, as on the command line; see :mod:`caloforge.incident.spectrum`.
        count: Number of showers.
        seed: Seed of the run; the same seed gives the same showers, whatever ``workers``.
        readouts: What the showers are recorded in, all at once; by default the detector's layers.
        physics: Physics list and cut; FTFP_BERT with standard electromagnetic physics by default.
        beam: Entry points and directions; the centre, perpendicular, by default.
        format: Format of the files; None for the usual one of each readout.
        workers: Number of processes.
        resume: Go on with an unfinished run of the same arguments.
        overwrite: Replace files that are there, and drop an unfinished run.
        progress: Called with the number of showers made so far.

    Returns:
        The files, in the order of the readouts.

    Raises:
        Geant4DataError: Geant4 or its data tables are missing.
        CaloforgeError: An argument is wrong, or a file cannot be written.
    """
    check_between("n", count, 1, MOST)
    check_between("workers", workers, 1, most_workers())
    check_suffix(Path(output), SHOWERS)
    spectrum = Spectrum.parse(energy) if isinstance(energy, str) else energy
    spectrum.sample(seed, count - 1, 1)
    beam = beam or Beam()
    source = Geant4Source(
        detector,
        Gun(str(particle), spectrum, beam),
        seed,
        tuple(readouts),
        physics or PhysicsSettings(),
    )
    names = [readout.name for readout in source.readouts]
    if len(set(names)) < len(names):
        msg = f"readout: {', '.join(names)} have the same name, each must have its own"
        raise CaloforgeError(msg)
    for readout in source.readouts:
        choose_format(readout, format).shapes(readout)
    require_data(source.physics)
    run = {
        "beam": asdict(beam),
        "caloforge": __version__,
        "command": command_line(
            "geant4",
            particle=source.gun.particle,
            energy=spectrum.text,
            n=count,
            seed=seed,
            detector=detector.name,
            readout=tuple(names) if readouts else None,
            **source.physics.options(),
            **beam.options(),
        ),
        "count": count,
        "detector": detector_to_json(detector),
        "energy": spectrum.describe(),
        "format": format,
        "particle": source.gun.particle,
        "physics": asdict(source.physics),
        "readouts": [detector_to_json(readout) for readout in source.readouts],
        "seed": seed,
        "tables": str(data_directory()),
    }
    paths = output_paths(Path(output), names)
    with Output(
        paths, run, count, format=format, resume=resume, overwrite=overwrite
    ) as destination:
        produce(
            source,
            destination,
            count,
            block_size=max(1, min(source.block_size, -(-count // workers))),
            workers=workers,
            isolated=True,
            progress=progress,
        )
    return paths
