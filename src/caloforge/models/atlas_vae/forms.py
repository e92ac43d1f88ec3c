"""What the encoder of the ATLAS VAE sees, what its decoder gives, and how they are compared."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from caloforge.detector import Detector
from caloforge.models.atlas_vae.cells import CellDistribution
from caloforge.models.system import Batch
from caloforge.preprocess import (
    IncidentFractions,
    LayerFractions,
    LayerShares,
    NormalScores,
    Sticks,
)

__all__ = ["CellsForm", "DrawnForm", "Form", "LayersForm", "MeansForm"]

Reconstruction = Literal["squared", "variance", "cross-entropy"]
_LEAST_VARIANCE = 1e-3  # of the mean variance: a cell that is hardly ever hit must not rule
_ABOVE = 1.05  # largest response that can be made, over the largest seen


class Form(nn.Module, ABC):
    """A representation of showers and the errors of a reconstruction.

    Attributes:
        n_seen: Numbers that the encoder sees.
        n_parameters: Numbers that the decoder gives.
        n_known: Numbers of the code that a shower has without an encoder.
        n_noise: Numbers that the deposits are drawn with, given the code.
    """

    n_seen: int
    n_parameters: int
    n_known: int = 0
    n_noise: int = 0

    @abstractmethod
    def fit(self, train: Batch) -> None:
        """Take scales from the train rows."""

    @abstractmethod
    def seen(self, batch: Batch, uniform: Tensor) -> tuple[Tensor, Tensor]:
        """What the encoder sees, shape (N, n_seen), and what is known, shape (N, n_known).

        Args:
            batch: Showers.
            uniform: Numbers between 0 and 1 to draw with: shape (N, n_known).
        """

    @abstractmethod
    def errors(self, parameters: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Errors of what the decoder gave: shape (N,) each, ``"reconstruction"`` among them."""

    @abstractmethod
    def deposits(self, parameters: Tensor, known: Tensor, noise: Tensor, energy: Tensor) -> Tensor:
        """Make showers.

        Args:
            parameters: What the decoder gave: shape (N, n_parameters).
            known: Numbers of the code: shape (N, n_known).
            noise: Standard normal: shape (N, n_noise).
            energy: Incident energy: shape (N, 1), GeV.

        Returns:
            Deposits: shape (N, n_cells), MeV.
        """


class MeansForm(Form):
    """The decoder gives one value for each number that the encoder sees.

    Attributes:
        heads: Names, widths and last activations of the parts of what the decoder gives.
    """

    variance: Tensor

    def __init__(
        self,
        detector: Detector,
        reconstruction: Reconstruction,
        heads: tuple[tuple[str, int, nn.Module], ...],
    ) -> None:
        """Know the parts.

        Args:
            detector: The readout.
            reconstruction: How reconstruction and shower are compared.
            heads: Names, widths and last activations of the parts.
        """
        super().__init__()
        self.heads = heads
        self.n_seen = self.n_parameters = sum(width for _, width, _ in heads)
        self.fractions = LayerFractions(detector)
        self._reconstruction = reconstruction
        self.register_buffer("variance", torch.ones(self.n_seen))

    @abstractmethod
    def numbers(self, batch: Batch) -> Tensor:
        """Showers as numbers between 0 and 1: shape (N, n_seen)."""

    @abstractmethod
    def notes(self) -> dict[str, str]:
        """How deposits are made of the heads, in words."""

    @abstractmethod
    def shower(self, numbers: list[Tensor], energy: Tensor) -> Tensor:
        """The deposits from such numbers, head by head."""

    def fit(self, train: Batch) -> None:
        """Take the variance of each number."""
        variance = self.numbers(train).double().var(dim=0)
        self.variance.copy_(variance.clamp(min=_LEAST_VARIANCE * float(variance.mean())))

    def seen(self, batch: Batch, uniform: Tensor) -> tuple[Tensor, Tensor]:
        """The numbers; nothing is known without an encoder."""
        return self.numbers(batch), uniform

    def errors(self, parameters: Tensor, batch: Batch) -> dict[str, Tensor]:
        """The reconstruction, the total response, and the layer fractions, summed."""
        wanted, parts = self.numbers(batch), self._activated(parameters)
        got = torch.cat(parts, dim=1)
        if self._reconstruction == "cross-entropy":
            error = functional.binary_cross_entropy(got, wanted, reduction="none")
        else:
            error = (got - wanted) ** 2
        if self._reconstruction == "variance":
            error = error / self.variance
        made = self.fractions(self.shower(parts, batch.energy), batch.energy)
        true = self.fractions(batch.deposits, batch.energy)
        return {
            "reconstruction": error.sum(dim=1),
            "total": (made.response - true.response).abs().squeeze(1),
            "fractions": (made.layers - true.layers).abs().sum(dim=1),
        }

    def deposits(
        self,
        parameters: Tensor,
        known: Tensor,  # noqa: ARG002 (there are none)
        noise: Tensor,  # noqa: ARG002
        energy: Tensor,
    ) -> Tensor:
        """The showers that the decoder gave."""
        return self.shower(self._activated(parameters), energy)

    def _activated(self, parameters: Tensor) -> list[Tensor]:
        parts = torch.split(parameters, [width for _, width, _ in self.heads], dim=1)
        return [head(part) for (_, _, head), part in zip(self.heads, parts, strict=True)]


