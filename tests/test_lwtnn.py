"""Dense networks in LWTNN's form: the same numbers from an evaluator that knows only the format."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from caloforge.detector import load_detector
from caloforge.errors import ExportError, OutputError
from caloforge.export.profiles.base import Job
from caloforge.export.profiles.lwtnn import LWTNN, LwtnnProfile, lwtnn_json
from caloforge.models.dense import DenseGraph, DenseInput, DenseStack
from caloforge.models.system import GeneratorNetwork, Given, Setting
from lwtnn_evaluator import Floats, Lwtnn

SHOWERS = 16
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky": lambda: nn.LeakyReLU(0.3),
    "elu": lambda: nn.ELU(0.7),
    "swish": nn.SiLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "softmax": lambda: nn.Softmax(dim=1),
    "nothing": lambda: nn.Dropout(0.5),
}


def names(prefix: str, count: int) -> tuple[str, ...]:
    return tuple(f"{prefix}_{i}" for i in range(count))


def alone(*layers: nn.Module, inputs: int, outputs: int) -> DenseGraph:
    """A graph of one input, one stack, one output."""
    return DenseGraph(
        (DenseInput("x", names("x", inputs)),),
        (DenseStack("y", ("x",), nn.Sequential(*layers).eval()),),
        {"y": names("y", outputs)},
    )


def run(graph: DenseGraph, **values: Tensor) -> dict[str, Floats]:
    """Outputs of the evaluator, as arrays of shape (N, width)."""
    columns = {
        item.name: dict(zip(item.variables, values[item.name].double().numpy().T, strict=True))
        for item in graph.inputs
    }
    made = Lwtnn(lwtnn_json(graph))(columns)
    for name, labels in graph.outputs.items():
        assert tuple(made[name]) == labels
    return {name: np.stack(list(numbers.values()), axis=1) for name, numbers in made.items()}


def assert_same(got: Floats, expected: Tensor) -> None:
    """To 1e-5 of the largest number of each row."""
    wanted = expected.detach().numpy()
    scale = np.maximum(np.abs(wanted).max(axis=1, keepdims=True), 1e-6)
    assert np.abs((got - wanted) / scale).max() < 1e-5


def trained(module: nn.Module, rng: torch.Generator) -> nn.Module:
    """Random parameters and statistics, as after a training."""
    for parameter in module.parameters():
        parameter.data = torch.randn(parameter.shape, generator=rng)
    if isinstance(module, nn.BatchNorm1d) and module.running_mean is not None:
        assert module.running_var is not None
        module.running_mean.copy_(torch.randn(module.num_features, generator=rng))
        module.running_var.copy_(torch.rand(module.num_features, generator=rng) * 3 + 0.05)
    return module


@st.composite
def stacks(draw: st.DrawFn, inputs: int) -> tuple[list[nn.Module], int]:
    """Linear layers with batch normalisation before or behind an activation, or without."""
    rng = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    layers: list[nn.Module] = []
    for _ in range(draw(st.integers(1, 4))):
        width = draw(st.integers(1, 12))
        layers.append(nn.Linear(inputs, width, bias=draw(st.booleans())))
        inputs = width
        for kind in draw(st.permutations(["norm", draw(st.sampled_from(sorted(ACTIVATIONS)))])):
            if kind != "norm":
                layers.append(ACTIVATIONS[kind]())
            elif draw(st.booleans()):
                layers.append(nn.BatchNorm1d(width, affine=draw(st.booleans())))
    return [trained(layer, rng) for layer in layers], inputs


@settings(max_examples=150)
@given(st.data())
def test_any_stack(data: st.DataObject) -> None:
    inputs = data.draw(st.integers(1, 6))
    layers, outputs = data.draw(stacks(inputs))
    graph = alone(*layers, inputs=inputs, outputs=outputs)
    x = torch.randn(SHOWERS, inputs, generator=torch.Generator().manual_seed(1))
    # In double precision: the format is compared, not how rounding grows in PyTorch.
    expected = graph.stacks[0].layers.double()(x.double())
    graph.stacks[0].layers.float()
    assert_same(run(graph, x=x)["y"], expected)


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("before", [True, False])
def test_order_of_normalisation_and_activation_is_kept(activation: str, before: bool) -> None:
    """Issue 167 of LWTNN: a different network came out of its converter."""
    rng = torch.Generator().manual_seed(3)
    norm = trained(nn.BatchNorm1d(7), rng)
    pair = [norm, ACTIVATIONS[activation]()]
    layers = [trained(nn.Linear(5, 7), rng), *(pair if before else pair[::-1])]
    graph = alone(*layers, inputs=5, outputs=7)
    x = torch.randn(SHOWERS, 5, generator=rng)
    right = graph.stacks[0].layers(x)
    assert_same(run(graph, x=x)["y"], right)
    if activation != "nothing":
        swapped = nn.Sequential(layers[0], layers[2], layers[1]).eval()(x)
        assert (swapped - right).abs().max() > 0.1


def test_branches_are_put_side_by_side() -> None:
    rng = torch.Generator().manual_seed(4)
    energy = DenseInput("energy", ("log_energy",), offset=-2.5, scale=0.4)
    trunk = nn.Sequential(nn.Linear(4, 6), nn.Sequential(nn.ELU(), nn.BatchNorm1d(6)))
    cells = nn.Sequential(nn.Linear(7, 5), nn.Softmax(dim=-1))
    total = nn.Sequential(nn.Linear(6, 1), nn.Sigmoid())
    for module in (*trunk.modules(), *cells, *total):
        if not isinstance(module, nn.Sequential):
            trained(module, rng)
    graph = DenseGraph(
        (DenseInput("z", names("z", 3)), energy),
        (
            DenseStack("trunk", ("z", "energy"), trunk.eval()),
            DenseStack("cells", ("trunk", "energy"), cells),
            DenseStack("total", ("trunk",), total),
        ),
        {"cells": names("cell", 5), "total": ("response",)},
        {"before": "log_energy is the natural logarithm of the incident energy in GeV"},
    )
    z, log_energy = (torch.randn(SHOWERS, width, generator=rng) for width in (3, 1))
    condition = 0.4 * (log_energy - 2.5)
    hidden = trunk(torch.cat([z, condition], dim=1))
    made = run(graph, z=z, energy=log_energy)
    assert_same(made["cells"], cells(torch.cat([hidden, condition], dim=1)))
    assert_same(made["total"], total(hidden))
    document = json.loads(lwtnn_json(graph))
    assert document["miscellaneous"]["before"].startswith("log_energy is")
    assert len(document["nodes"]) == 2 + 1 + 3 + 1 + 2 + 2


def test_numbers_in_the_file() -> None:
    """By hand: weights row by row, and W (x + b) with W = gamma / sqrt(var + eps)."""
    linear, norm = nn.Linear(2, 3), nn.BatchNorm1d(3, eps=0.25)
    linear.weight.data = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 0.125]])
    linear.bias.data = torch.tensor([0.5, -0.5, 0.0])
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.copy_(torch.tensor([1.0, 0.0, 2.0]))
    norm.running_var.copy_(torch.tensor([0.75, 3.75, 8.75]))
    norm.weight.data = torch.tensor([2.0, 1.0, 0.0])
    norm.bias.data = torch.tensor([3.0, 4.0, 5.0])
    layers = json.loads(lwtnn_json(alone(linear, norm, nn.ReLU(), inputs=2, outputs=3)))["layers"]
    assert layers[0] == {
        "architecture": "dense",
        "weights": [1, 2, 3, 4, 5, 0.125],
        "bias": [0.5, -0.5, 0],
        "activation": "linear",
    }
    assert layers[1]["architecture"] == "normalization"
    assert layers[1]["weights"][:2] == [2, 0.5]
    assert layers[1]["bias"][:2] == [-1 + 3 / 2, 4 / 0.5]
    assert layers[2] == {
        "architecture": "dense",
        "weights": [],
        "bias": [],
        "activation": "rectified",
    }
    # A gamma of zero leaves beta alone, whatever comes in.
    weight, bias = layers[1]["weights"][2], layers[1]["bias"][2]
    for x in (-1e6, 0.0, 1e6):
        assert weight * (x + bias) == pytest.approx(5, rel=1e-12)
        assert np.float32(weight) * (np.float32(x) + np.float32(bias)) == pytest.approx(5)


# What is refused


class Square(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x**2


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (nn.Conv1d(1, 1, 2), ["layer y.1: LWTNN has no Conv1d(1, 1", "it has Linear, BatchNorm1d"]),
        (nn.Sequential(nn.GELU()), ["layer y.1.0: LWTNN has no GELU"]),
        (nn.Hardsigmoid(), ["has no Hardsigmoid"]),
        (nn.Softmax(dim=0), ["has no Softmax(dim=0)", "over dim 1"]),
        (nn.LayerNorm(3), ["has no LayerNorm"]),
        (Square(), ["has no Square"]),
        (nn.BatchNorm1d(3, track_running_stats=False), ["layer y.1: has no running statistics"]),
        (nn.BatchNorm1d(4), ["layer y.1: takes 4 numbers, 3 come in"]),
        (nn.Linear(5, 3), ["layer y.1: takes 5 numbers, 3 come in"]),
    ],
)
def test_layers_that_lwtnn_does_not_have(layer: nn.Module, words: list[str]) -> None:
    with pytest.raises(ExportError) as error:
        lwtnn_json(alone(nn.Linear(2, 3), layer, inputs=2, outputs=3))
    for word in words:
        assert word in str(error.value)
    assert "\n" not in str(error.value)


def test_weights_and_labels_that_cannot_be() -> None:
    linear = nn.Linear(2, 3)
    with pytest.raises(ExportError, match="output y: has 3 numbers and 2 labels"):
        lwtnn_json(alone(linear, inputs=2, outputs=2))
    linear.weight.data[0, 0] = torch.nan
    with pytest.raises(ExportError, match=r"layer y\.0: has weights that are not finite"):
        lwtnn_json(alone(linear, inputs=2, outputs=3))


class Plain(GeneratorNetwork):
    noise = 2

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, 3))

    def forward(self, z: Tensor, given: Given) -> Tensor:
        made: Tensor = self.layers(z)
        return made


class WithGraph(Plain):
    def dense_graph(self) -> DenseGraph:
        return alone(*self.layers, inputs=2, outputs=3)


def test_file(tmp_path: Path) -> None:
    setting = Setting(load_detector("calogan"), ("e+",), (1.0, 100.0))
    generator, profile = WithGraph(), LwtnnProfile()
    profile.write(Job(generator, setting, 0), tmp_path)
    assert (tmp_path / LWTNN).read_text("utf-8") == lwtnn_json(generator.dense_graph())
    with pytest.raises(OutputError, match="there is no folder"):
        profile.write(Job(generator, setting, 0), tmp_path / "none")
    with pytest.raises(ExportError, match="Plain is not made of these; leave it out"):
        profile.check(Job(Plain(), setting, 0))
