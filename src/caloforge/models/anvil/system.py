r"""Anvil: layer energies first, then the cells, group by group, each knowing those before it.

.. math::

    p(x | E) = \prod_l p(E_l | E_{<l}, E) \; \prod_g \prod_{i \in g} p(x_i | x_{<g}, E_1, \dots, E)

Every factor is a density with atoms (nothing, a line of the spectrum) and is learnt by likelihood
alone: no critic, no noise, no dequantisation.

References:
    B. Uria et al., *Neural autoregressive distribution estimation*, arXiv:1605.02226;
    S. Reed et al., *Parallel multiscale autoregressive density estimation*, arXiv:1703.03664;
    C. Krause, D. Shih, *CaloFlow*, arXiv:2106.05285: layer energies first, then cells.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, PositiveInt
from torch import Tensor

from caloforge.models.anvil.energies import EnergyMixtures
from caloforge.models.anvil.graph import Parts, draw_showers
from caloforge.models.anvil.network import CellNetwork
from caloforge.models.blocks.graph import Graph
from caloforge.models.config import Positive, SystemConfig
from caloforge.models.system import (
    Batch,
    Given,
    Losses,
    LossSystem,
    Setting,
    WrittenGenerator,
)
from caloforge.preprocess import Condition, LayerFractions, NormalScores, Sticks
from caloforge.units import MEV_PER_GEV

__all__ = ["Anvil", "AnvilConfig", "AnvilGenerator"]

_WARM = 0.02  # of the training
_SETTLED = 0.2  # of the learning rate, where it settles


class AnvilConfig(SystemConfig):
    """Settings of anvil.

    Attributes:
        hidden: Width of the network that all cells share.
        memory: Length of the memory of all cells that are drawn.
        components: Of the mixture of each cell.
        lines: Lines of the spectrum, at most.
        learning_rate: Of AdamW; it falls to zero along a cosine.
        weight_decay: Of AdamW.
        settle_rows: In the last epochs only so many rows of each particle are learnt from, the last
            ones; 0 for all. For files of several sources, of which the last is what is to be made.
        settle_epochs: How many epochs these are; the learning rate rises and falls once more.
    """

    system: ClassVar[str] = "anvil"

    hidden: PositiveInt
    memory: PositiveInt
    components: PositiveInt
    lines: PositiveInt
    learning_rate: Positive
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    settle_rows: Annotated[int, Field(ge=0)]
    settle_epochs: Annotated[int, Field(ge=0)]

    @property
    def settles_at(self) -> float:
        """Share of the training from which on it settles."""
        epochs = self.settle_epochs if self.settle_rows else 0
        return max(0.0, 1.0 - epochs / self.epochs)

    @classmethod
    def presets(cls) -> dict[str, Self]:
        """What is shipped, and a larger one for a GPU."""
        cpu = cls(
            epochs=60,
            batch_size=64,
            hidden=128,
            memory=64,
            components=6,
            lines=3,
            learning_rate=2e-3,
            weight_decay=0.01,
            settle_rows=0,
            settle_epochs=0,
        )
        return {"paper": cpu.changed(epochs=200, hidden=384, memory=256, components=10), "cpu": cpu}


class AnvilGenerator(WrittenGenerator):
    """Energies, then cells.

    Attributes:
        noise: Two numbers for the energy of each layer, then two for each cell: what it is, and
            how large.
        noise_of_energies: How many the first are.
    """

    tolerance = 1e-4  # what is rounded in one step is told to the next

    def __init__(self, config: AnvilConfig, setting: Setting) -> None:
        """Make the networks.

        Args:
            config: Settings.
            setting: What is filled.
        """
        super().__init__()
        if len(setting.particles) > 1:
            self.conditions = ("energy", "label")
        self.condition = Condition(setting.energy_range, len(setting.particles), scale="log")
        self.fractions = LayerFractions(setting.detector)
        self.sticks = Sticks()
        n = setting.detector.n_layers
        self.scores = NormalScores(n)
        self.energies = EnergyMixtures(n, self.condition.width)
        self.cells = CellNetwork(
            setting.detector,
            self.condition.width,
            hidden=config.hidden,
            memory=config.memory,
            n_lines=config.lines,
            n_components=config.components,
        )
        self.noise_of_energies = 2 * n
        self.noise = 2 * n + 2 * setting.detector.n_cells

    def known(self, batch: Batch) -> Tensor:
        """Response and shares of the layers, as sticks: shape (N, n_layers)."""
        shares = self.fractions(batch.deposits, batch.energy)
        return torch.cat([shares.response, self.sticks(shares.layers)], dim=1)

    def forward(self, z: Tensor, given: Given) -> Tensor:
        """Make showers; see :class:`~caloforge.models.system.GeneratorNetwork`."""
        condition = self.condition(given.energy, given.label)
        first, second = torch.split(
            z, [self.noise_of_energies, self.noise - self.noise_of_energies], dim=1
        )
        numbers = self.scores.inverse(self.energies(first, condition))
        response, sticks = torch.split(numbers, [1, numbers.shape[1] - 1], dim=1)
        sums = self.sticks.inverse(sticks) * response * (MEV_PER_GEV * given.energy)
        found: Tensor = self.cells(sums, condition, second)
        return found

    def write(self, graph: Graph, inputs: Mapping[str, str]) -> str:
        """Write itself as ONNX; see :class:`~caloforge.models.system.WrittenGenerator`."""
        parts = Parts(self.condition, self.energies, self.scores, self.cells)
        return draw_showers(graph, parts, inputs)


class Anvil(LossSystem):
    """The generator, trained by likelihood."""

    config_type = AnvilConfig
    choose_by = "loss"
    references = ("arXiv:1605.02226", "arXiv:1703.03664")
    config: AnvilConfig
    generator: AnvilGenerator

    def __init__(self, config: AnvilConfig, setting: Setting) -> None:
        """Make the networks; see :class:`~caloforge.models.system.System`."""
        super().__init__(config, setting)
        self.generator = AnvilGenerator(config, setting)

    def prepare(self, train: Batch) -> None:
        """Take quantiles, lines and scales from the train rows."""
        self.generator.scores.fit(self.generator.known(train))
        self.generator.cells.fit(train.deposits)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """AdamW on everything."""
        return {
            "model": torch.optim.AdamW(
                self.parameters(),
                lr=self.config.learning_rate,
                weight_decay=self.config.weight_decay,
                fused=True,
            )
        }

    def order(self, train: Batch, epoch: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """All rows, shuffled; in the last epochs the last rows of each particle, over and over."""
        rows = self.config.settle_rows
        if epoch < round(self.config.settles_at * self.config.epochs):
            return super().order(train, epoch, rng)
        labels = train.label.numpy()
        last = np.concatenate([np.flatnonzero(labels == k)[-rows:] for k in np.unique(labels)])
        turns = -(-len(train) // len(last))
        return np.concatenate([rng.permutation(last) for _ in range(turns)])[: len(train)]

    def schedule(self, progress: float) -> float:
        """A short rise, then a cosine; from where it settles on, a lower one."""
        settles = self.config.settles_at
        if progress >= settles and settles < 1.0:
            return _SETTLED * (0.5 + 0.5 * math.cos(math.pi * (progress - settles) / (1 - settles)))
        progress /= max(settles, 1e-9)
        return min(1.0, progress / _WARM + 1e-3) * (0.5 + 0.5 * math.cos(math.pi * progress))

    def loss(self, batch: Batch, rng: torch.Generator) -> Losses:
        """Minus the logarithm of the density: of energies, and of cells, each a mean per number."""
        generator = self.generator
        condition = generator.condition(batch.energy, batch.label)
        known = generator.known(batch)
        uniform = torch.rand(known.shape, generator=rng).to(known)
        scores = generator.scores(known, uniform)
        cells = generator.cells.log_likelihood(batch.deposits, condition)
        return {
            "energies": -generator.energies.log_density(scores, condition).mean() / known.shape[1],
            "cells": -cells.sum(dim=1).mean() / cells.shape[1],
        }
