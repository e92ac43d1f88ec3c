"""How long Geant4 takes: what was measured, and what is said between it."""

from __future__ import annotations

import numpy as np
import pytest

from caloforge.detector import load_detector
from caloforge.speed.geant4_times import geant4_time


@pytest.mark.parametrize("detector", ["calogan", "lar-voxels"])
@pytest.mark.parametrize("particle", ["e+", "gamma", "pi+"])
def test_it_is_known_of_what_is_shipped(detector: str, particle: str) -> None:
    time = geant4_time(load_detector(detector), particle)
    assert time is not None
    assert time.energies[0] <= 1
    assert time.energies[-1] >= 100
    assert np.all(np.diff(time.seconds) > 0)
    for energy, seconds in zip(time.energies, time.seconds, strict=True):
        assert time.mean(np.array([energy])) == pytest.approx(seconds)


def test_it_follows_the_energies() -> None:
    time = geant4_time(load_detector("calogan"), "positron")
    assert time is not None
    low, high = time.energies[-2:]
    both = time.mean(np.array([low, high]), np.array([1, 3]))
    assert both == pytest.approx((time.seconds[-2] + 3 * time.seconds[-1]) / 4)
    assert time.mean(np.array([500.0])) is None
    assert time.mean(np.array([])) is None


def test_it_is_not_known_of_anything_else() -> None:
    assert geant4_time(load_detector("calogan"), "mu-") is None
    assert geant4_time(load_detector("calogan"), "") is None
    assert geant4_time(load_detector("calochallenge-ds2"), "e+") is None
