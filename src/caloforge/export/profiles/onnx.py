"""The network of a generator as one ONNX file, held against PyTorch before it appears."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxscript.optimizer import optimize
from torch import Tensor, nn

from caloforge.atomic import replacing
from caloforge.errors import ExportError
from caloforge.export.profiles.base import Form, Job, Profile, Written
from caloforge.models.blocks.graph import Graph
from caloforge.models.system import CONDITIONS, Given, WrittenGenerator
from caloforge.random import Purpose, Streams
from caloforge.runtime.card import TensorSpec
from caloforge.runtime.conditions import QUANTITIES
from caloforge.runtime.onnx import DEPOSITS, MODEL, NOISE

__all__ = ["OnnxForm", "OnnxProfile", "export_onnx"]

_OPSET = 18
_LIMIT_HALF = "Weights are rounded to half precision."
_LIMIT_STEPS = (
    "A few showers deviate from PyTorch, by up to {:.1g} of their largest deposit: they lie where "
    "the network has a step."
)
_COMPARED = 64  # showers
# Where a network has steps (an empty shower or not), rounding may move a few showers over them.
_MAY_STEP = 0.05  # of the showers
_LARGEST_STEP = 1e-2  # of the largest deposit
_LEAST = 1e-3  # MeV: showers whose largest deposit is smaller are compared on this scale
_LARGE = 1024  # elements of a tensor whose rounding is worth it


class OnnxForm(Form):
    """Noise and conditions by name in, all deposits out; see :mod:`caloforge.runtime.onnx`."""

    def __init__(self, job: Job) -> None:
        """Wrap a generator; it is asked for its particle where it is for several."""
        super().__init__(job)
        self.job = job
        asked = [name for name in CONDITIONS if name in ("energy", *job.generator.conditions)]
        if len(job.particles) == 1:
            asked = [name for name in asked if name != "label"]
        self.conditions = tuple(asked)
        noise = ("N", self.generator.noise)
        self.inputs = (
            TensorSpec(name=NOISE, shape=noise, unit="", description="standard normal noise"),
            *(
                TensorSpec(
                    name=name,
                    shape=("N", QUANTITIES[name].width),
                    unit=QUANTITIES[name].unit,
                    dtype=QUANTITIES[name].dtype,
                )
                for name in asked
            ),
        )
        cells = ("N", job.setting.detector.n_cells)
        self.outputs = (
            TensorSpec(
                name=DEPOSITS, shape=cells, unit="MeV", description="energy left in each cell"
            ),
        )

    def forward(self, *inputs: Tensor) -> Tensor:
        """Make showers."""
        z, *values = inputs
        given = dict(zip(self.conditions, values, strict=True))
        label = given.get("label")
        given["label"] = (
            torch.full((z.shape[0],), self.job.label or 0, dtype=torch.int64)
            if label is None
            else label[:, 0]
        )
        deposits: Tensor = self.generator(z, Given(**given))
        return deposits

    def written(self, generator: WrittenGenerator) -> onnx.ModelProto:
        """The graph of a generator that writes its own.

        Args:
            generator: The generator of this form.
        """
        graph = Graph()
        names = {item.name: item.name for item in self.inputs}
        names.setdefault("label", graph.constant([[self.job.label or 0]], np.int64))
        deposits = generator.write(graph, names)
        inputs = [(item.name, item.dtype, int(item.shape[1])) for item in self.inputs]
        return graph.model(inputs, (DEPOSITS, deposits, int(self.outputs[0].shape[1])))

    def examples(self, count: int) -> Mapping[str, NDArray[Any]]:
        """Noise, and energies over all of the range; entry points and directions about the axis."""
        steps = np.linspace(-1, 1, count)
        tilted = np.stack([0.3 * steps, 0.2 * steps[::-1], np.ones(count)], axis=1)
        known = {
            "energy": np.geomspace(*self.job.setting.energy_range, count).reshape(-1, 1),
            "label": np.arange(count).reshape(-1, 1) % len(self.job.particles),
            "entry_point": 10.0 * np.stack([steps, steps[::-1]], axis=1),
            "direction": tilted / np.linalg.norm(tilted, axis=1, keepdims=True),
        }
        streams = Streams(0, np.arange(count), Purpose.EXPORT)
        found: dict[str, NDArray[Any]] = {NOISE: streams.normal(self.generator.noise)}
        for name in self.conditions:
            found[name] = known[name].astype(np.int64 if name == "label" else np.float32)
        return found


class OnnxProfile(Profile):
    """What caloforge itself loads."""

    name = "onnx"

    def write(self, job: Job, folder: Path) -> Written:
        """Write ``generator.onnx``."""
        deviation = export_onnx(OnnxForm(job), folder / MODEL, half=job.half)
        limits = [_LIMIT_HALF] if job.half else []
        if deviation > job.generator.tolerance:
            limits.append(_LIMIT_STEPS.format(deviation))
        return Written(deviation, tuple(limits))


def export_onnx(form: Form, path: Path, *, half: bool = False) -> float:
    """Write a generator as ONNX, as a host feeds it.

    Args:
        form: The generator as the host feeds it. It is not changed.
        path: File to make or replace; it appears whole or not at all.
        half: Round large weights to half precision and store them so: half the file. The network
            still computes in single precision.

    Returns:
        The largest deviation of ONNX Runtime from PyTorch with the same weights (with ``half``
        those that were rounded) on the same inputs, over the largest deposit of the shower.

    Raises:
        ExportError: The network cannot be written as ONNX, its weights are too large for half
            precision, or ONNX Runtime does not reproduce it to its tolerance, a few showers apart.
        OutputError: The file cannot be written.
    """
    network = deepcopy(form)
    network.generator.fuse()
    if half:
        _round_weights(network)
    if isinstance(network, OnnxForm) and isinstance(network.generator, WrittenGenerator):
        model = network.written(network.generator)
        if half:
            _store_as_half(model)
    else:
        model = _convert(network, half=half)
    content = model.SerializeToString(deterministic=True)
    deviations = _deviations(network if half else form, content)
    deviation = float(deviations.max())
    tolerance = form.generator.tolerance
    steps = deviation <= _LARGEST_STEP and (deviations > tolerance).mean() <= _MAY_STEP
    if not (deviation <= tolerance or steps):
        msg = (
            f"generator: ONNX Runtime deviates from PyTorch by {deviation:.2g} of the largest "
            f"deposit, must be at most {tolerance:g}; look for steps and large numbers in the "
            "network, where rounding grows"
        )
        raise ExportError(msg)
    with replacing(path) as beside:
        beside.write_bytes(content)
    return deviation


@torch.no_grad()
def _round_weights(network: nn.Module) -> None:
    for name, weight in network.named_parameters():
        if weight.ndim > 1 and weight.numel() >= _LARGE:
            rounded = weight.half()
            if not rounded.isfinite().all():
                msg = f"half: {name} has numbers beyond half precision (65504); leave it out"
                raise ExportError(msg)
            weight.copy_(rounded)


def _convert(network: Form, *, half: bool) -> onnx.ModelProto:
    """The model, without notes on where in this machine's source code it comes from."""
    size = network.batch or 2
    example = network.examples(size)
    free = {} if network.batch else {0: torch.export.Dim("N")}
    try:
        with _silent():
            program = torch.onnx.export(
                network,
                tuple(torch.from_numpy(example[item.name]) for item in network.inputs),
                dynamo=True,
                opset_version=_OPSET,
                input_names=[item.name for item in network.inputs],
                output_names=[item.name for item in network.outputs],
                dynamic_shapes=(tuple(free for _ in network.inputs),),
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


def _deviations(network: Form, content: bytes) -> NDArray[np.float64]:
    """Largest deviation of ONNX Runtime from PyTorch of each shower, in a batch and alone."""
    session = _session(content)
    feed = network.examples(network.batch or _COMPARED)
    names = [item.name for item in network.outputs]
    with torch.no_grad():
        made = network(*(torch.from_numpy(feed[item.name]) for item in network.inputs))
    expected = _beside(made if isinstance(made, tuple) else (made,))
    try:
        got = [_beside(session.run(names, dict(feed)))]
        if network.batch is None:
            rows = range(len(expected))
            single = [
                _beside(
                    session.run(names, {name: value[i : i + 1] for name, value in feed.items()})
                )
                for i in rows
            ]
            got.append(np.concatenate(single))
    except Exception as error:  # ONNX Runtime has an exception class for each of its codes
        msg = f"generator: ONNX Runtime cannot run it: {str(error).splitlines()[0]}"
        raise ExportError(msg) from error
    scale = np.maximum(expected.max(axis=1, keepdims=True), _LEAST)
    found: NDArray[np.float64] = np.max(np.abs(np.stack(got) - expected) / scale, axis=(0, 2))
    return found


def _beside(outputs: Sequence[Any]) -> NDArray[np.float64]:
    """All numbers of each shower: shape (N, M)."""
    flat = [np.asarray(each, dtype=np.float64).reshape(len(each), -1) for each in outputs]
    return np.concatenate(flat, axis=1)


def _session(content: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # as above
        msg = f"generator: ONNX Runtime cannot load it: {str(error).splitlines()[0]}"
        raise ExportError(msg) from error
