"""What LAGAN and CaloGAN are made of: their streams, settings and the functions that both use.

A stream is a pair of networks for the image of one layer, as a function of its size: in the
generator a dense layer, a convolution and two locally connected layers; in the discriminator a
convolution, three locally connected layers and features of sparsity and of the minibatch.

References:
    arXiv:1701.05927; arXiv:1712.10321, section IV A, and the authors' code.
"""

from __future__ import annotations

from typing import Annotated, cast

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from caloforge.detector import Detector
from caloforge.errors import DetectorError
from caloforge.models.blocks import (
    BatchNorm,
    GlorotLinear,
    LocallyConnected2d,
    MinibatchDiscrimination,
    SameConv2d,
)
from caloforge.models.config import Positive, SystemConfig
from caloforge.models.system import AdversarialSystem, Batch, Setting
from caloforge.units import MEV_PER_GEV

__all__ = [
    "ENERGY_SCALE",
    "MEV_PER_GEV",
    "DiscriminatorStream",
    "GeneratorStream",
    "StreamGAN",
    "StreamGANConfig",
    "cross_entropy",
    "first_conditions",
    "image_sizes",
    "noise_times_energy",
    "uniform_energies",
]

LEAK = 0.3  # slope of Keras' leaky ReLU
SEED_CHANNELS = 36
ENERGY_SCALE = 100.0  # GeV


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
        "The energy only stretches the noise: mean and spread of the response are not Geant4's.",
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
