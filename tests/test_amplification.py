"""Amplification: what a sample is worth in showers of Geant4."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from caloforge.errors import ShowersError
from caloforge.evaluation.distances.amplification import Worth, worth

Floats = NDArray[np.float64]


def draw(rng: np.random.Generator, count: int, *, shift: float = 0.0) -> tuple[Floats, Floats]:
    """An observable that depends on the energy, and is not defined in one of ten."""
    energy = rng.uniform(1, 100, count)
    values = rng.normal(np.log(energy) + shift, 1)
    values[rng.random(count) < 0.1] = np.nan
    return values, energy


def found(truth: tuple[Floats, Floats], sample: tuple[Floats, Floats]) -> Worth:
    result = worth(*truth, *sample)
    assert result is not None
    return result


def test_independent_showers_are_worth_their_number() -> None:
    rng = np.random.default_rng(1)
    inverse, pulls = [], []
    for _ in range(40):
        one = found(draw(rng, 5000), draw(rng, 1000)).inverse
        inverse.append(one.value)
        pulls.append((one.value - 1e-3) / one.error)
    assert np.mean(inverse) == pytest.approx(1e-3, rel=0.06)
    assert 0.6 < np.std(pulls) < 1.4
    assert abs(np.mean(pulls)) < 0.6


def test_copies_are_worth_no_more_than_what_they_are_copies_of() -> None:
    rng = np.random.default_rng(2)
    values, energy = draw(rng, 1000)
    copies = rng.integers(1000, size=100_000)
    many = found(draw(rng, 20_000), (values[copies], energy[copies]))
    assert many.is_seen
    assert many.showers == pytest.approx(1000, rel=0.4)


def test_what_is_wrong_bounds_the_worth() -> None:
    rng = np.random.default_rng(3)
    truth = draw(rng, 20_000)
    small, large = (found(truth, draw(rng, count, shift=0.2)) for count in (20_000, 200_000))
    assert large.showers < 3000
    assert small.showers == pytest.approx(large.showers, rel=0.3)
    assert large.is_seen
    assert large.least < large.showers


def test_a_perfect_generator_has_a_least_number_alone() -> None:
    rng = np.random.default_rng(4)
    perfect = found(draw(rng, 4000), draw(rng, 200_000))
    assert not perfect.is_seen
    assert perfect.least > 4000


def test_discrete_observables() -> None:
    rng = np.random.default_rng(5)

    def whole(count: int) -> tuple[Floats, Floats]:
        energy = rng.uniform(1, 100, count)
        return rng.binomial(3, 0.3, count).astype(np.float64), energy

    inverse = [found(whole(5000), whole(500)).inverse.value for _ in range(40)]
    assert np.mean(inverse) == pytest.approx(2e-3, rel=0.12)
    assert worth(np.ones(2000), rng.random(2000), np.ones(50), rng.random(50)) is None


def test_wrong_samples() -> None:
    rng = np.random.default_rng(6)
    with pytest.raises(ShowersError, match="truth: has 100 showers, must have at least 1600"):
        worth(*draw(rng, 100), *draw(rng, 100))
    values, energy = draw(rng, 100)
    with pytest.raises(ShowersError, match="no shower in slice 1 of 8"):
        worth(*draw(rng, 2000), values, energy + 50)
