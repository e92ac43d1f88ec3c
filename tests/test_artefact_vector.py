"""The showers that the docs give to check a program in another language with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import caloforge
from caloforge.runtime import find_artefact, load_card

FILE = Path(__file__).parents[1] / "docs" / "artefact-vector.json"


def test_they_are_what_caloforge_makes() -> None:
    found = json.loads(FILE.read_text("utf-8"))
    card = load_card(find_artefact(found["artefact"]))
    assert card.files["generator.onnx"] == found["sha256"], "run docs/make_artefact_vector.py"
    assert card.inputs[0].shape[1] == found["noise"]
    generator = caloforge.load(found["artefact"])
    for item in found["showers"]:
        shower = generator.sample(item["energy"], seed=item["seed"], first=item["shower"])
        largest = float(shower.deposits.max())
        near = found["tolerance"] * largest
        assert shower.layer_energies[0].tolist() == pytest.approx(item["layers"], abs=near + 1e-3)
        for cell, deposit in item["cells"].items():
            assert shower.deposits[0, int(cell)] == pytest.approx(deposit, abs=near + 1e-3)