class CellsForm(MeansForm):
    """The first form: cells as fractions of the incident energy, a sigmoid at the end."""

    def __init__(self, detector: Detector, reconstruction: Reconstruction) -> None:
        """Have one head for all cells."""
        super().__init__(detector, reconstruction, (("cells", detector.n_cells, nn.Sigmoid()),))
        self.scaling = IncidentFractions()

    def numbers(self, batch: Batch) -> Tensor:
        """The fractions; a particle may leave more than its kinetic energy, but not here."""
        fractions: Tensor = self.scaling(batch.deposits, batch.energy)
        return fractions.clamp(max=1.0)

    def notes(self) -> dict[str, str]:
        """How deposits are made of the head, in words."""
        return {"deposits": "cells * incident energy"}

    def shower(self, numbers: list[Tensor], energy: Tensor) -> Tensor:
        """The deposits from the fractions."""
        return self.scaling.inverse(numbers[0], energy)


class LayersForm(MeansForm):
    """The later form: a softmax per layer, a sigmoid for the response, a softmax over layers.

    Attributes:
        most: Largest response that can be made.
    """

    most: Tensor

    def __init__(self, detector: Detector, reconstruction: Reconstruction) -> None:
        """Have one head per layer, one for the response, one for the layer fractions."""
        softmax = nn.Softmax(dim=1)
        cells = [(f"layer_{i}", part.n_cells, softmax) for i, part in enumerate(detector.layers)]
        response = ("response", 1, nn.Sigmoid())
        fractions = ("fractions", detector.n_layers, softmax)
        super().__init__(detector, reconstruction, (*cells, response, fractions))
        self.register_buffer("most", torch.ones(()))

    def fit(self, train: Batch) -> None:
        """Take the variance of each number and the largest response."""
        self.most.copy_(_ABOVE * self.fractions(train.deposits, train.energy).response.max())
        super().fit(train)

    def numbers(self, batch: Batch) -> Tensor:
        """Cells per layer, response over the largest one, layer fractions."""
        shares = self.fractions(batch.deposits, batch.energy)
        response = (shares.response / self.most).clamp(max=1.0)
        return torch.cat([shares.cells, response, shares.layers], dim=1)

    def notes(self) -> dict[str, str]:
        """How deposits are made of the heads, in words."""
        return {
            "deposits of layer i": (
                f"layer_i * fractions_i * {self.most.item()!r} * response * incident energy"
            )
        }

    def shower(self, numbers: list[Tensor], energy: Tensor) -> Tensor:
        """The deposits from cells, response and layer fractions."""
        *cells, response, layers = numbers
        shares = LayerShares(self.most * response, layers, torch.cat(cells, dim=1))
        return self.fractions.inverse(shares, energy)


class DrawnForm(Form):
    """Layer energies are part of the code, cells are drawn from a distribution.

    The total response and the shares of the layers in what the layers before left, mapped to
    standard normal numbers, are what a shower has without an encoder: the prior learns them with
    the rest of the code, so the response is as narrow as it is in Geant4.
    """

    def __init__(self, detector: Detector) -> None:
        """Have a distribution of the cells and scores for the energies of the layers."""
        super().__init__()
        self.fractions = LayerFractions(detector)
        self.sticks = Sticks()
        self.scores = NormalScores(detector.n_layers)
        self.cells = CellDistribution(detector)
        self.n_known, self.n_noise = detector.n_layers, detector.n_cells
        self.n_seen = detector.n_layers + 2 * detector.n_cells
        self.n_parameters = self.cells.n_parameters

    def fit(self, train: Batch) -> None:
        """Take quantiles of the energies, and where each cell's deposits are."""
        self.scores.fit(self._energies(train))
        self.cells.fit(train.deposits)

    def seen(self, batch: Batch, uniform: Tensor) -> tuple[Tensor, Tensor]:
        """Energies and cells; the energies are known."""
        known = self.scores(self._energies(batch), uniform)
        return torch.cat([known, self.cells.standardised(batch.deposits)], dim=1), known

    def errors(self, parameters: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Minus the logarithm of the density of the cells."""
        return {"reconstruction": -self.cells.log_likelihood(parameters, batch.deposits)}

    def deposits(self, parameters: Tensor, known: Tensor, noise: Tensor, energy: Tensor) -> Tensor:
        """Draw the cells, and give them the energies that are known."""
        response, sticks = torch.split(self.scores.inverse(known), [1, self.n_known - 1], dim=1)
        cells = self.cells(parameters, noise)
        shares = LayerShares(response, self.sticks.inverse(sticks), cells)
        return self.fractions.inverse(shares, energy)

    def _energies(self, batch: Batch) -> Tensor:
        shares = self.fractions(batch.deposits, batch.energy)
        return torch.cat([shares.response, self.sticks(shares.layers)], dim=1)
