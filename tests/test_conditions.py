"""Generators are asked for what their card says; toys/slanted.py for entry points and angles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import caloforge
from artefacts import NOISE, card, make_artefact
from caloforge.errors import ArtefactError, CaloforgeError, EnergyError
from caloforge.incident.beam import Beam
from caloforge.incident.gun import Gun
from caloforge.incident.incident import Incident
from caloforge.incident.spectrum import Spectrum
from caloforge.random import Purpose, Streams
from caloforge.runtime import best_artefact
from caloforge.runtime.card import Card
from caloforge.runtime.conditions import Condition
from conftest import Cli
from toys.slanted import CONDITIONS, INPUTS, make_slanted, weights

SLANTED = [0.3, 0.0, np.sqrt(1 - 0.09)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_slanted(tmp_path / "slanted")


def by_hand(incident: Incident, seed: int, first: int = 0) -> Any:
    showers = first + np.arange(len(incident))
    z = Streams(seed, showers, Purpose.GENERATOR).normal(NOISE)
    given = {"z": z, "entry_point": incident.points, "direction": incident.directions}
    total = sum(given[name] @ value for name, value in weights().items())
    return np.maximum(total, 0) * incident.energy[:, None]


def test_the_network_gets_what_is_asked_for(folder: Path) -> None:
    gun = Gun("e+", Spectrum.parse("1:100"), Beam(10.0, (0.0, 20.0), (0.0, 360.0)))
    incident = gun.sample(5, 3, 40)
    showers = caloforge.load(folder).sample(incident, seed=5, first=3)
    np.testing.assert_allclose(showers.deposits, by_hand(incident, 5, 3), rtol=1e-4, atol=1e-3)
    np.testing.assert_array_equal(showers.entry_point, incident.entry_point)
    np.testing.assert_array_equal(showers.direction, incident.direction)
    assert showers.particle == "e+"
    part = caloforge.load(folder).sample(incident[7:], seed=5, first=10, batch=3)
    np.testing.assert_array_equal(part.deposits, showers.deposits[7:])


def test_what_is_not_said_is_the_usual(folder: Path) -> None:
    generator = caloforge.load(folder)
    showers = generator.sample([5.0, 50.0], seed=2)
    expected = by_hand(Incident.of([5.0, 50.0]).explicit(), 2)
    np.testing.assert_allclose(showers.deposits, expected, rtol=1e-4, atol=1e-3)
    np.testing.assert_array_equal(showers.entry_point, np.zeros((2, 2)))
    np.testing.assert_array_equal(showers.direction, [[0, 0, 1]] * 2)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"entry_point": [[21.0, 0.0]]}, "entry_point: (21, 0) mm is outside the (-20, -20) to"),
        ({"entry_point": [[0.0, 11.0]]}, "(20, 10) mm that tiny-eplus was made for"),
        ({"direction": [[-0.6, 0.0, 0.8]]}, "direction: (-0.6, 0, 0.8) is outside the (-0.5, "),
        ({"energy": [0.5]}, "energies: 0.5 GeV is outside the 1-100 GeV"),
    ],
)
def test_what_is_out_of_bounds(folder: Path, fields: dict[str, Any], word: str) -> None:
    incident = Incident(**{"energy": np.array([5.0]), **fields})
    generator = caloforge.load(folder)
    with pytest.raises(CaloforgeError) as error:
        generator.sample(incident)
    assert word in str(error.value)
    assert isinstance(error.value, EnergyError) == ("energy" in fields)
    assert len(generator.sample(incident, extrapolate=True)) == 1


def test_bounds_hold_in_single_precision(folder: Path) -> None:
    direction = np.array([[-0.5 - 1e-7, 0.0, np.sqrt(0.75)]])
    assert len(caloforge.load(folder).sample(Incident(np.ones(1), direction=direction))) == 1


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"entry_point": [[0, 0], [1, 2]]}, "entry_point: got (1, 2) mm, tiny-eplus is for"),
        ({"direction": [[0, 0, 1], SLANTED]}, "are perpendicular to the front face alone; choose"),
    ],
)
def test_who_does_not_know_a_condition_refuses_it(
    tmp_path: Path, fields: dict[str, Any], word: str
) -> None:
    plain = caloforge.load(make_artefact(tmp_path / "plain"))
    incident = Incident(np.array([5.0, 5.0]), **fields)
    for extrapolate in (False, True):
        with pytest.raises(CaloforgeError) as error:
            plain.sample(incident, extrapolate=extrapolate)
        assert word in str(error.value)
    usual = Incident.of([5.0, 5.0]).explicit()
    showers = plain.sample(usual, seed=1)
    np.testing.assert_array_equal(showers.deposits, plain.sample([5, 5], seed=1).deposits)
    assert showers.entry_point is not None
    assert plain.sample([5.0]).entry_point is None


def test_conserved_energy_and_conditions(folder: Path) -> None:
    generator = caloforge.load(folder)
    incident = Gun("e+", Spectrum.parse("1:100"), Beam(3.0)).sample(1, 0, 100)
    free = generator.sample(incident, seed=1)
    made = generator.sample(incident, seed=1, conserve_energy=True)
    kept = free.response <= 1
    assert 50 < kept.sum() < 95
    np.testing.assert_array_equal(made.deposits[kept], free.deposits[kept])
    np.testing.assert_array_equal(made.entry_point, free.entry_point)
    assert (made.response <= 1.001).all()


# In runs


def test_command_line(cli: Cli, folder: Path, tmp_path: Path) -> None:
    line = f"generate --model {folder} --particle e+ --energy 1:100 -n 30 --seed 4 --workers 1"
    beam = "--spread 10 --theta 0:20 --phi 0:360"
    path = tmp_path / "out.h5"
    assert cli(*line.split(), *beam.split(), "-o", path, "--batch", 7).code == 0
    made = caloforge.read(path)
    gun = Gun("e+", Spectrum.parse("1:100"), Beam(10.0, (0.0, 20.0), (0.0, 360.0)))
    expected = caloforge.load(folder).sample(gun.sample(4, 0, 30), seed=4)
    for name in ("energy", "deposits", "entry_point", "direction"):
        np.testing.assert_allclose(getattr(made, name), getattr(expected, name), rtol=1e-6)
    with caloforge.open(path) as file:
        command = str(file.run["command"])
    words = f"--particle e+ --energy 1:100 -n 30 --seed 4 --model {folder} {beam}"
    assert command == f"caloforge generate {words}"
    for more, word in (
        ("--spread 15", "entry_point: (-15, 15) mm is outside"),
        ("--theta 61", "direction: (0.87462, 0, 0.48481) is outside"),
    ):
        result = cli(*line.split(), *more.split(), "-o", tmp_path / "no.h5")
        assert result.code == 2
        assert word in result.err
        assert not list(tmp_path.glob("no.h5*"))
    more = f"--spread 15 --extrapolate --overwrite -o {path}"
    assert cli(*line.split(), *more.split()).code == 0


def test_generators_without_the_condition_refuse_a_beam(cli: Cli, tmp_path: Path) -> None:
    line = ["generate", "--particle", "e+", "--energy", "5", "-n", "3", "--workers", "1", "-o"]
    name = best_artefact("e+").name
    for more, word in (
        ("--spread 5", f"entry_point: got (-5, -5) mm, {name} is for particles that"),
        ("--theta 10", f"direction: got (0.173648, 0, 0.984808), {name} is for"),
    ):
        result = cli(*line, tmp_path / "no.h5", *more.split())
        assert result.code == 2
        assert word in result.err
    assert cli(*line, tmp_path / "yes.h5", "--spread", "0", "--phi", "90").code == 0


# Cards


def test_networks_whose_card_says_something_else(tmp_path: Path) -> None:
    for changes, word in (
        ({"conditions": CONDITIONS[:2]}, "inputs of generator.onnx are ['direction', "),
        ({"inputs": [*INPUTS[:3], INPUTS[3] | {"shape": ["N", 2]}]}, "'direction' of"),
        ({"inputs": [*INPUTS[:3], INPUTS[3] | {"dtype": "FP64"}]}, "of its card FP64 of shape"),
    ):
        folder = make_slanted(tmp_path / "bad", **changes)
        with pytest.raises(ArtefactError) as error:
            caloforge.load(folder)
        assert word in str(error.value)


def test_bounds() -> None:
    found = Card(**card(conditions=CONDITIONS))
    assert found.energy_range == (1.0, 100.0)
    point, direction = found.condition("entry_point"), found.condition("direction")
    assert point is not None
    assert direction is not None
    assert [end.tolist() for end in point.bounds] == [[-20, -20], [20, 10]]
    assert direction.bounds[1].tolist() == [np.inf] * 3
    assert found.condition("label") is None
    assert Condition.of("entry_point", (0.0, 1.0)).unit == "mm"
