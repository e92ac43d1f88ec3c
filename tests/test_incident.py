"""What enters: particles are checked at the door, and one gun serves generators and Geant4."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caloforge.detector import load_detector
from caloforge.errors import CaloforgeError, EnergyError, ParticleError
from caloforge.incident.beam import Beam
from caloforge.incident.gun import Gun
from caloforge.incident.incident import Incident
from caloforge.incident.spectrum import Spectrum, parse_range

CALOGAN = load_detector("calogan")
SLANTED = [0.6, 0.0, 0.8]


def test_particles_are_rows() -> None:
    incident = Incident(
        np.array([1.0, 2.0, 3.0]), "-11", np.eye(3)[:, :2], np.array([[0, 0, 1], SLANTED, SLANTED])
    )
    assert (len(incident), incident.particle) == (3, "e+")
    assert repr(incident) == "Incident(3 e+, 1-3 GeV)"
    for rows in (slice(1, 3), np.array([1, 2]), np.array([False, True, True])):
        part = incident[rows]
        assert part.particle == "e+"
        assert part.energy.tolist() == [2, 3]
        assert part.points.tolist() == [[0, 1], [0, 0]]
        assert part.directions.tolist() == [SLANTED, SLANTED]
    none = incident[:0]
    assert (len(none), repr(none)) == (0, "Incident(none)")
    assert none.points.shape == (0, 2)
    assert none.directions.shape == (0, 3)


def test_what_is_not_said_is_the_centre_and_perpendicular() -> None:
    incident = Incident.of([[1.0], [2.0]], "gamma")
    assert incident.entry_point is None
    assert incident.direction is None
    said = incident.explicit()
    np.testing.assert_array_equal(said.entry_point, np.zeros((2, 2)))
    np.testing.assert_array_equal(said.direction, [[0, 0, 1]] * 2)
    assert Incident.of(5).energy.tolist() == [5]
    assert Incident.of([]).energy.shape == (0,)


def test_showers_have_the_same_fields() -> None:
    incident = Incident(np.array([1.0, 2.0]), "e+", np.ones((2, 2)), np.array([SLANTED] * 2))
    showers = incident.showers(CALOGAN, np.zeros((2, 504)), leakage=np.array([1.0, 2.0]))
    assert showers.particle == "e+"
    assert showers.overflow is None
    assert showers.leakage is not None
    again = Incident.of_showers(showers)
    for name in ("energy", "entry_point", "direction"):
        np.testing.assert_array_equal(getattr(again, name), getattr(incident, name))


@pytest.mark.parametrize(
    ("fields", "kind", "words"),
    [
        ({"energy": [[1.0, 2.0]]}, EnergyError, "energies: have shape (1, 2), must be (N,)"),
        ({"energy": [0.0]}, EnergyError, "energies: got 0.0 GeV, must be positive"),
        ({"energy": [np.nan]}, EnergyError, "energies: got nan GeV"),
        ({"energy": [np.inf]}, EnergyError, "energies: got inf GeV"),
        ({"particle": "quark"}, ParticleError, "particle: 'quark'"),
        ({"entry_point": [[0.0, 0.0, 0.0]]}, CaloforgeError, "entry_point: has shape (1, 3)"),
        ({"entry_point": [[0.0, 0.0]] * 2}, CaloforgeError, "must be (1, 2)"),
        (
            {"entry_point": [[0.0, np.inf]]},
            CaloforgeError,
            "entry_point: particle 0 has [0.0, inf]",
        ),
        ({"direction": [[0.0, 1.0]]}, CaloforgeError, "direction: has shape (1, 2)"),
        ({"direction": [[0.0, 0.0, 2.0]]}, CaloforgeError, "must be a unit vector"),
        ({"direction": [[0.0, 0.0, -1.0]]}, CaloforgeError, "into the detector (z > 0)"),
        ({"direction": [[1.0, 0.0, 0.0]]}, CaloforgeError, "into the detector (z > 0)"),
        ({"direction": [[np.nan, 0.0, 1.0]]}, CaloforgeError, "must be finite"),
    ],
)
def test_what_cannot_be_is_refused(
    fields: dict[str, Any], kind: type[CaloforgeError], words: str
) -> None:
    with pytest.raises(kind) as error:
        Incident(**({"energy": np.array([1.0])} | fields))
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_single_precision_directions_are_unit_vectors() -> None:
    _, directions = Beam(theta=(0.0, 89.0), phi=(0.0, 360.0)).sample(1, 0, 100)
    Incident(np.ones(100), direction=directions.astype(np.float32))


# The gun


def test_gun_is_spectrum_and_beam() -> None:
    spectrum, beam = Spectrum.parse("log:1:100"), Beam.parse(20.0, "10:30", "0:360")
    incident = Gun("-11", spectrum, beam).sample(7, 40, 9)
    assert incident.particle == "e+"
    np.testing.assert_array_equal(incident.energy, spectrum.sample(7, 40, 9))
    points, directions = beam.sample(7, 40, 9)
    np.testing.assert_array_equal(incident.entry_point, points)
    np.testing.assert_array_equal(incident.direction, directions)
    assert Gun("e+", spectrum).sample(7, 40, 9).entry_point is None
    with pytest.raises(ParticleError):
        Gun("quark", spectrum)


angles = st.floats(0, 89).flatmap(lambda low: st.tuples(st.just(low), st.floats(low, 89.5)))
turns = st.floats(-360, 360).flatmap(lambda low: st.tuples(st.just(low), st.floats(low, 360)))


@given(spread=st.floats(0, 100), theta=angles, phi=turns, seed=st.integers(0, 99))
def test_nothing_comes_from_beyond_the_extremes(
    spread: float, theta: tuple[float, float], phi: tuple[float, float], seed: int
) -> None:
    gun = Gun("e+", Spectrum.parse("2:50"), Beam(spread, theta, phi))
    ends, made = gun.extremes(), gun.sample(seed, 0, 50)
    for name in ("energy", "points", "directions"):
        low, high = (getattr(getattr(ends, name), end)(axis=0) for end in ("min", "max"))
        values = getattr(made, name)
        assert (values >= low - 1e-12).all(), name
        assert (values <= high + 1e-12).all(), name


def test_extremes_without_a_beam() -> None:
    ends = Gun("e+", Spectrum.parse("1:100")).extremes()
    assert ends.energy.tolist() == [1, 100]
    assert ends.entry_point is None


# Ranges of energies


def test_range() -> None:
    assert parse_range("1:100") == (1.0, 100.0)
    assert parse_range("50:50") == (50.0, 50.0)


@pytest.mark.parametrize(
    "text", ["", "50", "1,50,3", "file:x.h5", "log:1:100", "5:1", "0:5", "1:inf", "nan:2", "1:2:3"]
)
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(EnergyError) as error:
        parse_range(text)
    assert str(error.value).startswith(f"energy_range: got {text!r}, must be LOW:HIGH")
