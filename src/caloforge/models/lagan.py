"""LAGAN: location-aware generative adversarial networks for the image of one layer.

A *stream* is the pair of networks that the authors made of it for calorimeters, as a function of
the size of the image: in the generator a dense layer, a convolution and two locally connected
layers; in the discriminator a convolution, three locally connected layers and features of sparsity
and of the minibatch. :mod:`caloforge.models.calogan` runs one stream per layer of a detector. Here
one stream alone learns one layer.

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
from torch.nn import functional

from caloforge.detector import Detector
from caloforge.errors import DetectorError, ParticleError
from caloforge.models.blocks import (
    BatchNorm,
    GlorotLinear,
    LocallyConnected2d,
    MinibatchDiscrimination,
    SameConv2d,
)
from caloforge.models.config import Positive, SystemConfig
from caloforge.models.system import AdversarialSystem, Batch, GeneratorNetwork, Losses, Setting

__all__ = [
    "LAGAN",
    "DiscriminatorStream",
    "GeneratorStream",
    "LAGANConfig",
    "StreamGAN",
    "StreamGANConfig",
]

LEAK = 0.3  # slope of Keras' leaky ReLU
SEED_CHANNELS = 36
ENERGY_SCALE = 100.0  # GeV
MEV_PER_GEV = 1000.0


class GeneratorStream(nn.Module):
    """From noise to the image of one layer, before the last ReLU.

    Args:
        latent: Length of the noise.
        size: Rows and columns of the image.

    Attributes:
        unit: Factor of each cell: shape (rows, columns, 1, 1), 1 as published. The weights before
            it could do its work; but Adam moves all weights by equal steps, and the mean deposits
            of cells differ by a factor of 10,000.
    """

    unit: Tensor

    def __init__(self, latent: int, size: tuple[int, int]) -> None:
        super().__init__()
        rows, columns = size[0] + 2, size[1] + 2
        self.seed_shape = rows, columns, SEED_CHANNELS
        self.dense: nn.Linear = GlorotLinear(latent, rows * columns * SEED_CHANNELS)
        self.convolution: SameConv2d | nn.Identity
        self.convolution = SameConv2d(SEED_CHANNELS, 16, (2, 2), "he_uniform")
        self.norm = BatchNorm(16)
        self.local_1 = LocallyConnected2d(
            16, 6, (rows, columns), (2, 2), initialisation="he_uniform"
        )
        self.local_2 = LocallyConnected2d(
            6, 1, self.local_1.size, (2, 2), bias=False, initialisation="glorot_normal"
        )
        self.register_buffer("unit", torch.ones(*size, 1, 1))

    def forward(self, z: Tensor) -> Tensor:
        """Paint.

        Args:
            z: Shape (N, latent).

        Returns:
            Shape (rows, columns, 1, N), GeV; some negative.
        """
        x = functional.leaky_relu(self._convolved_seed(z), LEAK, inplace=True)
        x = functional.leaky_relu(self.local_1(self.norm(x)), LEAK, inplace=True)
        image: Tensor = self.unit * self.local_2(x)
        return image

    @torch.no_grad()
    def begin_at(self, mean: Tensor, z: Tensor) -> None:
        """Choose the unit of each cell so that the first images have the right mean.

        Args:
            mean: Mean deposit of each cell: shape (rows * columns,), GeV.
            z: What the first images are painted from: shape (N, latent).
        """
        image = self(z)
        painted = torch.relu(image).mean(dim=3, keepdim=True)
        # A cell that is hardly ever positive at first would get an enormous unit.
        painted = painted.maximum(image.abs().mean(dim=3, keepdim=True) / 10)
        self.unit *= mean.to(painted.device).reshape(painted.shape) / painted

    @torch.no_grad()
    def fuse(self) -> None:
        """Make one of dense layer and convolution: nothing bends between them."""
        if isinstance(self.convolution, nn.Identity):
            return
        weight, bias = self._seed()
        weight, bias = self.convolution.without_bias(weight), self.convolution(bias)
        self.seed_shape = *self.seed_shape[:2], weight.shape[2]
        self.dense = nn.Linear(weight.shape[3], weight.shape[:3].numel())
        self.dense.weight.copy_(weight.flatten(0, 2))
        self.dense.bias.copy_(bias.flatten())
        self.convolution = nn.Identity()

    def _seed(self) -> tuple[Tensor, Tensor]:
        """The dense layer as images: weight, shape (rows, columns, channels, latent), and bias."""
        weight = self.dense.weight.reshape(*self.seed_shape, -1)
        return weight, self.dense.bias.reshape(*self.seed_shape, 1)

    def _convolved_seed(self, z: Tensor) -> Tensor:
        """Dense layer and convolution: shape (rows, columns, 16, N)."""
        weight, bias = self._seed()
        if isinstance(self.convolution, nn.Identity):
            return _affine(weight, bias, z)
        if len(z) > weight.shape[3]:  # then it is quicker to convolve the weights
            return _affine(self.convolution.without_bias(weight), self.convolution(bias), z)
        return cast("Tensor", self.convolution(_affine(weight, bias, z)))


def _affine(weight: Tensor, bias: Tensor, z: Tensor) -> Tensor:
    """A dense layer with images as output: shape (rows, columns, channels, N)."""
    product = torch.addmm(bias.flatten(0, 2), weight.flatten(0, 2), z.T)
    return product.reshape(*weight.shape[:3], -1)


class DiscriminatorStream(nn.Module):
    """Features of the image of one layer.

    They are what the convolutions make of it, minibatch features of that, the fraction of cells
    hit, and minibatch features of that fraction. The fraction is a step function of the deposits:
    as in the published code no gradient goes through it.

    Args:
        size: Rows and columns of the image.

    Attributes:
        features: Number of features.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.convolution = SameConv2d(1, 64, (2, 2))
        self.local_1 = LocallyConnected2d(64, 16, size, (3, 3), stride=(1, 2), padding=1)
        self.norm_1 = BatchNorm(16)
        self.local_2 = LocallyConnected2d(16, 8, self.local_1.size, (2, 2), padding=1)
        self.norm_2 = BatchNorm(8)
        self.local_3 = LocallyConnected2d(8, 8, self.local_2.size, (2, 2), stride=(1, 2), padding=1)
        self.norm_3 = BatchNorm(8)
        flat = 8 * self.local_3.size[0] * self.local_3.size[1]
        self.among_images = MinibatchDiscrimination(flat)
        self.among_sparsities = MinibatchDiscrimination(1)
        self.features = flat + self.among_images.features + 1 + self.among_sparsities.features

    def forward(self, image: Tensor) -> Tensor:
        """Look at a batch.

        Args:
            image: Shape (rows, columns, 1, N), GeV.

        Returns:
            Shape (N, features).
        """
        x = functional.leaky_relu(self.convolution(image), LEAK, inplace=True)
        x = self.norm_1(functional.leaky_relu(self.local_1(x), LEAK, inplace=True))
        x = self.norm_2(functional.leaky_relu(self.local_2(x), LEAK, inplace=True))
        x = self.norm_3(functional.leaky_relu(self.local_3(x), LEAK, inplace=True))
        x = x.flatten(0, 2).T
        sparsity = (image > 0).float().mean(dim=(0, 1, 2))[:, None]
        among = torch.tanh(self.among_images(x)), torch.tanh(self.among_sparsities(sparsity))
        return torch.cat([x, among[0], sparsity, among[1]], dim=1)


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

    def forward(self, z: Tensor, energy: Tensor, label: Tensor) -> Tensor:  # noqa: ARG002
        """Make showers; see :meth:`GeneratorNetwork.forward`."""
        image = torch.relu(self.stream(self.scaled(z, energy)))
        return MEV_PER_GEV * image.flatten(0, 2).T

    def fuse(self) -> None:
        """Merge weights, in place; see :meth:`GeneratorNetwork.fuse`."""
        self.stream.fuse()

    def scaled(self, z: Tensor, energy: Tensor) -> Tensor:
        """Noise times energy, as it goes into the stream: shape (N, noise)."""
        return noise_times_energy(z, energy, sphere=self.sphere)


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


