"""Cards are measured anew, on showers that came later."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from caloforge.errors import DetectorError, ExportError
from caloforge.export.measure import judge_again
from caloforge.runtime import find_artefact, load_card
from caloforge.showers import read_showers, write_showers
from caloforge.showers.split import split_file
from conftest import ROOT, Cli

FIXTURES = ROOT / "tests" / "data"


@pytest.fixture
def artefact(tmp_path: Path) -> Path:
    folder = tmp_path / "made"
    shutil.copytree(find_artefact("atlas-vae", "e+"), folder)
    return folder


def test_all_else_stays_as_it_is(artefact: Path) -> None:
    before = load_card(artefact)
    card = judge_again(artefact, [read_showers(FIXTURES / "eplus-calogan.h5")])
    assert card == load_card(artefact)
    assert card.metrics != before.metrics
    assert card.scores == ()  # too few showers to judge
    assert card.files["generator.onnx"] == before.files["generator.onnx"]
    assert card.files["reference-calogan.json"] != before.files["reference-calogan.json"]
    measured = {"metrics", "scores", "speed", "files"}
    assert card.model_dump(exclude=measured) == before.model_dump(exclude=measured)
    assert [path.name for path in artefact.parent.iterdir()] == ["made"]


def test_what_cannot_be_compared_changes_nothing(artefact: Path) -> None:
    before = {path.name: path.read_bytes() for path in artefact.iterdir()}
    electrons = read_showers(FIXTURES / "eplus-calogan.h5")
    with pytest.raises(ExportError, match=r"has no showers of e\+, which atlas-vae-eplus makes"):
        judge_again(artefact, [replace(electrons, particle="gamma")])
    with pytest.raises(DetectorError, match="fills 'calogan', not 'lar-voxels'"):
        judge_again(artefact, [read_showers(FIXTURES / "eplus-lar-voxels.h5")])
    assert {path.name: path.read_bytes() for path in artefact.iterdir()} == before


def test_command(artefact: Path, tmp_path: Path, cli: Cli) -> None:
    file = tmp_path / "eplus.h5"
    split_file(FIXTURES / "eplus-calogan.h5", file, fractions=(0.3, 0.3, 0.4), seed=1)
    result = cli("models", "judge", artefact, "--test-data", file)
    assert result.code == 0
    assert "against Geant4" in result.out
    test = read_showers(file, split="test")
    found = {(item.quantity, item.energy): item for item in load_card(artefact).metrics}
    reference = found["response", 50.0].reference
    assert test.response.min() <= reference <= test.response.max()
    unsplit = tmp_path / "unsplit.h5"
    write_showers(unsplit, test)
    assert cli("models", "judge", artefact, "--test-data", unsplit).code == 2
