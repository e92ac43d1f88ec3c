"""The building blocks against explicit loops and the conventions of Keras."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck
from torch.nn import functional

from caloforge.errors import DetectorError
from caloforge.models import blocks
from caloforge.models.blocks import (
    BatchNorm,
    GlorotLinear,
    InpaintingAttention,
    LocallyConnected2d,
    MinibatchDiscrimination,
    Resize,
    SameConv2d,
)
from caloforge.models.blocks.coupling import CouplingFlow


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(5)


def images(rows: int, columns: int, channels: int, n: int) -> Tensor:
    return torch.randn(rows, columns, channels, n, dtype=torch.double)


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_same_convolution_of_an_even_kernel_pads_below_and_to_the_right() -> None:
    layer = SameConv2d(3, 4, (2, 2)).double()
    nn.init.normal_(layer.bias)
    image = images(3, 5, 3, 2)
    kernel = layer.weight.reshape(4, 2, 2, 3)
    expected = layer.bias.detach().expand(3, 5, 4, 2).clone()
    for row, column, i, j in itertools.product(range(3), range(5), range(2), range(2)):
        if row + i < 3 and column + j < 5:  # beyond are zeros
            expected[row, column] += kernel[:, i, j] @ image[row + i, column + j]
    torch.testing.assert_close(layer(image), expected)
    assert count(layer) == 2 * 2 * 3 * 4 + 4


def test_same_convolution_of_an_odd_kernel_is_that_of_pytorch() -> None:
    layer = SameConv2d(2, 3, (3, 5)).double()
    image = images(4, 6, 2, 7)
    kernel = layer.weight.reshape(3, 3, 5, 2).permute(0, 3, 1, 2)
    expected = functional.conv2d(image.permute(3, 2, 0, 1), kernel, padding="same")
    torch.testing.assert_close(layer(image), expected.permute(2, 3, 1, 0))


LAYERS = pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding"),
    [
        ((4, 5), (2, 2), (1, 1), 0),
        ((3, 7), (3, 3), (1, 2), 1),
        ((6, 5), (3, 2), (2, 3), 1),
        ((5, 4), (2, 2), (1, 2), 1),
    ],
)


@LAYERS
def test_locally_connected_is_the_loop(
    size: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int], padding: int
) -> None:
    layer = LocallyConnected2d(3, 2, size, kernel, stride, padding).double()
    assert layer.bias is not None
    nn.init.normal_(layer.bias)
    image = images(*size, 3, 4)
    weight = layer.weight.reshape(*layer.size, 2, *kernel, 3)
    expected = torch.zeros(*layer.size, 2, 4, dtype=torch.double)
    for row, column in itertools.product(*map(range, layer.size)):
        expected[row, column] = layer.bias[row, column]
        for i, j in itertools.product(*map(range, kernel)):
            y, x = row * stride[0] + i - padding, column * stride[1] + j - padding
            if 0 <= y < size[0] and 0 <= x < size[1]:
                expected[row, column] += weight[row, column, :, i, j] @ image[y, x]
    # The last position is the last that fits, not the last but one.
    rest = [size[k] + 2 * padding - kernel[k] - (layer.size[k] - 1) * stride[k] for k in (0, 1)]
    assert all(0 <= left < step for left, step in zip(rest, stride, strict=True))
    torch.testing.assert_close(layer(image), expected)


@LAYERS
def test_gradients_of_a_locally_connected_layer(
    size: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int], padding: int
) -> None:
    layer = LocallyConnected2d(2, 2, size, kernel, stride, padding).double()
    image = images(*size, 2, 3).requires_grad_()
    parameters = dict(layer.named_parameters())
    names = list(parameters)

    def apply(image: Tensor, *values: Tensor) -> Tensor:
        changed = dict(zip(names, values, strict=True))
        output: Tensor = torch.func.functional_call(layer, changed, (image,))
        return output

    assert gradcheck(apply, (image, *parameters.values()))
    assert gradgradcheck(apply, (image, *parameters.values()), fast_mode=True)


def test_the_form_for_export_makes_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = [
        LocallyConnected2d(3, 2, (5, 6), (3, 2), (2, 1), padding=1),
        LocallyConnected2d(3, 2, (5, 6), (2, 2), bias=False),
        SameConv2d(3, 4, (2, 2)),
    ]
    image = torch.randn(5, 6, 3, 4)
    eager = [layer(image) for layer in layers]
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    for layer, expected in zip(layers, eager, strict=True):
        torch.testing.assert_close(layer(image), expected)


def test_one_shower_leaves_the_bias_alone() -> None:
    layer = LocallyConnected2d(2, 3, (4, 4), (2, 2))
    assert layer.bias is not None
    image = torch.randn(4, 4, 2, 5)
    together = layer(image)
    alone = [layer(image[..., i : i + 1]) for i in range(5)]
    torch.testing.assert_close(torch.cat(alone, dim=3), together)
    assert not layer.bias.any()


def test_under_autocast_locally_connected_layers_stay_in_single_precision() -> None:
    layer = LocallyConnected2d(2, 3, (4, 4), (2, 2))
    image = torch.randn(4, 4, 2, 5)
    expected = layer(image)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer(image), expected)
        layer(image.bfloat16()).sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.dtype == torch.float32


def test_first_weights_are_those_of_keras() -> None:
    """Positions of a locally connected layer count as fan: 20 x 30 positions, 4 -> 5 channels."""
    positions, inputs, outputs = 20 * 30, 2 * 2 * 4, 5
    uniform = LocallyConnected2d(4, 5, (21, 31), (2, 2), initialisation="he_uniform").weight
    limit = math.sqrt(6 / (positions * inputs))
    assert 0.999 * limit < uniform.abs().max() <= limit
    normal = LocallyConnected2d(4, 5, (21, 31), (2, 2), initialisation="glorot_normal").weight
    spread = math.sqrt(2 / (positions * (inputs + outputs)))
    # Cut at two standard deviations, which leaves 0.8796 of the width.
    assert normal.abs().max() <= 2 * spread
    assert float(normal.detach().std()) == pytest.approx(0.8796 * spread, rel=0.01)
    limit = math.sqrt(6 / (9 * 8 + 9 * 64))
    assert 0.999 * limit < SameConv2d(8, 64, (3, 3)).weight.abs().max() <= limit
    dense = GlorotLinear(100, 200)
    assert 0.999 * math.sqrt(6 / 300) < dense.weight.abs().max() <= math.sqrt(6 / 300)
    assert not dense.bias.any()


def test_batch_normalisation_with_the_constants_of_keras() -> None:
    norm = BatchNorm(3)
    image = 2 + 3 * torch.randn(4, 5, 3, 6)
    mean = image.mean(dim=(0, 1, 3), keepdim=True)
    variance = image.var(dim=(0, 1, 3), keepdim=True, correction=0)
    torch.testing.assert_close(norm(image), (image - mean) / (variance + 1e-3).sqrt())
    assert norm.running_mean is not None
    assert norm.running_var is not None
    torch.testing.assert_close(norm.running_mean, 0.01 * mean.flatten())
    # In evaluation mode a shower does not see the others.
    norm.eval()
    scale = (norm.running_var + 1e-3).sqrt()[:, None]
    expected = (image[..., :1] - norm.running_mean[:, None]) / scale
    torch.testing.assert_close(norm(image)[..., :1], expected)


@pytest.mark.parametrize("inputs", [1, 2, 5])
def test_minibatch_features_are_the_loops(inputs: int) -> None:
    block = MinibatchDiscrimination(inputs, features=3, dimensions=4)
    assert count(block) == inputs * 3 * 4
    x = torch.randn(6, inputs)
    target = torch.randn(6, 3)

    def loops(x: Tensor) -> Tensor:
        mapped = (x @ block.weight.T).reshape(6, 3, 4)
        rows = []
        for i, feature in itertools.product(range(6), range(3)):
            distances = [(mapped[i, feature] - mapped[j, feature]).abs().sum() for j in range(6)]
            rows.append(sum(torch.exp(-distance) for distance in distances))
        return torch.stack([torch.as_tensor(row) for row in rows]).reshape(6, 3)

    found = []
    for form in (block, loops):
        leaf = x.clone().requires_grad_()
        output = form(leaf)
        gradients = torch.autograd.grad((output * target).sum(), [leaf, block.weight])
        found.append((output, *gradients))
    for got, expected in zip(*found, strict=True):
        torch.testing.assert_close(got, expected)
    block.double()
    assert gradgradcheck(lambda x: torch.tanh(block(x)), (x.double().requires_grad_(),))


class Critic(nn.Module):
    """A bit of every block."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = SameConv2d(1, 3, (2, 2))
        self.resize = Resize((2, 6), (4, 3))
        self.attention = InpaintingAttention((4, 3))
        nn.init.normal_(self.attention.scores.weight)
        self.local = LocallyConnected2d(3, 2, (4, 3), (2, 2), padding=1)
        self.norm = BatchNorm(2)
        self.among_images = MinibatchDiscrimination(40, features=2, dimensions=3)
        self.among_energies = MinibatchDiscrimination(1, features=2, dimensions=3)
        self.flow = CouplingFlow(4, 1, couplings=2)
        for parameter in self.flow.parameters():
            nn.init.normal_(parameter, std=0.1)
        self.head = GlorotLinear(44, 1)

    def forward(self, deposits: Tensor) -> Tensor:
        image = self.resize(self.convolution(deposits.T.reshape(2, 6, 1, -1)))
        energy = deposits.mean(dim=1, keepdim=True)
        mixed = [self.attention(image[:, :, i : i + 1], image[:, :, -1:]) for i in range(3)]
        features = self.norm(torch.tanh(self.local(torch.cat(mixed, dim=2)))).flatten(0, 2).T
        code = torch.cat([self.among_images(features), self.among_energies(energy)], dim=1)
        bent = self.flow(code / len(code), energy)
        density = self.flow.log_density(2 * bent, energy)
        logit: Tensor = self.head(torch.cat([features, bent], dim=1))
        return logit.squeeze(1) + density