class StreamGANConfig(SystemConfig):
    """Settings that the systems of such streams share."""

    latent: Annotated[int, Field(ge=1, description="length of the noise")]
    learning_rate_generator: Annotated[Positive, Field(description="of Adam, generator")] = 2e-4
    learning_rate_discriminator: Annotated[Positive, Field(description="of Adam, discriminator")]
    sphere: Annotated[
        bool, Field(description="bring the noise of each shower to the same length")
    ] = False
    generator_steps: Annotated[
        int, Field(ge=1, description="steps of the generator in one iteration")
    ] = 2
    settled_fakes: Annotated[
        bool, Field(description="show the discriminator the generator in evaluation mode")
    ] = True
    average: Annotated[
        float,
        Field(ge=0, lt=1, description="decay of a running average of the generator; 0: none"),
    ] = 0
    begin_at_mean: Annotated[
        bool, Field(description="begin with the mean of the train rows as unit of each cell")
    ] = False


class StreamGAN(AdversarialSystem):
    """A generator and a discriminator made of such streams.

    Args:
        config: Settings.
        setting: What it is trained for.
    """

    config: StreamGANConfig
    discriminator: nn.Module
    limits = (
        "The incident energy only stretches the noise: the response is wider than in Geant4.",
    )

    def __init__(self, config: StreamGANConfig, setting: Setting) -> None:
        super().__init__(config, setting)
        self.generator_steps = config.generator_steps
        self.settled_fakes = config.settled_fakes

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Adam with the momentum of DCGAN, 0.5, for each of the two."""
        rates = {
            "generator": self.config.learning_rate_generator,
            "discriminator": self.config.learning_rate_discriminator,
        }
        return {
            name: torch.optim.Adam(
                getattr(self, name).parameters(), lr=rate, betas=(0.5, 0.999), fused=True
            )
            for name, rate in rates.items()
        }


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
            self.generator.stream.begin_at(mean, self.generator.scaled(z, some.energy))

    def conditions(self, real: Batch, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Energies uniform over the range, of the one particle."""
        return uniform_energies(self.setting, real, rng), torch.zeros_like(real.label)

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

    def generator_loss(self, fake: Batch, rng: torch.Generator) -> Losses:  # noqa: ARG002
        """Pass for Geant4."""
        logit = self.discriminator(fake.deposits, fake.energy)
        return {"adversarial": cross_entropy(logit, torch.ones(len(fake)))}


