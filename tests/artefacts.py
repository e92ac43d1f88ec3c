"""A tiny neural artefact, made on the spot: deposits = Relu(z @ W) * energy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from caloforge.detector import Detector, detector_to_json, load_detector
from caloforge.provenance import file_sha256

NOISE = 8
CALOGAN = load_detector("calogan")


def network(
    cells: int = 504,
    *,
    noise: int | str = NOISE,
    batch: int | str = "N",
    names: tuple[str, str, str] = ("z", "energy", "deposits"),
    type_: int = TensorProto.FLOAT,
    scale: float = 1.0,
) -> onnx.ModelProto:
    """The network; by its arguments one that breaks the contract."""
    z, energy, deposits = names
    kind = helper.tensor_dtype_to_np_dtype(type_)
    width = noise if isinstance(noise, int) else NOISE
    weights = np.random.default_rng(1).normal(scale, 1, (width, cells)).astype(kind)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", [z, "W"], ["hidden"]),
            helper.make_node("Relu", ["hidden"], ["positive"]),
            helper.make_node("Mul", ["positive", energy], [deposits]),
        ],
        "generator",
        [
            helper.make_tensor_value_info(z, type_, [batch, noise]),
            helper.make_tensor_value_info(energy, type_, [batch, 1]),
        ],
        [helper.make_tensor_value_info(deposits, type_, [batch, cells])],
        [numpy_helper.from_array(weights, "W")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def energy(low: float, high: float) -> dict[str, Any]:
    """The condition that every card has."""
    return {"name": "energy", "unit": "GeV", "low": low, "high": high}


def card(readout: Detector = CALOGAN, **changes: Any) -> dict[str, Any]:
    """A sound card, without the hashes of files."""
    content = {
        "schema_version": 2,
        "name": "tiny-eplus",
        "system": "tiny",
        "version": "1",
        "description": "A matrix.",
        "runtime": "onnx",
        "detector": json.loads(detector_to_json(readout)),
        "particles": ["e+"],
        "conditions": [energy(1.0, 100.0)],
        "inputs": [
            {"name": "z", "shape": ["N", NOISE], "unit": ""},
            {"name": "energy", "shape": ["N", 1], "unit": "GeV"},
        ],
        "outputs": [{"name": "deposits", "shape": ["N", readout.n_cells], "unit": "MeV"}],
        "training": [],
        "command": "none",
        "seed": 1,
        "wall_time": 0.1,
        "machine": "test",
        "metrics": [],
        "limits": ["It is no calorimeter."],
        "licence": "Apache-2.0",
        "files": {},
    }
    return content | changes


def make_artefact(
    folder: Path,
    model: onnx.ModelProto | None = None,
    **changes: Any,
) -> Path:
    """An artefact folder.

    Args:
        folder: Folder to make.
        model: Another network than the usual.
        changes: What differs in its card.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "generator.onnx"
    path.write_bytes((model or network()).SerializeToString())
    content = card(**({"files": {path.name: file_sha256(path)}} | changes))
    (folder / "card.json").write_text(json.dumps(content), "utf-8")
    return folder
