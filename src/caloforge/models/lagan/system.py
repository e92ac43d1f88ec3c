"""LAGAN: location-aware generative adversarial networks for the image of one layer.

A *stream* is the pair of networks that the authors made of it for calorimeters
(:mod:`caloforge.models.lagan.streams`). :mod:`caloforge.models.calogan` runs one stream per layer
of a detector. Here one stream alone learns one layer.

The paper's own networks are for jet images of 25 x 25 cells of no given energy. What is added here
for showers: as in CaloGAN the incident energy multiplies the noise, and the discriminator is told
it, beside the energy of the layer, their ratio and minibatch features of the ratio.

References:
    de Oliveira, Paganini, Nachman, *Learning Particle Physics by Example: Location-Aware
    Generative Adversarial Networks for Physics Synthesis*, arXiv:1701.05927; the streams:
    arXiv:1712.10321, section IV A, and the authors' code.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, ClassVar, Self, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from caloforge.detector import Detector
from caloforge.errors import DetectorError, ParticleError
from caloforge.models.blocks import GlorotLinear, MinibatchDiscrimination
from caloforge.models.config import Positive, SystemConfig
from caloforge.models.lagan.streams import (
    ENERGY_SCALE,
    MEV_PER_GEV,
    DiscriminatorStream,
    GeneratorStream,
    StreamGAN,
    StreamGANConfig,
    cross_entropy,
    first_conditions,
    image_sizes,
    noise_times_energy,
    uniform_energies,
)
from caloforge.models.system import Batch, GeneratorNetwork, Given, Losses, Setting

__all__ = ["LAGAN", "LAGANConfig"]


class LAGANGenerator(GeneratorNetwork):
    """From noise and incident energy to the deposits of one layer.

    Args:
        latent: Length of the noise.
        size: Rows and columns of the layer.
        sphere: Whether noise is brought to the same length; see :func:`noise_times_energy`.
    """

    def __init__(self, latent: int, size: tuple[int, int], *, sphere: bool = False) -> None:
        super().__init__()
        self.noise, self.sphere = latent, sphere
        self.stream = GeneratorStream(latent, size)

    def forward(self, z: Tensor, given: Given) -> Tensor:
        """Make showers; see :meth:`GeneratorNetwork.forward`."""
        image = torch.relu(self.stream(self.scaled(z, given)))
        return MEV_PER_GEV * image.flatten(0, 2).T

    def fuse(self) -> None:
        """Merge weights, in place; see :meth:`GeneratorNetwork.fuse`."""
        self.stream.fuse()

    def scaled(self, z: Tensor, given: Given) -> Tensor:
        """Noise times energy, as it goes into the stream: shape (N, noise)."""
        return noise_times_energy(z, given.energy, sphere=self.sphere)


class LAGANDiscriminator(nn.Module):
    """Tells Geant4's images of one layer from the generator's.

    Args:
        size: Rows and columns of the layer.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size
        self.stream = DiscriminatorStream(size)
        self.among_ratios = MinibatchDiscrimination(1)
        self.head = GlorotLinear(self.stream.features + 3 + self.among_ratios.features, 1)

    def forward(self, deposits: Tensor, energy: Tensor) -> Tensor:
        """Look at a batch.

        Args:
            deposits: Shape (N, n_cells), MeV.
            energy: Incident energy: shape (N, 1), GeV.

        Returns:
            Logit of being Geant4's: shape (N,).
        """
        image = (deposits / MEV_PER_GEV).T.reshape(*self.size, 1, -1)
        in_layer = deposits.sum(dim=1, keepdim=True) / MEV_PER_GEV
        ratio = in_layer / energy
        features = [
            self.stream(image),
            in_layer / 10,
            energy / ENERGY_SCALE,
            ratio,
            torch.tanh(self.among_ratios(ratio)),
        ]
        return cast("Tensor", self.head(torch.cat(features, dim=1))[:, 0])


