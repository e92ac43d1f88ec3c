"""LAGAN: the streams against the published description, and one layer as an image."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from torch import Tensor, nn

from caloforge.detector import Detector, RectangularLayer, load_detector
from caloforge.errors import ConfigError, DetectorError, ParticleError
from caloforge.models.blocks import SameConv2d
from caloforge.models.lagan.streams import DiscriminatorStream, GeneratorStream
from caloforge.models.lagan.system import LAGAN, LAGANConfig
from caloforge.models.system import Batch, Given, Setting
from caloforge.training.adversarial import adversarial_step


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(5)


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def detector(*sizes: tuple[int, int]) -> Detector:
    layers = [
        RectangularLayer(None, tuple(range(rows + 1)), tuple(range(columns + 1)))
        for rows, columns in sizes
    ]
    return Detector("images", tuple(layers))


def system(*sizes: tuple[int, int], **changes: object) -> LAGAN:
    config = LAGANConfig(latent=6, **changes)  # type: ignore[arg-type]
    return LAGAN(config, Setting(detector(*sizes), ("e+",), (1.0, 100.0)))


def showers(n: int, cells: int) -> Batch:
    energy = 1 + 99 * torch.rand(n, 1)
    shares = torch.distributions.Dirichlet(torch.full((cells,), 0.5)).sample((n,))
    return Batch(Given(energy, torch.zeros(n, dtype=torch.int64)), 200 * energy * shares)


# Numbers of parameters from the published layers, for an image of 3 x 96 and 1024 numbers of noise.


def test_parameters_of_the_generator_stream() -> None:
    stream = GeneratorStream(1024, (3, 96))
    # Dense to an image with a border of one cell, (3 + 2) x (96 + 2), of 36 channels; with bias.
    assert count(stream.dense) == (1024 + 1) * 5 * 98 * 36 == 18_081_000
    # 2 x 2 kernels, 36 -> 16 channels; with bias.
    assert count(stream.convolution) == 2 * 2 * 36 * 16 + 16 == 2_320
    # Scale and shift of 16 channels.
    assert count(stream.norm) == 2 * 16
    # 2 x 2 kernels take a row and a column each: 4 x 97 positions, 16 -> 6 channels; with bias.
    assert count(stream.local_1) == 4 * 97 * (2 * 2 * 16 * 6 + 6) == 151_320
    # 3 x 96 positions, 6 -> 1 channel; no bias.
    assert count(stream.local_2) == 3 * 96 * 2 * 2 * 6 == 6_912
    assert count(stream) == 18_081_000 + 2_320 + 32 + 151_320 + 6_912


def test_parameters_of_the_discriminator_stream() -> None:
    stream = DiscriminatorStream((3, 96))
    # 2 x 2 kernels, 1 -> 64 channels; the image keeps its size.
    assert count(stream.convolution) == 2 * 2 * 1 * 64 + 64 == 320
    # Zeros around, 5 x 98; 3 x 3 kernels, every second column: 3 x 48 positions, 64 -> 16.
    assert count(stream.local_1) == 3 * 48 * (3 * 3 * 64 * 16 + 16) == 1_329_408
    # Zeros around, 5 x 50; 2 x 2 kernels: 4 x 49 positions, 16 -> 8.
    assert count(stream.local_2) == 4 * 49 * (2 * 2 * 16 * 8 + 8) == 101_920
    # Zeros around, 6 x 51; 2 x 2 kernels, every second column: 5 x 25 positions, 8 -> 8.
    assert count(stream.local_3) == 5 * 25 * (2 * 2 * 8 * 8 + 8) == 33_000
    assert [count(norm) for norm in (stream.norm_1, stream.norm_2, stream.norm_3)] == [32, 16, 16]
    # 5 * 25 * 8 = 1000 numbers, and the one sparsity, to 10 features in 10 dimensions. (The
    # published layers have 10 * 10 biases each, which cancel in differences.)
    assert count(stream.among_images) == 5 * 25 * 8 * 10 * 10 == 100_000
    assert count(stream.among_sparsities) == 1 * 10 * 10
    assert count(stream) == 320 + 1_329_408 + 101_920 + 33_000 + 64 + 100_000 + 100
    assert stream.features == 1000 + 10 + 1 + 10


@pytest.mark.parametrize(
    ("size", "generator", "discriminator", "features"),
    [
        # 1025*14*14*36 + 2320 + 32 + 13*13*390 + 12*12*24;
        # 320 + 12*6*9232 + 32 + 13*7*520 + 16 + 14*4*264 + 16 + 448*100 + 100
        ((12, 12), 7_304_118, 772_092, 14 * 4 * 8 + 21),
        # 1025*14*8*36 + 2320 + 32 + 13*7*390 + 12*6*24;
        # 320 + 12*3*9232 + 32 + 13*4*520 + 16 + 14*3*264 + 16 + 336*100 + 100
        ((12, 6), 4_172_370, 404_564, 14 * 3 * 8 + 21),
    ],
)
def test_parameters_of_the_streams_of_the_other_layers(
    size: tuple[int, int], generator: int, discriminator: int, features: int
) -> None:
    assert count(GeneratorStream(1024, size)) == generator
    stream = DiscriminatorStream(size)
    assert (count(stream), stream.features) == (discriminator, features)


def test_shapes_block_by_block() -> None:
    """Rows, columns, channels and showers behind each block, for the layer of 3 x 96 cells."""
    shapes: list[tuple[int, ...]] = []

    def note(_module: nn.Module, _args: object, output: Tensor) -> None:
        shapes.append(tuple(output.shape))

    for stream, x in (
        (GeneratorStream(8, (3, 96)), torch.randn(5, 8)),
        (DiscriminatorStream((3, 96)), torch.rand(3, 96, 1, 5)),
    ):
        for block in stream.children():
            block.register_forward_hook(note)
        shapes.append(tuple(stream(x).shape))
    painted = [(5, 98, 16, 5), (5, 98, 16, 5), (4, 97, 6, 5), (3, 96, 1, 5), (3, 96, 1, 5)]
    convolved = [(3, 96, 64, 5), (3, 48, 16, 5), (3, 48, 16, 5), (4, 49, 8, 5), (4, 49, 8, 5)]
    rest = [(5, 25, 8, 5), (5, 25, 8, 5), (5, 10), (5, 10), (5, 1021)]
    assert shapes == painted + convolved + rest


def test_the_convolution_may_come_before_the_noise() -> None:
    """More showers than numbers of noise, or fewer: the same image."""
    stream = GeneratorStream(6, (3, 4)).eval()
    nn.init.normal_(stream.dense.bias)
    assert isinstance(stream.convolution, SameConv2d)
    nn.init.normal_(stream.convolution.bias)
    z = torch.randn(9, 6)
    few = torch.cat([stream(z[:4]), stream(z[4:])], dim=3)
    torch.testing.assert_close(stream(z), few)
    seed = (z @ stream.dense.weight.T + stream.dense.bias).reshape(9, 5, 6, 36)
    x = stream.convolution(seed.permute(1, 2, 3, 0))
    x = stream.norm(nn.functional.leaky_relu(x, 0.3))
    x = nn.functional.leaky_relu(stream.local_1(x), 0.3)
    torch.testing.assert_close(stream(z), stream.local_2(x))
    stream.fuse()
    torch.testing.assert_close(stream(z[:4]), few[..., :4])
    assert count(stream.dense) == 5 * 6 * 16 * (6 + 1)


def test_sparsity_is_the_share_of_cells_hit_and_has_no_gradient() -> None:
    stream = DiscriminatorStream((2, 5))
    image = torch.rand(2, 5, 1, 3)
    image[:, :2, 0, 1] = 0
    image[..., 2] = 0
    image.requires_grad_()
    features = stream(image)
    torch.testing.assert_close(features[:, -11], torch.tensor([1.0, 0.6, 0.0]))
    # A head that looks at the sparsity and what is made of it moves no cell, the others do.
    moved = torch.autograd.grad(features[:, -11:].sum(), image, retain_graph=True)[0]
    assert not moved.any()
    assert torch.autograd.grad(features[:, :-11].sum(), image)[0].all()


@pytest.mark.parametrize("size", [(5, 7), (25, 25), (1, 1)])
def test_any_size_of_image(size: tuple[int, int]) -> None:
    lagan = system(size).train()
    cells = size[0] * size[1]
    real = showers(4, cells)
    made = lagan.generator(torch.randn(4, 6), real.given)
    assert made.shape == (4, cells)
    assert (made >= 0).all()
    losses = dict(lagan.generator_losses(Batch(real.given, made), torch.Generator()))
    losses["generator"]["adversarial"].backward()  # type: ignore[no-untyped-call]
    assert all(
        parameter.grad is not None and parameter.grad.any()
        for parameter in lagan.generator.parameters()
    )
    fake = Batch(real.given, made.detach())
    found = list(lagan.critic_losses(real, fake, torch.Generator()))
    assert [(name, list(terms)) for name, terms in found] == [
        ("discriminator", ["real"]),
        ("discriminator", ["fake"]),
    ]


def test_without_energy_the_noise_does_not_matter() -> None:
    generator = system((3, 4)).generator.eval()
    label = torch.zeros(5, dtype=torch.int64)
    z, energy = torch.randn(5, 6), torch.full((5, 1), 40.0)
    nothing = generator(z, Given(0 * energy, label))
    assert torch.equal(nothing, nothing[:1].expand_as(nothing))
    # Only the product of noise and energy goes in.
    double = generator(2 * z, Given(energy / 2, label))
    torch.testing.assert_close(generator(z, Given(energy, label)), double)


def test_on_the_sphere_the_length_of_the_noise_does_not_matter() -> None:
    generator = system((3, 4), sphere=True).generator.eval()
    z = torch.randn(5, 6)
    given = Given(torch.full((5, 1), 40.0), torch.zeros(5, dtype=torch.int64))
    lengths = generator.scaled(z, given).norm(dim=1)
    torch.testing.assert_close(lengths, torch.full((5,), 0.4 * 6**0.5))
    torch.testing.assert_close(generator(z, given), generator(3 * z, given))
    assert generator(0 * z, given).isfinite().all()


def test_the_average_of_the_generator_is_what_is_sampled() -> None:
    """Parameters and running statistics, over all iterations; the critics do not train it."""
    lagan = system((2, 3), average=0.75, batch_size=8)
    optimizers, rng = lagan.optimizers(), torch.Generator().manual_seed(1)
    expected: dict[str, torch.Tensor] = {}
    for _ in range(4):
        adversarial_step(lagan, showers(8, 6), optimizers, rng, nullcontext)
        lagan.update_average()
        for name, value in lagan.generator.state_dict().items():
            now = value.clone()
            kept = 0.75 * expected[name] + 0.25 * now if name in expected else now
            expected[name] = kept.to(value.dtype)
    assert lagan.sampler is not lagan.generator
    assert any((expected[k] - v).abs().max() > 0 for k, v in lagan.generator.state_dict().items())
    for name, value in lagan.sampler.state_dict().items():
        torch.testing.assert_close(value, expected[name], msg=name)
    plain = system((2, 3))
    assert plain.sampler is plain.generator


def test_some_labels_are_wrong() -> None:
    """With all weights of the head 0, logits are 0 and each label costs log 2; with a bias of 10,
    a shower taken for Geant4's costs 0 if it is called so, and 10 if not."""
    lagan = system((2, 3), wrong_labels=0.25)
    nn.init.zeros_(lagan.discriminator.head.weight)
    nn.init.constant_(lagan.discriminator.head.bias, 10.0)
    batch = showers(600, 6)
    rng = torch.Generator().manual_seed(1)
    losses = [
        next(iter(terms.values())).item() for _, terms in lagan.critic_losses(batch, batch, rng)
    ]
    assert losses == pytest.approx([0.25 * 10, 0.75 * 10], rel=0.2)


