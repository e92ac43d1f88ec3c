"""The runtime of neural generators: one ONNX file that holds all of the generator."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from caloforge.detector import Detector
from caloforge.errors import ArtefactError
from caloforge.random import Streams
from caloforge.runtime.card import Card
from caloforge.runtime.generator import Generator

__all__ = ["DEPOSITS", "ENERGY", "MODEL", "NOISE", "OnnxGenerator"]

MODEL = "generator.onnx"

# ONNX Runtime computes what is left over behind whole vector registers, and where two of its
# threads meet, with other instructions, which round differently. So that a shower does not depend
# on those that it is made with, networks run on multiples of so many showers, on one thread each.
_ROWS = 16

# What a network of a few hundred cells has in hand for so many showers stays in the cache of one
# core.
_BLOCK = 256

NOISE, ENERGY, DEPOSITS = "z", "energy", "deposits"


class OnnxGenerator(Generator):
    """A network: ``z`` (N, d) and ``energy`` (N, 1) GeV in, ``deposits`` (N, n_cells) MeV out.

    The noise is standard normal, drawn in double precision from each shower's own stream and
    rounded to float32. A shower is the same, bit by bit, whatever the batch and the threads.
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
        self._threads = threads or os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._threads)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
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
        streams: Streams,
        readout: Detector,  # noqa: ARG002 (the network has no other than its own)
    ) -> tuple[NDArray[np.floating], None]:
        count = len(energy)
        if not count:
            return np.empty((0, self.detector.n_cells), dtype=np.float32), None
        # Filled up with repetitions of the last shower, which are thrown away.
        rows = np.minimum(np.arange(-(-count // _ROWS) * _ROWS), count - 1)
        step = min(_BLOCK, -(-len(rows) // (_ROWS * self._threads)) * _ROWS)
        incident = energy.astype(np.float32).reshape(-1, 1)

        def make(first: int) -> NDArray[np.float32]:
            part = rows[first : first + step]
            noise = replace(streams, showers=streams.showers[part]).normal(self._noise)
            feed = {NOISE: noise.astype(np.float32), ENERGY: incident[part]}
            return np.asarray(self._session.run([DEPOSITS], feed)[0])

        starts = range(0, len(rows), step)
        parts = [make(0)] if len(starts) == 1 else list(self._pool.map(make, starts))
        return np.concatenate(parts)[:count], None
