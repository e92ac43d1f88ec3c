"""A new kind of artefacts is one file and one line in KINDS: this is such a file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import caloforge
from artefacts import card
from caloforge.detector import Detector
from caloforge.incident.incident import Incident
from caloforge.incident.spectrum import Spectrum
from caloforge.provenance import file_sha256
from caloforge.random import Streams
from caloforge.runtime.generator import Generator
from caloforge.runtime.kinds import KINDS, find_kind
from caloforge.speed.benchmark import benchmark
from caloforge.speed.timing import time_generator
from conftest import Cli


class FlatGenerator(Generator):
    """All cells alike, up to Poisson's fluctuations; the mean is in a file."""

    needs = ("mean.txt",)

    def _deposits(
        self, incident: Incident, streams: Streams, readout: Detector
    ) -> tuple[NDArray[np.floating], None]:
        share = float((self.folder / "mean.txt").read_text("ascii")) / readout.n_cells
        mean = share * incident.energy
        rows = [
            rng.poisson(value, readout.n_cells)
            for rng, value in zip(streams.generators(), mean, strict=True)
        ]
        return np.array(rows, dtype=np.float32).reshape(len(incident), readout.n_cells), None


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(KINDS, "flat", f"{__name__}:FlatGenerator")
    path = tmp_path / "flat"
    path.mkdir()
    (path / "mean.txt").write_text("900", "ascii")
    files = {"mean.txt": file_sha256(path / "mean.txt")}
    content = card(name="flat-eplus", runtime="flat", files=files, inputs=[])
    (path / "card.json").write_text(json.dumps(content), "utf-8")
    return path


def test_it_is_loaded_and_sampled(folder: Path) -> None:
    assert find_kind("flat") is FlatGenerator
    generator = caloforge.load(folder)
    assert repr(generator) == "FlatGenerator('flat-eplus', e+, 1-100 GeV)"
    showers = generator.sample([10.0, 100.0], seed=1)
    assert showers.response == pytest.approx([0.9, 0.9], rel=0.1)
    part = generator.sample([100.0], seed=1, first=1)
    np.testing.assert_array_equal(part.deposits[0], showers.deposits[1])


def test_everything_else_knows_it(cli: Cli, folder: Path, tmp_path: Path) -> None:
    line = f"generate --model {folder} --particle e+ --energy 5 -n 10 --workers 1"
    page = tmp_path / "page.html"
    assert cli(*line.split(), "-o", tmp_path / "out.h5", "--page", page).code == 0
    assert cli("models", "show", folder).code == 0
    assert "flat-eplus" in page.read_text("utf-8")


def test_its_speed(folder: Path) -> None:
    with pytest.raises(caloforge.CaloforgeError, match="outside the 1-100 GeV"):
        benchmark([folder], energy="500", geant4=False)
    spectrum = Spectrum.parse("5")
    _, (timing,) = time_generator(folder, "e+", spectrum, [5], threads=1, seed=1, budget=0.01)
    assert timing.seconds > 0


def test_shipped_kinds_can_be_imported() -> None:
    for name in KINDS:
        assert issubclass(find_kind(name), Generator)
