"""Artefacts: a network that somebody else made is loaded and sampled, or refused in a sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import caloforge
from artefacts import CALOGAN, card, energy, make_artefact, network
from caloforge.detector import load_detector
from caloforge.errors import (
    ArtefactError,
    CaloforgeError,
    DetectorError,
    EnergyError,
    ParticleError,
    ShowersError,
)
from caloforge.random import Purpose, Streams
from caloforge.runtime import artefact_names, card_schema, find_artefact, load_card
from caloforge.runtime.card import Card
from caloforge.schemas import read_schema, schema_names

ENTRY = {"name": "entry_point", "unit": "mm"}
ENERGIES = np.linspace(1, 100, 100)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return make_artefact(tmp_path / "tiny")


def test_load_and_sample(tiny: Path) -> None:
    generator = caloforge.load(tiny)
    assert repr(generator) == "OnnxGenerator('tiny-eplus', e+, 1-100 GeV)"
    showers = generator.sample([10.0, 50.0], seed=1)
    assert repr(showers) == "Showers(2 e+, 10-50 GeV, 'calogan')"
    assert showers.deposits.any()
    np.testing.assert_array_equal(showers.deposits, generator.sample([10, 50], seed=1).deposits)
    assert not np.array_equal(showers.deposits, generator.sample([10, 50], seed=2).deposits)
    assert len(generator.sample(10.0)) == 1
    assert len(generator.sample([[10.0], [20.0]])) == 2
    assert len(generator.sample([])) == 0
    assert (
        generator.sample([1], seed=1).deposits.max() != generator.sample([1], seed=2).deposits.max()
    )


def test_showers_are_the_network_on_the_streams_of_the_contract(tiny: Path) -> None:
    noise = Streams(7, np.array([3]), Purpose.GENERATOR).normal(8)[0]
    weights = onnx.numpy_helper.to_array(onnx.load(tiny / "generator.onnx").graph.initializer[0])
    by_hand = np.maximum(noise @ weights, 0) * 25.0
    made = caloforge.load(tiny).sample([25.0], seed=7, first=3)
    np.testing.assert_allclose(made.deposits[0], by_hand, rtol=1e-5)


def curved() -> onnx.ModelProto:
    """A network of functions that ONNX Runtime computes in vector registers, of odd widths."""
    rng = np.random.default_rng(2)
    shapes = {"A": (8, 27), "B": (27, 504), "C": (27, 504)}
    nodes = [
        ("MatMul", ["z", "A"], "a"),
        ("Elu", ["a"], "hidden"),
        ("MatMul", ["hidden", "B"], "b"),
        ("Sigmoid", ["b"], "share"),
        ("MatMul", ["hidden", "C"], "c"),
        ("Erf", ["c"], "d"),
        ("Exp", ["d"], "factor"),
        ("Mul", ["share", "factor"], "product"),
        ("Mul", ["product", "energy"], "deposits"),
    ]
    graph = helper.make_graph(
        [helper.make_node(kind, sources, [name]) for kind, sources, name in nodes],
        "generator",
        [
            helper.make_tensor_value_info("z", TensorProto.FLOAT, ["N", 8]),
            helper.make_tensor_value_info("energy", TensorProto.FLOAT, ["N", 1]),
        ],
        [helper.make_tensor_value_info("deposits", TensorProto.FLOAT, ["N", 504])],
        [
            numpy_helper.from_array(rng.normal(0, 0.5, shape).astype(np.float32), name)
            for name, shape in shapes.items()
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def test_without_a_seed_no_two_calls_give_the_same(tiny: Path) -> None:
    generator = caloforge.load(tiny)
    one, two = generator.sample(np.full(5, 10.0)), generator.sample(np.full(5, 10.0))
    assert one.seed is not None
    assert one.seed != two.seed
    assert not np.array_equal(one.deposits, two.deposits)
    again = generator.sample(np.full(5, 10.0), seed=one.seed)
    np.testing.assert_array_equal(again.deposits, one.deposits)
    assert again.seed == one.seed
    assert generator.sample([5.0], seed=0).seed == 0
    assert one[:2].seed is None  # these are not all showers of that run


@pytest.mark.parametrize("model", [network(), curved()], ids=["matrix", "curved"])
def test_batch_threads_and_first_have_no_influence(tmp_path: Path, model: onnx.ModelProto) -> None:
    """Bit by bit."""
    folder = make_artefact(tmp_path / "net", model)
    generator = caloforge.load(folder)
    whole = generator.sample(ENERGIES, seed=3)
    for batch in (*range(1, 18), 31, 32, 33, 64, 99, 100):
        other = generator.sample(ENERGIES, seed=3, batch=batch)
        np.testing.assert_array_equal(other.deposits, whole.deposits, err_msg=f"batch {batch}")
    for first, stop in ((0, 1), (5, 30), (99, 100)):
        part = generator.sample(ENERGIES[first:stop], seed=3, first=first)
        np.testing.assert_array_equal(part.deposits, whole.deposits[first:stop])
    for threads in (1, 2, 3, 8):
        other = caloforge.load(folder, threads=threads).sample(ENERGIES, seed=3)
        np.testing.assert_array_equal(other.deposits, whole.deposits, err_msg=f"{threads} threads")


@pytest.mark.parametrize("energies", [[0.999], [101.0], [5.0, 200.0]])
def test_energies_out_of_range(tiny: Path, energies: list[float]) -> None:
    generator = caloforge.load(tiny)
    with pytest.raises(EnergyError, match="outside the 1-100 GeV"):
        generator.sample(energies)
    assert len(generator.sample(energies, extrapolate=True)) == len(energies)


@pytest.mark.parametrize(
    "energies", [[0.0], [-1.0], [np.nan], [np.inf], [[1.0, 2.0]], np.ones((2, 1, 1))]
)
def test_energies_that_are_none(tiny: Path, energies: Any) -> None:
    with pytest.raises(EnergyError, match=r"^energies: "):
        caloforge.load(tiny).sample(energies, extrapolate=True)


def test_wrong_arguments(tiny: Path) -> None:
    generator = caloforge.load(tiny)
    with pytest.raises(CaloforgeError, match="seed"):
        generator.sample([5.0], seed=-1)
    for batch in (0, -3):
        with pytest.raises(CaloforgeError, match="batch"):
            generator.sample([5.0], batch=batch)
    with pytest.raises(CaloforgeError, match="first"):
        generator.sample([5.0], first=-1)
    with pytest.raises(DetectorError, match="fills 'calogan', not 'lar-voxels'"):
        generator.sample([5.0], detector=load_detector("lar-voxels"))


def test_network_that_makes_no_showers(tmp_path: Path) -> None:
    nan = make_artefact(tmp_path / "nan", network(scale=float("nan")))
    with pytest.raises(ShowersError, match="deposits: shower 0 has the value nan"):
        caloforge.load(nan).sample([5.0])


# What is refused


@pytest.mark.parametrize(
    ("model", "word"),
    [
        (
            network(names=("x", "energy", "deposits")),
            "inputs of generator.onnx are ['energy', 'x']",
        ),
        (network(names=("z", "e", "deposits")), "inputs of generator.onnx are ['e', 'z']"),
        (network(names=("z", "energy", "cells")), "outputs of generator.onnx are ['cells']"),
        (network(cells=503), "'deposits' of generator.onnx is tensor(float) of shape"),
        (network(noise=9), "'z' of generator.onnx is tensor(float) of shape"),
        (network(noise="d"), "'z' of generator.onnx is tensor(float) of shape"),
        (network(batch=1), "'z' of generator.onnx is tensor(float) of shape"),
        (network(type_=TensorProto.DOUBLE), "'z' of generator.onnx is tensor(double)"),
    ],
)
def test_network_that_breaks_the_contract(
    tmp_path: Path, model: onnx.ModelProto, word: str
) -> None:
    folder = make_artefact(tmp_path / "bad", model)
    with pytest.raises(ArtefactError) as error:
        caloforge.load(folder)
    assert word in str(error.value)
    assert "\n" not in str(error.value)


def test_free_width_of_noise_in_card_and_network(tmp_path: Path) -> None:
    inputs = [
        {"name": "z", "shape": ["N", "d"], "unit": ""},
        {"name": "energy", "shape": ["N", 1], "unit": "GeV"},
    ]
    folder = make_artefact(tmp_path / "bad", network(noise="d"), inputs=inputs)
    with pytest.raises(ArtefactError, match="'z'"):
        caloforge.load(folder)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"schema_version": 3}, "card.json: schema_version"),
        ({"colour": "red"}, "card.json: colour"),
        ({"particles": None}, "card.json: particles"),
        ({"particles": []}, "card.json: particles"),
        ({"particles": ["quark"]}, "particle: 'quark'"),
        ({"particles": ["e+", "-11"]}, "particles e+, e+ must differ"),
        ({"particles": ["e+", "gamma"]}, "its conditions must hold 'label'"),
        ({"runtime": "torch"}, "card.json: runtime: 'torch' is not known; there are"),
        ({"runtime": "onxn"}, "did you mean onnx?"),
        ({"conditions": []}, "conditions must hold the energy"),
        ({"conditions": [energy(1.0, 5.0)] * 2}, "conditions energy, energy must differ"),
        ({"conditions": [{"name": "energy", "unit": "GeV", "low": 1.0}]}, "must hold the energy"),
        ({"conditions": [energy(0.0, 5.0)]}, "must hold the energy"),
        ({"conditions": [energy(5.0, 1.0)]}, "energy goes from 5.0 to 1.0, must not decrease"),
        ({"conditions": [energy(1.0, 5.0) | {"unit": "MeV"}]}, "energy is 'GeV', not 'MeV'"),
        ({"conditions": [{"name": "charge", "unit": ""}]}, "'charge' is not known, there are"),
        ({"conditions": [energy(1.0, 5.0), ENTRY]}, "inputs of generator.onnx are"),
        ({"conditions": [energy(1.0, 5.0), ENTRY | {"low": [0.0]}]}, "has 1 numbers, must be 2"),
        ({"name": "../evil"}, "card.json: name"),
        ({"detector": {"name": "x"}}, "layers: is missing"),
        (
            {"detector": {**card()["detector"], "layers": card()["detector"]["layers"][:2]}},
            "deposits",
        ),
        ({"files": {"generator.onnx": "0" * 64}}, "SHA-256"),
        ({"files": {"generator.onnx": "xyz"}}, "card.json: files"),
        ({"files": {}}, "generator.onnx"),
        ({"files": {"gone.bin": "0" * 64}}, "'gone.bin' that its card names is missing"),
        ({"files": {"../tiny/generator.onnx": "0" * 64}}, "is missing"),
        ({"files": {"/etc/passwd": "0" * 64}}, "is missing"),
        ({"files": {"..": "0" * 64}}, "is missing"),
        ({"inputs": []}, "inputs of generator.onnx"),
        ({"outputs": [{"name": "y", "shape": ["N", 504], "unit": "MeV"}]}, "outputs of"),
    ],
)
def test_wrong_cards(tmp_path: Path, changes: dict[str, Any], word: str) -> None:
    folder = make_artefact(tmp_path / "tiny", **changes)
    with pytest.raises(CaloforgeError) as error:
        caloforge.load(folder)
    assert word in str(error.value)
    assert "\n" not in str(error.value)


def test_damaged_artefacts(tmp_path: Path, tiny: Path) -> None:
    text = (tiny / "card.json").read_text("utf-8")
    for content in (b"", b"{", b"[]", b"\xff\xfe", text.encode()[:-20], text.encode("utf-16")):
        (tiny / "card.json").write_bytes(content)
        with pytest.raises(ArtefactError, match=r"card\.json") as error:
            caloforge.load(tiny)
        assert "\n" not in str(error.value)
    (tiny / "card.json").write_text(text, "utf-8")
    model = (tiny / "generator.onnx").read_bytes()
    (tiny / "generator.onnx").write_bytes(model[:-1] + b"\x00")
    with pytest.raises(ArtefactError, match="is not the file that its card describes"):
        caloforge.load(tiny)
    (tiny / "generator.onnx").unlink()
    with pytest.raises(ArtefactError, match=r"'generator\.onnx' that its card names is missing"):
        caloforge.load(tiny)
    garbage = make_artefact(tmp_path / "garbage")
    (garbage / "generator.onnx").write_bytes(b"no network")
    with pytest.raises(ArtefactError, match="SHA-256"):
        caloforge.load(garbage)


def test_file_that_is_no_network(tmp_path: Path) -> None:
    class Garbage:
        def SerializeToString(self) -> bytes:  # noqa: N802
            return b"no network"

    folder = make_artefact(tmp_path / "garbage", Garbage())  # type: ignore[arg-type]
    with pytest.raises(ArtefactError, match=r"generator\.onnx cannot be loaded: ") as error:
        caloforge.load(folder)
    assert "\n" not in str(error.value)


def test_finding(tiny: Path, tmp_path: Path) -> None:
    assert find_artefact(tiny) == find_artefact(str(tiny), "e+") == find_artefact(tiny, -11) == tiny
    with pytest.raises(ParticleError, match="for gamma, only for e\\+"):
        find_artefact(tiny, "gamma")
    for wrong in (tmp_path, tmp_path / "none", "fastcalosm", ""):
        with pytest.raises(ArtefactError, match="is neither a shipped artefact nor a folder"):
            find_artefact(wrong)
    with pytest.raises(ArtefactError):
        load_card(tmp_path)


# The schema of cards


def test_card_round_trip(tiny: Path) -> None:
    one = Card.read(tiny)
    (tiny / "card.json").write_text(one.to_json(), "utf-8")
    assert Card.read(tiny) == one
    assert one.load_detector() == CALOGAN


def test_card_of_version_1_is_read_as_one_of_version_2(tiny: Path) -> None:
    now = card()
    then = {key: value for key, value in now.items() if key not in {"particles", "conditions"}}
    then |= {"schema_version": 1, "particle": "e+", "energy_range": [1, 100]}
    files = json.loads((tiny / "card.json").read_text("utf-8"))["files"]
    then |= {"conditions": ["energy"], "files": files}
    (tiny / "card.json").write_text(json.dumps(then), "utf-8")
    assert Card.read(tiny).to_json() == Card(**(now | {"files": files})).to_json()
    assert find_artefact(tiny, "e+") == tiny
    assert len(caloforge.load(tiny, "e+").sample([5.0])) == 1
    for wrong in ({"energy_range": [1]}, {"energy_range": 5}, {"colour": "red"}):
        (tiny / "card.json").write_text(json.dumps(then | wrong), "utf-8")
        with pytest.raises(ArtefactError, match=r"card\.json: "):
            caloforge.load(tiny)


def test_schema_is_that_of_cards() -> None:
    schema = card_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(card())
    for wrong in ({"colour": "red"}, {"schema_version": 1}, {"conditions": [1]}, {"seed": "one"}):
        assert not validator.is_valid(card() | wrong)
    for key in ("name", "detector", "files", "limits", "training", "metrics", "licence"):
        assert not validator.is_valid({k: v for k, v in card().items() if k != key})


def test_shipped_cards_are_valid() -> None:
    validator = jsonschema.Draft202012Validator(card_schema())
    for name in artefact_names():
        folder = find_artefact(name)
        text = (folder / "card.json").read_text("utf-8")
        validator.validate(json.loads(text))
        found = load_card(name)
        assert found.name == name == folder.name
        assert found.limits
        assert found.metrics
        assert found.load_detector().name
        assert set(found.files) | {"card.json"} == {file.name for file in folder.iterdir()}
        assert caloforge.load(name, found.particles[0]).card == found


def test_schema_file_is_up_to_date() -> None:
    """Whoever changes cards writes it anew: python docs/make_schemas.py."""
    assert "card-2" in schema_names()
    assert read_schema("card-2") == json.loads(json.dumps(card_schema()))
    with pytest.raises(CaloforgeError, match="schema: 'card-3' is not known; did you mean card-2"):
        read_schema("card-3")