class LAGANConfig(StreamGANConfig):
    """Settings of LAGAN; the defaults are those of its paper's code."""

    system: ClassVar[str] = "lagan"

    epochs: Annotated[int, Field(ge=1, description="times through all train rows")] = 50
    batch_size: Annotated[int, Field(ge=2, description="showers of one step")] = 100
    latent: Annotated[int, Field(ge=1, description="length of the noise")] = 200
    learning_rate_discriminator: Annotated[
        Positive, Field(description="of Adam, discriminator")
    ] = 2e-4
    layer: Annotated[int, Field(ge=0, description="layer of the detector to learn, from 0")] = 0
    wrong_labels: Annotated[
        float,
        Field(ge=0, lt=0.5, description="share of showers that the discriminator is lied to about"),
    ] = 0.05

    @classmethod
    def presets(cls) -> dict[str, Self]:
        """``paper``: as published; ``cpu``: as that of CaloGAN, for two cores."""
        cpu = cls(
            batch_size=64,
            latent=64,
            learning_rate_discriminator=1e-4,
            sphere=True,
            generator_steps=1,
            settled_fakes=False,
            average=0.99,
            begin_at_mean=True,
        )
        return {"paper": cls(), "cpu": cpu}


class LAGAN(StreamGAN):
    """The images of one layer.

    Args:
        config: Settings.
        setting: A detector of one rectangular layer, as :meth:`readout` returns; one particle.

    Raises:
        DetectorError: The detector has more than one layer, or its layer is not rectangular.
        ParticleError: There is more than one particle.
    """

    config_type = LAGANConfig
    references = ("arXiv:1701.05927", "arXiv:1712.10321")
    config: LAGANConfig
    generator: LAGANGenerator
    discriminator: LAGANDiscriminator

    def __init__(self, config: LAGANConfig, setting: Setting) -> None:
        super().__init__(config, setting)
        sizes = image_sizes(setting.detector, "lagan")
        if len(sizes) > 1:
            msg = f"detector: got {len(sizes)} layers, lagan learns one; give it LAGAN.readout(...)"
            raise DetectorError(msg)
        if len(setting.particles) > 1:
            msg = f"particles: got {', '.join(setting.particles)}, lagan learns one; train one each"
            raise ParticleError(msg)
        self.generator = LAGANGenerator(config.latent, sizes[0], sphere=config.sphere)
        self.keep_average(config.average)
        self.discriminator = LAGANDiscriminator(sizes[0])

    @classmethod
    def readout(cls, config: SystemConfig, detector: Detector) -> Detector:
        """The layer that the settings name, as a detector of its own.

        Raises:
            DetectorError: There is no such layer, or it is not rectangular.
        """
        index = config.layer if isinstance(config, LAGANConfig) else 0
        if index >= detector.n_layers:
            msg = (
                f"layer: got {index}, but {detector.name!r} has {detector.n_layers} layers; "
                f"choose from 0 to {detector.n_layers - 1}"
            )
            raise DetectorError(msg)
        name = f"{detector.name}-layer-{index}"
        one = replace(detector, name=name, layers=(detector.layers[index],))
        image_sizes(one, "lagan")
        return one

    def prepare(self, train: Batch) -> None:
        """Choose the units of the cells, if wanted."""
        if self.config.begin_at_mean:
            z, some = first_conditions(train, self.generator.noise)
            mean = train.deposits.mean(dim=0) / MEV_PER_GEV
            self.generator.stream.begin_at(mean, self.generator.scaled(z, some.given))

    def ask(self, real: Batch, rng: torch.Generator) -> Given:
        """Energies uniform over the range, of the one particle."""
        return Given(uniform_energies(self.setting, real, rng), torch.zeros_like(real.label))

    def critic_losses(
        self, real: Batch, fake: Batch, rng: torch.Generator
    ) -> Iterator[tuple[str, Losses]]:
        """A step on real showers only, then one on generated ones only.

        Batches are not mixed: minibatch features and batch normalisation look at whole batches.
        """
        for name, batch, truth in (("real", real, 1.0), ("fake", fake, 0.0)):
            wrong = torch.rand(len(batch), generator=rng) < self.config.wrong_labels
            target = torch.where(wrong, 1 - truth, truth)
            logit = self.discriminator(batch.deposits, batch.energy)
            yield "discriminator", {name: cross_entropy(logit, target)}

    def generator_losses(
        self,
        fake: Batch,
        rng: torch.Generator,  # noqa: ARG002
    ) -> Iterator[tuple[str, Losses]]:
        """Pass for Geant4."""
        logit = self.discriminator(fake.deposits, fake.energy)
        yield "generator", {"adversarial": cross_entropy(logit, torch.ones(len(fake)))}
