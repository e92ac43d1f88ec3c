r"""The ATLAS VAE: an encoder and a decoder that know the incident energy.

With x a shower, E its condition and z its code, what is minimised is

.. math::

    w_{reco} L(x, \hat x) + w_{KL} KL(q(z | x, E) \| p(z))
    + w_{tot} |r - \hat r| + w_f \sum_i |f_i - \hat f_i|,

r being the total response and f_i the layer fractions. The presets:

- ``paper``: the first form. Cells as fractions of the incident energy, dense layers with ELU, a
  sigmoid at the end, sum of squared errors, a code of 10 numbers. Sizes and weights are ours.
  Weighting each cell by its variance came later, and is ``reconstruction: variance``.
- ``layers``: the later representation. Cells normalised per layer; total response and layer
  fractions are inputs and outputs. Errors are in units of the standard deviation of each number,
  so that a cell that is always the same counts as much as one that varies.
- ``dnncalosim``: the submission of that line to the CaloChallenge: the later representation, leaky
  ReLU, batch normalisation, cross entropy. In its public code the cross entropy is summed over a
  batch of 1,000, the divergence is its mean: hence the weight. The last hidden layer is as wide as
  what is reconstructed. Its eight stages of falling learning rate are one cosine here.
- ``cpu``: what is shipped. Still a variational autoencoder, but its decoder says how cells are
  distributed and draws them (:mod:`~caloforge.models.atlas_vae.cells`), and its prior is learnt
  (:mod:`~caloforge.models.blocks.coupling`): the first three make showers that are too smooth,
  without an empty cell.

References:
    ATLAS, *Deep generative models for fast shower simulation in ATLAS*, ATL-SOFT-PUB-2018-001;
    ATLAS, Comput. Softw. Big Sci. 8 (2024) 7, doi:10.1007/s41781-023-00106-9;
    C. Krause et al., *CaloChallenge 2022*, arXiv:2410.21611: DNN CaloSim;
    D. P. Kingma, M. Welling, *Auto-encoding variational Bayes*, arXiv:1312.6114.
"""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn

from caloforge.errors import ExportError
from caloforge.models.atlas_vae.forms import CellsForm, DrawnForm, Form, LayersForm, MeansForm
from caloforge.models.blocks.coupling import CouplingFlow
from caloforge.models.config import Positive, SystemConfig
from caloforge.models.dense import DenseGraph, DenseInput, DenseStack
from caloforge.models.system import Batch, GeneratorNetwork, Given, Losses, LossSystem, Setting
from caloforge.preprocess import Condition

__all__ = ["AtlasVAE", "AtlasVAEConfig", "AtlasVAEGenerator"]

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_LEAK = 0.3  # slope of leaky ReLU below zero, Keras's own
_LOG_VARIANCE = (-12.0, 4.0)  # of a code


