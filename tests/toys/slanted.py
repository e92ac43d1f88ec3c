"""An artefact that is asked for entry points and directions, made by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from artefacts import NOISE, energy, make_artefact

WIDTHS = {"z": NOISE, "entry_point": 2, "direction": 3}
CONDITIONS = [
    energy(1.0, 100.0),
    {"name": "entry_point", "unit": "mm", "low": -20.0, "high": [20.0, 10.0]},
    {"name": "direction", "unit": "", "low": [-0.5, -0.5, 0.5], "high": None},
]


def weights(cells: int = 504) -> dict[str, Any]:
    rng = np.random.default_rng(3)
    return {
        name: rng.normal(0, 1, (width, cells)).astype(np.float32) for name, width in WIDTHS.items()
    }


def network() -> onnx.ModelProto:
    """Deposits = relu(z A + entry_point B + direction C) * energy."""
    nodes = [helper.make_node("MatMul", [name, f"W_{name}"], [f"h_{name}"]) for name in WIDTHS]
    graph = helper.make_graph(
        [
            *nodes,
            helper.make_node("Sum", [f"h_{name}" for name in WIDTHS], ["sum"]),
            helper.make_node("Relu", ["sum"], ["positive"]),
            helper.make_node("Mul", ["positive", "energy"], ["deposits"]),
        ],
        "generator",
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", width])
            for name, width in {**WIDTHS, "energy": 1}.items()
        ],
        [helper.make_tensor_value_info("deposits", TensorProto.FLOAT, ["N", 504])],
        [numpy_helper.from_array(value, f"W_{name}") for name, value in weights().items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


INPUTS = [
    {"name": name, "shape": ["N", width], "unit": unit}
    for name, width, unit in (
        ("z", NOISE, ""),
        ("energy", 1, "GeV"),
        ("entry_point", 2, "mm"),
        ("direction", 3, ""),
    )
]


def make_slanted(folder: Path, **changes: Any) -> Path:
    """The artefact; ``changes`` are what differs in its card."""
    settings: dict[str, Any] = {"conditions": CONDITIONS, "inputs": INPUTS} | changes
    return make_artefact(folder, network(), **settings)
