"""Anvil as an ONNX graph: the same as :meth:`AnvilGenerator.forward`, step by step.

Traced, its hundred steps are tens of thousands of nodes. Written here they are some sixty each, and
showers lie along the last axis, so that what is gathered and multiplied is contiguous.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from caloforge.models.anvil.cells import FAR, FINITE, NARROWEST, SMALLEST, WIDEST
from caloforge.models.anvil.energies import (
    ENERGY_NARROWEST,
    ENERGY_WIDEST,
    N_COMPONENTS,
)
from caloforge.models.anvil.network import SOFT, UNIT
from caloforge.models.blocks.graph import Graph
from caloforge.units import MEV_PER_GEV

if TYPE_CHECKING:
    from caloforge.models.anvil.energies import EnergyMixtures
    from caloforge.models.anvil.network import CellNetwork, Step
    from caloforge.preprocess import Condition, NormalScores

__all__ = ["Parts", "draw_showers"]

_LEAST = 1e-12


class Parts(NamedTuple):
    """What a generator is made of.

    Attributes:
        condition: Of the incident particle.
        mixtures: Of the scores of layer energies.
        scores: From scores to response and sticks.
        cells: Network of the cells.
    """

    condition: Condition
    mixtures: EnergyMixtures
    scores: NormalScores
    cells: CellNetwork


def draw_showers(graph: Graph, parts: Parts, inputs: Mapping[str, str]) -> str:
    """Add a generator to a graph.

    Args:
        graph: Is added to.
        parts: The generator.
        inputs: Names of the noise ``"z"``, shape (N, noise), of ``"energy"``, shape (N, 1), GeV,
            and of ``"label"``, shape (N, 1), int64.

    Returns:
        Name of the deposits: shape (N, n_cells), MeV.
    """
    noise, energy, label = (
        graph.node("Transpose", inputs[name], perm=[1, 0]) for name in ("z", "energy", "label")
    )
    condition = _condition(graph, parts.condition, energy, label)
    n, n_cells = parts.mixtures.width, parts.cells.n_cells
    which, value, cell_which, cell_value = graph.split(noise, [n, n, n_cells, n_cells])
    sums = _sums(graph, parts, condition, energy, which, value)
    cells = _Cells(graph, parts.cells, sums, condition).draw(cell_which, cell_value)
    return str(graph.node("Transpose", cells, perm=[1, 0]))


def _condition(graph: Graph, condition: Condition, energy: str, label: str) -> str:
    scaled = graph.node("Log", energy) if condition.logarithmic else energy
    scaled = graph.mul(
        graph.add(scaled, graph.constant(condition.offset)), graph.constant(condition.scale)
    )
    if condition.n_particles == 1:
        return scaled
    particles = graph.constant(np.arange(condition.n_particles)[:, None], np.int64)
    which = graph.cast(graph.node("Equal", label, particles))
    nothing = graph.mul(scaled, graph.constant(0.0))  # of the length of the batch
    return graph.concat([scaled, graph.add(which, nothing)])


def _uniform(graph: Graph, normal: str) -> str:
    scaled = graph.node("Erf", graph.mul(normal, graph.constant(math.sqrt(0.5))))
    return graph.mul(graph.add(scaled, graph.constant(1.0)), graph.constant(0.5))


def _chosen(graph: Graph, classes: str, uniform: str, count: int) -> str:
    """One where a number falls into a class, else zero: shape (..., count, N)."""
    weight = graph.node(
        "Exp",
        graph.sub(
            classes, graph.node("ReduceMax", classes, graph.constant([-2], np.int64), keepdims=1)
        ),
    )
    upto = graph.matmul(graph.constant(np.tri(count)), weight)
    whole = graph.gather(upto, [count - 1], axis=-2)
    before = graph.gather(upto, np.arange(count - 1), axis=-2)
    reached = graph.mul(uniform, whole)
    passed = graph.cast(graph.node("GreaterOrEqual", reached, before))
    change = np.eye(count, count - 1, -1) - np.eye(count, count - 1)
    first = np.eye(count, 1)
    return graph.add(graph.matmul(graph.constant(change), passed), graph.constant(first))


def _scale(graph: Graph, raw: str, low: float, high: float) -> str:
    between = graph.mul(graph.node("Sigmoid", raw), graph.constant(high - low))
    return str(graph.node("Exp", graph.add(between, graph.constant(low))))


def _sums(graph: Graph, parts: Parts, condition: str, energy: str, which: str, value: str) -> str:
    """Energies of the layers: shape (n_layers, N), MeV."""
    mixtures, scores = parts.mixtures, parts.scores
    n, k = mixtures.width, N_COMPONENTS
    uniform = graph.split(_uniform(graph, which), [1] * n)
    values = graph.split(value, [1] * n)
    numbers: list[str] = []
    for i, network in enumerate(mixtures.networks):
        h = graph.concat([condition, *numbers])
        layers = [each for each in network.children() if isinstance(each, torch.nn.Linear)]
        for j, layer in enumerate(layers):
            h = graph.matmul(graph.constant(layer.weight), h)
            h = graph.add(h, graph.constant(layer.bias[:, None]))
            if j + 1 < len(layers):
                h = graph.silu(h)
        weight, place, scale = graph.split(h, [k, k, k])
        chosen = _chosen(graph, weight, uniform[i], k)
        place = graph.sum(graph.mul(chosen, place), 0, keep=True)
        scale = graph.sum(graph.mul(chosen, scale), 0, keep=True)
        scale = _scale(graph, scale, ENERGY_NARROWEST, ENERGY_WIDEST)
        numbers.append(graph.add(place, graph.mul(scale, values[i])))
    # Normal scores back to what they stand for.
    n_knots = scores.values.shape[1]
    top, per_sigma = -float(scores.knots[0]), (n_knots - 1) / (2 * -float(scores.knots[0]))
    place = graph.add(graph.concat(numbers), graph.constant(top))
    place = graph.clip(graph.mul(place, graph.constant(per_sigma)), 0.0, n_knots - 1.0)
    below = graph.clip(graph.node("Floor", place), 0.0, n_knots - 2.0)
    column = graph.constant(n_knots * np.arange(n)[:, None], np.int64)
    index = graph.add(graph.cast(below, np.int64), column)
    table = graph.constant(scores.values.reshape(-1))
    lower = graph.node("Gather", table, index)
    upper = graph.node("Gather", table, graph.add(index, graph.constant(1, np.int64)))
    found = graph.add(lower, graph.mul(graph.sub(upper, lower), graph.sub(place, below)))
    response, *sticks = graph.split(found, [1] * n)
    left = graph.mul(response, graph.mul(energy, graph.constant(MEV_PER_GEV)))
    sums = []
    for stick in sticks:
        sums.append(graph.mul(left, stick))
        left = graph.mul(left, graph.sub(graph.constant(1.0), stick))
    return graph.concat([*sums, left])


class _Cells:
    """The cells, step by step."""

    def __init__(self, graph: Graph, network: CellNetwork, sums: str, condition: str) -> None:
        self.graph, self.network, self.sums = graph, network, sums
        distribution = network.distribution
        self.n_lines, self.n_components = distribution.n_lines, distribution.n_components
        order = torch.cat([step.cells for step in network.steps])
        self.order, layer = order, network.layer_of_cell[order]
        self.sizes = [len(step.cells) for step in network.steps]
        constant = graph.constant
        self.log_sums = graph.node("Log", graph.add(sums, constant(SOFT[1])))
        # What is told of layers is computed in double precision, as in PyTorch.
        self.exact = graph.cast(sums, np.float64)
        share, least = (constant(value, np.float64) for value in SOFT)
        self.soft = graph.add(graph.mul(self.exact, share), least)
        self.exact_log = graph.node("Log", graph.add(self.exact, least))
        self.energies = graph.mul(
            graph.sub(self.log_sums, constant(network.layer_mean[:, None])),
            constant(network.layer_scale[:, None]),
        )
        here = graph.gather(self.energies, layer)
        curve = distribution.curve[order]
        middle = constant(curve[:, -1:])
        for i in range(curve.shape[1] - 2, -1, -1):
            middle = graph.add(graph.mul(middle, here), constant(curve[:, i : i + 1]))
        there = graph.cast(graph.node("Greater", sums, constant(0.0)))
        self.middles = graph.split(middle, self.sizes)
        self.there = graph.split(graph.gather(there, layer), self.sizes)
        self.known = graph.concat([self.energies, condition])
        begin = graph.matmul(constant(network.begin.weight), condition)
        self.memory = graph.add(begin, constant(network.begin.bias[:, None]))
        self.nothing = graph.mul(graph.gather(sums, [0]), constant(0.0))
        self.off, self.hits, self.drawn = self.nothing, self.nothing, self.nothing
        zeros = constant(np.zeros((6 * network.n_layers, 1)))
        self.moments = graph.cast(graph.add(zeros, self.nothing), np.float64)

    def draw(self, which: str, value: str) -> str:
        """Deposits of all cells, layer by layer: shape (n_cells, N), MeV."""
        graph, network = self.graph, self.network
        uniforms = graph.split(_uniform(graph, which), self.sizes)
        values = graph.split(value, self.sizes)
        for i, step in enumerate(network.steps):
            told = self._told(i)
            said = self._said(step, told)
            self._take(i, step, said, told, uniforms[i], values[i])
        back = torch.argsort(self.order) + 1
        return self._conserved(graph.gather(self.drawn, back))

    def _told(self, i: int) -> list[str]:
        """What is left, hits, centres and widths: shape (n_layers, N) each."""
        graph, network = self.graph, self.network

        def constant(value: Any) -> str:
            return graph.constant(value, np.float64)

        energy, x, y, xx, yy, hits = graph.split(self.moments, [network.n_layers] * 6)
        left = graph.clip(graph.sub(self.exact, energy), 0.0, dtype=np.float64)
        left = graph.sub(graph.node("Log", graph.add(left, self.soft)), self.exact_log)
        whole = graph.add(energy, constant(1e-3))
        x, y = graph.div(x, whole), graph.div(y, whole)
        widths = [
            graph.node("Sqrt", graph.add(graph.div(both, whole), constant(1e-6)))
            for both in (xx, yy)
        ]
        told = graph.concat([left, hits, x, y, *widths])
        mean = network.told_mean[i].T.reshape(-1, 1)
        scale = network.told_scale[i].T.reshape(-1, 1)
        scaled = graph.mul(graph.sub(told, constant(mean)), constant(scale))
        scaled = graph.cast(graph.clip(scaled, -FAR, FAR, np.float64))
        return graph.split(scaled, [network.n_layers] * 6)

    def _said(self, step: Step, told: list[str]) -> str:
        """What the network says of the cells of a step: shape (n, n_parameters, N)."""
        graph, network = self.graph, self.network
        constant, n = graph.constant, len(step.cells)
        layer = network.layer_of_cell[step.cells]
        n_own, n_other = step.own.shape[1], network.layout.n_other
        # Places of what is looked at: off and hit of each cell, one behind the other.
        own = [graph.gather(each, step.own) for each in (self.off, self.hits)]
        looked_at = own
        if len(step.sources):
            energy = graph.gather(self.drawn, step.sources)
            hits = graph.gather(self.hits, step.sources)
            sums = constant(step.sums.T)
            energy = graph.div(graph.matmul(sums, energy), constant(UNIT))
            energy = graph.node("Log", graph.add(energy, constant(1.0)))
            shape = (n, n_other, -1)
            quarter = constant(0.25)
            looked_at = [
                *own,
                graph.reshape(graph.mul(energy, quarter), shape),
                graph.reshape(graph.mul(graph.matmul(sums, hits), quarter), shape),
            ]
        for each in (told[0], told[1], self.energies):
            row = graph.gather(each, layer)
            looked_at = [*looked_at, graph.node("Unsqueeze", row, constant([1], np.int64))]
        inputs = graph.concat(looked_at, axis=1)
        # The weights in the order of these inputs: pairs are taken apart.
        pairs, last = 2 * n_own, 2 * (n_own + n_other)
        columns = [*range(0, pairs, 2), *range(1, pairs, 2)]
        if len(step.sources):
            columns += [*range(pairs, last, 2), *range(pairs + 1, last, 2)]
        columns += range(last, last + 3)
        looked = []
        for (k, _), part in zip(
            step.parts, graph.split(inputs, [count for _, count in step.parts]), strict=True
        ):
            looked.append(graph.matmul(constant(network.look[k][columns].T), part))
        memory = graph.silu(self.memory)
        rows = graph.concat([memory, *told, self.known])
        n_layers, n_memory = network.n_layers, network.begin.out_features
        weight = network.overall.weight
        by_layer = weight[:, n_memory : n_memory + 6 * n_layers].reshape(-1, n_layers, 6)
        weight = torch.cat(
            [
                weight[:, :n_memory],
                by_layer.transpose(1, 2).flatten(1),
                weight[:, n_memory + 6 * n_layers :],
            ],
            dim=1,
        )
        overall = graph.matmul(constant(weight), rows)
        overall = graph.add(overall, constant(network.overall.bias[:, None]))
        cells = step.cells
        first = graph.add(graph.concat(looked), overall)
        first = graph.mul(first, constant(network.scale[cells][:, :, None]))
        first = graph.silu(graph.add(first, constant(network.offset[cells][:, :, None])))
        second = graph.matmul(constant(network.middle.weight), first)
        shift = network.middle.bias + network.shift[cells]
        second = graph.silu(graph.add(second, constant(shift[:, :, None])))
        said = graph.matmul(constant(network.last.weight), graph.add(first, second))
        start = network.own_place[cells] + network.distribution.start[cells]
        return graph.add(said, constant(start[:, :, None]))

    def _take(
        self, i: int, step: Step, said: str, told: list[str], uniform: str, value: str
    ) -> None:
        """Draw the cells of a step, and remember them."""
        graph, network = self.graph, self.network
        constant, k = graph.constant, self.n_components
        n_first = 1 + self.n_lines
        layer = network.layer_of_cell[step.cells]
        middle_axis = constant([1], np.int64)
        classes, place, share, scale = graph.split(said, [n_first + k, k, k, k], axis=1)
        uniform = graph.node("Unsqueeze", uniform, middle_axis)
        chosen = _chosen(graph, classes, uniform, n_first + k)
        _, line, part = graph.split(chosen, [1, self.n_lines, k], axis=1)
        place, share, scale = (
            graph.sum(graph.mul(part, each), 1) for each in (place, share, scale)
        )
        scale = _scale(graph, scale, math.log(NARROWEST), math.log(WIDEST))
        t = graph.add(place, graph.mul(share, graph.gather(told[0], layer)))
        t = graph.add(t, graph.mul(scale, value))
        spread = constant(network.distribution.spread[step.cells][:, None])
        logarithm = graph.clip(graph.add(self.middles[i], graph.mul(spread, t)), -FINITE, FINITE)
        lines = graph.mul(line, constant(network.distribution.lines[:, None]))
        drawn = graph.add(
            graph.mul(graph.node("Exp", logarithm), graph.sum(part, 1)), graph.sum(lines, 1)
        )
        drawn = graph.mul(drawn, self.there[i])
        hit = graph.cast(graph.node("Greater", drawn, constant(0.0)))
        off = graph.sub(graph.node("Log", graph.clip(drawn, SMALLEST)), self.middles[i])
        off = graph.mul(graph.clip(graph.div(off, spread), -FAR, FAR), hit)
        self.drawn = graph.concat([self.drawn, drawn])
        self.off, self.hits = graph.concat([self.off, off]), graph.concat([self.hits, hit])
        remember = network.remember[step.cells]
        both = torch.cat([remember[:, 0], remember[:, 1]]).T
        self.memory = graph.add(self.memory, graph.matmul(constant(both), graph.concat([off, hit])))
        n = len(step.cells)
        matrix = torch.zeros(6, network.n_layers, 2 * n)
        rows = torch.arange(n)
        matrix[:5, layer, rows] = network.places[step.cells].T
        matrix[5, layer, rows + n] = 1.0
        matrix = matrix.reshape(6 * network.n_layers, 2 * n)
        both_exact = graph.cast(graph.concat([drawn, hit]), np.float64)
        taken = graph.matmul(graph.constant(matrix, np.float64), both_exact)
        self.moments = graph.add(self.moments, taken)

    def _conserved(self, cells: str) -> str:
        graph, network = self.graph, self.network
        constant = graph.constant
        found = []
        sums = graph.split(self.sums, [1] * network.n_layers)
        firsts = torch.split(network.first_of_layer, network.sizes)
        for i, part in enumerate(graph.split(cells, network.sizes)):
            wanted, total = sums[i], graph.sum(part, 0, keep=True)
            nothing = graph.node("LessOrEqual", total, constant(0.0))
            nothing = graph.mul(graph.cast(nothing), wanted)
            part = graph.add(part, graph.mul(nothing, constant(firsts[i][:, None])))
            total = graph.sum(part, 0, keep=True)
            square = graph.clip(graph.sum(graph.mul(part, part), 0, keep=True), _LEAST)
            factor = graph.div(graph.mul(graph.sub(wanted, total), part), square)
            factor = graph.clip(graph.add(factor, constant(1.0)), 0.5, 2.0)
            part = graph.mul(part, factor)
            total = graph.clip(graph.sum(part, 0, keep=True), _LEAST)
            found.append(graph.mul(part, graph.div(wanted, total)))
        return graph.concat(found)
