"""Shower shapes: numbers that are computed from one shower at a time, one function each.

A function of this module takes N showers and returns an array of shape (N,), or (N, n_layers) where
there is one number per layer. Where a shape is not defined (the width of a layer without energy) it
is NaN: whoever makes a histogram counts those apart.
:mod:`caloforge.evaluation.features.observables` lists what applies to a detector and computes all
of it, block by block.

Notation: I_i are the deposits in the cells of layer i, E_i their sum, E_tot the sum over layers.
Directions are those of the CaloGAN paper for rectangular cells (eta is y, phi is x) and those of
the CaloChallenge for cylindrical voxels (eta = r cos alpha, phi = r sin alpha).

References:
    M. Paganini, L. de Oliveira, B. Nachman, CaloGAN, arXiv:1712.10321, Table IV.
    C. Krause et al., CaloChallenge 2022, arXiv:2410.21611.
    C. Krause, D. Shih, CaloFlow, arXiv:2106.05285 (brightest cells).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import CylindricalLayer, RectangularLayer
from caloforge.errors import DetectorError
from caloforge.evaluation.features.studied import once
from caloforge.showers import Showers
from caloforge.units import MEV_PER_GEV

__all__ = [
    "DIRECTIONS",
    "Direction",
    "Unit",
    "brightest_share",
    "coordinate",
    "depth",
    "depth_weighted_energy",
    "energy_ratio",
    "lateral_centre",
    "lateral_width",
    "layer_energy",
    "layer_fraction",
    "occupancy",
    "response",
    "shower_depth",
    "shower_depth_width",
    "sparsity",
    "total_energy",
]

FloatArray = NDArray[np.float64]
Direction = Literal["eta", "phi", "r"]
DIRECTIONS: tuple[Direction, ...] = ("eta", "phi", "r")
"""The directions across the shower; ``"r"`` is the distance from the axis."""

Unit = Literal["mm", "cells"]
_RANKS = 3  # of the brightest cells, found at once


def layer_energy(showers: Showers) -> FloatArray:
    """E_i = sum of I_i: shape (N, n_layers), MeV (arXiv:1712.10321, Table IV)."""
    return showers.layer_energies


def total_energy(showers: Showers) -> FloatArray:
    """E_tot = sum of E_i: shape (N,), MeV (arXiv:1712.10321, Table IV)."""
    total: FloatArray = once(showers, layer_energy).sum(axis=1)
    return total


def response(showers: Showers) -> FloatArray:
    """E_tot / E_inc, deposited over incident energy: shape (N,) (arXiv:2410.21611)."""
    quotient: FloatArray = once(showers, total_energy) / (MEV_PER_GEV * showers.energy)
    return quotient


def layer_fraction(showers: Showers) -> FloatArray:
    """f_i = E_i / E_tot: shape (N, n_layers); NaN in showers without energy.

    References:
        arXiv:1712.10321, Table IV.
    """
    energies = once(showers, layer_energy)
    return _ratio(energies, energies.sum(axis=1, keepdims=True))


def energy_ratio(showers: Showers) -> FloatArray:
    """E_ratio,i = (I_i(1) - I_i(2)) / (I_i(1) + I_i(2)), of the two hottest cells of a layer.

    One where only one cell has energy (or the layer has only one cell). The published analysis adds
    1 eV to the denominator, which shows in layers below a keV only.

    Returns:
        Shape (N, n_layers), from 0 to 1; NaN in layers without energy.

    References:
        arXiv:1712.10321, Table IV.
    """
    first, second = _ranked(showers, 1), _ranked(showers, 2)
    return _ratio(first - second, first + second)


def depth(showers: Showers) -> FloatArray:
    """The deepest layer with energy, d = max {i : max(I_i) > 0}.

    Returns:
        Shape (N,), layer numbers from 0; NaN in showers without energy.

    References:
        arXiv:1712.10321, Table IV.
    """
    hit = once(showers, layer_energy) > 0
    deepest = hit.shape[1] - 1 - np.argmax(hit[:, ::-1], axis=1)
    return np.where(hit.any(axis=1), deepest, np.nan)


def depth_weighted_energy(showers: Showers) -> FloatArray:
    """l_d = sum over i of i E_i: shape (N,), MeV (arXiv:1712.10321, Table IV)."""
    energies = once(showers, layer_energy)
    weighted: FloatArray = energies @ np.arange(energies.shape[1], dtype=np.float64)
    return weighted


def shower_depth(showers: Showers) -> FloatArray:
    """s_d = l_d / E_tot, the mean depth in units of layer number.

    Returns:
        Shape (N,); NaN in showers without energy.

    References:
        arXiv:1712.10321, Table IV.
    """
    return once(showers, _depth_moments)[0]


def shower_depth_width(showers: Showers) -> FloatArray:
    """sigma_sd = sqrt(sum i^2 E_i / E_tot - (sum i E_i / E_tot)^2), in units of layer number.

    Returns:
        Shape (N,); NaN in showers without energy.

    References:
        arXiv:1712.10321, Table IV.
    """
    return _spread(*once(showers, _depth_moments))


def lateral_centre(showers: Showers, direction: Direction) -> FloatArray:
    """Centre of energy <x>_i = sum(x I_i) / E_i, with x the centres of the cells.

    Args:
        showers: N showers.
        direction: Which coordinate x is.

    Returns:
        Shape (N, n_layers), mm; NaN in layers without energy.

    References:
        arXiv:2410.21611 ("centre of energy"), up to the origin of alpha:
        see :mod:`caloforge.evaluation.features.calochallenge`.
    """
    return once(showers, _lateral_moments, direction, "mm")[0]


def lateral_width(showers: Showers, direction: Direction, unit: Unit = "mm") -> FloatArray:
    """sigma_i = sqrt(sum(x^2 I_i) / E_i - (sum(x I_i) / E_i)^2), with x the centres of the cells.

    The CaloGAN paper gives it "in units of cell numbers", along one of the two directions; its
    published analysis in mm along the first image index, which is called phi here. We give both
    directions, in mm unless asked for cells.

    Args:
        showers: N showers.
        direction: Which coordinate x is.
        unit: ``"mm"``, or ``"cells"`` for the number of the cell along eta or phi (the convention
            of the paper), which only rectangular cells have.

    Returns:
        Shape (N, n_layers); NaN in layers without energy.

    Raises:
        DetectorError: Cell numbers were asked for where cells have none.

    References:
        arXiv:1712.10321, Table IV; arXiv:2410.21611 ("width of the centre of energy").
    """
    return _spread(*once(showers, _lateral_moments, direction, unit))


def occupancy(showers: Showers, threshold: float = 0.0) -> FloatArray:
    """Share of the cells of each layer whose deposit is above a threshold.

    Args:
        showers: N showers.
        threshold: MeV.

    Returns:
        Shape (N, n_layers), from 0 to 1.

    References:
        arXiv:1712.10321, figure 12.
    """
    cells = np.array([layer.n_cells for layer in showers.detector.layers])
    starts = [part.start for part in showers.detector.slices]
    above = np.add.reduceat(showers.deposits > threshold, starts, axis=1, dtype=np.float64)
    share: FloatArray = above / cells
    return share


def sparsity(showers: Showers, threshold: float = 0.0) -> FloatArray:
    """One minus the :func:`occupancy`: shape (N, n_layers) (arXiv:2410.21611)."""
    return 1.0 - occupancy(showers, threshold)


def brightest_share(showers: Showers, rank: int = 1) -> FloatArray:
    """I_i(n) / E_i, the share of the n-th brightest cell in the energy of its layer.

    Args:
        showers: N showers.
        rank: n, from 1; where a layer has fewer cells its share is 0.

    Returns:
        Shape (N, n_layers), from 0 to 1; NaN in layers without energy.

    References:
        arXiv:2106.05285, section V.
    """
    return _ratio(_ranked(showers, rank), once(showers, layer_energy))


def coordinate(
    layer: RectangularLayer | CylindricalLayer,
    direction: Direction,
    unit: Unit = "mm",
) -> FloatArray:
    """Where the cells of a layer are across the shower.

    Args:
        layer: Layer of a detector.
        direction: ``"eta"``: y of rectangular cells, r cos(alpha) of voxels; ``"phi"``: x of
            rectangular cells, r sin(alpha) of voxels; ``"r"``: the distance from the axis, which is
            the middle of the ring of voxels.
        unit: ``"mm"``, or ``"cells"`` for cell numbers along eta or phi of rectangular cells.

    Returns:
        Shape (n_cells,).

    Raises:
        DetectorError: Cell numbers were asked for where cells have none.
    """
    rectangular = isinstance(layer, RectangularLayer)
    if unit == "cells":
        if not rectangular or direction == "r":
            msg = "unit: got 'cells', only rectangular cells have numbers along eta and phi; use mm"
            raise DetectorError(msg)
        numbers = np.indices(layer.shape, dtype=np.float64)
        return np.asarray(numbers[1 if direction == "eta" else 0].ravel(), dtype=np.float64)
    if direction == "r":
        if isinstance(layer, CylindricalLayer):
            edges = np.array(layer.r_edges, dtype=np.float64)
            return np.tile(0.5 * (edges[1:] + edges[:-1]), layer.n_alpha)
        distance: FloatArray = np.hypot(layer.centres[:, 0], layer.centres[:, 1])
        return distance
    centres: FloatArray = layer.centres[:, 1 if (direction == "eta") == rectangular else 0]
    return centres


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """The quotient; NaN where the denominator is zero."""
    missing = np.full(np.broadcast_shapes(numerator.shape, denominator.shape), np.nan)
    quotient: FloatArray = np.divide(numerator, denominator, out=missing, where=denominator > 0)
    return quotient


def _spread(mean: FloatArray, mean_square: FloatArray) -> FloatArray:
    """Standard deviation; rounding can make the variance of a single cell negative."""
    deviation: FloatArray = np.sqrt(np.maximum(mean_square - mean**2, 0.0))
    return deviation


def _ranked(showers: Showers, rank: int) -> FloatArray:
    """Deposit of the n-th brightest cell of each layer: shape (N, n_layers), MeV."""
    return once(showers, _hottest, max(rank, _RANKS))[:, :, rank - 1]


def _hottest(showers: Showers, count: int) -> FloatArray:
    """Deposits of the brightest cells of each layer, in order: shape (N, n_layers, count), MeV."""
    found = np.zeros((len(showers), showers.detector.n_layers, count))
    for i, part in enumerate(showers.detector.slices):
        size = part.stop - part.start
        first = max(0, size - count)
        cells = np.partition(showers.deposits[:, part], range(first, size), axis=1)[:, first:]
        found[:, i, : size - first] = cells[:, ::-1]
    return found


def _depth_moments(showers: Showers) -> tuple[FloatArray, FloatArray]:
    """Mean and mean square of the layer number: each of shape (N,)."""
    energies = once(showers, layer_energy)
    number = np.arange(energies.shape[1], dtype=np.float64)
    moments = _ratio(
        energies @ np.stack([number, number**2], axis=1), energies.sum(axis=1, keepdims=True)
    )
    return moments[:, 0], moments[:, 1]


def _lateral_moments(
    showers: Showers, direction: Direction, unit: Unit
) -> tuple[FloatArray, FloatArray]:
    """Mean and mean square of a coordinate: each of shape (N, n_layers)."""
    detector = showers.detector
    sums = np.empty((len(showers), detector.n_layers, 3))
    for i, (layer, part) in enumerate(zip(detector.layers, detector.slices, strict=True)):
        x = coordinate(layer, direction, unit)
        cells = showers.deposits[:, part].astype(np.float64)
        np.matmul(cells, np.stack([np.ones_like(x), x, x**2], axis=1), out=sums[:, i])
    return _ratio(sums[..., 1], sums[..., 0]), _ratio(sums[..., 2], sums[..., 0])
