"""An evaluator of LWTNN's graph form, written from its description, knowing nothing of ours.

It is strict: what the C++ library would not read, or would read as something else, is an error.
Arrays have one row per shower; sums are in double precision, as there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Values = Mapping[str, Mapping[str, Floats]]

SIMPLE = {"linear", "sigmoid", "rectified", "softmax", "tanh", "hard_sigmoid", "abs"}
WITH_ALPHA = {"leakyrelu", "elu", "swish"}
GRAPH = {"inputs", "input_sequences", "nodes", "layers", "outputs"}


class Lwtnn:
    """A network in a file."""

    def __init__(self, text: str) -> None:
        self.graph = json.loads(text, parse_constant=refuse)
        keys(self.graph, GRAPH, frozenset({"miscellaneous"}))
        assert self.graph["input_sequences"] == []
        for item in self.graph["inputs"]:
            keys(item, {"name", "variables"})
            for variable in item["variables"]:
                keys(variable, {"name", "offset", "scale"}, frozenset({"default"}))
        for note in self.graph.get("miscellaneous", {}).values():
            assert isinstance(note, str)

    def __call__(self, values: Values) -> dict[str, dict[str, Floats]]:
        """Outputs, by name and label, of the values of each input's variables."""
        found = {}
        for name, output in self.graph["outputs"].items():
            keys(output, {"labels", "node_index"})
            numbers = self.node(output["node_index"], values)
            assert len(output["labels"]) == numbers.shape[1], f"labels of {name}"
            assert len(set(output["labels"])) == numbers.shape[1]
            found[name] = dict(zip(output["labels"], numbers.T, strict=True))
        return found

    def node(self, index: int, values: Values) -> Floats:
        node = self.graph["nodes"][index]
        match node["type"]:
            case "input":
                keys(node, {"type", "sources", "size"})
                (source,) = node["sources"]
                numbers = prepared(self.graph["inputs"][source], values)
                assert numbers.shape[1] == node["size"]
                return numbers
            case "concatenate":
                keys(node, {"type", "sources"})
                return np.concatenate([self.node(i, values) for i in node["sources"]], axis=1)
            case "feed_forward":
                keys(node, {"type", "sources", "layer_index"})
                (source,) = node["sources"]
                assert source < index
                return applied(self.graph["layers"][node["layer_index"]], self.node(source, values))
        raise AssertionError(node["type"])


def prepared(item: Mapping[str, Any], values: Values) -> Floats:
    given = values[item["name"]]
    assert set(given) == {variable["name"] for variable in item["variables"]}
    columns = [(given[v["name"]] + v["offset"]) * v["scale"] for v in item["variables"]]
    return np.stack(columns, axis=1)


def applied(layer: Mapping[str, Any], x: Floats) -> Floats:
    weights, bias = (np.array(layer[key], dtype=np.float64) for key in ("weights", "bias"))
    assert weights.ndim == bias.ndim == 1
    match layer["architecture"]:
        case "normalization":
            keys(layer, {"architecture", "weights", "bias"})
            assert len(weights) == len(bias) == x.shape[1]
            return np.asarray(weights * (x + bias))
        case "dense":
            keys(layer, {"architecture", "weights", "bias", "activation"})
            if len(weights):
                assert len(weights) % x.shape[1] == 0
                x = x @ weights.reshape(-1, x.shape[1]).T
            if len(bias):
                assert len(bias) == x.shape[1]
                x = x + bias
            return activated(layer["activation"], x)
    raise AssertionError(layer["architecture"])


def activated(activation: str | Mapping[str, Any], x: Floats) -> Floats:
    if isinstance(activation, str):
        assert activation in SIMPLE
        return _simple(activation, x)
    keys(activation, {"function", "alpha"})
    assert activation["function"] in WITH_ALPHA
    alpha = float(activation["alpha"])
    with np.errstate(over="ignore"):
        match activation["function"]:
            case "leakyrelu":
                return np.where(x > 0, x, alpha * x)
            case "elu":
                return np.where(x >= 0, x, alpha * (np.exp(np.minimum(x, 0)) - 1))
            case _:
                return x * _simple("sigmoid", alpha * x)


def _simple(function: str, x: Floats) -> Floats:
    match function:
        case "sigmoid":
            return np.asarray(1 / (1 + np.exp(-np.clip(x, -30, 30))))
        case "rectified":
            return np.maximum(x, 0)
        case "tanh":
            return np.tanh(x)
        case "softmax":
            e = np.exp(x - x.max(axis=1, keepdims=True))
            return np.asarray(e / e.sum(axis=1, keepdims=True))
        case "hard_sigmoid":
            return np.clip(0.2 * x + 0.5, 0, 1)
        case "abs":
            return np.abs(x)
    return x


def keys(item: Mapping[str, Any], needed: set[str], more: frozenset[str] = frozenset()) -> None:
    assert needed <= set(item) <= needed | more, f"{sorted(item)} should be {sorted(needed)}"


def refuse(constant: str) -> float:
    msg = f"{constant} is not JSON"
    raise AssertionError(msg)
