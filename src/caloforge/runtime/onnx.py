"""The runtime of neural generators: one ONNX file that holds all of the generator."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from caloforge.cores import available_cores
from caloforge.detector import Detector
from caloforge.errors import ArtefactError
from caloforge.incident.incident import Incident
from caloforge.random import Streams
from caloforge.runtime.card import Card
from caloforge.runtime.conditions import QUANTITIES
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

# What ONNX Runtime and NumPy call the types of the Open Inference Protocol.
_TYPES = {"FP32": "tensor(float)", "INT64": "tensor(int64)"}
_NUMPY = {"FP32": np.float32, "INT64": np.int64}


class OnnxGenerator(Generator):
    """A network: ``z`` (N, d) and the conditions by name in, ``deposits`` (N, n_cells) MeV out.

    Conditions are ``energy`` (N, 1) GeV, ``entry_point`` (N, 2) mm, ``direction`` (N, 3), all
    float32, and ``label`` (N, 1) int64, the index of the particle within those of the card. The
    noise is standard normal, drawn from each shower's own stream. A shower is the same, bit by
    bit, whatever the batch and the threads.
    """

    threaded = True
    needs = (MODEL,)

    def __init__(
        self, card: Card, folder: Path, *, particle: str | int = "", threads: int = 0
    ) -> None:
        """Load the network; see :class:`~caloforge.runtime.generator.Generator`."""
        super().__init__(card, folder, particle=particle, threads=threads)
        self._threads = threads or available_cores()
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
        conditions = [item.name for item in self.card.conditions]
        if len(self.card.particles) > 1 and "label" not in conditions:
            msg = (
                f"artefact {self.folder}: its card names several particles, so that its conditions "
                "must hold 'label'"
            )
            raise ArtefactError(msg)
        inputs = {item.name: item for item in self._session.get_inputs()}
        outputs = {item.name: item for item in self._session.get_outputs()}
        for what, found, named, wanted in (
            ("inputs", inputs, self.card.inputs, {NOISE, *conditions}),
            ("outputs", outputs, self.card.outputs, {DEPOSITS}),
        ):
            if set(found) != wanted or {item.name for item in named} != wanted:
                msg = (
                    f"artefact {self.folder}: {what} of {MODEL} are {sorted(found)}, of its card "
                    f"{sorted(item.name for item in named)}, must be {sorted(wanted)}"
                )
                raise ArtefactError(msg)
        specs = {item.name: item for item in (*self.card.inputs, *self.card.outputs)}
        legal: dict[str, tuple[int | str, str]] = {
            NOISE: ([0, *specs[NOISE].shape][-1], "FP32"),
            DEPOSITS: (self.detector.n_cells, "FP32"),
            **{name: (QUANTITIES[name].width, QUANTITIES[name].dtype) for name in conditions},
        }
        for item in (*inputs.values(), *outputs.values()):
            width, dtype = legal[item.name]
            spec, (free, *rest) = specs[item.name], item.shape or [0]
            fits = rest == [width] and not isinstance(free, int) and isinstance(width, int)
            said = len(spec.shape) == 2 and spec.shape[1] == width and spec.dtype == dtype
            if item.type != _TYPES[dtype] or not (fits and said):
                msg = (
                    f"artefact {self.folder}: {item.name!r} of {MODEL} is {item.type} of shape "
                    f"{item.shape}, of its card {spec.dtype} of shape {list(spec.shape)}, must be "
                    f"{_TYPES[dtype]} ({dtype}) of shape (N, {width}) for any N"
                )
                raise ArtefactError(msg)
        return int(inputs[NOISE].shape[1])

    def _deposits(
        self,
        incident: Incident,
        streams: Streams,
        readout: Detector,  # noqa: ARG002 (the network has no other than its own)
    ) -> tuple[NDArray[np.floating], None]:
        count = len(incident)
        if not count:
            return np.empty((0, self.detector.n_cells), dtype=np.float32), None
        # Filled up with repetitions of the last shower, which are thrown away.
        rows = np.minimum(np.arange(-(-count // _ROWS) * _ROWS), count - 1)
        step = min(_BLOCK, -(-len(rows) // (_ROWS * self._threads)) * _ROWS)
        conditions = {
            item.name: QUANTITIES[item.name]
            .values(incident, self.card.particles)
            .astype(_NUMPY[QUANTITIES[item.name].dtype])
            for item in self.card.conditions
        }

        def make(first: int) -> NDArray[np.float32]:
            part = rows[first : first + step]
            noise = streams.rows(slice(first, part[-1] + 1)).normal(self._noise)
            feed = {NOISE: noise if len(noise) == len(part) else noise[part - first]}
            feed |= {name: values[part] for name, values in conditions.items()}
            return np.asarray(self._session.run([DEPOSITS], feed)[0])

        starts = range(0, len(rows), step)
        parts = [make(0)] if len(starts) == 1 else list(self._pool.map(make, starts))
        return np.concatenate(parts)[:count], None
