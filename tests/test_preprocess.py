"""What networks see of showers: exact there and back, nothing made or lost."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from caloforge.detector import CylindricalLayer, Detector, RectangularLayer
from caloforge.preprocess import (
    Condition,
    IncidentFractions,
    LayerFractions,
    NormalScores,
    Sticks,
)

DETECTOR = Detector(
    "small",
    (
        RectangularLayer(depth=None, x_edges=(-1.0, 0.0, 1.0), y_edges=(-2.0, -1.0, 0.0, 1.0, 2.0)),
        CylindricalLayer(depth=None, r_edges=(0.0, 1.0, 3.0), n_alpha=3),
        CylindricalLayer(depth=None, r_edges=(0.0, 5.0), n_alpha=1),
    ),
)
CELLS = DETECTOR.n_cells


@st.composite
def showers(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Deposits of any size, with empty cells, layers and showers; energies."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(1, 6))
    low, high = sorted((draw(st.integers(-20, 5)), draw(st.integers(-20, 5))))
    deposits = 10.0 ** rng.uniform(low, high, (count, CELLS))
    deposits *= rng.random((count, CELLS)) < draw(st.floats(0, 1))
    for i, part in enumerate(DETECTOR.slices):
        if draw(st.booleans()):
            deposits[rng.integers(count), part] = 0
            deposits[:, part] *= 10.0 ** (-i)
    energy = 10.0 ** rng.uniform(-1, 3, (count, 1))
    return torch.tensor(deposits, dtype=torch.float32), torch.tensor(energy, dtype=torch.float32)


@given(showers())
def test_incident_fractions_and_back(shower: tuple[Tensor, Tensor]) -> None:
    deposits, energy = shower
    scaling = IncidentFractions()
    fractions = scaling(deposits, energy)
    torch.testing.assert_close(scaling.inverse(fractions, energy), deposits, rtol=3e-7, atol=0)
    response = deposits.double().sum(1) / (1000 * energy.double().squeeze(1))
    torch.testing.assert_close(fractions.double().sum(1), response, rtol=1e-6, atol=0)


@given(showers())
def test_layer_fractions_and_back(shower: tuple[Tensor, Tensor]) -> None:
    deposits, energy = shower
    fractions = LayerFractions(DETECTOR)
    shares = fractions(deposits, energy)
    # What is below 1e-20 of the shower is lost among the smallest numbers that there are.
    scale = deposits.sum(1, keepdim=True) * 1e-20
    back = fractions.inverse(shares, energy)
    assert bool(((back - deposits).abs() <= 2e-6 * deposits + scale).all())
    filled = torch.tensor(DETECTOR.layer_sums(deposits.numpy())) > 0
    ones = torch.where(filled, 1.0, 0.0)
    torch.testing.assert_close(
        fractions.layer_sums(shares.cells), ones.float(), rtol=2e-6, atol=2e-6
    )
    torch.testing.assert_close(shares.layers.sum(1), filled.any(1).float(), rtol=2e-6, atol=2e-6)
    assert bool(((shares.cells >= 0) & (shares.cells <= 1)).all())


@given(showers())
def test_energy_is_conserved(shower: tuple[Tensor, Tensor]) -> None:
    deposits, energy = shower
    fractions = LayerFractions(DETECTOR)
    back = fractions.inverse(fractions(deposits, energy), energy)
    torch.testing.assert_close(
        back.double().sum(1), deposits.double().sum(1), rtol=3e-6, atol=1e-30
    )


@given(showers())
def test_sticks_and_back(shower: tuple[Tensor, Tensor]) -> None:
    deposits, energy = shower
    layers = LayerFractions(DETECTOR)(deposits, energy).layers
    sticks = Sticks()(layers)
    assert bool(((sticks >= 0) & (sticks <= 1)).all())
    back = Sticks().inverse(sticks)
    filled = layers.sum(1) > 0
    torch.testing.assert_close(back[filled], layers[filled], rtol=0, atol=3e-7)
    torch.testing.assert_close(back.sum(1), torch.ones(len(back)), rtol=0, atol=3e-7)


def test_sticks_by_hand() -> None:
    layers = torch.tensor([[0.5, 0.25, 0.25], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    sticks = torch.tensor([[0.5, 0.5], [0.0, 1.0], [1.0, 1.0], [0.0, 0.0]])
    torch.testing.assert_close(Sticks()(layers), sticks)


@given(showers())
def test_gradients_are_finite_where_layers_are_empty(shower: tuple[Tensor, Tensor]) -> None:
    deposits, energy = shower
    deposits = deposits.clone()
    deposits[0] = 0
    # Deposits that a detector could see: the gradient of a ratio is one over its denominator.
    deposits = torch.where(deposits > 1e-6, deposits, 0.0).requires_grad_()
    fractions = LayerFractions(DETECTOR)
    shares = fractions(deposits, energy)
    (fractions.inverse(shares, energy).square().sum() + Sticks()(shares.layers).sum()).backward()
    assert deposits.grad is not None
    assert bool(deposits.grad.isfinite().all())


def test_layers_of_a_shower_by_hand() -> None:
    deposits = torch.zeros(1, CELLS)
    deposits[0, [0, 3, 9]] = torch.tensor([100.0, 300.0, 600.0])
    shares = LayerFractions(DETECTOR)(deposits, torch.tensor([[2.0]]))
    assert shares.response.item() == pytest.approx(0.5)
    torch.testing.assert_close(shares.layers, torch.tensor([[0.4, 0.6, 0.0]]))
    assert shares.cells[0, [0, 3, 9, 14]].tolist() == pytest.approx([0.25, 0.75, 1.0, 0.0])


class TestNormalScores:
    @given(st.integers(0, 2**32 - 1), st.integers(2, 3000), st.floats(0, 0.9), st.booleans())
    def test_there_and_back(self, seed: int, count: int, atom: float, above: bool) -> None:
        """Values that many showers share come back exactly, the others up to rounding."""
        rng = np.random.default_rng(seed)
        values = rng.gamma(2.0, size=(count, 2))
        value = float(values.max() + 1) if above else 0.0
        values[rng.random(count) < atom, 0] = value
        columns = torch.tensor(values, dtype=torch.float32)
        scores = NormalScores(2)
        scores.fit(columns)
        uniform = torch.tensor(rng.random((count, 2)), dtype=torch.float32)
        back = scores.inverse(scores(columns, uniform))
        torch.testing.assert_close(back, columns, rtol=1e-4, atol=1e-5 * float(columns.max()))
        # An interval reaches to its last knot, where the next values begin.
        shared = columns[:, 0] == value
        if shared.double().mean() > 0.2:
            exact = back[shared, 0] == value
            assert exact.double().mean() > 0.95

    @pytest.mark.parametrize("share", [0.0, 0.3])
    def test_scores_are_normal(self, share: float) -> None:
        """Also where a third of the showers has the same value."""
        rng = np.random.default_rng(1)
        values = rng.exponential(size=(20_000, 1))
        values[rng.random(20_000) < share] = 0.0
        columns = torch.tensor(values, dtype=torch.float32)
        scores = NormalScores(1)
        scores.fit(columns)
        uniform = torch.tensor(rng.random((20_000, 1)), dtype=torch.float32)
        found = scores(columns, uniform).numpy().ravel()
        assert stats.kstest(found, "norm").statistic < 0.01
        drawn = torch.tensor(rng.normal(size=(20_000, 1)), dtype=torch.float32)
        empty = (scores.inverse(drawn) == 0).double().mean()
        assert float(empty) == pytest.approx(share, abs=0.015)

    def test_values_beyond_those_of_the_train_rows(self) -> None:
        scores = NormalScores(1)
        scores.fit(torch.linspace(2, 3, 101)[:, None])
        found = scores(torch.tensor([[-5.0], [9.0]]), torch.full((2, 1), 0.5))
        assert scores.inverse(found).ravel().tolist() == [2.0, 3.0]
        assert scores.inverse(torch.tensor([[-99.0], [99.0]])).ravel().tolist() == [2.0, 3.0]

    def test_is_saved(self) -> None:
        scores, other = NormalScores(2), NormalScores(2)
        scores.fit(torch.rand(50, 2))
        other.load_state_dict(scores.state_dict())
        assert torch.equal(other.inverse(torch.ones(1, 2)), scores.inverse(torch.ones(1, 2)))


class TestCondition:
    def test_linear(self) -> None:
        condition = Condition((1.0, 100.0), 1, "linear")
        found = condition(torch.tensor([[50.0]]), torch.tensor([0]))
        assert (found.tolist(), condition.width) == ([[0.5]], 1)

    def test_logarithmic(self) -> None:
        condition = Condition((1.0, 100.0), 1, "log")
        found = condition(torch.tensor([[1.0], [10.0], [100.0]]), torch.zeros(3, dtype=torch.int64))
        torch.testing.assert_close(found.ravel(), torch.tensor([-1.0, 0.0, 1.0]))

    def test_of_several_particles(self) -> None:
        condition = Condition((1.0, 100.0), 3, "linear")
        found = condition(torch.tensor([[100.0], [100.0]]), torch.tensor([2, 0]))
        assert found.tolist() == [[1, 0, 0, 1], [1, 1, 0, 0]]
        assert condition.width == 4

    def test_of_a_single_energy(self) -> None:
        condition = Condition((65.0, 65.0), 1, "log")
        found = condition(torch.tensor([[65.0]]), torch.tensor([0])).item()
        assert math.isfinite(found)
        assert abs(found) < 0.01
