"""Making a shower library an artefact."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from caloforge.detector.mirrors import mirror_images
from caloforge.errors import ConfigError, ShowersError
from caloforge.export.card import artefact_name, definition, write_reference
from caloforge.export.folder import artefact_folder
from caloforge.export.measure import inside, measure
from caloforge.models.library import Library, LibraryConfig, check_centred
from caloforge.particles import particle_name
from caloforge.provenance import command_line, file_sha256, machine
from caloforge.random import check_seed
from caloforge.runtime.card import CARD, Card, TensorSpec, TrainingRows
from caloforge.runtime.conditions import Condition
from caloforge.runtime.library import LIBRARY, LibraryGenerator, write_libraries
from caloforge.showers import Showers, read_parts
from caloforge.version import __version__

__all__ = ["train_library"]

_LIMITS = (
    "It invents nothing: each shower is one of Geant4 that it keeps, mirrored and scaled.",
    "A sample is worth no more than the showers that it keeps, however many are made.",
    "Of one incident energy there are about {} showers, each in {} mirror images, no others.",
    "A shower fluctuates as those of the energy that it is from; lines of its spectrum are scaled.",
    "Particles enter at the centre of the detector, perpendicular.",
)

_BEYOND = 1.1  # how far showers at the ends are scaled at most


def train_library(
    output: str | Path,
    files: Mapping[str, Sequence[str | Path]],
    *,
    energy_range: tuple[float, float] | None = None,
    config: LibraryConfig | None = None,
    seed: int = 1,
    overwrite: bool = False,
) -> Path:
    """Keep Geant4 showers as a library, an artefact that makes showers of them.

    It keeps the train rows alone; the card states how it does on the test rows.

    Args:
        output: Folder to make.
        files: For each particle one file of Geant4 showers or several, split into train, validation
            and test rows.
        energy_range: Incident energies that it is for, GeV; by default those that there are showers
            of, of each particle.
        config: How showers are chosen.
        seed: Seed of the showers that are compared with the test rows.
        overwrite: Replace an artefact that is there.

    Returns:
        The folder.

    Raises:
        CaloforgeError: A file or an argument is wrong, or the folder cannot be written.
    """
    output = Path(output)
    check_seed(seed)
    if not files or not all(files.values()):
        msg = "data: got no file for a particle, need at least one for each"
        raise ConfigError(msg)
    by_name: dict[str, list[Path]] = {}
    for particle, paths in files.items():
        by_name.setdefault(particle_name(particle), []).extend(map(Path, paths))
    settings = config or LibraryConfig()
    with artefact_folder(output, overwrite=overwrite) as folder:
        start = time.perf_counter()
        libraries: dict[str, Library] = {}
        tests: list[Showers] = []
        rows: list[TrainingRows] = []
        for name, paths in by_name.items():
            parts = [read_parts(path, ("train", "test"), name) for path in paths]
            for path, (train, _) in zip(paths, parts, strict=True):
                check_centred(train)
                rows.append(_rows(path, train))
            train, test = (Showers.concatenate(each) for each in zip(*parts, strict=True))
            libraries[name] = Library.of(train)
            tests.append(test)
        _check_detectors(libraries)
        energies = _energies(libraries, energy_range)
        tests = [inside(test, energies) for test in tests]
        detector = tests[0].detector
        mirrors = len(mirror_images(detector)[0])
        write_libraries(folder / LIBRARY, libraries)
        wall_time = time.perf_counter() - start
        for test in tests:
            write_reference(folder, test, several=len(tests) > 1)
        command = command_line(
            "train",
            "library",
            particle=tuple(name for name, paths in by_name.items() for _ in paths),
            data=tuple(path.name for paths in by_name.values() for path in paths),
            energy_range=None if energy_range is None else "{:g}:{:g}".format(*energy_range),
            nearest=settings.nearest,
            o=output.name,
        )
        card = Card(
            name=artefact_name("library", *libraries),
            system="library",
            version=__version__,
            description=f"library of showers of {', '.join(libraries)} in {detector.name}",
            runtime="library",
            config=settings.model_dump(),
            detector=definition(detector),
            particles=tuple(libraries),
            conditions=(
                Condition.of("energy", *energies),
                *([Condition.of("label")] if len(libraries) > 1 else []),
            ),
            inputs=(_spec("energy", 1, "GeV", "incident energy"),),
            outputs=(_spec("deposits", detector.n_cells, "MeV", "energy in each cell"),),
            training=tuple(rows),
            command=command,
            seed=seed,
            wall_time=round(wall_time, 1),
            machine=f"{machine()}, one process, NumPy",
            metrics=(),
            limits=tuple(limit.format(settings.nearest, mirrors) for limit in _LIMITS),
            licence="Apache-2.0",
            references=("arXiv:1005.4568",),
            files={path.name: file_sha256(path) for path in sorted(folder.iterdir())},
        )
        makers = {name: LibraryGenerator(card, folder, particle=name) for name in libraries}
        card = card.model_copy(update=measure(makers, tests, seed=seed))
        (folder / CARD).write_text(card.to_json(), "utf-8")
    return output


def _rows(path: Path, train: Showers) -> TrainingRows:
    return TrainingRows(
        file=path.name, sha256=file_sha256(path), rows=len(train), split="train", source="Geant4"
    )


def _spec(name: str, width: int, unit: str, description: str) -> TensorSpec:
    return TensorSpec(
        name=name, shape=("N", width), unit=unit, dtype="FP32", description=description
    )


def _check_detectors(libraries: Mapping[str, Library]) -> None:
    """Refuse particles in different detectors.

    Raises:
        ShowersError: They are.
    """
    (name, first), *others = libraries.items()
    for other, library in others:
        if not library.detector.same_readout(first.detector):
            msg = (
                f"data: {other} is in {library.detector.name!r}, {name} in "
                f"{first.detector.name!r}, must be one detector; make a library of each"
            )
            raise ShowersError(msg)


def _energies(
    libraries: Mapping[str, Library], wanted: tuple[float, float] | None
) -> tuple[float, float]:
    """What a library is for: as asked for, or the energies that there are showers of, GeV.

    Raises:
        ShowersError: The particles have no energies in common, or one has no showers near those
            that are asked for.
    """
    low = max(float(library.energy[0]) for library in libraries.values())
    high = min(float(library.energy[-1]) for library in libraries.values())
    if wanted is None and low > high:
        msg = "data: the particles have no energies in common; make a library of each"
        raise ShowersError(msg)
    found = wanted or (low, high)
    if found[0] < low / _BEYOND or found[1] > high * _BEYOND:
        msg = (
            f"energy_range: got {found[0]:g} to {found[1]:g} GeV, but there are showers of "
            f"{low:g} to {high:g} GeV, which are not scaled further; take a range that they have"
        )
        raise ShowersError(msg)
    return float(f"{found[0]:.6g}"), float(f"{found[1]:.6g}")
