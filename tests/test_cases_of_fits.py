"""Showers that a parametrisation is hard to fit to: one energy, other test rows, empty ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import caloforge
from caloforge.detector import load_detector
from caloforge.models.fastcalosim import sampling
from caloforge.runtime import load_card
from caloforge.showers import write_showers
from conftest import Cli, Result

N = 1400


@pytest.fixture(scope="module")
def voxels() -> caloforge.Showers:
    """Showers in voxels, uniform from 2 to 50 GeV."""
    energies = np.random.default_rng(1).uniform(2, 50, N)
    model = caloforge.load("fastcalosim-eplus")
    return model.sample(energies, seed=1, detector=load_detector("lar-voxels"))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a short fit."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        sampling.FastCaloSimConfig,
        "preset",
        lambda _: sampling.FastCaloSimConfig(n_nodes=3, n_bins=(2,), min_rows=300, n_factors=1),
    )
    return tmp_path


def write(showers: caloforge.Showers, part: Callable[[Any], Any]) -> None:
    write_showers("a.h5", showers)
    with h5py.File("a.h5", "a") as file:
        file["split"] = np.asarray(part(showers.energy), dtype="i1")


def train(cli: Cli) -> Result:
    return cli("train", "fastcalosim", "--particle", "e+", "--data", "a.h5", "-o", "m", "--quiet")


def random(energy: Any) -> Any:
    return np.random.default_rng(2).choice([0, 0, 0, 2], len(energy))


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_test_rows_beyond_the_train_rows(cli: Cli, voxels: caloforge.Showers) -> None:
    def part(energy: Any) -> Any:
        return np.where((energy < 4) | (energy > 45), 2, random(energy))

    write(voxels, part)
    result = train(cli)
    assert (result.code, result.out, result.err) == (0, "", "")
    card = load_card("m")
    assert card.energy_range[0] >= 4
    assert card.energy_range[1] <= 45
    inside = (part(voxels.energy) == 2) & (voxels.energy > 4) & (voxels.energy < 45)
    assert {score.showers for score in card.scores} <= {int(inside.sum()) - i for i in range(3)}


@pytest.mark.usefixtures("here")
def test_no_test_row_within_the_train_rows(
    cli: Cli, here: Path, voxels: caloforge.Showers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling.FastCaloSim, "fit", None)  # nothing is fitted before
    write(voxels, lambda energy: np.where(energy > 40, 2, 0))
    result = train(cli)
    assert result.code == 2
    assert "test rows has an energy within the" in result.err
    assert len(result.err.splitlines()) == 1
    assert [item.name for item in here.iterdir()] == ["a.h5"]


@pytest.mark.usefixtures("here")
def test_one_incident_energy(
    cli: Cli, here: Path, voxels: caloforge.Showers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling.FastCaloSim, "fit", None)
    one = caloforge.Showers(voxels.detector, np.full(N, 50.0), voxels.deposits, "e+")
    write(one, random)
    result = train(cli)
    assert result.code == 2
    assert "all have an incident energy of 50 GeV" in result.err
    assert len(result.err.splitlines()) == 1
    assert [item.name for item in here.iterdir()] == ["a.h5"]


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_two_incident_energies(cli: Cli, voxels: caloforge.Showers) -> None:
    energy = np.where(voxels.energy > 20, 30.0, 10.0)
    two = caloforge.Showers(voxels.detector, energy, voxels.deposits, "e+")
    write(two, random)
    result = train(cli)
    assert (result.code, result.err) == (0, "")
    assert np.isfinite(caloforge.load("m").sample([10.0, 20.0, 30.0]).deposits).all()


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_empty_showers(cli: Cli, voxels: caloforge.Showers) -> None:
    deposits = voxels.deposits.copy()
    deposits[::3] = 0
    write(caloforge.Showers(voxels.detector, voxels.energy, deposits, "e+"), random)
    result = train(cli)
    assert (result.code, result.err) == (0, "")
    limits = [limit for limit in load_card("m").limits if "no deposit at all" in limit]
    assert limits
    assert 32 < float(limits[0].partition("%")[0]) < 35