def test_a_gradient_penalty_through_every_block() -> None:
    """As in WGAN-GP (arXiv:1704.00028): its gradient is that of finite differences."""
    torch.manual_seed(1)
    critic = Critic().double()
    assert {type(each).__name__ for each in critic.modules()} >= {*blocks.__all__, "CouplingFlow"}
    showers = torch.rand(5, 12, dtype=torch.double, requires_grad=True)

    def penalty(name: str = "head.bias", change: Tensor | float = 0.0) -> Tensor:
        changed = {name: parameters[name] + change}
        logits: Tensor = torch.func.functional_call(critic, changed, (showers,))
        (slope,) = torch.autograd.grad(logits.sum(), showers, create_graph=True)
        return torch.mean((slope.norm(dim=1) - 1) ** 2)

    parameters = dict(critic.named_parameters())
    found = torch.autograd.grad(penalty(), list(parameters.values()), allow_unused=True)
    for (name, parameter), gradient in zip(parameters.items(), found, strict=True):
        if name == "head.bias":  # is in no slope
            assert gradient is None
            continue
        assert gradient is not None, name
        assert gradient.any(), name
        way = torch.randn_like(parameter)
        # A small step, as there are kinks where one shower overtakes another.
        expected = (penalty(name, 1e-7 * way) - penalty(name, -1e-7 * way)) / 2e-7
        torch.testing.assert_close((gradient * way).sum(), expected, rtol=1e-4, atol=1e-5)


