"""Dense networks as JSON for LWTNN, which the software of experiments reads in C++.

The file is of the graph form: ``inputs`` with an offset and a scale for each variable, ``nodes``
that name their sources, ``layers`` that nodes apply, ``outputs`` with a label for each number.
Batch normalisation is a layer of its own, so it may stand before or behind any activation.
``miscellaneous``, which LWTNN skips, says in words what has to be done outside the network.

References:
    D. Guest et al., *LWTNN: Lightweight Trained Neural Network*, doi:10.5281/zenodo.597221;
    https://github.com/lwtnn/lwtnn, issue 167: layers in an order that its converter could not keep.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from caloforge.atomic import write_text
from caloforge.errors import ExportError
from caloforge.export.profiles.base import Job, Profile, Written
from caloforge.models.dense import Dense, DenseGraph
from caloforge.models.system import GeneratorNetwork

__all__ = ["LWTNN", "LwtnnProfile", "lwtnn_json"]

LWTNN = "generator.lwtnn.json"
_LIMIT = (
    f"{LWTNN} is the dense network alone; its entry 'miscellaneous' says what belongs around it."
)

_FUNCTIONS: dict[type[nn.Module], str] = {
    nn.ReLU: "rectified",
    nn.Sigmoid: "sigmoid",
    nn.Tanh: "tanh",
}
_NOTHING = (nn.Identity, nn.Dropout)  # in evaluation mode
_LEGAL = "Linear, BatchNorm1d, ReLU, LeakyReLU, ELU, SiLU, Sigmoid, Tanh, Softmax"
_LEAST_WEIGHT = 1e-30


class LwtnnProfile(Profile):
    """The dense network of a generator, for LWTNN."""

    name = "lwtnn"

    def check(self, job: Job) -> None:
        """Refuse a generator that is not made of dense layers, or has one that LWTNN lacks.

        Raises:
            ExportError: It has no such form.
        """
        lwtnn_json(_graph(job.generator))

    def write(self, job: Job, folder: Path) -> Written:
        """Write ``generator.lwtnn.json``."""
        write_text(folder / LWTNN, lwtnn_json(_graph(job.generator)))
        return Written(limits=(_LIMIT,))


def _graph(generator: GeneratorNetwork) -> DenseGraph:
    if not isinstance(generator, Dense):
        msg = (
            f"profile: lwtnn holds dense layers alone, {type(generator).__name__} is not made of "
            "these; leave it out"
        )
        raise ExportError(msg)
    return generator.dense_graph()


def lwtnn_json(graph: DenseGraph) -> str:
    """The text of an LWTNN file.

    Args:
        graph: The network.

    Raises:
        ExportError: A layer is of a kind that LWTNN does not know, widths do not fit together, or a
            weight is not finite.
    """
    nodes: list[dict[str, Any]] = []
    layers: list[dict[str, Any]] = []
    where: dict[str, tuple[int, int]] = {}  # node and width by name
    for i, item in enumerate(graph.inputs):
        where[item.name] = len(nodes), len(item.variables)
        nodes.append({"type": "input", "sources": [i], "size": len(item.variables)})
    for stack in graph.stacks:
        sources = [where[name] for name in stack.sources]
        node, width = sources[0][0], sum(width for _, width in sources)
        if len(sources) > 1:
            node = len(nodes)
            nodes.append({"type": "concatenate", "sources": [number for number, _ in sources]})
        for name, module in _flat(stack.layers, stack.name):
            layer, width = _layer(name, module, width)
            nodes.append({"type": "feed_forward", "sources": [node], "layer_index": len(layers)})
            layers.append(layer)
            node = len(nodes) - 1
        where[stack.name] = node, width
    return _text(graph, nodes, layers, where)


def _text(
    graph: DenseGraph,
    nodes: list[dict[str, Any]],
    layers: list[dict[str, Any]],
    where: dict[str, tuple[int, int]],
) -> str:
    for name, labels in graph.outputs.items():
        if len(labels) != where[name][1]:
            msg = f"output {name}: has {where[name][1]} numbers and {len(labels)} labels"
            raise ExportError(msg)
    document = {
        "inputs": [
            {
                "name": item.name,
                "variables": [
                    {"name": name, "offset": item.offset, "scale": item.scale}
                    for name in item.variables
                ],
            }
            for item in graph.inputs
        ],
        "input_sequences": [],
        "nodes": nodes,
        "layers": layers,
        "outputs": {
            name: {"labels": list(labels), "node_index": where[name][0]}
            for name, labels in graph.outputs.items()
        },
        "miscellaneous": dict(graph.notes),
    }
    return json.dumps(document, separators=(",", ":"), allow_nan=False) + "\n"


def _flat(layers: nn.Sequential, prefix: str) -> Iterator[tuple[str, nn.Module]]:
    """The layers inside nested stacks that do something, with their full names."""
    for key, module in layers.named_children():
        name = f"{prefix}.{key}"
        if isinstance(module, nn.Sequential):
            yield from _flat(module, name)
        elif not isinstance(module, _NOTHING):
            yield name, module


def _layer(name: str, module: nn.Module, width: int) -> tuple[dict[str, Any], int]:
    """A layer as LWTNN has it, and how many numbers come out of it."""
    match module:
        case nn.Linear():
            _check_width(name, width, module.in_features)
            bias = [] if module.bias is None else _numbers(name, module.bias)
            layer = {
                "architecture": "dense",
                "weights": _numbers(name, module.weight),  # row by row: (n_out, n_in)
                "bias": bias,
                "activation": "linear",
            }
            return layer, module.out_features
        case nn.BatchNorm1d():
            _check_width(name, width, module.num_features)
            return _normalization(name, module), width
        case nn.LeakyReLU():
            return _activation({"function": "leakyrelu", "alpha": module.negative_slope}), width
        case nn.ELU():
            return _activation({"function": "elu", "alpha": module.alpha}), width
        case nn.SiLU():
            return _activation({"function": "swish", "alpha": 1.0}), width
        case nn.Softmax() if module.dim in (1, -1):
            return _activation("softmax"), width
    function = _FUNCTIONS.get(type(module))
    if function is None:
        msg = f"layer {name}: LWTNN has no {module}; it has {_LEGAL} (over dim 1)"
        raise ExportError(msg)
    return _activation(function), width


def _activation(function: str | dict[str, Any]) -> dict[str, Any]:
    """An activation alone: a dense layer that has neither weights nor bias."""
    return {"architecture": "dense", "weights": [], "bias": [], "activation": function}


def _normalization(name: str, module: nn.BatchNorm1d) -> dict[str, Any]:
    """Batch normalisation as LWTNN computes it: ``weights * (x + bias)``."""
    if module.running_mean is None or module.running_var is None:
        msg = f"layer {name}: has no running statistics, so it depends on the batch; keep them"
        raise ExportError(msg)
    deviation = torch.sqrt(module.running_var.double() + module.eps)
    ones = torch.ones_like(deviation)
    gamma = ones if module.weight is None else module.weight.detach().double()
    beta = 0 * ones if module.bias is None else module.bias.detach().double()
    weight = gamma / deviation
    # Where gamma is zero, so that only beta is left, a weight too small to matter keeps beta.
    weight = torch.where(weight.abs() < _LEAST_WEIGHT, _LEAST_WEIGHT, weight)
    bias = beta / weight - module.running_mean.double()
    return {
        "architecture": "normalization",
        "weights": _numbers(name, weight),
        "bias": _numbers(name, bias),
    }


def _check_width(name: str, got: int, wanted: int) -> None:
    if got != wanted:
        msg = f"layer {name}: takes {wanted} numbers, {got} come in"
        raise ExportError(msg)


def _numbers(name: str, tensor: torch.Tensor) -> list[float]:
    """All elements, last index fastest, with all their digits."""
    if not tensor.isfinite().all():
        msg = f"layer {name}: has weights that are not finite"
        raise ExportError(msg)
    found: list[float] = tensor.detach().flatten().tolist()
    return found
