r"""CaloFlow, the teacher: two masked autoregressive flows, trained by likelihood.

Flow I is p(E_0 .. E_{L-1} | E_inc), flow II p(cells | E_0 .. E_{L-1}, E_inc). A density is had in
one pass, a shower takes one small step for each cell and block.

References:
    C. Krause, D. Shih, *CaloFlow: fast and accurate generation of calorimeter showers with
    normalizing flows*, arXiv:2106.05285.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import Field, PositiveInt
from torch import Tensor

from caloforge.models.caloflow.coordinates import Coordinates
from caloforge.models.caloflow.flow import Flow, Shape, orders_within
from caloforge.models.config import Positive, SystemConfig
from caloforge.models.system import Batch, GeneratorNetwork, Given, Losses, LossSystem, Setting

__all__ = ["CaloFlow", "CaloFlowConfig", "CaloFlowGenerator"]

NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_MILESTONES = (0.25, 0.75)  # of the training: there the learning rate is halved


class CaloFlowConfig(SystemConfig):
    """Settings of CaloFlow.

    Attributes:
        energy_blocks: Blocks of the flow of the layer energies.
        energy_hidden: Units of a hidden layer of its networks.
        energy_layers: Hidden layers of its networks.
        blocks: Blocks of the flow of the cells.
        hidden: Units of a hidden layer of its networks.
        layers: Hidden layers of its networks.
        dropout: Share of the hidden units of the flow of the cells that training leaves out.
        bins: Bins of each spline.
        bound: Where splines become the identity.
        noise: Largest uniform noise on the energies of cells and layers, keV; 0 for none.
        threshold: Cells below are empty, keV.
        alpha: How far fractions of energies are kept from 0 and 1.
        standardised: Give every number that the flows see mean zero and standard deviation one.
        learning_rate: Of Adam.
        decay: Whether the learning rate is halved after a quarter and three quarters of the
            training, or falls to zero along a cosine.
    """

    system: ClassVar[str] = "caloflow"

    energy_blocks: PositiveInt
    energy_hidden: PositiveInt
    energy_layers: PositiveInt
    blocks: PositiveInt
    hidden: PositiveInt
    layers: PositiveInt
    dropout: Annotated[float, Field(ge=0, lt=1)]
    bins: Annotated[int, Field(ge=2)]
    bound: Positive
    noise: NotNegative
    threshold: NotNegative
    alpha: Annotated[float, Field(gt=0, lt=0.1)]
    standardised: bool
    learning_rate: Positive
    decay: Literal["steps", "cosine"]

    @classmethod
    def presets(cls) -> dict[str, Self]:
        """The published configuration, and what trains on one core."""
        paper = cls(
            epochs=200,
            batch_size=200,
            energy_blocks=6,
            energy_hidden=64,
            energy_layers=3,
            blocks=8,
            hidden=378,
            layers=2,
            dropout=0.05,
            bins=8,
            bound=14.0,
            noise=1.0,
            threshold=10.0,
            alpha=1e-6,
            standardised=False,
            learning_rate=1e-4,
            decay="steps",
        )
        return {
            "paper": paper,
            "cpu": paper.changed(
                epochs=32,
                batch_size=128,
                energy_blocks=4,
                energy_layers=2,
                blocks=4,
                hidden=256,
                layers=1,
                bound=8.0,
                noise=0.1,
                threshold=0.5,
                alpha=1e-10,
                standardised=True,
                learning_rate=2e-3,
                decay="cosine",
            ),
        }

    def schedule(self, progress: float) -> float:
        """Factor on the learning rate.

        Args:
            progress: Share of the training that is done, in [0, 1].
        """
        if self.decay == "cosine":
            return 0.5 + 0.5 * math.cos(math.pi * progress)
        return 0.5 ** sum(progress >= milestone for milestone in _MILESTONES)


class CaloFlowGenerator(GeneratorNetwork):
    """Layer energies from flow I, cells from flow II, number by number.

    Attributes:
        noise: One number for each layer, then one for each cell.
        sizes: How many of either.
    """

    quick = False

    def __init__(self, config: CaloFlowConfig, setting: Setting) -> None:
        """Make the flows.

        Args:
            config: Settings.
            setting: What is filled.
        """
        super().__init__()
        if len(setting.particles) > 1:
            self.conditions = ("energy", "label")
        detector = setting.detector
        self.coordinates = Coordinates(
            setting,
            noise=config.noise,
            threshold=config.threshold,
            alpha=config.alpha,
            standardised=config.standardised,
        )
        self.sizes = [detector.n_layers, detector.n_cells]
        self.noise = sum(self.sizes)
        small = Shape(
            config.energy_blocks,
            config.energy_hidden,
            config.energy_layers,
            config.bins,
            config.bound,
        )
        large = Shape(
            config.blocks, config.hidden, config.layers, config.bins, config.bound, config.dropout
        )
        orders = [torch.randperm(detector.n_layers) for _ in range(config.energy_blocks)]
        self.energies = Flow(orders, self.coordinates.n_incident, small)
        sizes = [layer.n_cells for layer in detector.layers]
        orders = orders_within(sizes, config.blocks)
        self.cells = Flow(orders, self.coordinates.n_context, large)

    def forward(self, z: Tensor, given: Given) -> Tensor:
        """Make showers; see :class:`~caloforge.models.system.GeneratorNetwork`."""
        given = replace(given, energy=given.energy.double())
        first, second = torch.split(z, self.sizes, dim=1)
        incident = self.coordinates.incident(given)
        layers = self.coordinates.layers(self.energies.draw(first, incident), given)
        cells = self.cells.draw(second, self.coordinates.context(incident, layers))
        return self.coordinates.deposits(cells, layers).float()


class CaloFlow(LossSystem):
    """The teacher."""

    config_type = CaloFlowConfig
    choose_by = "loss"
    largest_gradient = 1000.0
    limits = (
        "Cells below the threshold of its settings are empty.",
        "A shower takes a small step for each cell and block, one after the other.",
    )
    references = ("arXiv:2106.05285",)
    config: CaloFlowConfig
    generator: CaloFlowGenerator

    def __init__(self, config: CaloFlowConfig, setting: Setting) -> None:
        """Make the flows; see :class:`~caloforge.models.system.System`."""
        super().__init__(config, setting)
        self.generator = CaloFlowGenerator(config, setting)

    def prepare(self, train: Batch) -> None:
        """Take the largest response from the train rows."""
        self.generator.coordinates.fit(train)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Adam on both flows."""
        return {
            "model": torch.optim.Adam(self.parameters(), lr=self.config.learning_rate, fused=True)
        }

    def schedule(self, progress: float) -> float:
        """Factor on the learning rate."""
        return self.config.schedule(progress)

    def loss(self, batch: Batch, rng: torch.Generator) -> Losses:
        """Minus the log-likelihood of the layer energies and of the cells, in nats a shower.

        Of the coordinates of :mod:`~caloforge.models.caloflow.coordinates`, noise included: no
        number to compare with that of a system that has others.
        """
        generator = self.generator
        seen = generator.coordinates(batch, rng)
        return {
            "energies": -generator.energies.log_density(seen.energies, seen.incident).mean(),
            "cells": -generator.cells.log_density(seen.cells, seen.context).mean(),
        }
