"""CaloGAN: a generative adversarial network for showers in a calorimeter of several layers.

The generator multiplies its noise with the incident energy and paints one image per layer, each
with a LAGAN stream of its own. From the second layer on, an attention mixes the image with that of
the layer before, brought to the same size. The discriminator looks at each layer with a LAGAN
stream, and at the energies of the layers, their sum, and how far that is from the incident energy.
Inside the networks energies are in GeV.

Several particles at once, as the authors tried and gave up: ``conditional`` tells both networks the
particle, ``acgan`` makes the discriminator find it out.

What Keras does by default is done here too: zeros of an even kernel below and to the right, slope
0.3, momentum 0.99 and epsilon 0.001 of the batch normalisation, kernels that begin small in locally
connected layers. Of three particles the published AC-GAN code told two apart; here all are.

References:
    Paganini, de Oliveira, Nachman, *CaloGAN: Simulating 3D High Energy Particle Showers in
    Multi-Layer Electromagnetic Calorimeters with Generative Adversarial Networks*,
    arXiv:1712.10321; the authors' code, https://github.com/hep-lbdl/CaloGAN.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Annotated, ClassVar, Literal, Self, cast

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from caloforge.detector import Detector
from caloforge.errors import ConfigError
from caloforge.models.blocks import (
    GlorotLinear,
    InpaintingAttention,
    MinibatchDiscrimination,
    Resize,
)
from caloforge.models.blocks.locally_connected import initialise
from caloforge.models.config import Positive, SystemConfig
from caloforge.models.lagan.streams import (
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

__all__ = ["CaloGAN", "CaloGANConfig", "CaloGANDiscriminator", "CaloGANGenerator"]

LABEL_FEATURES = 50  # of the discriminator of "conditional"
CLASS_WEIGHT = 0.2
WRONG_CLASSES = 0.3  # share of generated showers of "acgan" that the discriminator is lied to about

Size = tuple[int, int]


class CaloGANConfig(StreamGANConfig):
    """Settings of CaloGAN; the defaults are the published ones."""

    system: ClassVar[str] = "calogan"

    epochs: Annotated[int, Field(ge=1, description="times through all train rows")] = 50
    batch_size: Annotated[int, Field(ge=2, description="showers of one step")] = 256
    latent: Annotated[int, Field(ge=1, description="length of the noise")] = 1024
    learning_rate_discriminator: Annotated[
        Positive, Field(description="of Adam, discriminator")
    ] = 2e-5
    attention: Annotated[bool, Field(description="let each layer see the one before")] = True
    classes: Annotated[
        Literal["none", "conditional", "acgan"],
        Field(description="how several particles are told apart; none: there is one"),
    ] = "none"
    lambda_energy: Annotated[
        float, Field(ge=0, description="weight of |deposited - incident energy|, per GeV")
    ] = 0.05

    @classmethod
    def presets(cls) -> dict[str, Self]:
        """As published, for one particle and several; ``cpu`` for an hour on two cores.

        ``cpu`` has the published networks with less noise, on a sphere, for a tenth of the showers
        and an hour: smaller batches, a discriminator that learns five times as fast, and one step
        of the generator for each round of it. It begins at the mean shower. As
        there is no time for the statistics of the batch normalisation to settle, the discriminator
        sees what the generator is trained on; what is sampled is an average of the generator.
        """
        paper = cls()
        return {
            "paper": paper,
            "conditional": paper.changed(classes="conditional"),
            "acgan": paper.changed(classes="acgan"),
            "cpu": paper.changed(
                epochs=16,
                batch_size=64,
                latent=64,
                learning_rate_discriminator=1e-4,
                sphere=True,
                generator_steps=1,
                settled_fakes=False,
                average=0.99,
                begin_at_mean=True,
            ),
        }


class CaloGANGenerator(GeneratorNetwork):
    """From noise and incident energy to the deposits of all layers.

    Args:
        latent: Length of the noise.
        sizes: Rows and columns of each layer.
        n_classes: Number of particles; 0 for no label.
        attention: Whether a layer sees the one before.
        sphere: Whether noise is brought to the same length; see
            :func:`~caloforge.models.lagan.streams.noise_times_energy`.
    """

    def __init__(
        self,
        latent: int,
        sizes: Sequence[Size],
        n_classes: int,
        *,
        attention: bool,
        sphere: bool = False,
    ) -> None:
        super().__init__()
        self.noise, self.sphere = latent, sphere
        self.embedding = None
        if n_classes:
            self.conditions = ("energy", "label")
            self.embedding = _embedding(n_classes, latent)
        self.streams = nn.ModuleList([GeneratorStream(latent, size) for size in sizes])
        links = list(pairwise(sizes)) if attention else []
        self.resize = nn.ModuleList([Resize(before, after) for before, after in links])
        self.attention = nn.ModuleList([InpaintingAttention(after) for _, after in links])

    def forward(self, z: Tensor, given: Given) -> Tensor:
        """Make showers; see :meth:`GeneratorNetwork.forward`."""
        z = self.scaled(z, given)
        images = [stream(z) for stream in self.streams]
        for i, (resize, attention) in enumerate(zip(self.resize, self.attention, strict=True)):
            images[i + 1] = attention(images[i + 1], resize(images[i]))
        cells = torch.cat([image.flatten(0, 2) for image in images])
        return MEV_PER_GEV * torch.relu(cells).T

    def fuse(self) -> None:
        """Merge weights, in place; see :meth:`GeneratorNetwork.fuse`."""
        for stream in self.streams:
            cast("GeneratorStream", stream).fuse()

    def scaled(self, z: Tensor, given: Given) -> Tensor:
        """Noise times energy and particle, as it goes into the streams: shape (N, noise)."""
        if self.embedding is not None:
            z = z * self.embedding(given.label)
        return noise_times_energy(z, given.energy, sphere=self.sphere)


class CaloGANDiscriminator(nn.Module):
    """Tells Geant4's showers from the generator's.

    Args:
        sizes: Rows and columns of each layer.
        n_labels: Number of particles, if it is told which one a shower is of; else 0.
        n_classes: Number of particles, if it is to find that out; else 0.
    """

    def __init__(self, sizes: Sequence[Size], n_labels: int = 0, n_classes: int = 0) -> None:
        super().__init__()
        self.sizes = tuple(sizes)
        self.cells = [rows * columns for rows, columns in sizes]
        streams = [DiscriminatorStream(size) for size in sizes]
        self.streams = nn.ModuleList(streams)
        self.among_energies = MinibatchDiscrimination(len(sizes))
        self.embedding = _embedding(n_labels, LABEL_FEATURES) if n_labels else None
        features = (
            sum(stream.features for stream in streams)
            + len(sizes)
            + 3
            + self.among_energies.features
        )
        features += LABEL_FEATURES if n_labels else 0
        self.head = GlorotLinear(features, 1)
        self.class_head = GlorotLinear(features, n_classes) if n_classes else None

    def forward(
        self, deposits: Tensor, energy: Tensor, label: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """Look at a batch.

        Args:
            deposits: Shape (N, n_cells), MeV.
            energy: Incident energy: shape (N, 1), GeV.
            label: Index of the particle: shape (N,).

        Returns:
            Logits of being Geant4's, shape (N,), and logits of the particles, shape
            (N, n_classes), if it is to find out.
        """
        layers = torch.split(deposits / MEV_PER_GEV, self.cells, dim=1)
        images = [
            layer.T.reshape(*size, 1, -1) for layer, size in zip(layers, self.sizes, strict=True)
        ]
        features = [stream(image) for stream, image in zip(self.streams, images, strict=True)]
        energies = torch.stack([layer.sum(dim=1) for layer in layers], dim=1)
        total = energies.sum(dim=1, keepdim=True)
        missed = (total - energy).abs()
        features += [energies / 10, total / 100, missed, 10.0 * (missed > 5)]
        features.append(torch.tanh(self.among_energies(energies)))
        if self.embedding is not None:
            features.append(self.embedding(label))
        x = torch.cat(features, dim=1)
        return self.head(x)[:, 0], None if self.class_head is None else self.class_head(x)


class CaloGAN(StreamGAN):
    """Showers in a detector of rectangular layers, of any size and number.

    Args:
        config: Settings.
        setting: What it is trained for.

    Raises:
        DetectorError: A layer is not rectangular, or the attention cannot bring the image of a
            layer to the size of the next.
        ConfigError: There are several particles and no way to tell them apart, or the other way
            round.
    """

    config_type = CaloGANConfig
    references = ("arXiv:1712.10321",)
    config: CaloGANConfig
    generator: CaloGANGenerator
    discriminator: CaloGANDiscriminator

    def __init__(self, config: CaloGANConfig, setting: Setting) -> None:
        super().__init__(config, setting)
        n = len(setting.particles)
        if (n > 1) != (config.classes != "none"):
            msg = (
                f"classes: got {config.classes!r} for {n} particles; choose 'none' for one "
                "particle, 'conditional' or 'acgan' for several"
            )
            raise ConfigError(msg)
        sizes = image_sizes(setting.detector, "calogan")
        self.generator = CaloGANGenerator(
            config.latent,
            sizes,
            n if n > 1 else 0,
            attention=config.attention,
            sphere=config.sphere,
        )
        self.keep_average(config.average)
        self.discriminator = CaloGANDiscriminator(
            sizes,
            n_labels=n if config.classes == "conditional" else 0,
            n_classes=n if config.classes == "acgan" else 0,
        )

    @classmethod
    def readout(cls, config: SystemConfig, detector: Detector) -> Detector:  # noqa: ARG003
        """The whole detector.

        Raises:
            DetectorError: A layer is not rectangular.
        """
        image_sizes(detector, "calogan")
        return detector

    def prepare(self, train: Batch) -> None:
        """Choose the units of the cells, if wanted."""
        if not self.config.begin_at_mean:
            return
        z, some = first_conditions(train, self.generator.noise)
        z = self.generator.scaled(z, some.given)
        means = torch.split(train.deposits.mean(dim=0) / MEV_PER_GEV, self.discriminator.cells)
        for stream, mean in zip(self.generator.streams, means, strict=True):
            cast("GeneratorStream", stream).begin_at(mean, z)

    def ask(self, real: Batch, rng: torch.Generator) -> Given:
        """Energies uniform over the range, particles equally likely."""
        label = torch.randint(len(self.setting.particles), (len(real),), generator=rng)
        return Given(uniform_energies(self.setting, real, rng), label.to(real.label.device))

    def critic_losses(
        self, real: Batch, fake: Batch, rng: torch.Generator
    ) -> Iterator[tuple[str, Losses]]:
        """A step on real showers only, then one on generated ones only.

        Batches are not mixed: minibatch features and batch normalisation look at whole batches.
        The published loss has the error of the energy too, but no parameter of the discriminator
        is in it.
        """
        for name, batch, truth in (("real", real, torch.ones), ("fake", fake, torch.zeros)):
            logit, classes = self.discriminator(batch.deposits, batch.energy, batch.label)
            losses = {name: cross_entropy(logit, truth(len(batch)))}
            if classes is not None:
                label = self._some_wrong(batch.label, rng) if name == "fake" else batch.label
                losses[f"{name}_class"] = CLASS_WEIGHT * functional.cross_entropy(classes, label)
            yield "discriminator", losses

    def generator_losses(
        self,
        fake: Batch,
        rng: torch.Generator,  # noqa: ARG002
    ) -> Iterator[tuple[str, Losses]]:
        """Pass for Geant4, with the energy that was asked for."""
        logit, classes = self.discriminator(fake.deposits, fake.energy, fake.label)
        total = fake.deposits.sum(dim=1, keepdim=True) / MEV_PER_GEV
        losses = {
            "adversarial": cross_entropy(logit, torch.ones(len(fake))),
            "energy": self.config.lambda_energy * (total - fake.energy).abs().mean(),
        }
        if classes is not None:
            losses["class"] = CLASS_WEIGHT * functional.cross_entropy(classes, fake.label)
        yield "generator", losses

    def _some_wrong(self, label: Tensor, rng: torch.Generator) -> Tensor:
        """Labels of which a share is another particle's."""
        n = len(self.setting.particles)
        other = (label + torch.randint(1, n, label.shape, generator=rng).to(label.device)) % n
        wrong = torch.rand(label.shape, generator=rng) < WRONG_CLASSES
        return torch.where(wrong.to(label.device), other, label)


def _embedding(n: int, length: int) -> nn.Embedding:
    """A vector per particle, drawn as in Keras (Glorot, normal)."""
    table = nn.Embedding(n, length)
    initialise(table.weight, "glorot_normal", n, length)
    return table
