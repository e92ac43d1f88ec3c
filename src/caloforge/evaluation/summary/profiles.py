"""Where a shower leaves its energy, along each axis of the readout, and in cells of which energy.

All of it is a sum over the cells of one shower, so that samples can be added block by block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import Detector, RectangularLayer
from caloforge.showers import Showers

__all__ = ["CELL_EDGES", "Axis", "Kind", "axes", "cell_counts", "shares"]

FloatArray = NDArray[np.float64]
Kind = Literal["depth", "layer", "x", "y", "r"]

_PER_DECADE = 10
_FIRST, _LAST = -5 * _PER_DECADE, 6 * _PER_DECADE
CELL_EDGES: FloatArray = 10.0 ** (np.arange(_FIRST, _LAST + 1) / _PER_DECADE)
"""Edges of the spectrum of cells, MeV: ten bins per decade from 10 eV to 1 TeV. What lies beyond is
in the first or last bin."""


@dataclass(frozen=True)
class Axis:
    """An axis along which the energy of a shower is projected.

    Attributes:
        kind: ``"depth"``, or ``"layer"`` where the depths of the layers are not known; ``"x"``,
            ``"y"`` or ``"r"`` across one layer.
        layer: The layer; None for the whole depth.
        edges: Edges of the bins, mm; numbers of layers with ``"layer"``.
        sizes: What a bin is divided by: its length in mm, with ``"r"`` its area in mm^2, with
            ``"layer"`` 1.
    """

    kind: Kind
    layer: int | None
    edges: tuple[float, ...]
    sizes: tuple[float, ...]


def axes(detector: Detector) -> tuple[Axis, ...]:
    """The axes of a readout: its depth, then of each layer those that have several bins.

    Examples:
        >>> from caloforge.detector import load_detector
        >>> [(axis.kind, axis.layer) for axis in axes(load_detector("calogan"))][:4]
        [('depth', None), ('x', 0), ('y', 0), ('x', 1)]
    """
    found = [_depth(detector)]
    for i, layer in enumerate(detector.layers):
        if isinstance(layer, RectangularLayer):
            found += [_line("x", i, layer.x_edges), _line("y", i, layer.y_edges)]
        else:
            areas = np.pi * np.diff(np.square(layer.r_edges))
            found.append(Axis("r", i, layer.r_edges, tuple(areas.tolist())))
    return tuple(axis for axis in found if axis.layer is None or len(axis.sizes) > 1)


def shares(showers: Showers) -> FloatArray:
    """Share of the incident energy in each bin of each of the :func:`axes`: shape (N, n_bins)."""
    found = [showers.layer_energies]
    for layer, image in zip(showers.detector.layers, showers.images, strict=True):
        # The slow index runs along x or alpha, the fast one along y or r.
        for axis in (2, 1) if isinstance(layer, RectangularLayer) else (1,):
            sums = image.sum(axis=axis, dtype=np.float64)
            if sums.shape[1] > 1:
                found.append(sums)
    shares: FloatArray = np.hstack(found) / (1000.0 * showers.energy[:, None])
    return shares


def cell_counts(showers: Showers) -> FloatArray:
    """Cells of each layer in each bin of ``CELL_EDGES``: shape (N, n_layers * n_bins).

    Cells without a deposit are in none.
    """
    detector = showers.detector
    n_bins = len(CELL_EDGES) - 1
    rows, cells = np.nonzero(showers.deposits)
    energies = showers.deposits[rows, cells].astype(np.float64)
    bins = np.floor(np.log10(energies) * _PER_DECADE).astype(np.intp) - _FIRST
    place = rows * detector.n_layers + detector.layer_of_cell[cells]
    width = detector.n_layers * n_bins
    flat = place * n_bins + np.clip(bins, 0, n_bins - 1)
    counts = np.bincount(flat, minlength=len(showers) * width)
    return counts.reshape(len(showers), width).astype(np.float64)


def _depth(detector: Detector) -> Axis:
    """The depth in mm where the layers follow each other without a gap, else their numbers."""
    layers = detector.layers
    if detector.has_depth:
        edges = [layers[0].z_min, *(layer.z_max for layer in layers)]
        if np.allclose([layer.z_min for layer in layers], edges[:-1]):
            return _line("depth", None, tuple(edges))
    numbers = tuple(float(i) - 0.5 for i in range(len(layers) + 1))
    return _line("layer", None, numbers)


def _line(kind: Kind, layer: int | None, edges: tuple[float, ...]) -> Axis:
    return Axis(kind, layer, edges, tuple(np.diff(edges).tolist()))
