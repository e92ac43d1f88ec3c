"""A kind of artefacts: all cells alike, up to Poisson's fluctuations; the mean is in a file."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import Detector
from caloforge.incident.incident import Incident
from caloforge.random import Streams
from caloforge.runtime.generator import Generator


class EvenGenerator(Generator):
    needs = ("mean.txt",)

    def _deposits(
        self, incident: Incident, streams: Streams, readout: Detector
    ) -> tuple[NDArray[np.floating], None]:
        share = float((self.folder / "mean.txt").read_text("ascii")) / readout.n_cells
        mean = share * incident.energy
        rows = [
            rng.poisson(value, readout.n_cells)
            for rng, value in zip(streams.generators(), mean, strict=True)
        ]
        return np.array(rows, dtype=np.float32).reshape(len(incident), readout.n_cells), None
