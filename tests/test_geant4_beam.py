"""Geant4 with entry points and angles: what the gun says is what enters, as for generators."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import caloforge
from artefacts import CALOGAN
from caloforge.detector import RectangularLayer, load_detector
from caloforge.fullsim import Geant4Source
from caloforge.incident.beam import Beam
from caloforge.incident.gun import Gun
from caloforge.incident.incident import Incident
from caloforge.incident.spectrum import Spectrum
from toys.slanted import CONDITIONS, make_slanted

GUN = Gun("e-", Spectrum.parse("1:2"), Beam(15.0, (0.0, 20.0), (0.0, 360.0)))
COUNT = 24
FIELDS = ("energy", "entry_point", "direction")


@pytest.fixture
def showers(geant4_data: Path) -> caloforge.Showers:
    readouts = (CALOGAN, load_detector("lar-voxels"))
    block = Geant4Source(CALOGAN, GUN, seed=6, readouts=readouts).block(3, COUNT)
    for name in FIELDS:
        first, second = (getattr(part, name) for part in block.parts)
        np.testing.assert_array_equal(first, second)
    return block.parts[0]


def test_what_the_gun_says_enters(showers: caloforge.Showers) -> None:
    incident = GUN.sample(6, 3, COUNT)
    assert showers.particle == incident.particle
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(showers, name), getattr(incident, name))
    # The shower is where its particle flew: in y, where the cells of the first layer are fine.
    layer, image = CALOGAN.layers[0], showers.images[0]
    assert isinstance(layer, RectangularLayer)
    edges = np.array(layer.y_edges)
    y = 0.5 * (edges[1:] + edges[:-1])
    mean = (image.sum(axis=1) * y).sum(axis=1) / image.sum(axis=(1, 2))
    slope = incident.directions[:, 1] / incident.directions[:, 2]
    expected = incident.points[:, 1] + 45 * slope  # mm, half way through the layer
    assert np.corrcoef(mean, expected)[0, 1] > 0.9


def test_a_generator_is_asked_for_the_same_particles(
    showers: caloforge.Showers, tmp_path: Path
) -> None:
    """By the same gun, or by what the file of Geant4 showers says of them."""
    conditions = [CONDITIONS[0] | {"low": 0.1}, *CONDITIONS[1:]]
    conditions[1] = conditions[1] | {"high": 20.0}
    folder = make_slanted(tmp_path / "slanted", particles=["e-"], conditions=conditions)
    generator = caloforge.load(folder)
    one = generator.sample(GUN.sample(6, 3, COUNT), seed=6, first=3)
    other = generator.sample(Incident.of_showers(showers), seed=6, first=3)
    np.testing.assert_array_equal(one.deposits, other.deposits)
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(one, name), getattr(showers, name))
    elsewhere = replace(Incident.of_showers(showers), entry_point=None)
    assert not np.array_equal(generator.sample(elsewhere, seed=6).deposits, one.deposits)
