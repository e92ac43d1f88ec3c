"""An artefact for several particles, made by hand: the label says which."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from artefacts import NOISE, make_artefact

PARTICLES = ["e+", "gamma", "pi+"]
SETTINGS = {
    "name": "tiny",
    "particles": PARTICLES,
    "conditions": [
        {"name": "energy", "unit": "GeV", "low": 1.0, "high": 100.0},
        {"name": "label", "unit": ""},
    ],
    "inputs": [
        {"name": "z", "shape": ["N", NOISE], "unit": ""},
        {"name": "energy", "shape": ["N", 1], "unit": "GeV"},
        {"name": "label", "shape": ["N", 1], "unit": "", "dtype": "INT64"},
    ],
}


def network(label: int = TensorProto.INT64) -> onnx.ModelProto:
    """Deposits = relu(z W) * energy * (1, 10 or 100), by the label."""
    weights = np.random.default_rng(1).normal(0, 1, (NOISE, 504)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["z", "W"], ["hidden"]),
            helper.make_node("Relu", ["hidden"], ["positive"]),
            helper.make_node("Cast", ["label"], ["index"], to=TensorProto.INT64),
            helper.make_node("Gather", ["factors", "index"], ["factor"]),
            helper.make_node("Mul", ["factor", "energy"], ["scale"]),
            helper.make_node("Mul", ["positive", "scale"], ["deposits"]),
        ],
        "generator",
        [
            helper.make_tensor_value_info("z", TensorProto.FLOAT, ["N", NOISE]),
            helper.make_tensor_value_info("energy", TensorProto.FLOAT, ["N", 1]),
            helper.make_tensor_value_info("label", label, ["N", 1]),
        ],
        [helper.make_tensor_value_info("deposits", TensorProto.FLOAT, ["N", 504])],
        [
            numpy_helper.from_array(weights, "W"),
            numpy_helper.from_array(np.array([1, 10, 100], np.float32), "factors"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def make_several(folder: Path, label: int = TensorProto.INT64) -> Path:
    """The artefact; with another type of the label a wrong one."""
    return make_artefact(folder, network(label), **SETTINGS)
