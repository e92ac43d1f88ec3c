"""Rings and voxels of a detector with cylindrical layers, as flat index arrays."""

from __future__ import annotations

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

    Voxels are counted ring after ring here, alpha fastest; ``cell`` maps them to the order of the
    deposits (alpha major, r fastest).

    Attributes:
        layer: Layer of each ring, shape (n_rings,).
        first: First ring of each layer, shape (n_layers,).
        r_min: Inner radius in mm, shape (n_rings,).
        r_width: Outer minus inner radius in mm, shape (n_rings,).
        z_min: Depth of the front of the layer in mm, shape (n_rings,).
        z_width: Thickness of the layer in mm, shape (n_rings,).
        n_alpha: Number of voxels of each ring, shape (n_rings,).
        alpha_width: Width in alpha of a voxel in rad, shape (n_rings,).
        first_voxel: First voxel of each ring, shape (n_rings,).
        of_voxel: Ring of each voxel, shape (n_voxels,).
        alpha_bin: Bin in alpha of each voxel, shape (n_voxels,).
        cell: Cell of the deposits of each voxel, shape (n_voxels,).
    """

    layer: Integers
    first: Integers
    r_min: Floats
    r_width: Floats
    z_min: Floats
    z_width: Floats
    n_alpha: Integers
    alpha_width: Floats
    first_voxel: Integers
    of_voxel: Integers
    alpha_bin: Integers
    cell: Integers

    @classmethod
    def of(cls, detector: Detector) -> Self:
        """The rings of a detector.

        Args:
            detector: Detector whose layers are all cylindrical.

        Raises:
            DetectorError: A layer is not cylindrical.
        """
        layers = []
        for layer in detector.layers:
            if not isinstance(layer, CylindricalLayer):
                msg = (
                    f"detector: layer of {detector.name!r} is not cylindrical; a parametrisation "
                    "is fitted on voxels in r and alpha, such as detector 'lar-voxels'"
                )
                raise DetectorError(msg)
            layers.append(layer)
        n_r = np.array([len(layer.r_edges) - 1 for layer in layers])
        index = np.repeat(np.arange(len(layers)), n_r)
        r_min = np.concatenate([np.asarray(layer.r_edges, float)[:-1] for layer in layers])
        r_max = np.concatenate([np.asarray(layer.r_edges, float)[1:] for layer in layers])
        n_alpha = np.array([layer.n_alpha for layer in layers])[index]
        first = np.cumsum(n_r) - n_r
        first_voxel = np.cumsum(n_alpha) - n_alpha
        of_voxel = np.repeat(np.arange(len(index)), n_alpha)
        alpha_bin = np.arange(len(of_voxel)) - first_voxel[of_voxel]
        ring_in_layer = np.arange(len(index)) - first[index]
        return cls(
            layer=index,
            first=first,
            r_min=r_min,
            r_width=r_max - r_min,
            z_min=np.array([layer.z_min for layer in layers])[index],
            z_width=np.array([layer.z_max - layer.z_min for layer in layers])[index],
            n_alpha=n_alpha,
            alpha_width=2 * np.pi / n_alpha,
            first_voxel=first_voxel,
            of_voxel=of_voxel,
            alpha_bin=alpha_bin,
            cell=(
                first_voxel[first[index]][of_voxel]
                + alpha_bin * n_r[index][of_voxel]
                + ring_in_layer[of_voxel]
            ),
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
