"""The CaloChallenge format: all voxels in one row.

``incident_energies`` (N, 1) MeV; ``showers`` (N, n_voxels) MeV, layer by layer, alpha major and r
fastest (arXiv:2410.21611). Rectangular cells are written in the same way, layer by layer.
"""

from __future__ import annotations

from collections.abc import Mapping

import h5py
import numpy as np
from numpy.typing import NDArray

from caloforge.detector import Detector, detector_names, load_detector
from caloforge.showers.formats.base import Arrays, Format
from caloforge.units import MEV_PER_GEV

__all__ = ["CaloChallengeFormat"]


class CaloChallengeFormat(Format):
    """All cells of all layers in one row per shower."""

    name = "calochallenge"
    energy_key = "incident_energies"
    energy_in_gev = 1 / MEV_PER_GEV

    def deposit_keys(self, file: Mapping[str, h5py.Dataset]) -> list[str]:
        """``showers``, where the file has it."""
        return [key for key in ("showers",) if key in file]

    def guess_detector(self, file: Mapping[str, h5py.Dataset]) -> Detector | None:
        """The only shipped detector with as many voxels, or None."""
        fitting = [
            detector
            for detector in map(load_detector, detector_names())
            if not detector.is_rectangular and file["showers"].shape[1:] == (detector.n_cells,)
        ]
        return fitting[0] if len(fitting) == 1 else None

    def shapes(self, detector: Detector) -> dict[str, tuple[int, ...]]:
        """One row of all cells."""
        return {"showers": (detector.n_cells,)}

    def split(self, detector: Detector, deposits: NDArray[np.float32]) -> Arrays:  # noqa: ARG002
        """Deposits of shape (N, n_cells) as they are."""
        return {"showers": deposits}
