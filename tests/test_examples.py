"""The Geant4 showers that come with caloforge."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import caloforge
from caloforge.errors import ParticleError
from caloforge.showers import open_showers, read_showers
from caloforge.showers.examples import EXAMPLES, example_file
from conftest import Cli


@pytest.mark.parametrize("particle", EXAMPLES)
def test_they_are_whole_and_say_where_they_come_from(particle: str) -> None:
    with open_showers(example_file(particle)) as file:
        assert (len(file), file.particle, file.detector.name) == (1000, particle, "calogan")
        assert file.split_counts == {}  # the judge takes some of them for the floor
        assert file.run["physics"] == {"hadronic": "FTFP_BERT", "em": "option1", "cut_mm": 0.7}
        assert len(str(file.run["sha256"])) == 64
    showers = caloforge.example(particle)
    assert 1 <= showers.energy.min() < 2
    assert 99 < showers.energy.max() <= 100
    assert 0.2 < np.median(showers.response) < 1


def test_they_are_small() -> None:
    assert sum(example_file(name).stat().st_size for name in EXAMPLES) < 2.1e6


def test_words_and_identifiers_ask_for_them_too() -> None:
    assert caloforge.example("positron").particle == caloforge.example(-11).particle == "e+"


def test_other_particles_are_refused() -> None:
    with pytest.raises(ParticleError, match=r"no example showers of e-, only of e\+, gamma, pi\+"):
        caloforge.example("electron")


def test_command_line(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "geant4.h5"
    result = cli("data", "example", "pi+", "-o", path)
    assert (result.code, result.err) == (0, "")
    assert "1,000 Geant4 showers of pi+" in result.out
    np.testing.assert_array_equal(read_showers(path).energy, caloforge.example("pi+").energy)
    assert "exists already" in cli("data", "example", "-o", path).err
    assert cli("data", "example", "-o", path, "--overwrite").code == 0
    assert read_showers(path).particle == "e+"
    assert "no example showers" in cli("data", "example", "mu-", "-o", tmp_path / "x.h5").err
