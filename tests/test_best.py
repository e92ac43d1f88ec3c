"""The generator that is taken where none is asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from caloforge.detector import load_detector
from caloforge.errors import ParticleError
from caloforge.runtime import Card, artefact_names, best_artefact, find_artefact, load_card
from caloforge.runtime.artefacts import HEADLINES, verdict
from caloforge.showers import open_showers
from conftest import Cli


@pytest.mark.parametrize("particle", ["e+", "gamma", "pi+"])
def test_it_is_the_best_by_its_card(particle: str) -> None:
    best = verdict(best_artefact(particle), particle)
    assert best is not None
    assert best.name in HEADLINES
    others = [name for name in artefact_names() if particle in load_card(name).particles]
    assert len(others) > 2
    for name in others:
        other = verdict(find_artefact(name), particle)
        assert other is not None
        assert other.name != best.name or other.value >= best.value


def test_it_can_fill_the_readout(cli: Cli, tmp_path: Path) -> None:
    assert best_artefact("e+", load_detector("lar-voxels")).name == "fastcalosim-eplus"
    assert best_artefact("e+", load_detector("calogan")) == best_artefact("e+")
    path = tmp_path / "v.h5"
    line = "generate --particle e+ --energy 5 -n 2 --detector lar-voxels --workers 1 -o"
    assert cli(*line.split(), path).code == 0
    with open_showers(path) as file:
        assert file.run["model"] == "fastcalosim-eplus"


def test_there_is_none() -> None:
    with pytest.raises(ParticleError, match="no generator for mu-, only for e\\+, gamma, pi\\+"):
        best_artefact("muon")


def test_command_line_says_which_and_why(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    line = ["generate", "--particle", "photon", "--energy", "5", "-n", "2", "--workers", "1"]
    result = cli(*line, "-o", path)
    name = best_artefact("gamma").name
    assert f"made by {name}: of the shipped generators" in result.out
    assert "least told from Geant4 (AUC" in result.out
    again = cli(*line, "-o", path, "--overwrite", "--model", name)
    assert "made by" not in again.out
    quiet = cli(*line, "-o", path, "--overwrite", "--json")
    assert json.loads(quiet.out)["model"] == name
    with open_showers(path) as file:
        assert str(file.run["command"]).endswith(f"--model {name}")


@pytest.mark.parametrize("particle", ["e+", "gamma", "pi+"])
def test_the_best_of_the_fast_is_as_quick_as_half_the_quickest(particle: str) -> None:
    def speed(card: Card) -> float:
        return card.speed["showers_per_second"]

    fast = best_artefact(particle, quality="fast")
    cards = [load_card(name) for name in artefact_names()]
    least = 0.5 * max(speed(card) for card in cards if particle in card.particles)
    assert speed(load_card(fast)) >= least
    mine = verdict(fast, particle)
    assert mine is not None
    for card in cards:
        if particle in card.particles and speed(card) >= least:
            other = verdict(find_artefact(card.name), particle)
            assert other is not None
            assert other.name != mine.name or other.value >= mine.value


def test_quality_chooses_a_model_and_none_is_named(cli: Cli, tmp_path: Path) -> None:
    line = ["generate", "--particle", "e+", "--energy", "5", "-n", "2", "--workers", "1"]
    name = best_artefact("e+", quality="fast").name
    result = cli(*line, "--quality", "fast", "--json", "-o", tmp_path / "x.h5")
    assert json.loads(result.out)["model"] == name
    both = cli(*line, "--quality", "fast", "--model", name, "-o", tmp_path / "y.h5")
    assert both.code == 2
    assert "leave out --quality or --model" in both.err
