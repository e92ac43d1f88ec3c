"""The runtime of neural generators: one ONNX file that holds all of the generator."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from caloforge.detector import Detector
from caloforge.errors import ArtefactError
from caloforge.runtime.card import Card
from caloforge.runtime.generator import Generator

__all__ = ["MODEL", "OnnxGenerator"]

MODEL = "generator.onnx"
NOISE, ENERGY, DEPOSITS = "z", "energy", "deposits"


class OnnxGenerator(Generator):
    """A network: ``z`` (N, d) and ``energy`` (N, 1) GeV in, ``deposits`` (N, n_cells) MeV out.

    The noise is standard normal, drawn in double precision from each shower's own stream and
    rounded to float32.
    """

    def __init__(self, card: Card, folder: Path, *, threads: int = 0) -> None:
        """Load the network.

        Args:
            card: Its card.
            folder: Its artefact.
            threads: Threads that it may use; 0 for as many as there are cores.

        Raises:
            ArtefactError: The file is no ONNX model, or does not fit its card.
        """
        super().__init__(card, folder)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                str(folder / MODEL), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime has an exception class for each of its codes
            msg = f"artefact {folder}: {MODEL} cannot be loaded: {str(error).splitlines()[0]}"
            raise ArtefactError(msg) from None
        self._noise = self._check()

    def _check(self) -> int:
        """Width of the noise, once inputs and outputs are what the contract and the card say."""
        inputs = {item.name: item for item in self._session.get_inputs()}
        outputs = {item.name: item for item in self._session.get_outputs()}
        for what, found, named, wanted in (
            ("inputs", inputs, self.card.inputs, {NOISE, ENERGY}),
            ("outputs", outputs, self.card.outputs, {DEPOSITS}),
        ):
            if set(found) != wanted or {item.name for item in named} != wanted:
                msg = (
                    f"artefact {self.folder}: {what} of {MODEL} are {sorted(found)}, of its card "
                    f"{sorted(item.name for item in named)}, must be {sorted(wanted)}"
                )
                raise ArtefactError(msg)
        width = {item.name: item.shape[1:] for item in (*self.card.inputs, *self.card.outputs)}
        width[ENERGY], width[DEPOSITS] = (1,), (self.detector.n_cells,)
        for item in (*inputs.values(), *outputs.values()):
            free, *rest = item.shape or [0]
            fits = tuple(rest) == width[item.name] and not isinstance(free, int)
            if item.type != "tensor(float)" or not fits or not isinstance(rest[0], int):
                legal = ", ".join(map(str, width[item.name]))
                msg = (
                    f"artefact {self.folder}: {item.name!r} of {MODEL} is {item.type} of shape "
                    f"{item.shape}, must be tensor(float) of shape (N, {legal}) for any N"
                )
                raise ArtefactError(msg)
        return int(inputs[NOISE].shape[1])

    def _deposits(
        self,
        energy: NDArray[np.float64],
        rngs: Sequence[np.random.Generator],
        readout: Detector,  # noqa: ARG002 (the network has no other than its own)
    ) -> tuple[NDArray[np.floating], None]:
        noise = np.empty((len(energy), self._noise), dtype=np.float32)
        for row, rng in zip(noise, rngs, strict=True):
            row[:] = rng.standard_normal(self._noise)
        feed = {NOISE: noise, ENERGY: energy.astype(np.float32).reshape(-1, 1)}
        (deposits,) = self._session.run([DEPOSITS], feed)
        return np.asarray(deposits), None
