"""The ATLAS VAE: its losses, its distributions, and that what it learns is what it makes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from caloforge.detector import CylindricalLayer, Detector, RectangularLayer
from caloforge.errors import ConfigError, ExportError
from caloforge.export.profiles.lwtnn import lwtnn_json
from caloforge.models.atlas_vae.cells import CellDistribution, _log_density, _quantile
from caloforge.models.atlas_vae.forms import CellsForm, DrawnForm, LayersForm, MeansForm
from caloforge.models.atlas_vae.system import AtlasVAE, AtlasVAEConfig
from caloforge.models.blocks.coupling import CouplingFlow
from caloforge.models.blocks.spline import Spline
from caloforge.models.system import Batch, Given, Setting
from lwtnn_evaluator import Lwtnn

DETECTOR = Detector(
    "small",
    (
        RectangularLayer(depth=None, x_edges=(-1.0, 0.0, 1.0), y_edges=(-2.0, -1.0, 0.0, 1.0)),
        CylindricalLayer(depth=None, r_edges=(0.0, 1.0, 3.0), n_alpha=3),
        CylindricalLayer(depth=None, r_edges=(0.0, 5.0), n_alpha=1),
    ),
)
CELLS = DETECTOR.n_cells
PRESETS = ("paper", "layers", "dnncalosim", "cpu")


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def made_up(count: int, seed: int = 0, particles: int = 1) -> Batch:
    """Showers with empty cells, empty layers, and one that is empty altogether."""
    numbers = np.random.default_rng(seed)
    energy = numbers.uniform(1, 100, (count, 1))
    shares = numbers.dirichlet(np.full(CELLS, 0.3), count)
    shares *= shares > 0.02
    shares[: count // 4, -1] = 0
    shares[0] = 0
    deposits = 1000 * energy * numbers.uniform(0.8, 1, (count, 1)) * shares
    given = Given(torch.tensor(energy, dtype=torch.float32), torch.arange(count) % particles)
    return Batch(given, torch.tensor(deposits, dtype=torch.float32))


def small(preset: str) -> AtlasVAEConfig:
    config = AtlasVAEConfig.preset(preset).changed(latent=4, encoder=(16,), decoder=(24, 16))
    return config.changed(couplings=min(config.couplings, 2))


def build(config: AtlasVAEConfig, train: Batch, particles: tuple[str, ...] = ("e+",)) -> AtlasVAE:
    torch.manual_seed(1)
    system = AtlasVAE(config, Setting(DETECTOR, particles, (1.0, 100.0)))
    system.prepare(train)
    return system


def shaken(module: torch.nn.Module, size: float = 0.3) -> None:
    """Parameters that are far from where they begin."""
    for parameter in module.parameters():
        parameter.data += size * torch.randn(parameter.shape, generator=rng(7))


def normal(code: Tensor) -> Tensor:
    """Logarithm of the standard normal density of codes, summed over their numbers."""
    return (-0.5 * code**2 - 0.5 * math.log(2 * math.pi)).sum(-1)


class TestConfig:
    def test_paper(self) -> None:
        config = AtlasVAEConfig.preset("paper")
        assert (config.representation, config.latent, config.activation) == ("cells", 10, "elu")
        assert (config.reconstruction, config.couplings, config.batch_norm) == ("squared", 0, False)

    def test_dnncalosim(self) -> None:
        """As many parameters as the CaloChallenge says of its generator for pions: 3.17 million."""
        voxels = [(8, 1), (10, 10), (10, 10), (5, 1), (15, 10), (16, 10), (10, 1)]
        layers = (CylindricalLayer(None, tuple(range(r + 1)), alpha) for r, alpha in voxels)
        config = AtlasVAEConfig.preset("dnncalosim").changed(decoder=(100, 500, 1000, 1500, 541))
        setting = Setting(Detector("dataset 1", tuple(layers)), ("pi+",), (0.256, 4194.0))
        generator = AtlasVAE(config, setting).generator
        assert sum(each.numel() for each in generator.parameters()) == 3_169_663

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"reconstruction": "likelihood"}, "needs representation 'layers' and couplings"),
            ({"representation": "cell"}, "representation: got 'cell'"),
            ({"latnet": 3}, "did you mean latent?"),
            ({"latent": 0}, "latent: got 0"),
        ],
    )
    def test_what_is_not_legal(self, changes: dict[str, object], words: str) -> None:
        with pytest.raises(ConfigError, match=words.replace("?", r"\?")):
            AtlasVAEConfig.preset("paper").changed(**changes)

    def test_terms_that_would_do_nothing(self) -> None:
        with pytest.raises(ConfigError, match="total_weight and fraction_weight must be 0"):
            AtlasVAEConfig.preset("cpu").changed(total_weight=1.0)


class TestSystem:
    @pytest.mark.parametrize("preset", PRESETS)
    def test_learns(self, preset: str) -> None:
        train = made_up(256)
        system = build(small(preset), train)
        optimizer = torch.optim.Adam(system.parameters(), lr=5e-3)
        totals = []
        for step in range(60):
            loss = torch.stack(list(system.loss(train, rng(step)).values())).sum()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            totals.append(float(loss.detach()))
        first, last = np.mean(totals[:5]), np.mean(totals[-5:])
        assert last < first - 0.01 * abs(first)

    def test_loss_is_a_function_of_the_random_numbers(self) -> None:
        train = made_up(32)
        system = build(small("cpu"), train)
        first, same, other = (
            [float(term.detach()) for term in system.loss(train, rng(seed)).values()]
            for seed in (1, 1, 2)
        )
        assert first == same
        assert first != other

    def test_divergence_of_a_standard_normal_code_is_zero(self) -> None:
        train = made_up(32)
        system = build(small("paper"), train)
        torch.nn.init.zeros_(system.encoder.last.weight)
        torch.nn.init.zeros_(system.encoder.last.bias)
        assert float(system.loss(train, rng())["kl"].detach()) == pytest.approx(0, abs=1e-6)
        # Mean 1 and variance 1 in each of four dimensions: 4 * 1/2.
        system.encoder.last.bias.data[:4] = 1
        assert float(system.loss(train, rng())["kl"].detach()) == pytest.approx(2.0, rel=1e-5)

    def test_divergence_from_a_prior_that_has_not_learnt(self) -> None:
        """The same as from a standard normal one, up to the energies, which it must hold too."""
        train = made_up(4000)
        system = build(small("cpu").changed(kl_weight=1.0), train)
        torch.nn.init.zeros_(system.encoder.last.weight)
        torch.nn.init.zeros_(system.encoder.last.bias)
        energies = 3 * (0.5 * math.log(2 * math.pi) + 0.5)
        assert float(system.loss(train, rng())["kl"].detach()) == pytest.approx(energies, rel=0.03)

    def test_learning_rate(self) -> None:
        train = made_up(16)
        assert build(small("paper"), train).schedule(0.7) == 1.0
        factors = [build(small("cpu"), train).schedule(progress) for progress in (0, 0.5, 1)]
        assert factors == pytest.approx([1.0, 0.5, 0.0])


class TestMeans:
    @pytest.mark.parametrize("reconstruction", ["squared", "variance"])
    def test_a_perfect_reconstruction(self, reconstruction: str) -> None:
        train = made_up(64)[1:]
        form = CellsForm(DETECTOR, "squared")
        form.fit(train)
        parameters = torch.logit(form.numbers(train).clamp(1e-9))
        for error in form.errors(parameters, train).values():
            torch.testing.assert_close(error, torch.zeros(63), rtol=0, atol=1e-5)

    def test_errors_by_hand(self) -> None:
        """One cell is off by 10% of the incident energy, and so are response and fractions."""
        deposits = torch.zeros(1, CELLS)
        deposits[0, 0], deposits[0, 6] = 500.0, 500.0
        batch = Batch(Given(torch.tensor([[1.0]]), torch.tensor([0])), deposits)
        made = deposits.clone() / 1000
        made[0, 0] = 0.6
        form = CellsForm(DETECTOR, "squared")
        errors = form.errors(torch.logit(made.clamp(min=1e-9)), batch)
        assert errors["reconstruction"].item() == pytest.approx(0.01, rel=1e-4)
        assert errors["total"].item() == pytest.approx(0.1, rel=1e-4)
        assert errors["fractions"].item() == pytest.approx(2 * (6 / 11 - 1 / 2), rel=1e-4)

    def test_variance_of_each_cell(self) -> None:
        train = made_up(500)
        form = CellsForm(DETECTOR, "variance")
        form.fit(train)
        numbers = form.numbers(train)
        expected = numbers.var(dim=0)
        torch.testing.assert_close(form.variance, expected, rtol=1e-4, atol=1e-7)
        parameters = torch.logit(numbers.mean(dim=0).expand_as(numbers))
        # Every cell counts as much: the error of the mean is one for each.
        error = form.errors(parameters, train)["reconstruction"].mean()
        assert float(error) == pytest.approx(CELLS, rel=0.01)

    def test_a_cell_that_is_hardly_hit_does_not_rule(self) -> None:
        train = made_up(100)
        train.deposits[:, 3] = 0
        train.deposits[5, 3] = 1e-6
        form = CellsForm(DETECTOR, "variance")
        form.fit(train)
        assert float(form.variance[3]) == pytest.approx(1e-3 * float(form.variance.mean()), rel=0.1)

    def test_layers_sum_up(self) -> None:
        train = made_up(64)
        form = LayersForm(DETECTOR, "variance")
        form.fit(train)
        parameters = torch.randn(64, form.n_parameters, generator=rng())
        nothing = parameters[:, :0]
        deposits = form.deposits(parameters, nothing, nothing, train.energy)
        response = form.most * torch.sigmoid(parameters[:, CELLS])
        torch.testing.assert_close(deposits.sum(1), 1000 * train.energy[:, 0] * response)
        fractions = form.fractions(deposits, train.energy).layers
        torch.testing.assert_close(fractions, torch.softmax(parameters[:, -3:], dim=1))

    def test_cross_entropy_is_least_for_the_shower_itself(self) -> None:
        train = made_up(64)[1:]
        form = LayersForm(DETECTOR, "cross-entropy")
        form.fit(train)
        numbers = form.numbers(train)
        own = torch.log(numbers.clamp(min=1e-9))
        own[:, CELLS] = torch.logit(numbers[:, CELLS])
        best = form.errors(own, train)["reconstruction"]
        for seed in range(5):
            other = own + 0.3 * torch.randn(own.shape, generator=rng(seed))
            assert bool((form.errors(other, train)["reconstruction"] > best).all())


SHAPES = [0.06, 0.3, 1.0, 4.0, 18.0]


class TestCells:
    @pytest.mark.parametrize("shape", SHAPES)
    def test_density_and_quantiles_belong_together(self, shape: float) -> None:
        t = torch.linspace(-40 / shape, 12, 2_000_001, dtype=torch.float64)
        a = torch.tensor(shape, dtype=torch.float64)
        step = float(t[1] - t[0])
        cumulative = torch.cumsum(torch.exp(_log_density(t, a)), 0) * step
        assert float(cumulative[-1]) == pytest.approx(1, abs=1e-4)
        above = torch.tensor([1 - 1e-4, 0.99, 0.9, 0.5, 0.1, 0.01, 1e-4], dtype=torch.float64)
        index = torch.searchsorted(t, _quantile(above, a))
        torch.testing.assert_close(1 - cumulative[index], above, rtol=0, atol=1e-3)

    @pytest.mark.parametrize("shape", SHAPES)
    def test_quantiles_in_single_precision(self, shape: float) -> None:
        above = torch.logspace(-6, -1e-6, 5000, dtype=torch.float32)
        a = torch.tensor(shape)
        exact = _quantile(above.double(), a.double())
        error = (_quantile(above, a) - exact).abs()
        # Where almost all lies above, the deposits are too small to matter.
        assert float(error[above < 0.99].max()) < 2e-5

    def test_hits_are_as_frequent_as_they_should_be(self) -> None:
        cells = CellDistribution(DETECTOR)
        count = 40_000
        parameters = torch.zeros(count, 4, CELLS)
        chance = torch.linspace(0.4, 0.95, CELLS)
        parameters[:, 0] = torch.logit(chance)
        noise = torch.randn(count, CELLS, generator=rng())
        drawn = cells(parameters.flatten(1), noise)
        found = (drawn > 0).double().mean(0)
        # The last layer has one cell, which is always hit; those of the first are all empty in 1%.
        assert float(found[-1]) == 1.0
        assert float((found[:-1] - chance[:-1]).abs().max()) < 0.015
        torch.testing.assert_close(cells.layers.layer_sums(drawn), torch.ones(count, 3))

    def test_no_layer_is_empty(self) -> None:
        """Where every cell is unlikely, the likeliest noise decides."""
        cells = CellDistribution(DETECTOR)
        parameters = torch.zeros(500, 4, CELLS)
        parameters[:, 0] = -30.0
        drawn = cells(parameters.flatten(1), torch.randn(500, CELLS, generator=rng()))
        assert bool(drawn.isfinite().all())
        hits = torch.stack([part.count_nonzero(1) for part in torch.split(drawn, [6, 6, 1], 1)], 1)
        assert bool((hits == 1).all())

    def test_decoder_begins_at_the_data(self) -> None:
        """With parameters of zero, hits are as frequent as in the showers it was fitted to."""
        train = made_up(5000)
        cells = CellDistribution(DETECTOR)
        cells.fit(train.deposits)
        occupancy = (train.deposits > 0).double().mean(0)
        torch.testing.assert_close(
            torch.sigmoid(cells.odds).double(), occupancy, rtol=0.02, atol=1e-3
        )

    def test_a_cell_that_is_never_hit(self) -> None:
        train = made_up(500)
        train.deposits[:, 2] = 0
        cells = CellDistribution(DETECTOR)
        cells.fit(train.deposits)
        assert float(torch.sigmoid(cells.odds[2])) == pytest.approx(1 / 502, rel=1e-3)
        assert float(cells.middle[2]) < -1
        assert bool(cells.standardised(train.deposits).isfinite().all())

    def test_likelihood_by_hand(self) -> None:
        """One layer of six cells, two are hit; the other layers are empty and say nothing."""
        cells = CellDistribution(DETECTOR)
        deposits = torch.zeros(1, CELLS)
        deposits[0, 0], deposits[0, 1] = 10.0, 30.0
        found = cells.log_likelihood(torch.zeros(1, cells.n_parameters), deposits)
        scale = math.exp(-1)
        expected = 6 * math.log(0.5)
        for share in (0.25, 0.75):
            t = math.log(share) / scale  # below the bend: a Weibull distribution
            expected += t - math.exp(t) - math.log(scale)
        assert found.item() == pytest.approx(expected, rel=1e-5)

    @given(st.integers(0, 2**32 - 1), st.floats(0, 60))
    def test_gradients_are_finite(self, seed: int, size: float) -> None:
        """Also where the decoder is as wrong as it can be."""
        train = made_up(8, seed)
        cells = CellDistribution(DETECTOR)
        cells.fit(train.deposits)
        parameters = size * torch.randn(8, cells.n_parameters, generator=rng(seed))
        parameters.requires_grad_()
        likelihood = cells.log_likelihood(parameters, train.deposits)
        likelihood.sum().backward()  # type: ignore[no-untyped-call]
        assert bool(likelihood.isfinite().all())
        assert parameters.grad is not None
        assert bool(parameters.grad.isfinite().all())
        noise = 3 * torch.randn(8, CELLS, generator=rng(seed))
        drawn = cells(parameters, noise)
        assert bool((drawn.isfinite() & (drawn >= 0)).all())

    def test_energies_are_those_of_the_code(self) -> None:
        """The layers of a drawn shower have the energies that its code says, whatever the cells."""
        train = made_up(300)[1:]
        form = DrawnForm(DETECTOR)
        form.fit(train)
        _, known = form.seen(train, torch.rand(299, form.n_known, generator=rng()))
        parameters = torch.randn(299, form.n_parameters, generator=rng())
        noise = torch.randn(299, form.n_noise, generator=rng())
        deposits = form.deposits(parameters, known, noise, train.energy)
        wanted = torch.tensor(DETECTOR.layer_sums(train.deposits.numpy()))
        got = torch.tensor(DETECTOR.layer_sums(deposits.detach().numpy()))
        total = wanted.sum(1, keepdim=True)
        assert float(((got - wanted).abs() / total).max()) < 2e-3
        assert torch.equal(got[:, 2] == 0, wanted[:, 2] == 0)


class TestPrior:
    def test_begins_as_a_standard_normal_distribution(self) -> None:
        torch.manual_seed(1)
        prior = CouplingFlow(5, 2, 3)
        code, condition = torch.randn(50, 5, generator=rng()), torch.rand(50, 2, generator=rng())
        expected = normal(code)
        torch.testing.assert_close(prior.log_density(code, condition), expected)
        torch.testing.assert_close(prior(code, condition), code)

    def test_density_is_that_of_what_is_drawn(self) -> None:
        """By the Jacobian of autograd, at codes that were drawn."""
        torch.manual_seed(1)
        prior = CouplingFlow(5, 2, 4).double()
        shaken(prior, 0.15)
        noise = torch.randn(20, 5, generator=rng(), dtype=torch.float64)
        condition = torch.rand(20, 2, generator=rng(), dtype=torch.float64)
        code = prior(noise, condition)
        found = prior.log_density(code, condition).detach()
        for i in range(20):
            row = condition[i : i + 1]
            jacobian = torch.autograd.functional.jacobian(  # type: ignore[no-untyped-call]
                lambda z, row=row: prior(z[None], row)[0], noise[i]
            )
            expected = normal(noise[i]) - torch.linalg.slogdet(jacobian).logabsdet
            assert float(found[i]) == pytest.approx(float(expected), rel=1e-6, abs=1e-6)

    def test_every_number_is_moved_and_knows_the_condition(self) -> None:
        torch.manual_seed(1)
        prior = CouplingFlow(7, 1, 2)
        shaken(prior)
        noise = torch.randn(100, 7, generator=rng())
        low, high = (prior(noise, torch.full((100, 1), value)) for value in (0.0, 1.0))
        assert bool(((low - high).abs().amax(0) > 1e-3).all())


class TestSpline:
    @given(st.integers(0, 2**32 - 1), st.integers(2, 12), st.floats(0, 6))
    def test_inverse_and_slope(self, seed: int, bins: int, size: float) -> None:
        parameters = size * torch.randn(
            40, Spline.n_parameters(bins), 3, generator=rng(seed), dtype=torch.float64
        )
        spline = Spline(parameters, bins, 5.0)
        x = 3 * torch.randn(40, 3, generator=rng(seed + 1), dtype=torch.float64)
        x.requires_grad_()
        y = spline.forward(x)
        (slope,) = torch.autograd.grad(y.sum(), x)
        back, logarithm = spline.inverse(y)
        torch.testing.assert_close(back, x, rtol=0, atol=1e-5)
        torch.testing.assert_close(logarithm, torch.log(slope), rtol=0, atol=1e-4)

    def test_identity(self) -> None:
        x = torch.linspace(-7, 7, 99, dtype=torch.float64)[:, None]
        spline = Spline(torch.zeros(99, 23, 1, dtype=torch.float64), 8, 5.0)
        torch.testing.assert_close(spline.forward(x), x)

    def test_ends_stay(self) -> None:
        parameters = torch.randn(1, 23, 4, generator=rng())
        x = torch.tensor([[-5.0, 5.0, -6.0, 8.0]])
        torch.testing.assert_close(Spline(parameters, 8, 5.0).forward(x), x)


class TestExport:
    @pytest.mark.parametrize("preset", ["paper", "dnncalosim"])
    def test_lwtnn(self, preset: str) -> None:
        """The layers in JSON give what the generator gives, once the notes are followed."""
        train = made_up(64, particles=2)
        system = build(small(preset), train, ("e+", "pi+"))
        for step in range(3):  # running statistics
            system.loss(train, rng(step))
        generator = system.eval().generator
        form = generator.form
        assert isinstance(form, MeansForm)
        z = torch.randn(64, generator.noise, generator=rng())
        network = Lwtnn(lwtnn_json(generator.dense_graph()))
        found = network(
            {
                "code": {f"z_{i}": z[:, i].double().numpy() for i in range(generator.noise)},
                "energy": {"E / GeV": train.energy[:, 0].double().numpy()},
                "particle": {
                    f"is_particle_{i}": (train.label == i).double().numpy() for i in range(2)
                },
            }
        )
        parts: list[Tensor] = [
            torch.tensor(np.stack(list(found[name].values()), 1), dtype=torch.float32)
            for name, _, _ in form.heads
        ]
        expected = generator(z, train.given)
        torch.testing.assert_close(form.shower(parts, train.energy), expected)

    def test_more_than_dense_layers(self) -> None:
        system = build(small("cpu"), made_up(16))
        with pytest.raises(ExportError, match="cells that are drawn; choose onnx"):
            system.generator.dense_graph()
