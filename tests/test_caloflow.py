"""CaloFlow: densities, masks, orders, coordinates, and the showers that are drawn."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from caloforge.detector import CylindricalLayer, Detector, RectangularLayer
from caloforge.errors import TrainingError
from caloforge.models.caloflow.coordinates import Coordinates
from caloforge.models.caloflow.flow import AutoregressiveBlock, Flow, Shape, orders_within
from caloforge.models.caloflow.masked import MaskedNetwork
from caloforge.models.caloflow.student import CaloFlowStudent, CaloFlowStudentConfig
from caloforge.models.caloflow.system import CaloFlow, CaloFlowConfig
from caloforge.models.system import Batch, Given, Setting

MIXED = Detector(
    "mixed",
    (
        RectangularLayer((0.0, 1.0), tuple(range(4)), tuple(range(5))),
        CylindricalLayer((1.0, 2.0), (0.0, 1.0, 2.0), n_alpha=3),
        RectangularLayer((2.0, 3.0), (0.0, 1.0), (0.0, 1.0, 2.0)),
    ),
)
SIZES = [12, 6, 2]
SETTING = Setting(MIXED, ("e+",), (1.0, 100.0))
SMALL = {"blocks": 3, "hidden": 24, "energy_blocks": 2, "energy_hidden": 8}


def shaken(module: torch.nn.Module, size: float = 0.2) -> None:
    """Weights as after a training: of order ``size``."""
    rng = torch.Generator().manual_seed(5)
    for parameter in module.parameters():
        parameter.data = size * torch.randn(parameter.shape, generator=rng)


def cast_block(module: torch.nn.Module) -> AutoregressiveBlock:
    assert isinstance(module, AutoregressiveBlock)
    return module


def flow(orders: list[Tensor], context: int = 2, layers: int = 2, **shape: float) -> Flow:
    torch.manual_seed(3)
    size = Shape(len(orders), 20, layers, 6, shape.get("bound", 6.0))
    found = Flow(orders, context, size).eval()
    shaken(found)
    return found


def batch(count: int = 40) -> Batch:
    """Showers with empty cells, empty layers, and one that is empty throughout."""
    rng = torch.Generator().manual_seed(2)
    energy = torch.linspace(1, 100, count)[:, None]
    deposits = torch.rand(count, MIXED.n_cells, generator=rng) ** 3
    deposits[deposits < 0.05] = 0
    deposits[::5, 18:] = 0
    deposits *= 900 * energy / deposits.sum(dim=1, keepdim=True)
    deposits[3] = 0
    return Batch(Given(energy, torch.zeros(count, dtype=torch.int64)), deposits)


def coordinates(**changes: float) -> Coordinates:
    settings = {"noise": 0.1, "threshold": 0.5, "alpha": 1e-10} | changes
    return Coordinates(SETTING, standardised=True, **settings)


class TestMasks:
    @pytest.mark.parametrize("width", [7, 20, 33])
    @pytest.mark.parametrize("layers", [1, 3])
    def test_parameters_depend_on_what_comes_before(self, width: int, layers: int) -> None:
        network = MaskedNetwork(20, 2, 5, width=width, layers=layers)
        shaken(network, 1.0)
        context = torch.tensor([[0.3, -0.7]])

        def said(numbers: Tensor) -> Tensor:
            said = torch.cat(network(numbers, context.expand(50, 2)), dim=2)
            return said.abs().sum(dim=(0, 1))

        numbers = torch.randn(50, 20, generator=torch.Generator().manual_seed(1))
        whole = torch.autograd.functional.jacobian(said, numbers)  # type: ignore[no-untyped-call]
        jacobian = whole.abs().sum(dim=1)
        assert not torch.triu(jacobian).any()
        # The last numbers are seen, too, where there are fewer units than numbers.
        assert jacobian[:, -4:].any() or width < 20
        assert jacobian[-1].any()

    def test_step_by_step_is_all_at_once(self) -> None:
        network = MaskedNetwork(20, 2, 5, width=17, layers=3)
        shaken(network)
        rng = torch.Generator().manual_seed(1)
        numbers = torch.randn(9, 20, generator=rng)
        context = torch.randn(9, 2, generator=rng)
        whole = torch.cat(network(numbers, context), dim=2)
        known, deeper = network.begin(context), network.deeper()
        for i, (column, weight, direct, bias) in enumerate(zip(*network.steps(), strict=True)):
            said = network.step(
                known, context, weight=weight, direct=direct, bias=bias, deeper=deeper
            )
            torch.testing.assert_close(said, whole[:, :, i], rtol=1e-4, atol=1e-5)
            known = known + numbers[:, i : i + 1] * column

    def test_of_one_number(self) -> None:
        """A detector of one layer has one layer energy: it sees the context alone."""
        found = flow([torch.zeros(1, dtype=torch.int64)] * 2)
        z, context = torch.randn(5, 1), torch.randn(5, 2)
        torch.testing.assert_close(
            found.to_noise(found.draw(z, context).float(), context).end, z, rtol=1e-4, atol=1e-4
        )


class TestFlow:
    def test_a_density_integrates_to_one(self) -> None:
        found = flow([torch.tensor([0, 1]), torch.tensor([1, 0])], layers=1)
        shaken(found, 0.1)
        axis = torch.linspace(-7, 7, 301)
        grid = torch.cartesian_prod(axis, axis)
        with torch.no_grad():
            for context in ([0.0, 0.0], [1.0, -2.0]):
                known = torch.tensor([context]).expand(len(grid), 2)
                total = found.log_density(grid, known).exp().sum() * (axis[1] - axis[0]) ** 2
                assert float(total) == pytest.approx(1, abs=2e-3)

    def test_the_volume_factor_is_that_of_the_jacobian(self) -> None:
        found = flow(orders_within([3, 2], 3))
        data, context = torch.randn(1, 5), torch.randn(1, 2)
        jacobian = torch.autograd.functional.jacobian(  # type: ignore[no-untyped-call]
            lambda x: found.to_noise(x, context).end[0], data
        )[:, 0]
        passage = found.to_noise(data, context)
        assert passage.steepness.item() == pytest.approx(
            torch.linalg.slogdet(jacobian).logabsdet.item(), abs=1e-4
        )

    @torch.no_grad()
    def test_drawing_undoes(self) -> None:
        found = flow(orders_within(SIZES, 4))
        rng = torch.Generator().manual_seed(1)
        z, context = torch.randn(50, 20, generator=rng), torch.randn(50, 2, generator=rng)
        passage = found.to_noise(found.draw(z, context).float(), context)
        torch.testing.assert_close(passage.end, z, rtol=1e-3, atol=1e-3)
        assert len(passage.values) == 5
        assert len(passage.parameters) == 4

    def test_orders_stay_within_groups(self) -> None:
        torch.manual_seed(4)
        orders = orders_within(SIZES, 5)
        assert torch.equal(orders[0], torch.arange(20))
        assert torch.equal(orders[1][:12], torch.arange(12).flip(0))
        for order in orders:
            parts = torch.split(order, SIZES)
            for part, whole in zip(parts, torch.split(torch.arange(20), SIZES), strict=True):
                assert torch.equal(part.sort().values, whole)
        assert torch.equal(orders[3][:12], orders[2][:12].flip(0))
        assert not torch.equal(orders[2], orders[1])


class TestCoordinates:
    @pytest.mark.parametrize("noise", [0.0, 0.1])
    def test_there_and_back(self, noise: float) -> None:
        showers = batch()
        found = coordinates(noise=noise)
        found.fit(showers)
        seen = found(showers, torch.Generator().manual_seed(1))
        for each in seen:
            assert bool(each.isfinite().all())
        layers = found.layers(seen.energies, showers.given)
        made = found.deposits(seen.cells, layers)
        # Noise of cells and layers is 1e-4 MeV each at most.
        torch.testing.assert_close(made, showers.deposits, rtol=2e-4, atol=5e-3)
        assert torch.equal(made == 0, showers.deposits == 0)
        torch.testing.assert_close(
            found.context(seen.incident, layers), seen.context, rtol=1e-3, atol=1e-3
        )

    def test_published_formula(self) -> None:
        showers = batch()
        found = Coordinates(SETTING, noise=0.0, threshold=10.0, alpha=1e-6, standardised=False)
        found.fit(showers)
        seen = found(showers, torch.Generator())
        row = showers.deposits[7].double()
        layers = [row[:12].sum(), row[12:18].sum(), row[18:].sum()]
        fraction = 1e-6 + (1 - 2e-6) * row[:12] / layers[0]
        logit = torch.log(fraction / (1 - fraction))
        torch.testing.assert_close(seen.cells[7, :12].double(), logit, rtol=1e-4, atol=1e-4)
        share = 1e-6 + (1 - 2e-6) * float(layers[1] / (layers[1] + layers[2]))
        assert float(seen.energies[7, 2]) == pytest.approx(math.log(share / (1 - share)), rel=1e-4)
        expected = [math.log10(float(each) / 1e5 + 1e-8) + 2 for each in layers]
        assert seen.context[7, 1:].tolist() == pytest.approx(expected, rel=1e-4)

    def test_noise_spreads_what_is_empty_and_the_threshold_takes_it_away(self) -> None:
        showers = batch()
        found = coordinates()
        found.fit(showers)
        first, second = (found(showers, torch.Generator().manual_seed(i)) for i in (1, 2))
        empty = showers.deposits == 0
        assert bool((first.cells[empty] != second.cells[empty]).all())
        assert not found.deposits(first.cells[3:4], torch.tensor([[1e-4, 1e-4, 1e-4]])).any()


class TestTeacher:
    def test_loss_is_minus_the_log_likelihood(self) -> None:
        torch.manual_seed(1)
        system = CaloFlow(CaloFlowConfig.preset("cpu").changed(**SMALL), SETTING).eval()
        showers = batch()
        system.prepare(showers)
        losses = system.loss(showers, torch.Generator().manual_seed(1))
        generator = system.generator
        seen = generator.coordinates(showers, torch.Generator().manual_seed(1))
        density = generator.cells.log_density(seen.cells, seen.context)
        assert losses["cells"].item() == pytest.approx(-density.mean().item())
        assert set(losses) == {"energies", "cells"}

    @torch.no_grad()
    def test_showers_have_the_layer_energies_of_the_first_flow(self) -> None:
        torch.manual_seed(1)
        system = CaloFlow(CaloFlowConfig.preset("cpu").changed(**SMALL), SETTING).eval()
        showers = batch()
        system.prepare(showers)
        generator = system.generator
        shaken(generator, 0.1)
        z = torch.randn(40, generator.noise, generator=torch.Generator().manual_seed(1))
        made = generator(z, showers.given)
        first = generator.coordinates.incident(showers.given)
        energies = generator.energies.draw(z[:, :3], first)
        layers = generator.coordinates.layers(energies, showers.given)
        sums = generator.coordinates.fractions.layer_sums(made)
        # Cells below the threshold of 0.5 keV are left out.
        torch.testing.assert_close(sums, layers.float(), rtol=1e-4, atol=20 * 5e-4)
        assert not ((made > 0) & (made < 5e-4)).any()

    def test_it_learns(self) -> None:
        """The likelihood rises, of showers with other noise as well."""
        torch.manual_seed(1)
        config = CaloFlowConfig.preset("cpu").changed(**SMALL, learning_rate=3e-3)
        system = CaloFlow(config, SETTING)
        showers = batch(60)
        system.prepare(showers)
        (optimizer,) = system.optimizers().values()

        def loss(rows: Batch, seed: int) -> Tensor:
            losses = system.loss(rows, torch.Generator().manual_seed(seed))
            return torch.stack(list(losses.values())).sum()

        with torch.no_grad():
            before = loss(showers, 99).item()
        for step in range(12):
            optimizer.zero_grad()
            loss(showers, step).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        with torch.no_grad():
            assert loss(showers, 99).item() < before - 2

    def test_the_learning_rate_is_halved_twice_as_published(self) -> None:
        system = CaloFlow(CaloFlowConfig.preset("paper").changed(**SMALL), SETTING)
        assert [system.schedule(at) for at in (0, 0.24, 0.25, 0.74, 0.76)] == [1, 1, 0.5, 0.5, 0.25]


class TestStudent:
    TERMS = frozenset(f"{kind}_{way}" for kind in ("end", "between", "parameters") for way in "xz")

    def pair(self, **changes: float) -> tuple[CaloFlow, CaloFlowStudent, Batch]:
        torch.manual_seed(1)
        teacher = CaloFlow(CaloFlowConfig.preset("cpu").changed(**SMALL), SETTING)
        showers = batch()
        teacher.prepare(showers)
        config = CaloFlowStudentConfig.preset("cpu").changed(**SMALL | {"hidden": 30} | changes)
        return teacher, CaloFlowStudent(config, SETTING), showers

    @torch.no_grad()
    def test_six_terms_that_vanish_where_it_is_the_teacher(self) -> None:
        teacher, student, showers = self.pair()
        shaken(teacher.generator.cells, 0.1)
        student.learn_from(teacher)
        losses = student.loss(showers, torch.Generator().manual_seed(1))
        assert losses.keys() == self.TERMS
        assert all(value > 1e-6 for value in losses.values())
        apart = student.validation_losses(showers, torch.Generator().manual_seed(1))["kl"]
        assert apart.item() > 0.1
        # Splines that look at nothing are the same seen from data and from noise.
        for block in map(cast_block, teacher.generator.cells.blocks):
            for parameter in block.parameters():
                parameter.zero_()
            block.network.bias.normal_(0, 0.3)
        blocks = (student.generator.cells.blocks, teacher.generator.cells.blocks)
        for own, theirs in zip(*(map(cast_block, each) for each in blocks), strict=True):
            for parameter in own.parameters():
                parameter.zero_()
            own.network.bias.copy_(theirs.network.bias)
        losses = student.loss(showers, torch.Generator().manual_seed(1))
        assert all(value.item() < 1e-6 for value in losses.values())
        apart = student.validation_losses(showers, torch.Generator().manual_seed(1))["kl"]
        assert abs(apart.item()) < 1e-3

    @torch.no_grad()
    def test_it_has_the_layer_energies_and_orders_of_the_teacher(self) -> None:
        teacher, student, showers = self.pair()
        student.learn_from(teacher)
        own, theirs = student.generator, teacher.generator
        assert not list(own.energies.parameters())
        z = torch.randn(40, 3, generator=torch.Generator().manual_seed(1))
        incident = own.coordinates.incident(showers.given)
        assert torch.equal(own.energies.draw(z, incident), theirs.energies.draw(z, incident))
        for mine, other in zip(own.cells.blocks, theirs.cells.blocks, strict=True):
            assert torch.equal(cast_block(mine).order, cast_block(other).order)

    def test_a_teacher_of_another_kind_is_refused(self) -> None:
        teacher, student, _ = self.pair(bins=6)
        with pytest.raises(TrainingError, match="bins: got 6, must be 8 as of the teacher"):
            student.learn_from(teacher)