class AtlasVAEConfig(SystemConfig):
    """Settings of the ATLAS VAE.

    Attributes:
        representation: Cells as fractions of the incident energy, or normalised per layer with
            response and layer fractions beside them.
        reconstruction: Squared errors; the same divided by the variance; cross entropy; or the
            likelihood of cells that the decoder draws, with layer energies as part of the code.
        latent: Length of the code.
        encoder: Widths of the hidden layers of the encoder.
        decoder: Widths of the hidden layers of the decoder.
        activation: Of the hidden layers.
        batch_norm: Batch normalisation behind each hidden layer but the last of the decoder.
        condition: Scale of the incident energy that both see.
        couplings: Couplings of the prior; 0 for a standard normal prior.
        reconstruction_weight: Of the reconstruction.
        kl_weight: Of the Kullback-Leibler divergence of the code from the prior.
        total_weight: Of the error of the total response.
        fraction_weight: Of the errors of the layer fractions.
        learning_rate: Of Adam.
        decay: Whether the learning rate falls to zero along a cosine.
    """

    system: ClassVar[str] = "atlas-vae"

    representation: Literal["cells", "layers"]
    reconstruction: Literal["squared", "variance", "cross-entropy", "likelihood"]
    latent: PositiveInt
    encoder: tuple[PositiveInt, ...]
    decoder: tuple[PositiveInt, ...]
    activation: Literal["elu", "leaky-relu"]
    batch_norm: bool
    condition: Literal["linear", "log"]
    couplings: Annotated[int, Field(ge=0)]
    reconstruction_weight: Positive
    kl_weight: Weight
    total_weight: Weight
    fraction_weight: Weight
    learning_rate: Positive
    decay: Literal["none", "cosine"]

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.reconstruction != "likelihood":
            return self
        if self.representation != "layers" or self.couplings < 1:
            msg = "Reconstruction 'likelihood' needs representation 'layers' and couplings"
            raise ValueError(msg)
        if self.total_weight or self.fraction_weight:
            msg = "With reconstruction 'likelihood' total_weight and fraction_weight must be 0"
            raise ValueError(msg)
        return self

    @classmethod
    def presets(cls) -> dict[str, Self]:
        """The first form, the later one, DNN CaloSim, and what is shipped."""
        paper = cls(
            epochs=300,
            batch_size=100,
            representation="cells",
            reconstruction="squared",
            latent=10,
            encoder=(200, 150, 100),
            decoder=(100, 150, 200),
            activation="elu",
            batch_norm=False,
            condition="linear",
            couplings=0,
            reconstruction_weight=1000.0,
            kl_weight=1.0,
            total_weight=10.0,
            fraction_weight=10.0,
            learning_rate=1e-3,
            decay="none",
        )
        layers = paper.changed(
            representation="layers",
            reconstruction="variance",
            reconstruction_weight=1.0,
            condition="log",
        )
        return {
            "paper": paper,
            "layers": layers,
            "dnncalosim": paper.changed(
                representation="layers",
                reconstruction="cross-entropy",
                batch_size=1000,
                latent=50,
                encoder=(1500, 1000, 500, 100),
                decoder=(100, 500, 1000, 1500, 508),
                activation="leaky-relu",
                batch_norm=True,
                reconstruction_weight=1000.0,
                total_weight=0.0,
                fraction_weight=0.0,
                learning_rate=1e-2,
                decay="cosine",
            ),
            "cpu": layers.changed(
                epochs=120,
                batch_size=256,
                reconstruction="likelihood",
                latent=24,
                encoder=(512, 256),
                decoder=(256, 256),
                couplings=6,
                kl_weight=0.5,
                total_weight=0.0,
                fraction_weight=0.0,
                learning_rate=2e-3,
                decay="cosine",
            ),
        }


class AtlasVAEGenerator(GeneratorNetwork):
    """Prior, decoder, and from what it gives to deposits.

    Attributes:
        noise: Numbers of the code, then those that cells are drawn with.
    """

    def __init__(self, config: AtlasVAEConfig, setting: Setting) -> None:
        """Make the networks.

        Args:
            config: Settings.
            setting: What is filled.
        """
        super().__init__()
        if len(setting.particles) > 1:
            self.conditions = ("energy", "label")
        self.condition = Condition(
            setting.energy_range, len(setting.particles), scale=config.condition
        )
        self.form = _form(config, setting)
        self.code = self.form.n_known + config.latent
        self.noise = self.code + self.form.n_noise
        self.prior = (
            CouplingFlow(self.code, self.condition.width, config.couplings)
            if config.couplings
            else None
        )
        self.decoder = _Dense(
            self.code + self.condition.width,
            config.decoder,
            self.form.n_parameters,
            activation=config.activation,
            normalised=len(config.decoder) - 1 if config.batch_norm else 0,
        )

    def forward(self, z: Tensor, given: Given) -> Tensor:
        """Make showers; see :class:`~caloforge.models.system.GeneratorNetwork`."""
        condition = self.condition(given.energy, given.label)
        code, noise = torch.split(z, [self.code, self.form.n_noise], dim=1)
        if self.prior is not None:
            code = self.prior(code, condition)
        parameters = self.decoder(torch.cat([code, condition], dim=1))
        return self.form.deposits(parameters, code[:, : self.form.n_known], noise, given.energy)

    def dense_graph(self) -> DenseGraph:
        """The decoder as layers, for LWTNN.

        Raises:
            ExportError: It is more than dense layers: it draws cells, or its prior is learnt.
        """
        if self.prior is not None or not isinstance(self.form, MeansForm):
            msg = (
                "format: lwtnn holds dense layers alone, this VAE has a prior or cells that are "
                "drawn; choose onnx, or a preset such as layers"
            )
            raise ExportError(msg)
        condition = self.condition
        energy = "log(E / GeV)" if condition.logarithmic else "E / GeV"
        inputs = [
            DenseInput("code", tuple(f"z_{i}" for i in range(self.code))),
            DenseInput("energy", (energy,), condition.offset, condition.scale),
        ]
        if condition.width > 1:
            particles = tuple(f"is_particle_{i}" for i in range(condition.n_particles))
            inputs.append(DenseInput("particle", particles))
        last = self.decoder.last
        sources = tuple(item.name for item in inputs)
        stacks = [DenseStack("hidden", sources, self.decoder.hidden)]
        outputs, first = {}, 0
        for name, width, activation in self.form.heads:
            head = nn.Linear(last.in_features, width)
            head.weight.data = last.weight.data[first : first + width]
            head.bias.data = last.bias.data[first : first + width]
            stacks.append(DenseStack(name, ("hidden",), nn.Sequential(head, activation)))
            outputs[name] = tuple(f"{name}_{i}" for i in range(width))
            first += width
        return DenseGraph(tuple(inputs), tuple(stacks), outputs, self.form.notes())