def test_the_layer_is_chosen_by_the_settings() -> None:
    calogan = load_detector("calogan")
    for index, shape in enumerate([(3, 96), (12, 12), (12, 6)]):
        part = LAGAN.readout(LAGANConfig(layer=index), calogan)
        assert part.layers == (calogan.layers[index],)
        assert part.layers[0].shape == shape
    with pytest.raises(DetectorError, match=r"layer: got 3.*0 to 2"):
        LAGAN.readout(LAGANConfig(layer=3), calogan)
    with pytest.raises(DetectorError, match="not rectangular"):
        LAGAN.readout(LAGANConfig(), load_detector("lar-voxels"))


def test_presets() -> None:
    """The paper's code: 200 numbers of noise, 100 showers, equal rates, one label in 20 wrong."""
    paper = LAGANConfig.preset("paper")
    assert (paper.latent, paper.batch_size, paper.epochs) == (200, 100, 50)
    assert paper.learning_rate_generator == paper.learning_rate_discriminator == 2e-4
    assert (paper.generator_steps, paper.wrong_labels, paper.begin_at_mean) == (2, 0.05, False)
    cpu = LAGANConfig.preset("cpu")
    lagan = LAGAN(cpu, Setting(detector((3, 4)), ("e+",), (1.0, 100.0)))
    assert (lagan.generator.noise, lagan.generator_steps, lagan.settled_fakes) == (64, 1, False)
    assert lagan.generator.sphere
    assert lagan.average is not None
    train = showers(3000, 12)
    lagan.prepare(train)
    made = lagan.generator(torch.randn(3000, 64), train.given).detach()
    assert (made.mean(dim=0) / train.deposits.mean(dim=0)).log().abs().max() < 0.3


def test_what_it_cannot_learn_is_refused() -> None:
    with pytest.raises(DetectorError, match="got 2 layers, lagan learns one"):
        system((2, 3), (2, 3))
    with pytest.raises(ParticleError, match=r"got e\+, gamma"):
        LAGAN(LAGANConfig(), Setting(detector((2, 3)), ("e+", "gamma"), (1.0, 100.0)))
    with pytest.raises(ConfigError, match="did you mean latent"):
        LAGANConfig.preset("paper").changed(latnt=3)
