"""An artefact for several particles, made by hand: the label says which."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import caloforge
from artefacts import NOISE, make_artefact
from caloforge.errors import ArtefactError, ParticleError
from caloforge.incident.incident import Incident
from caloforge.speed.benchmark import benchmark
from conftest import Cli

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


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_artefact(tmp_path_factory.mktemp("several") / "tiny", network(), **SETTINGS)


def test_the_label_says_which(folder: Path) -> None:
    energies = np.linspace(1, 100, 20)
    showers = {name: caloforge.load(folder, name).sample(energies, seed=1) for name in PARTICLES}
    for name, factor in zip(PARTICLES, (1, 10, 100), strict=True):
        assert showers[name].particle == name
        np.testing.assert_allclose(
            showers[name].deposits, factor * showers["e+"].deposits, rtol=1e-6
        )
    generator = caloforge.load(folder)
    assert repr(generator) == "OnnxGenerator('tiny', e+, gamma, pi+, 1-100 GeV)"
    said = generator.sample(Incident.of(energies, "pi+"), seed=1)
    np.testing.assert_array_equal(said.deposits, showers["pi+"].deposits)
    # What an incident says counts more than what the generator was loaded for.
    said = caloforge.load(folder, "gamma").sample(Incident.of(energies, 211), seed=1)
    np.testing.assert_array_equal(said.deposits, showers["pi+"].deposits)


def test_one_must_be_named_and_known(folder: Path) -> None:
    generator = caloforge.load(folder)
    with pytest.raises(ParticleError, match=r"got none, tiny is for e\+, gamma, pi\+ alone"):
        generator.sample([5.0])
    with pytest.raises(ParticleError, match="got p, tiny is for"):
        generator.sample(Incident.of([5.0], "p"))
    with pytest.raises(ParticleError, match=r"for p, only for e\+, gamma, pi\+"):
        caloforge.load(folder, "p")


def test_label_of_another_type(tmp_path: Path) -> None:
    bad = make_artefact(tmp_path / "bad", network(TensorProto.FLOAT), **SETTINGS)
    with pytest.raises(ArtefactError, match=r"'label' of generator\.onnx is tensor\(float\)"):
        caloforge.load(bad)


def test_runs_and_benchmarks(cli: Cli, folder: Path, tmp_path: Path) -> None:
    line = f"generate --model {folder} --energy 5,50 -n 6 --seed 3 --workers 1 --particle"
    for name in PARTICLES:
        path = tmp_path / f"{name}.h5"
        assert cli(*line.split(), name, "-o", path).code == 0
        expected = caloforge.load(folder, name).sample([5.0, 50.0] * 3, seed=3)
        np.testing.assert_array_equal(caloforge.read(path).deposits, expected.deposits)
        assert caloforge.read(path).particle == name
    with pytest.raises(ParticleError, match="are for several particles, must be for one"):
        benchmark([folder], geant4=False)
    found = benchmark(
        [folder], particle="gamma", batches=(5,), threads=(1,), budget=0.01, geant4=False
    )
    assert found.particle == "gamma"


def test_list_and_show(cli: Cli, folder: Path) -> None:
    result = cli("models", "show", folder)
    assert result.code == 0
    assert "e+, gamma, pi+, 1 to 100 GeV" in result.out
    assert "energy, label" in result.out
