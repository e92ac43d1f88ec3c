"""Artefacts for several particles: toys/several.py is one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto

import caloforge
from caloforge.errors import ArtefactError, ParticleError
from caloforge.incident.incident import Incident
from caloforge.speed.benchmark import benchmark
from conftest import Cli
from toys.several import PARTICLES, make_several


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_several(tmp_path_factory.mktemp("several") / "tiny")


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
    bad = make_several(tmp_path / "bad", TensorProto.FLOAT)
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