class AtlasVAE(LossSystem):
    """Encoder and generator, trained together."""

    config_type = AtlasVAEConfig
    limits = ("Showers that are rare in Geant4 are rarer here.",)
    references = ("ATL-SOFT-PUB-2018-001", "doi:10.1007/s41781-023-00106-9")
    config: AtlasVAEConfig
    generator: AtlasVAEGenerator

    def __init__(self, config: AtlasVAEConfig, setting: Setting) -> None:
        """Make the networks; see :class:`~caloforge.models.system.System`."""
        super().__init__(config, setting)
        self.generator = AtlasVAEGenerator(config, setting)
        self.encoder = _Dense(
            self.generator.form.n_seen + self.generator.condition.width,
            config.encoder,
            2 * config.latent,
            activation=config.activation,
            normalised=len(config.encoder) if config.batch_norm else 0,
        )

    def prepare(self, train: Batch) -> None:
        """Take variances and scales of what is reconstructed from the train rows."""
        self.generator.form.fit(train)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Adam on everything."""
        return {
            "model": torch.optim.Adam(self.parameters(), lr=self.config.learning_rate, fused=True)
        }

    def schedule(self, progress: float) -> float:
        """Factor on the learning rate."""
        return 0.5 + 0.5 * math.cos(math.pi * progress) if self.config.decay == "cosine" else 1.0

    def loss(self, batch: Batch, rng: torch.Generator) -> Losses:
        """Reconstruction, divergence from the prior, and the terms of the published loss."""
        generator, form = self.generator, self.generator.form
        condition = generator.condition(batch.energy, batch.label)
        uniform = torch.rand(len(batch), form.n_known, generator=rng).to(condition)
        seen, known = form.seen(batch, uniform)
        encoded = self.encoder(torch.cat([seen, condition], dim=1))
        mean, log_variance = torch.chunk(encoded, 2, dim=1)
        log_variance = log_variance.clamp(*_LOG_VARIANCE)
        epsilon = torch.randn(mean.shape, generator=rng).to(mean)
        latent = mean + torch.exp(0.5 * log_variance) * epsilon
        code = torch.cat([known, latent], dim=1)
        if generator.prior is None:
            divergence = 0.5 * (mean**2 + log_variance.exp() - 1.0 - log_variance).sum(dim=1)
        else:
            entropy = 0.5 * (log_variance + 1.0 + math.log(2 * math.pi)).sum(dim=1)
            divergence = -entropy - generator.prior.log_density(code, condition)
        parameters = generator.decoder(torch.cat([code, condition], dim=1))
        errors = form.errors(parameters, batch) | {"kl": divergence}
        weights = {
            "reconstruction": self.config.reconstruction_weight,
            "kl": self.config.kl_weight,
            "total": self.config.total_weight,
            "fractions": self.config.fraction_weight,
        }
        return {name: weights[name] * error.mean() for name, error in errors.items()}


def _form(config: AtlasVAEConfig, setting: Setting) -> Form:
    if config.reconstruction == "likelihood":
        return DrawnForm(setting.detector)
    form = CellsForm if config.representation == "cells" else LayersForm
    return form(setting.detector, config.reconstruction)


class _Dense(nn.Module):
    """Dense layers, each with its activation but the last; the first few are normalised."""

    def __init__(
        self,
        inputs: int,
        widths: tuple[int, ...],
        outputs: int,
        *,
        activation: str,
        normalised: int,
    ) -> None:
        super().__init__()
        hidden: list[nn.Module] = []
        for i, width in enumerate(widths):
            hidden.append(nn.Linear(inputs, width))
            hidden.append(nn.ELU() if activation == "elu" else nn.LeakyReLU(_LEAK))
            if i < normalised:
                hidden.append(nn.BatchNorm1d(width, eps=1e-3, momentum=0.01))  # as in Keras
            inputs = width
        self.hidden = nn.Sequential(*hidden)
        self.last = nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.last(self.hidden(x))
        return found
