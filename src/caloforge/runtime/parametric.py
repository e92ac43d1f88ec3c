"""The runtime of parametrised generators: NumPy alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import Detector, detector_from_json
from caloforge.errors import ArtefactError, DetectorError
from caloforge.incident.incident import Incident
from caloforge.models.fastcalosim.sampling import FastCaloSim
from caloforge.random import Streams
from caloforge.runtime.card import Card
from caloforge.runtime.generator import Generator

__all__ = ["PARAMETERS", "ParametricGenerator", "read_parameters", "write_parameters"]

PARAMETERS = "parameters.npz"
_DETECTOR = "detector"


class ParametricGenerator(Generator):
    """A FastCaloSim parametrisation: hits that any readout of the same stack can record.

    Attributes:
        model: The parametrisation.
    """

    needs = (PARAMETERS,)
    gives_overflow = True

    def __init__(
        self, card: Card, folder: Path, *, particle: str | int = "", threads: int = 0
    ) -> None:
        """Read the parameters; see :class:`~caloforge.runtime.generator.Generator`."""
        super().__init__(card, folder, particle=particle, threads=threads)
        names = [item.name for item in card.conditions]
        if names != ["energy"] or len(card.particles) > 1:
            msg = f"artefact {folder}: a parametrisation is of one particle, given its energy alone"
            raise ArtefactError(msg)
        self.model = read_parameters(folder / PARAMETERS)

    def readout(self, detector: Detector | None) -> Detector:
        """The detector that showers are read out in.

        Args:
            detector: Any readout whose layers end where layers of the fitted detector end; None
                for the generator's own.

        Raises:
            DetectorError: The layers do not fit, or it is of another stack of plates.
        """
        wanted = detector or self.detector
        self.check_stack(wanted)
        if wanted.has_depth:
            ends = {depth for layer in self.model.detector.layers for depth in layer.depth or ()}
            if all(depth in ends for layer in wanted.layers for depth in layer.depth or ()):
                return wanted
        fitted = ", ".join(f"{layer.z_max:g}" for layer in self.model.detector.layers)
        msg = (
            f"detector: {self.card.name} was fitted with layers that end at {fitted} mm; "
            f"the layers of {wanted.name!r} must end at some of these"
        )
        raise DetectorError(msg)

    def _deposits(
        self,
        incident: Incident,
        streams: Streams,
        readout: Detector,
    ) -> tuple[NDArray[np.floating], NDArray[np.float64]]:
        # Whether the energies are in range has been decided by `sample`.
        hits = self.model.hits(incident.energy, streams.generators(), extrapolate=True)
        return readout.digitise(hits, len(incident))


def write_parameters(path: Path, model: FastCaloSim, detector_json: str) -> None:
    """Write the parameters of a parametrisation as arrays.

    Args:
        path: ``.npz`` file to make.
        model: The parametrisation.
        detector_json: Definition of the detector that it was fitted on.
    """
    arrays: dict[str, Any] = {_DETECTOR: np.array(detector_json), **model.arrays()}
    np.savez_compressed(path, **arrays)


def read_parameters(path: Path) -> FastCaloSim:
    """Read what :func:`write_parameters` wrote.

    Raises:
        ArtefactError: The file is damaged or is not one of parameters.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
        detector = detector_from_json(str(arrays.pop(_DETECTOR)), str(path))
        return FastCaloSim.from_arrays(detector, arrays)
    except (OSError, ValueError, KeyError) as error:
        msg = f"parameters {path}: are damaged or of another version: {error}"
        raise ArtefactError(msg) from None
