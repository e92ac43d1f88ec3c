"""The network of a generator as one ONNX file, held against PyTorch before it appears."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxscript.optimizer import optimize
from torch import Tensor, nn

from caloforge.atomic import replacing
from caloforge.errors import ExportError
from caloforge.models.system import GeneratorNetwork, Given
from caloforge.random import Purpose, Streams
from caloforge.runtime.onnx import DEPOSITS, ENERGY, NOISE

__all__ = ["TOLERANCE", "export_onnx"]

TOLERANCE = 1e-5
"""How far ONNX Runtime may be from PyTorch, over the largest deposit of the shower."""

_OPSET = 18
_COMPARED = 64  # showers
_LEAST = 1e-3  # MeV: showers whose largest deposit is smaller are compared on this scale
_LARGE = 1024  # elements of a tensor whose rounding is worth it


def export_onnx(
    generator: GeneratorNetwork,
    path: Path,
    *,
    label: int = 0,
    half: bool = False,
    energy_range: tuple[float, float] = (1.0, 100.0),
) -> float:
    """Write a generator as ONNX: ``z`` and ``energy`` in, ``deposits`` out, for any number.

    Args:
        generator: The network. It is not changed.
        path: File to make or replace; it appears whole or not at all.
        label: Index of the particle, which becomes part of the network.
        half: Round large weights to half precision and store them so: half the file. The network
            still computes in single precision.
        energy_range: Incident energies to compare at, GeV.

    Returns:
        The largest deviation of ONNX Runtime from PyTorch with the same weights (with ``half``
        those that were rounded) on the same noise, over the largest deposit of the shower.

    Raises:
        ExportError: The network cannot be written as ONNX, its weights are too large for half
            precision, or ONNX Runtime does not reproduce it to 1e-5.
        OutputError: The file cannot be written.
    """
    network = _Exported(generator, label)
    network.generator.fuse()
    if half:
        _round_weights(network)
    model = _convert(network, half=half)
    content = model.SerializeToString(deterministic=True)
    original = network if half else _Exported(generator, label)
    deviation = _deviation(original, content, energy_range)
    if not deviation <= TOLERANCE:
        msg = (
            f"generator: ONNX Runtime deviates from PyTorch by {deviation:.2g} of the largest "
            f"deposit, must be at most {TOLERANCE:g}; look for steps and large numbers in the "
            "network, where rounding grows"
        )
        raise ExportError(msg)
    with replacing(path) as beside:
        beside.write_bytes(content)
    return deviation


class _Exported(nn.Module):
    """A copy of a generator on the CPU, in evaluation mode, for one particle."""

    def __init__(self, generator: GeneratorNetwork, label: int) -> None:
        super().__init__()
        self.generator = deepcopy(generator).cpu().eval().requires_grad_(False)
        self.label = label

    def forward(self, z: Tensor, energy: Tensor) -> Tensor:
        label = torch.full((z.shape[0],), self.label, dtype=torch.int64)
        deposits: Tensor = self.generator(z, Given(energy, label))
        return deposits


@torch.no_grad()
def _round_weights(network: nn.Module) -> None:
    for name, weight in network.named_parameters():
        if weight.ndim > 1 and weight.numel() >= _LARGE:
            rounded = weight.half()
            if not rounded.isfinite().all():
                msg = f"half: {name} has numbers beyond half precision (65504); leave it out"
                raise ExportError(msg)
            weight.copy_(rounded)


def _convert(network: _Exported, *, half: bool) -> onnx.ModelProto:
    """The model, without notes on where in this machine's source code it comes from."""
    count = torch.export.Dim("N")
    example = torch.zeros(2, network.generator.noise), torch.ones(2, 1)
    try:
        with _silent():
            program = torch.onnx.export(
                network,
                example,
                dynamo=True,
                opset_version=_OPSET,
                input_names=[NOISE, ENERGY],
                output_names=[DEPOSITS],
                dynamic_shapes=({0: count}, {0: count}),
                optimize=not half,
                verbose=False,
            )
            if program is None:
                msg = "generator: this version of PyTorch gives no ONNX model; take a newer one"
                raise ExportError(msg)
            model = program.model_proto
            if half:
                # Simplified only now: it would have merged batch normalisation into the weights,
                # which would then no longer be those that were rounded.
                _store_as_half(model)
                model = optimize(model, input_size_limit=_LARGE - 1)
    except torch.onnx.OnnxExporterError as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        msg = f"generator: {type(network.generator).__name__} has no ONNX form: {reason}"
        raise ExportError(msg) from error
    graph = model.graph
    for item in (model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        item.ClearField("metadata_props")
        item.ClearField("doc_string")
    graph.ClearField("value_info")
    return model


@contextmanager
def _silent() -> Iterator[None]:
    """Keep warnings of PyTorch about itself from the user."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _store_as_half(model: onnx.ModelProto) -> None:
    """Store large tensors in half precision where that loses nothing, and cast them on loading."""
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT:
            continue
        value = numpy_helper.to_array(tensor)
        with np.errstate(over="ignore"):
            rounded = value.astype(np.float16)
        if value.size >= _LARGE and np.array_equal(rounded.astype(np.float32), value):
            name = tensor.name
            tensor.CopyFrom(numpy_helper.from_array(rounded, f"{name}.half"))
            casts.append(helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _deviation(network: _Exported, content: bytes, energy_range: tuple[float, float]) -> float:
    """Deviation of ONNX Runtime from PyTorch, in one batch and shower by shower; see above."""
    session = _session(content)
    rows = np.arange(_COMPARED)
    noise = Streams(0, rows, Purpose.EXPORT).normal(network.generator.noise)
    feed = {
        NOISE: noise.astype(np.float32),
        ENERGY: np.geomspace(*energy_range, _COMPARED, dtype=np.float32).reshape(-1, 1),
    }
    with torch.no_grad():
        expected = network(*map(torch.from_numpy, feed.values())).numpy()
    try:
        got = session.run([DEPOSITS], feed)[0]
        single = [
            session.run([DEPOSITS], {name: value[i : i + 1] for name, value in feed.items()})[0]
            for i in rows
        ]
    except Exception as error:  # ONNX Runtime has an exception class for each of its codes
        msg = f"generator: ONNX Runtime cannot run it: {str(error).splitlines()[0]}"
        raise ExportError(msg) from error
    scale = np.maximum(expected.max(axis=1, keepdims=True), _LEAST)
    difference = np.abs(np.stack([got, np.concatenate(single)]) - expected)
    return float(np.max(difference / scale))


def _session(content: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # as above
        msg = f"generator: ONNX Runtime cannot load it: {str(error).splitlines()[0]}"
        raise ExportError(msg) from error
