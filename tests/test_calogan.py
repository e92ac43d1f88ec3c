"""CaloGAN against its published description."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from caloforge.detector import Detector, RectangularLayer, load_detector
from caloforge.errors import ConfigError, DetectorError
from caloforge.models.blocks import InpaintingAttention
from caloforge.models.calogan import (
    CaloGAN,
    CaloGANConfig,
    CaloGANDiscriminator,
    CaloGANGenerator,
)
from caloforge.models.system import Batch, Given, Setting
from caloforge.training.adversarial import adversarial_step

PUBLISHED = [(3, 96), (12, 12), (12, 6)]
SMALL = [(2, 4), (4, 4), (4, 2)]
CELLS = 8 + 16 + 8


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(5)


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def detector(sizes: list[tuple[int, int]]) -> Detector:
    layers = [
        RectangularLayer(None, tuple(range(rows + 1)), tuple(range(columns + 1)))
        for rows, columns in sizes
    ]
    return Detector("images", tuple(layers))


def system(*particles: str, sizes: list[tuple[int, int]] = SMALL, **changes: object) -> CaloGAN:
    config = CaloGANConfig.preset("paper").changed(**({"latent": 6} | changes))
    assert isinstance(config, CaloGANConfig)
    return CaloGAN(config, Setting(detector(sizes), particles or ("e+",), (1.0, 100.0)))


def showers(n: int, n_particles: int = 1) -> Batch:
    energy = 1 + 99 * torch.rand(n, 1)
    shares = torch.distributions.Dirichlet(torch.full((CELLS,), 0.5)).sample((n,))
    return Batch(Given(energy, torch.randint(n_particles, (n,))), 1000 * energy * shares)


def fakes(calogan: CaloGAN, n: int, n_particles: int = 1) -> Batch:
    asked = showers(n, n_particles)
    z = torch.randn(n, calogan.generator.noise)
    return Batch(asked.given, calogan.generator(z, asked.given))


def test_parameters_of_the_published_networks() -> None:
    calogan = CaloGAN(
        CaloGANConfig.preset("paper"), Setting(load_detector("calogan"), ("e+",), (1.0, 100.0))
    )
    generator, discriminator = calogan.generator, calogan.discriminator
    # Streams: see test_lagan.py. Attention: at each of 12 x 12 and 12 x 6 cells two kernels of
    # 3 x 3 over the two images, and two biases.
    streams = [18_241_584, 7_304_118, 4_172_370]
    assert [count(stream) for stream in generator.streams] == streams
    attention = [12 * 12 * (2 * 9 * 2 + 2), 12 * 6 * (2 * 9 * 2 + 2)]
    assert [count(block) for block in generator.attention] == attention == [5_472, 2_736]
    assert count(generator) == sum(streams) + sum(attention) == 29_726_280
    streams = [1_564_812, 772_092, 404_564]
    assert [count(stream) for stream in discriminator.streams] == streams
    # Three layer energies to 10 features in 10 dimensions.
    assert count(discriminator.among_energies) == 3 * 10 * 10
    # Features of the streams, layer energies, sum, deviation, its flag, minibatch features.
    features = (1000 + 21) + (448 + 21) + (336 + 21) + 3 + 1 + 1 + 1 + 10
    assert count(discriminator.head) == features + 1 == 1864
    assert count(discriminator) == sum(streams) + 300 + 1864 == 2_743_632


def test_parameters_for_several_particles() -> None:
    plain = system()
    conditional = system("e+", "gamma", "pi+", classes="conditional")
    acgan = system("e+", "gamma", "pi+", classes="acgan")
    for told in (conditional, acgan):
        assert count(told.generator) == count(plain.generator) + 3 * 6
    more = count(conditional.discriminator) - count(plain.discriminator)
    assert more == 3 * 50 + 50  # a table of 50 numbers per particle, and their weights
    more = count(acgan.discriminator) - count(plain.discriminator)
    assert more == 3 * count(plain.discriminator.head)  # three outputs more


def test_presets_are_the_published_settings() -> None:
    paper = CaloGANConfig.preset("paper")
    assert paper.model_dump() == {
        "epochs": 50,
        "batch_size": 256,
        "latent": 1024,
        "attention": True,
        "classes": "none",
        "lambda_energy": 0.05,
        "learning_rate_generator": 2e-4,
        "learning_rate_discriminator": 2e-5,
        "generator_steps": 2,
        "settled_fakes": True,
        "begin_at_mean": False,
        "average": 0,
        "sphere": False,
    }
    for name in ("conditional", "acgan"):
        assert CaloGANConfig.preset(name) == paper.changed(classes=name)
    cpu = CaloGANConfig.preset("cpu")
    assert (cpu.latent, cpu.attention, cpu.lambda_energy) == (64, True, 0.05)
    assert cpu.begin_at_mean
    assert not cpu.settled_fakes
    for group in system().optimizers()["discriminator"].param_groups:
        assert (group["lr"], group["betas"]) == (2e-5, (0.5, 0.999))
    for group in system().optimizers()["generator"].param_groups:
        assert (group["lr"], group["betas"]) == (2e-4, (0.5, 0.999))


def test_cells_come_layer_after_layer_with_columns_fastest() -> None:
    generator = CaloGANGenerator(6, SMALL, 0, attention=False).eval()
    z, energy, label = torch.randn(3, 6), torch.tensor([[100.0]] * 3), torch.zeros(3).long()
    images = [torch.relu(stream(z)) for stream in generator.streams]
    deposits = generator(z, Given(energy, label))
    assert deposits.shape == (3, CELLS)
    expected = [
        1000 * images[layer][row, column, 0]
        for layer, (rows, columns) in enumerate(SMALL)
        for row in range(rows)
        for column in range(columns)
    ]
    torch.testing.assert_close(deposits, torch.stack(expected, dim=1))


def test_a_layer_sees_the_one_before_as_it_was_before_the_cut() -> None:
    """Attention mixes pre-ReLU images: (2, 4) -> (4, 4) repeats rows, -> (4, 2) averages pairs."""
    generator = CaloGANGenerator(6, SMALL, 0, attention=True).eval()
    for block in generator.attention:
        assert isinstance(block, InpaintingAttention)
        assert block.scores.bias is not None
        nn.init.zeros_(block.scores.weight)
        nn.init.zeros_(block.scores.bias)  # half of each
    z, energy, label = torch.randn(3, 6), torch.tensor([[50.0]] * 3), torch.zeros(3).long()
    first, second, third = (stream(z / 2) for stream in generator.streams)
    second = (second + first.repeat_interleave(2, dim=0)) / 2
    third = (third + (second[:, ::2] + second[:, 1::2]) / 2) / 2
    cells = torch.cat([image.flatten(0, 2) for image in (first, second, third)])
    torch.testing.assert_close(generator(z, Given(energy, label)), 1000 * torch.relu(cells).T)


def test_only_noise_times_energy_goes_in() -> None:
    generator = system().generator.eval()
    z, energy, label = torch.randn(5, 6), torch.full((5, 1), 40.0), torch.zeros(5).long()
    same = generator(3 * z, Given(energy / 3, label))
    torch.testing.assert_close(generator(z, Given(energy, label)), same)
    assert not torch.equal(generator(z, Given(energy / 3, label)), same)
    nothing = generator(z, Given(0 * energy, label))
    assert torch.equal(nothing, nothing[:1].expand_as(nothing))


def test_what_the_discriminator_is_told_of_the_energies() -> None:
    """A head that passes one feature on after the other."""
    network = CaloGANDiscriminator(SMALL).eval()
    batch = showers(4)
    deposits = batch.deposits * torch.tensor([[1.0], [0.9], [0.5], [1.5]])
    energy = torch.tensor([[60.0]] * 4)
    deposits *= 60 / batch.energy
    layers = [deposits[:, :8], deposits[:, 8:24], deposits[:, 24:]]
    energies = torch.stack([layer.sum(dim=1) / 1000 for layer in layers], dim=1)
    total = deposits.sum(dim=1, keepdim=True) / 1000
    torch.testing.assert_close(total, 60 * torch.tensor([[1.0], [0.9], [0.5], [1.5]]))
    minibatch = torch.tanh(network.among_energies(energies))
    flag = torch.tensor([[0.0], [10.0], [10.0], [10.0]])  # 0, 6, 30 and 30 GeV off
    expected = [energies / 10, total / 100, (total - energy).abs(), flag, minibatch]
    wanted = torch.cat(expected, dim=1)
    first = network.head.in_features - wanted.shape[1]
    nn.init.zeros_(network.head.bias)
    for i in range(wanted.shape[1]):
        nn.init.zeros_(network.head.weight)
        nn.init.constant_(network.head.weight[:, first + i], 1.0)
        logit, classes = network(deposits, energy, batch.label)
        torch.testing.assert_close(logit, wanted[:, i], atol=1e-4, rtol=1e-5)
        assert classes is None


def test_the_streams_of_the_discriminator_see_images_in_gev() -> None:
    network = CaloGANDiscriminator(SMALL).eval()
    seen: list[Tensor] = []
    for stream in network.streams:
        stream.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    batch = showers(3)
    network(batch.deposits, batch.energy, batch.label)
    for image, (rows, columns), start in zip(seen, SMALL, (0, 8, 24), strict=True):
        assert image.shape == (rows, columns, 1, 3)
        cell = start + (rows - 1) * columns + 1
        torch.testing.assert_close(image[rows - 1, 1, 0], batch.deposits[:, cell] / 1000)


def test_the_gradient_reaches_every_parameter_of_the_generator() -> None:
    calogan = system("e+", "gamma", classes="acgan", lambda_energy=0.0)
    fake = fakes(calogan, 64, n_particles=2)
    losses = dict(calogan.generator_losses(fake, torch.Generator()))["generator"]
    losses["adversarial"].backward()  # type: ignore[no-untyped-call]
    silent = [
        name
        for name, parameter in calogan.generator.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    ]
    assert not silent


def test_losses_of_the_generator() -> None:
    calogan = system("e+", "gamma", "pi+", classes="acgan")
    fake = fakes(calogan, 16, n_particles=3)
    losses = dict(calogan.generator_losses(fake, torch.Generator()))["generator"]
    logit, classes = calogan.discriminator(fake.deposits, fake.energy, fake.label)
    total = fake.deposits.sum(dim=1) / 1000
    off = (total - fake.energy[:, 0]).abs().mean()
    torch.testing.assert_close(losses["energy"], 0.05 * off)
    torch.testing.assert_close(losses["adversarial"], -torch.log(torch.sigmoid(logit)).mean())
    expected = functional.cross_entropy(classes, fake.label)
    torch.testing.assert_close(losses["class"], 0.2 * expected)


def test_the_discriminator_takes_a_step_on_real_showers_then_one_on_fakes() -> None:
    calogan = system()
    real, fake = showers(16), fakes(calogan, 16)
    fake = Batch(fake.given, fake.deposits.detach())
    optimizer = calogan.optimizers()["discriminator"]
    expected = []
    for batch, sign in ((real, 1), (fake, -1)):
        logit, _ = calogan.discriminator(batch.deposits, batch.energy, batch.label)
        expected.append(-functional.logsigmoid(sign * logit).mean())
    steps: Iterator[tuple[str, dict[str, Tensor]]]
    steps = calogan.critic_losses(real, fake, torch.Generator())
    name, losses = next(steps)
    assert (name, list(losses)) == ("discriminator", ["real"])
    torch.testing.assert_close(losses["real"], expected[0])
    optimizer.zero_grad()
    losses["real"].backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    name, losses = next(steps)
    assert (name, list(losses)) == ("discriminator", ["fake"])
    # Computed with what the first step has learnt.
    assert not torch.equal(losses["fake"], expected[1])
    assert next(steps, None) is None


def test_acgan_lies_about_some_particles_of_fakes_only() -> None:
    calogan = system("e+", "gamma", "pi+", classes="acgan")
    label = torch.randint(3, (3000,))
    told = calogan._some_wrong(label, torch.Generator().manual_seed(1))
    assert float((told != label).double().mean()) == pytest.approx(0.3, abs=0.025)
    # The lies are spread over the other particles.
    lies = ((told - label) % 3)[told != label]
    assert float((lies == 1).double().mean()) == pytest.approx(0.5, abs=0.05)
    # With a head that is sure of the true particle, the real batch costs nothing.
    head = calogan.discriminator.class_head
    assert head is not None
    nn.init.zeros_(head.weight)
    with torch.no_grad():
        head.bias.copy_(torch.tensor([20.0, 0.0, 0.0]))
    real = showers(200)
    steps = dict(
        item
        for _, losses in calogan.critic_losses(real, real, torch.Generator().manual_seed(1))
        for item in losses.items()
    )
    assert steps["real_class"].item() < 1e-6
    assert steps["fake_class"].item() == pytest.approx(0.2 * 0.3 * 20, rel=0.3)


def test_conditional_tells_both_networks_the_particle() -> None:
    calogan = system("e+", "gamma", classes="conditional").eval()
    z, batch = torch.randn(4, 6), showers(4)
    other = torch.ones_like(batch.label)
    first = calogan.generator(z, batch.given)
    assert not torch.allclose(first, calogan.generator(z, Given(batch.energy, other)))
    table = calogan.generator.embedding
    assert table is not None
    by_hand = calogan.generator(z / table.weight[0] * table.weight[1], batch.given)
    torch.testing.assert_close(
        by_hand, calogan.generator(z, Given(batch.energy, other)), rtol=1e-3, atol=1e-3
    )
    looks = [
        calogan.discriminator(batch.deposits, batch.energy, label)[0]
        for label in (batch.label, other)
    ]
    assert not torch.allclose(*looks)


def test_what_is_asked_for_in_training() -> None:
    calogan = system("e+", "gamma", "pi+", classes="conditional")
    asked = calogan.ask(showers(3000), torch.Generator().manual_seed(1))
    energy, label = asked.energy, asked.label
    assert energy.shape == (3000, 1)
    assert 1 <= energy.min() < 2
    assert 99 < energy.max() <= 100
    assert float(energy.mean()) == pytest.approx(50.5, abs=2)
    shares = torch.bincount(label, minlength=3) / 3000
    assert shares.tolist() == pytest.approx([1 / 3] * 3, abs=0.04)


def test_first_images_can_have_the_mean_of_the_showers() -> None:
    calogan = system(begin_at_mean=True, latent=30)
    train = showers(3000)
    train.deposits[:, 5] *= 1e-3
    calogan.prepare(train)
    made = fakes(calogan, 3000).deposits.detach()
    assert (made.mean(dim=0) / train.deposits.mean(dim=0)).log().abs().max() < 0.3
    plain = system()
    plain.prepare(train)
    assert [
        set(torch.as_tensor(stream.unit).flatten().tolist()) for stream in plain.generator.streams
    ] == 3 * [{1.0}]


def test_a_few_steps_bring_the_energy_nearer() -> None:
    calogan = system(learning_rate_generator=0.02).train()
    optimizers = calogan.optimizers()
    assert calogan.settled_fakes
    assert calogan.generator_steps == 2
    losses = [
        adversarial_step(
            calogan, showers(32), optimizers, torch.Generator().manual_seed(i), nullcontext
        )["generator/energy"].item()
        for i in range(12)
    ]
    assert np.mean(losses[-3:]) < 0.5 * losses[0]


def test_other_detectors() -> None:
    one = system(sizes=[(5, 7)])
    assert fakes(one, 4).deposits.shape == (4, 35)
    assert not len(one.generator.attention)
    with pytest.raises(DetectorError, match=r"attention=False"):
        system(sizes=[(5, 7), (4, 7)])
    apart = system(sizes=[(5, 7), (4, 7)], attention=False)
    assert fakes(apart, 4).deposits.shape == (4, 63)
    voxels = load_detector("lar-voxels")
    with pytest.raises(DetectorError, match="not rectangular"):
        CaloGAN.readout(CaloGANConfig(), voxels)
    calogan = load_detector("calogan")
    assert CaloGAN.readout(CaloGANConfig(), calogan) is calogan


@pytest.mark.parametrize(
    ("classes", "particles"),
    [("none", ("e+", "gamma")), ("conditional", ("e+",)), ("acgan", ("e+",))],
)
def test_particles_must_fit_the_settings(classes: str, particles: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match=f"classes: got '{classes}' for {len(particles)}"):
        system(*particles, classes=classes)
