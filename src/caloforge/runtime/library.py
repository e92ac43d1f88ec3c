"""The runtime of shower libraries: NumPy alone."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from caloforge.detector import Detector
from caloforge.errors import ArtefactError
from caloforge.incident.incident import Incident
from caloforge.models.library import NUMBERS, Library, LibraryConfig
from caloforge.random import Streams
from caloforge.runtime.card import Card
from caloforge.runtime.generator import Generator

__all__ = ["LIBRARY", "LibraryGenerator", "read_libraries", "write_libraries"]

LIBRARY = "library.npz"


class LibraryGenerator(Generator):
    """Showers of Geant4, scaled and mirrored: a library for each particle.

    Attributes:
        libraries: By particle.
        config: How showers are chosen.
    """

    needs = (LIBRARY,)

    def __init__(
        self, card: Card, folder: Path, *, particle: str | int = "", threads: int = 0
    ) -> None:
        """Read the showers; see :class:`~caloforge.runtime.generator.Generator`."""
        super().__init__(card, folder, particle=particle, threads=threads)
        if {item.name for item in card.conditions} - {"label"} != {"energy"}:
            msg = f"artefact {folder}: a shower library is asked for energies alone"
            raise ArtefactError(msg)
        try:
            self.config = LibraryConfig.model_validate(card.config)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, ("config", *first["loc"])))
            msg = f"artefact {folder}: card: {place}: {first['msg']}"
            raise ArtefactError(msg) from None
        self.libraries = read_libraries(folder / LIBRARY, self.detector, card.particles)
        self.gives_overflow = all(
            library.overflow is not None for library in self.libraries.values()
        )

    def _deposits(
        self,
        incident: Incident,
        streams: Streams,
        readout: Detector,  # noqa: ARG002 (the showers are recorded already)
    ) -> tuple[NDArray[np.floating], NDArray[np.float64] | None]:
        return self.libraries[incident.particle].draw(
            incident.energy, streams.uniform(NUMBERS), self.config.nearest
        )


def write_libraries(path: Path, libraries: Mapping[str, Library]) -> None:
    """Write libraries as arrays, compressed.

    Args:
        path: ``.npz`` file to make.
        libraries: By particle.
    """
    arrays: dict[str, Any] = {
        f"{particle} {name}": values
        for particle, library in libraries.items()
        for name, values in library.arrays().items()
    }
    np.savez_compressed(path, **arrays)


def read_libraries(
    path: Path, detector: Detector, particles: tuple[str, ...]
) -> dict[str, Library]:
    """Read what :func:`write_libraries` wrote.

    Args:
        path: The file.
        detector: What its showers are recorded in.
        particles: What it must have libraries of, and of nothing else.

    Raises:
        ArtefactError: The file is damaged, of other particles or of another detector.
    """
    found: dict[str, dict[str, NDArray[Any]]] = {}
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            for key in file.files:
                particle, _, name = key.rpartition(" ")
                found.setdefault(particle, {})[name] = file[key]
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        msg = f"library {path}: is damaged or of another version: {error}"
        raise ArtefactError(msg) from None
    if sorted(found) != sorted(particles):
        msg = f"library {path}: is of {', '.join(found) or 'nothing'}, not {', '.join(particles)}"
        raise ArtefactError(msg)
    return {particle: Library.from_arrays(detector, found[particle]) for particle in particles}
