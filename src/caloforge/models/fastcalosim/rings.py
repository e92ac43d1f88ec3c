"""Rings and sectors of a detector with cylindrical layers, as flat arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import CylindricalLayer, Detector
from caloforge.errors import DetectorError

__all__ = ["Rings"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Rings:
    """All rings in r of a detector, layer after layer, from the inside to the outside.

    Every ring is divided into the same number of sectors in alpha, that of the most finely divided
    layer. The last ring of a layer may lie outside its voxels: it holds the overflow.

    Attributes:
        layer: Layer of each ring, shape (n_rings,).
        first: First ring of each layer, shape (n_layers,).
        divided: Whether the voxels of the ring are the sectors, shape (n_rings,).
        outside: Whether the ring lies outside the voxels of its layer, shape (n_rings,).
        r_min: Inner radius in mm, shape (n_rings,).
        r_width: Outer minus inner radius in mm, shape (n_rings,).
        z_min: Depth of the front of the layer in mm, shape (n_rings,).
        z_width: Thickness of the layer in mm, shape (n_rings,).
        n_sectors: Number of sectors of each ring.
    """

    layer: Integers
    first: Integers
    divided: NDArray[np.bool_]
    outside: NDArray[np.bool_]
    r_min: Floats
    r_width: Floats
    z_min: Floats
    z_width: Floats
    n_sectors: int

    @classmethod
    def of(cls, detector: Detector, outer_radius: Sequence[float] | Floats = ()) -> Self:
        """The rings of a detector.

        Args:
            detector: Detector whose layers are all cylindrical, one of them with at least three
                bins in alpha.
            outer_radius: How far the ring outside the voxels of each layer reaches in mm, 0 for no
                such ring, shape (n_layers,); by default there are none.

        Raises:
            DetectorError: A layer is not cylindrical, its depth is not known, or none is divided in
                alpha.
        """
        layers = [layer for layer in detector.layers if isinstance(layer, CylindricalLayer)]
        n_sectors = max((layer.n_alpha for layer in layers), default=0)
        if len(layers) < detector.n_layers or n_sectors < 3:
            msg = (
                f"detector: {detector.name!r} must have cylindrical layers only, one of them with "
                "at least 3 bins in alpha; use such as 'lar-voxels'"
            )
            raise DetectorError(msg)
        edges = [list(layer.r_edges) for layer in layers]
        beyond = np.zeros(len(layers), dtype=np.bool_)
        for i, (edge, radius) in enumerate(zip(edges, outer_radius, strict=False)):
            if radius > edge[-1]:
                edge.append(float(radius))
                beyond[i] = True
        n_r = np.array([len(edge) - 1 for edge in edges])
        index = np.repeat(np.arange(len(layers)), n_r)
        outside = np.zeros(len(index), dtype=np.bool_)
        outside[np.cumsum(n_r)[beyond] - 1] = True
        r_min = np.concatenate([edge[:-1] for edge in edges])
        r_max = np.concatenate([edge[1:] for edge in edges])
        return cls(
            layer=index,
            first=np.cumsum(n_r) - n_r,
            divided=np.array([layer.n_alpha == n_sectors for layer in layers])[index] & ~outside,
            outside=outside,
            r_min=r_min,
            r_width=r_max - r_min,
            z_min=np.array([layer.z_min for layer in layers])[index],
            z_width=np.array([layer.z_max - layer.z_min for layer in layers])[index],
            n_sectors=n_sectors,
        )

    @property
    def n_layers(self) -> int:
        """Number of layers."""
        return len(self.first)

    @property
    def n_rings(self) -> int:
        """Number of rings of all layers together."""
        return len(self.layer)

    @property
    def of_layer(self) -> list[slice]:
        """The rings of each layer."""
        ends = [*self.first[1:].tolist(), self.n_rings]
        return [slice(a, b) for a, b in zip(self.first.tolist(), ends, strict=True)]

    @property
    def outer_radius(self) -> Floats:
        """How far the ring outside the voxels of each layer reaches in mm, 0 for no such ring."""
        radius = np.zeros(self.n_layers)
        radius[self.layer[self.outside]] = (self.r_min + self.r_width)[self.outside]
        return radius

    @property
    def sector_centres(self) -> Floats:
        """Angle alpha of the middle of each sector in rad, shape (n_sectors,)."""
        return np.linspace(0, 2 * np.pi, 2 * self.n_sectors + 1)[1::2]

    def nearest_divided(self, layer: int) -> int:
        """The divided layer that is nearest to a layer (itself if it is divided)."""
        layers = np.unique(self.layer[self.divided])
        return int(layers[np.argmin(np.abs(layers - layer))])

    def sectors(
        self,
        detector: Detector,
        deposits: NDArray[np.floating],
        overflow: Floats | None = None,
    ) -> Floats:
        """Deposits by ring and sector.

        Args:
            detector: The detector that the rings are of.
            deposits: Shape (N, n_cells), MeV.
            overflow: Energy beside the voxels of each layer, shape (N, n_layers), MeV; None for
                none.

        Returns:
            Shape (N, n_rings, n_sectors), MeV; the energy of rings that are not divided is spread
            evenly over their sectors.
        """
        energy = np.zeros((len(deposits), self.n_rings, self.n_sectors))
        for image, first in zip(detector.images(deposits), self.first, strict=True):
            by_ring = image.transpose(0, 2, 1)
            if by_ring.shape[2] != self.n_sectors:
                by_ring = by_ring.sum(axis=2, keepdims=True) / self.n_sectors
            energy[:, first : first + by_ring.shape[1]] = by_ring
        if overflow is not None:
            beside = overflow[:, self.layer[self.outside]]
            energy[:, self.outside] = beside[:, :, None] / self.n_sectors
        return energy
