"""Anvil: the order of cells, what each sees, the lines of the spectrum, densities and sums."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from caloforge.detector import CylindricalLayer, Detector, RectangularLayer
from caloforge.models.anvil.cells import CellDistribution, find_lines
from caloforge.models.anvil.energies import EnergyMixtures
from caloforge.models.anvil.layout import Layout
from caloforge.models.anvil.network import CellNetwork
from caloforge.models.anvil.system import Anvil, AnvilConfig
from caloforge.models.system import Batch, Given, Setting

CELLS = Detector(
    "cells",
    (
        RectangularLayer((0, 1), (-3, -1, 1, 3), tuple(np.linspace(-3, 3, 9))),
        RectangularLayer((1, 2), tuple(np.linspace(-3, 3, 5)), tuple(np.linspace(-3, 3, 5))),
    ),
)
VOXELS = Detector(
    "voxels", tuple(CylindricalLayer((i, i + 1), (0.0, 1.0, 3.0), n_alpha=8) for i in range(3))
)
DETECTORS = [CELLS, VOXELS]
N = 40


def deposits(detector: Detector, count: int = N) -> Tensor:
    """Showers with empty cells, cells on a line, and an empty layer here and there."""
    rng = np.random.default_rng(3)
    found = rng.lognormal(0.0, 2.0, (count, detector.n_cells))
    found[rng.random(found.shape) < 0.3] = 0.0
    found[rng.random(found.shape) < 0.1] = 0.511
    found[::7, detector.slices[-1]] = 0.0
    return torch.from_numpy(found.astype(np.float32))


def network(detector: Detector, *, seed: int = 1) -> CellNetwork:
    """One whose weights are all random."""
    torch.manual_seed(seed)
    found = CellNetwork(detector, 1, hidden=8, memory=4, n_lines=2, n_components=3)
    found.fit(deposits(detector, 400))
    with torch.no_grad():
        for weight in found.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    return found.eval()


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda each: each.name)
def test_cells_wait_for_their_neighbours_and_look_back_only(detector: Detector) -> None:
    layout = Layout.of(detector)
    group = layout.group_of_cell
    assert sorted(np.concatenate(layout.groups)) == list(range(detector.n_cells))
    assert all(group[a] != group[b] for a, b in detector.neighbours)
    own = layout.own
    cell = np.broadcast_to(np.arange(detector.n_cells)[:, None], own.shape)
    known = own < detector.n_cells
    assert known.any()
    assert (group[own[known]] < group[cell[known]]).all()
    assert (detector.layer_of_cell[own[known]] == detector.layer_of_cell[cell[known]]).all()
    looking = layout.rows // layout.n_other
    assert (group[layout.columns] < group[looking]).all()
    assert (detector.layer_of_cell[layout.columns] != detector.layer_of_cell[looking]).all()
    assert ((layout.weights > 0) & (layout.weights <= 1 + 1e-6)).all()


def test_the_middle_is_drawn_first() -> None:
    layout = Layout.of(CELLS)
    radius = np.hypot(*CELLS.centres[:, :2].T)
    assert radius[layout.groups[0]].max() < radius[layout.groups[-1]].min()


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda each: each.name)
def test_a_cell_knows_only_those_before_it(detector: Detector) -> None:
    made, showers = network(detector), deposits(detector)
    condition = torch.zeros(N, 1)
    group = made.layout.group_of_cell
    part = detector.slices[0]
    late = part.start + np.argsort(group[part])[-2:]
    changed = showers.clone()
    changed[:, late] = changed[:, late[::-1].copy()]  # the sum of the layer stays
    with torch.no_grad():
        before, after = (made.log_likelihood(each, condition) for each in (showers, changed))
    earlier = group < group[late].min()
    torch.testing.assert_close(before[:, earlier], after[:, earlier], rtol=1e-4, atol=1e-4)
    assert (before != after).any()


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda each: each.name)
def test_drawing_says_of_each_cell_what_was_learnt(
    detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Led along a shower that is known, the way that draws gives the same parameters."""
    made, showers = network(detector), deposits(detector)
    condition = torch.linspace(-1, 1, N)[:, None]
    learnt: list[Tensor] = []
    likelihood = CellDistribution.log_likelihood

    def note(self: CellDistribution, parameters: Tensor, *rest: object) -> Tensor:
        learnt.append(parameters)
        return likelihood(self, parameters, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(CellDistribution, "log_likelihood", note)
    said = torch.zeros(N, detector.n_cells, made.distribution.n_parameters)

    def follow(
        self: CellDistribution,
        parameters: Tensor,
        layer: Tensor,
        left: Tensor,
        cells: Tensor,
        *noise: Tensor,
    ) -> Tensor:
        said[:, cells] = parameters
        return showers[:, cells]

    monkeypatch.setattr(CellDistribution, "draw", follow)
    with torch.no_grad():
        made.log_likelihood(showers, condition)
        sums = torch.from_numpy(detector.layer_sums(showers.numpy())).float()
        again = made(sums, condition, torch.zeros(N, 2 * detector.n_cells))
    torch.testing.assert_close(again, showers, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(said, learnt[0], rtol=1e-3, atol=1e-3)


def test_lines_are_found_and_nothing_else() -> None:
    rng = np.random.default_rng(1)
    smooth = rng.lognormal(-1.0, 2.0, (3000, 40)).astype(np.float32)
    assert find_lines(torch.from_numpy(smooth), 3).tolist() == [0, 0, 0]
    smooth[rng.random(smooth.shape) < 0.02] = 0.511
    smooth[rng.random(smooth.shape) < 0.005] = 1.022
    found = find_lines(torch.from_numpy(smooth), 3).tolist()
    assert found == pytest.approx([0.511, 1.022, 0.0], abs=1e-4)


def test_what_a_cell_may_be_adds_up_to_one() -> None:
    cells = CellDistribution(1, 2, 3)
    cells.lines.copy_(torch.tensor([0.511, 1.022]))
    torch.manual_seed(2)
    parameters = torch.randn(1, cells.n_parameters)
    energy = torch.exp(torch.linspace(-11, 12, 200_001))
    at = parameters.expand(len(energy), -1)[:, None]
    zero = torch.zeros(len(energy), 1)
    density = cells.log_likelihood(at, energy[:, None], zero, zero, slice(None)).exp()[:, 0]
    on_line = cells.line(energy) > 0
    width = torch.log(energy[1] / energy[0])
    whole = float((density * width)[~on_line].double().sum())
    atoms = torch.tensor([[0.0], [0.511], [1.022]])
    three = parameters.expand(3, -1)[:, None]
    chance = cells.log_likelihood(three, atoms, zero[:3], zero[:3], slice(None)).exp()
    assert whole + float(chance.sum()) == pytest.approx(1.0, abs=5e-3)


def test_draws_follow_the_distribution() -> None:
    cells = CellDistribution(1, 1, 2)
    cells.lines.copy_(torch.tensor([0.511]))
    torch.manual_seed(5)
    n = 40_000
    parameters = torch.randn(1, 1, cells.n_parameters).expand(n, -1, -1)
    zero, one = torch.zeros(n, 1), torch.tensor([0])
    drawn = cells.draw(parameters, zero, zero, one, torch.randn(n, 1), torch.randn(n, 1))
    atoms = torch.tensor([[0.0], [0.511]])
    chance = cells.log_likelihood(parameters[:2], atoms, zero[:2], zero[:2], slice(None)).exp()
    share = torch.stack([(drawn == 0).float().mean(), (drawn == 0.511).float().mean()])
    torch.testing.assert_close(share, chance[:, 0], atol=0.01, rtol=0)


def test_energies_are_drawn_as_they_are_learnt() -> None:
    """The density of what is drawn is the one that the mixture says."""
    torch.manual_seed(4)
    mixtures = EnergyMixtures(2, 1)
    condition = torch.zeros(20_000, 1)
    with torch.no_grad():
        numbers = mixtures(torch.randn(20_000, 4), condition)
        grid = torch.linspace(-6, 6, 2001)[:, None]
        flat = torch.linspace(-6, 6, 121)
        joint = [
            mixtures.log_density(torch.cat([grid, torch.full_like(grid, y)], dim=1), grid * 0).exp()
            for y in flat.tolist()
        ]
    first = torch.stack(joint).sum(dim=0) * (flat[1] - flat[0])
    assert float(first.sum() * (grid[1] - grid[0])) == pytest.approx(1.0, abs=2e-3)
    below = float(first[grid[:, 0] < 0].sum() * (grid[1] - grid[0]))
    assert float((numbers[:, 0] < 0).float().mean()) == pytest.approx(below, abs=0.02)


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda each: each.name)
def test_layers_get_the_energies_that_they_were_given(detector: Detector) -> None:
    made = network(detector)
    sums = torch.rand(30, detector.n_layers) * 100
    sums[::3, 0] = 0.0
    with torch.no_grad():
        found = made(sums, torch.zeros(30, 1), torch.randn(30, 2 * detector.n_cells))
    assert (found >= 0).all()
    got = torch.from_numpy(detector.layer_sums(found.numpy())).float()
    torch.testing.assert_close(got, sums, rtol=1e-4, atol=1e-4)


def test_it_settles_on_the_last_rows_of_each_particle() -> None:
    config = AnvilConfig.preset("cpu").changed(epochs=10, settle_epochs=2, settle_rows=5)
    system = Anvil(config, Setting(VOXELS, ("e+", "gamma"), (1.0, 100.0)))
    labels = torch.tensor([0] * 20 + [1] * 20)
    train = Batch(Given(torch.ones(40, 1), labels), deposits(VOXELS))
    rng = np.random.default_rng(1)
    assert sorted(system.order(train, 7, rng)) == list(range(40))
    late = system.order(train, 8, rng)
    assert len(late) == 40
    assert set(late) == {*range(15, 20), *range(35, 40)}
    rates = [system.schedule(step / 100) for step in range(101)]
    assert rates[79] < 0.01 < rates[80] == max(rates[80:])
    assert rates[-1] == pytest.approx(0.0, abs=1e-9)