def image_sizes(detector: Detector, system: str) -> list[tuple[int, int]]:
    """Rows and columns of each layer.

    Raises:
        DetectorError: A layer is not rectangular.
    """
    if not detector.is_rectangular:
        msg = (
            f"detector: {detector.name!r} has layers that are not rectangular; {system} paints "
            "images, use a detector of rectangular cells such as 'calogan'"
        )
        raise DetectorError(msg)
    return [layer.shape for layer in detector.layers]


def noise_times_energy(z: Tensor, energy: Tensor, *, sphere: bool) -> Tensor:
    """What goes into the streams: noise times energy.

    Both the length of the noise and the energy stretch the images, so the length smears the
    response: by 2% with 1024 numbers, as published, and by 9% with 64. On a sphere it does not.

    Args:
        z: Standard normal: shape (N, noise).
        energy: Incident energy: shape (N, 1), GeV.
        sphere: Bring z to the length that it has in the mean.

    Returns:
        Shape (N, noise).
    """
    if sphere:
        z = z * torch.rsqrt((z**2).mean(dim=1, keepdim=True).clamp(min=1e-12))
    return z * (energy / ENERGY_SCALE)


def uniform_energies(setting: Setting, like: Batch, rng: torch.Generator) -> Tensor:
    """Incident energies, uniform over the range of the setting: shape (N, 1), GeV."""
    low, high = setting.energy_range
    energy = low + (high - low) * torch.rand(len(like), 1, generator=rng)
    return energy.to(like.energy.device)


def first_conditions(train: Batch, noise: int) -> tuple[Tensor, Batch]:
    """Noise, shape (1024, noise), and rows to take energies and labels from; always the same."""
    z = torch.randn(1024, noise, generator=torch.Generator().manual_seed(0))
    rows = torch.linspace(0, len(train) - 1, len(z)).long()
    return z.to(train.energy.device), train[rows]


def cross_entropy(logit: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy: logits of being Geant4's against the truth, both of shape (N,)."""
    target = target.to(logit.device)
    return functional.binary_cross_entropy_with_logits(logit.float(), target)
