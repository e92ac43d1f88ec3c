"""A new kind of artefacts is one file, here toys/even.py, and one line in KINDS."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import caloforge
from artefacts import card
from caloforge.incident.spectrum import Spectrum
from caloforge.provenance import file_sha256
from caloforge.runtime.generator import Generator
from caloforge.runtime.kinds import KINDS, find_kind
from caloforge.speed.benchmark import benchmark
from caloforge.speed.timing import time_generator
from conftest import Cli
from toys.even import EvenGenerator


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(KINDS, "even", "toys.even:EvenGenerator")
    path = tmp_path / "even"
    path.mkdir()
    (path / "mean.txt").write_text("900", "ascii")
    files = {"mean.txt": file_sha256(path / "mean.txt")}
    content = card(name="even-eplus", runtime="even", files=files, inputs=[])
    (path / "card.json").write_text(json.dumps(content), "utf-8")
    return path


def test_it_is_loaded_and_sampled(folder: Path) -> None:
    assert find_kind("even") is EvenGenerator
    generator = caloforge.load(folder)
    assert repr(generator) == "EvenGenerator('even-eplus', e+, 1-100 GeV)"
    showers = generator.sample([10.0, 100.0], seed=1)
    assert showers.response == pytest.approx([0.9, 0.9], rel=0.1)
    part = generator.sample([100.0], seed=1, first=1)
    np.testing.assert_array_equal(part.deposits[0], showers.deposits[1])


def test_everything_else_knows_it(cli: Cli, folder: Path, tmp_path: Path) -> None:
    line = f"generate --model {folder} --particle e+ --energy 5 -n 10 --workers 1"
    page = tmp_path / "page.html"
    assert cli(*line.split(), "-o", tmp_path / "out.h5", "--page", page).code == 0
    assert cli("models", "show", folder).code == 0
    assert "even-eplus" in page.read_text("utf-8")


def test_its_speed(folder: Path) -> None:
    with pytest.raises(caloforge.CaloforgeError, match="outside the 1-100 GeV"):
        benchmark([folder], energy="500", geant4=False)
    spectrum = Spectrum.parse("5")
    _, (timing,) = time_generator(folder, "e+", spectrum, [5], threads=1, seed=1, budget=0.01)
    assert timing.seconds > 0


def test_shipped_kinds_can_be_imported() -> None:
    for name in KINDS:
        assert issubclass(find_kind(name), Generator)
