"""The CaloGAN format: an image per layer.

``energy`` (N, 1) GeV; ``layer_0``, ``layer_1``, ... (N, phi, eta) MeV; ``overflow`` (N, layers)
MeV. Published with the CaloGAN paper (doi:10.17632/pvn3xc3wy5.1), there in float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count, takewhile

import h5py
import numpy as np
from numpy.typing import NDArray

from caloforge.detector import Detector, detector_names, load_detector
from caloforge.errors import DetectorError
from caloforge.showers.formats.base import Arrays, Format

__all__ = ["CaloGANFormat"]


class CaloGANFormat(Format):
    """Layers as images of rectangular cells."""

    name = "calogan"
    energy_key = "energy"
    energy_in_gev = 1.0

    def deposit_keys(self, file: Mapping[str, h5py.Dataset]) -> list[str]:
        """``layer_0``, ``layer_1``, ... as far as they go without a gap."""
        return list(takewhile(lambda key: key in file, (f"layer_{i}" for i in count())))

    def guess_detector(self, file: Mapping[str, h5py.Dataset]) -> Detector | None:
        """The only shipped detector with these images, or None."""
        shapes = [file[key].shape[1:] for key in self.deposit_keys(file)]
        fitting = [
            detector
            for detector in map(load_detector, detector_names())
            if detector.is_rectangular and [layer.shape for layer in detector.layers] == shapes
        ]
        return fitting[0] if len(fitting) == 1 else None

    def shapes(self, detector: Detector) -> dict[str, tuple[int, ...]]:
        """An image per layer."""
        if not detector.is_rectangular:
            msg = (
                f"format: 'calogan' holds images of rectangular cells, detector {detector.name!r} "
                "has cylindrical voxels; use the format 'calochallenge' or convert to cells first"
            )
            raise DetectorError(msg)
        return {f"layer_{i}": layer.shape for i, layer in enumerate(detector.layers)}

    def split(self, detector: Detector, deposits: NDArray[np.float32]) -> Arrays:
        """Deposits of shape (N, n_cells) as one image per layer."""
        return dict(zip(self.shapes(detector), detector.images(deposits), strict=True))