def test_minibatch_features_count_showers_that_are_the_same() -> None:
    block = MinibatchDiscrimination(4)
    same = torch.ones(8, 4)
    torch.testing.assert_close(block(same), torch.full((8, 10), 8.0))
    apart = 1e4 * torch.randn(8, 4)
    torch.testing.assert_close(block(apart), torch.ones(8, 10))


def test_attention_carries_over_nothing_at_first_and_all_if_told_to() -> None:
    block = InpaintingAttention((4, 6))
    # 4 x 6 cells, each with 2 kernels of 3 x 3 over 2 channels and 2 biases.
    assert count(block) == 4 * 6 * (2 * 3 * 3 * 2 + 2)
    image, carried = torch.randn(4, 6, 1, 5), torch.randn(4, 6, 1, 5)
    assert (block(image, carried) - image).abs().max() < 1e-3
    nn.init.zeros_(block.scores.weight)
    share = 1 / (1 + math.exp(10))
    torch.testing.assert_close(block(image, carried), (1 - share) * image + share * carried)
    assert block.scores.bias is not None
    nn.init.zeros_(block.scores.bias)
    torch.testing.assert_close(block(image, carried), (image + carried) / 2)
    nn.init.constant_(block.scores.bias[2, 3, 1], 40)
    output = block(image, carried)
    torch.testing.assert_close(output[2, 3], carried[2, 3])


def test_attention_looks_at_the_neighbours_in_both_images() -> None:
    block = InpaintingAttention((3, 3)).double()
    nn.init.zeros_(block.scores.weight)
    assert block.scores.bias is not None
    nn.init.zeros_(block.scores.bias)
    # The centre cell carries over where its lower neighbour in the carried image is large.
    with torch.no_grad():
        block.scores.weight.reshape(3, 3, 2, 3, 3, 2)[1, 1, 1, 2, 1, 1] = 1.0
    image, carried = torch.zeros(3, 3, 1, 1).double(), torch.ones(3, 3, 1, 1).double()
    carried[2, 1] = 3.0
    expected = math.exp(3) / (1 + math.exp(3))
    assert float(block(image, carried)[1, 1].detach()) == pytest.approx(expected)


def test_resizing_repeats_and_averages() -> None:
    """From (3, 96) to (12, 12) as published: rows four times, eight columns averaged."""
    image = images(3, 96, 1, 2)
    found = Resize((3, 96), (12, 12))(image)
    for row, column in itertools.product(range(12), range(12)):
        expected = image[row // 4, 8 * column : 8 * column + 8].mean(dim=0)
        torch.testing.assert_close(found[row, column], expected)
    smaller = Resize((12, 12), (12, 6))(found)
    torch.testing.assert_close(smaller[:, 0], (found[:, 0] + found[:, 1]) / 2)


def test_sizes_without_a_whole_ratio_are_refused() -> None:
    with pytest.raises(DetectorError, match=r"12 x 10 cells follows one of 3 x 96.*columns"):
        Resize((3, 96), (12, 10))
