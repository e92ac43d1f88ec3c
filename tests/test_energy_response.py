"""Response, linearity and resolution; what a generator makes of energies it was not made for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from artefacts import make_artefact, network
from caloforge.detector import Detector, RectangularLayer
from caloforge.errors import CaloforgeError, EnergyError, ShowersError
from caloforge.evaluation.distances.response import (
    compare_energy,
    conditional_energies,
    conditional_response,
    resolution,
)
from caloforge.evaluation.plain import plain
from caloforge.export.closure import compare_layers
from caloforge.runtime import Generator, load
from caloforge.showers import Showers

BOX = Detector("box", (RectangularLayer(None, (0, 1), (0, 1, 2)),))
RESPONSE, WIDTH = 0.8, 0.05


def make_showers(
    energy: NDArray[np.float64], seed: int, *, scale: float = 1.0, width: float = WIDTH
) -> Showers:
    """Showers with a Gaussian response."""
    rng = np.random.default_rng(seed)
    deposited = 1000 * energy * rng.normal(scale * RESPONSE, width, len(energy))
    deposits = np.column_stack([0.3 * deposited, 0.7 * deposited]).astype(np.float32)
    return Showers(BOX, energy, deposits, "e+")


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Generator:
    return load(make_artefact(tmp_path_factory.mktemp("tiny") / "tiny"))


def test_points_of_discrete_energies() -> None:
    energy = np.tile([1.0, 10.0, 100.0], 1000)
    found = compare_energy(
        make_showers(energy, 1),
        make_showers(energy, 2, scale=1.1, width=0.1),
        np.random.default_rng(0),
    )
    assert [point.energy for point in found.reference] == pytest.approx([1, 10, 100])
    assert [point.low for point in found.reference] == [point.high for point in found.reference]
    assert found.left_out == (0, 0)
    for point in found.reference:
        assert point.count == 1000
        assert point.response.value == pytest.approx(RESPONSE, abs=5 * point.response.error)
        assert point.response.error == pytest.approx(WIDTH / np.sqrt(1000), rel=0.3)
        assert point.peak.value == pytest.approx(RESPONSE, abs=5 * point.peak.error)
        assert point.linearity.value == pytest.approx(1, abs=6 * point.linearity.error)
        for width in (point.deviation, point.resolution):
            assert width.value == pytest.approx(WIDTH / RESPONSE, abs=5 * width.error)
            assert 0 < width.error < 0.1 * width.value
    for ratio in found.response_ratios:
        assert ratio.value == pytest.approx(1.1, abs=5 * ratio.error)
    for ratio in found.resolution_ratios:
        assert ratio.value == pytest.approx(2 / 1.1, abs=5 * ratio.error)


def test_slices_of_a_continuous_spectrum() -> None:
    rng = np.random.default_rng(4)
    first = make_showers(rng.uniform(1, 100, 4000), 1)
    second = make_showers(rng.uniform(10, 100, 3000), 2)
    found = compare_energy(first, second, rng)
    for point, other in zip(found.reference, found.showers, strict=True):
        assert (point.low, point.high) == (other.low, other.high)
        assert point.low <= point.energy < point.high
        assert min(point.count, other.count) >= 20
    assert sum(point.count for point in found.reference) + found.left_out[0] == 4000
    assert found.left_out[0] > 100  # those that the other sample has no energies for
    pulls = [(ratio.value - 1) / ratio.error for ratio in found.response_ratios]
    assert np.abs(pulls).max() < 4


def test_a_response_that_is_not_linear_shows() -> None:
    energy = np.tile([1.0, 10.0, 100.0], 200)
    saturated = make_showers(energy, 1)
    deposits = (saturated.deposits * energy[:, None] ** -0.02).astype(np.float32)
    weaker = Showers(BOX, energy, deposits, "e+")
    found = compare_energy(saturated, weaker, np.random.default_rng(0))
    first, _, last = (point.linearity for point in found.showers)
    assert first.value > 1 + 5 * first.error
    assert last.value < 1 - 5 * last.error


def test_tails_move_the_deviation_and_not_the_resolution() -> None:
    energy = np.full(2000, 10.0)
    sound = make_showers(energy, 1)
    deposits = sound.deposits.copy()
    deposits[:40] *= 0.1
    found = compare_energy(sound, Showers(BOX, energy, deposits, "e+"), np.random.default_rng(0))
    reference, showers = found.reference[0], found.showers[0]
    assert showers.deviation.value > 1.5 * reference.deviation.value
    assert showers.resolution.value < 1.1 * reference.resolution.value
    assert showers.peak.value == pytest.approx(reference.peak.value, abs=0.01)


def test_cards_and_reports_have_one_resolution() -> None:
    samples = [make_showers(np.full(900, 10.0), seed, scale=0.5) for seed in (1, 2)]
    report = compare_energy(samples[0], samples[1], np.random.default_rng(0))
    layers = [sample.layer_energies for sample in samples]
    card = compare_layers(samples[0].energy, layers[0], layers[1][None], energies=(10.0,))
    (found,) = (item for item in card if item.quantity == "resolution")
    assert found.reference == pytest.approx(report.reference[0].resolution.value, rel=1e-9)
    assert found.value == pytest.approx(report.showers[0].resolution.value, rel=1e-9)
    assert found.reference == pytest.approx(WIDTH / (0.5 * RESPONSE), rel=0.1)


def test_resolution_of_weighted_showers() -> None:
    rng = np.random.default_rng(5)
    values, weights = rng.normal(1.0, 0.1, 20_000), rng.uniform(0, 1, 20_000)
    alone = resolution(values)
    assert resolution(values, np.full(len(values), 3.0)) == pytest.approx(alone, rel=1e-9)
    thinned = resolution(values[rng.uniform(0, 1, len(values)) < weights])
    assert resolution(values, weights) == pytest.approx(thinned, rel=0.03)
    without = np.append(values, 50.0), np.append(np.ones(len(values)), 0.0)
    assert resolution(*without) == pytest.approx(alone, rel=1e-9)
    assert resolution(np.zeros(30)) == 0


def test_empty_showers_are_numbers() -> None:
    energy = np.full(50, 10.0)
    nothing = Showers(BOX, energy, np.zeros((50, 2), np.float32), "e+")
    found = compare_energy(make_showers(energy, 1), nothing, np.random.default_rng(0))
    text = json.dumps(plain(found), allow_nan=False)
    assert json.loads(text)["showers"][0]["response"] == {"value": 0.0, "error": 0.0}


def test_samples_that_do_not_fit_are_refused() -> None:
    rng = np.random.default_rng(0)
    low, high = make_showers(np.full(50, 1.0), 1), make_showers(np.full(50, 2.0), 1)
    with pytest.raises(ShowersError, match="share no incident energy"):
        compare_energy(low, high, rng)
    other = Detector("other", (RectangularLayer(None, (0, 1), (0, 3)),))
    wrong = Showers(other, np.ones(50), np.ones((50, 1), np.float32), "e+")
    with pytest.raises(ShowersError, match="'other'"):
        compare_energy(low, wrong, rng)


def test_conditional_response(generator: Generator) -> None:
    energies = conditional_energies(generator)
    assert energies == (0.5, 1.0, 25.75, 50.5, 75.25, 100.0, 150.0, 200.0)
    found = conditional_response(generator, energies, 60, seed=3)
    where = ["below", *["inside"] * 5, "beyond", "beyond"]
    assert [point.where for point in found] == where
    for item in found:
        assert item.problem == ""
        assert item.point is not None
        assert item.point.count == 60
        # The deposits of this generator are proportional to the energy.
        assert item.point.linearity.value == pytest.approx(1, abs=6 * item.point.linearity.error)
    assert found == conditional_response(generator, energies, 60, seed=3)
    # Every energy has showers of its own.
    assert len({item.point.response.value for item in found if item.point}) == len(energies)
    json.dumps([plain(item) for item in found], allow_nan=False)


def test_a_generator_that_diverges_beyond_its_range(tmp_path: Path) -> None:
    model = network()
    # energy^20: too large for single precision beyond 84 GeV.
    model.graph.node[-1].input[1] = "power"
    model.graph.initializer.append(helper.make_tensor("n", TensorProto.FLOAT, [1], [20.0]))
    model.graph.node.insert(0, onnx.helper.make_node("Pow", ["energy", "n"], ["power"]))
    found = conditional_response(load(make_artefact(tmp_path / "x", model)), [2, 200], 30, seed=1)
    assert found[0].point is not None
    assert found[1].point is None
    assert "must be finite and not negative" in found[1].problem


def test_wrong_arguments_of_the_conditional_response(generator: Generator) -> None:
    with pytest.raises(CaloforgeError, match="count: got 5"):
        conditional_response(generator, [10.0], 5, seed=1)
    with pytest.raises(EnergyError, match="must be positive"):
        conditional_response(generator, [-10.0], 50, seed=1)
