"""The features of the CaloChallenge, exactly as its public evaluation makes them.

They feed the classifiers and the distances in high dimension, so what matters here is agreement to
the last digits: the small numbers that the public code adds to denominators and logarithms, the
order of the columns, zeros where :mod:`caloforge.evaluation.features.observables` says "not
defined".

All features exist for every detector. Rectangular cells have eta = y and phi = x of their centres.
Cylindrical voxels have eta = r cos(alpha), phi = r sin(alpha), and here the public code counts
alpha from -pi, whatever the file: the first voxel's sector begins at -pi, where the layers of
caloforge begin at 0. So centres of energy have the opposite sign of those of ``observables``;
widths and radii are the same, and the same file gives the same features in both programs.

Limits: showers are kept in single precision, so files in double precision agree to some 1e-7 of the
deposits; the width of a layer with all its energy in one cell is zero up to rounding in both.

References:
    C. Krause et al., CaloChallenge 2022, arXiv:2410.21611; its public ``evaluate.py`` and
    ``HighLevelFeatures.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import CylindricalLayer, Detector, RectangularLayer
from caloforge.evaluation.features.blocks import above, row_blocks
from caloforge.evaluation.features.shapes import DIRECTIONS, Direction, coordinate
from caloforge.showers import Showers
from caloforge.units import MEV_PER_GEV

__all__ = [
    "Features",
    "binned_layers",
    "features",
    "high_level",
    "high_level_names",
    "low_level",
    "low_level_normalised",
]

FloatArray = NDArray[np.float64]
Precision = type[np.float32] | type[np.float64]

_SUM = 1e-16  # added to sums of deposits that are divided by
_LOG = 1e-8  # added to energies that a logarithm is taken of
_LENGTH = 100.0  # mm, the unit of lengths


@dataclass(frozen=True, eq=False)
class Features:
    """The high-level features before they are scaled.

    Attributes:
        energies: Energy of each layer: shape (N, n_layers), MeV.
        centres: Centres of energy along eta, phi and r: shapes (N, n_layers), mm.
        widths: Widths along eta, phi and r: shapes (N, n_layers), mm.
        sparsity: Share of the cells without energy: shape (N, n_layers).
    """

    energies: FloatArray
    centres: dict[Direction, FloatArray]
    widths: dict[Direction, FloatArray]
    sparsity: FloatArray


def low_level(
    showers: Showers, *, threshold: float = 0.0, dtype: Precision = np.float64
) -> NDArray[np.floating]:
    """The deposits as shares of the incident energy.

    Columns: log10(E_inc / MeV), then E_cell / E_inc of every cell.

    Args:
        showers: N showers.
        threshold: Deposits below it count as zero, MeV. The public evaluation takes 1 MeV for
            dataset 1 and 0.5 keV / 0.033 for datasets 2 and 3.
        dtype: Precision of the result.

    Returns:
        Shape (N, 1 + n_cells).
    """
    found = np.empty((len(showers), 1 + showers.detector.n_cells), dtype)
    for rows in row_blocks(showers):
        energy = MEV_PER_GEV * showers.energy[rows, None]
        found[rows, :1] = np.log10(energy)
        found[rows, 1:] = above(showers.deposits[rows], threshold) / energy
    return found


def low_level_normalised(
    showers: Showers, *, dtype: Precision = np.float64
) -> NDArray[np.floating]:
    """The deposits as shares of the energy of their layer.

    Columns: log10(E_inc / MeV), then E_cell / (E_layer + 1e-16 MeV) of every cell, then
    log10(E_layer / MeV + 1e-8) of every layer. There is no threshold.

    Args:
        showers: N showers.
        dtype: Precision of the result.

    Returns:
        Shape (N, 1 + n_cells + n_layers).
    """
    detector = showers.detector
    last = 1 + detector.n_cells
    found = np.empty((len(showers), last + detector.n_layers), dtype)
    for rows in row_blocks(showers):
        deposits = showers.deposits[rows].astype(np.float64)
        layers = detector.layer_sums(deposits)
        found[rows, :1] = np.log10(MEV_PER_GEV * showers.energy[rows, None])
        found[rows, 1:last] = deposits / (layers + _SUM)[:, detector.layer_of_cell]
        found[rows, last:] = np.log10(layers + _LOG)
    return found


def high_level(
    showers: Showers, *, threshold: float = 0.0, dtype: Precision = np.float64
) -> NDArray[np.floating]:
    """The high-level features; :func:`high_level_names` names the columns.

    Energies are log10(E / MeV + 1e-8), lengths are in units of 100 mm; see :func:`features`.

    Args:
        showers: N showers.
        threshold: Deposits below it count as zero, MeV; see :func:`low_level`.
        dtype: Precision of the result.

    Returns:
        Shape (N, 2 + 4 n_layers + 4 n_binned), where n_binned layers are binned in alpha (all
        layers of rectangular cells are).
    """
    found = features(showers, threshold=threshold)
    binned = binned_layers(showers.detector)
    columns = [
        np.log10(MEV_PER_GEV * showers.energy[:, None]),
        np.log10(found.energies + _LOG),
        found.centres["eta"][:, binned] / _LENGTH,
        found.centres["phi"][:, binned] / _LENGTH,
        found.widths["eta"][:, binned] / _LENGTH,
        found.widths["phi"][:, binned] / _LENGTH,
        np.log10(found.energies.sum(axis=1, keepdims=True) + _LOG),
        found.sparsity,
        found.centres["r"] / _LENGTH,
        found.widths["r"] / _LENGTH,
    ]
    return np.concatenate(columns, axis=1).astype(dtype)


def high_level_names(detector: Detector) -> tuple[str, ...]:
    """Names of the columns of :func:`high_level`.

    Examples:
        >>> from caloforge.detector import load_detector
        >>> high_level_names(load_detector("calogan"))[:5]
        ('log_e_inc', 'log_e_0', 'log_e_1', 'log_e_2', 'centre_eta_0')
    """
    layers, binned = range(detector.n_layers), binned_layers(detector)
    groups = [
        ("log_e", layers),
        ("centre_eta", binned),
        ("centre_phi", binned),
        ("width_eta", binned),
        ("width_phi", binned),
        ("", ()),
        ("sparsity", layers),
        ("centre_r", layers),
        ("width_r", layers),
    ]
    names = ["log_e_inc"]
    for name, numbers in groups:
        names += [f"{name}_{i}" for i in numbers] if name else ["log_e_tot"]
    return tuple(names)


def features(showers: Showers, *, threshold: float = 0.0) -> Features:
    """What the public evaluation computes of each layer.

    With x one of eta, phi, r and sums over the cells of a layer: EC_x = sum(x E) / (sum(E) + 1e-16
    MeV), width_x = sqrt(max(sum(x^2 E) / (sum(E) + 1e-16 MeV) - EC_x^2, 0)), sparsity = 1 -
    mean(E > 0).

    Args:
        showers: N showers.
        threshold: Deposits below it count as zero, MeV; see :func:`low_level`.
    """
    detector = showers.detector
    shape = (len(showers), detector.n_layers)
    found = Features(
        np.empty(shape),
        {direction: np.empty(shape) for direction in DIRECTIONS},
        {direction: np.empty(shape) for direction in DIRECTIONS},
        np.empty(shape),
    )
    for rows in row_blocks(showers):
        deposits = above(showers.deposits[rows], threshold)
        for i, (layer, part) in enumerate(zip(detector.layers, detector.slices, strict=True)):
            cells = deposits[:, part]
            total = cells.sum(axis=1)
            found.energies[rows, i] = total
            found.sparsity[rows, i] = 1.0 - (cells > 0).mean(axis=1)
            for direction in DIRECTIONS:
                x = _public_coordinate(layer, direction)
                # Sums as in the public code: products of matrices round otherwise.
                centre = (cells * x).sum(axis=1) / (total + _SUM)
                square = (cells * (x * x)).sum(axis=1) / (total + _SUM)
                found.centres[direction][rows, i] = centre
                found.widths[direction][rows, i] = np.sqrt(np.maximum(square - centre**2, 0.0))
    return found


def binned_layers(detector: Detector) -> list[int]:
    """Layers that have features in eta and phi: all but those of full rings."""
    return [
        i
        for i, layer in enumerate(detector.layers)
        if not (isinstance(layer, CylindricalLayer) and layer.n_alpha == 1)
    ]


def _public_coordinate(
    layer: RectangularLayer | CylindricalLayer, direction: Direction
) -> FloatArray:
    """Coordinates of the cells of a layer, alpha counted from -pi: shape (n_cells,), mm.

    Rounded as in the public code: a single voxel at r cos(pi/2) = 6e-17 r is to the right of the
    edge at 0 that its histograms have.
    """
    if direction == "r" or isinstance(layer, RectangularLayer):
        return coordinate(layer, direction)
    edges = np.linspace(-np.pi, np.pi, layer.n_alpha + 1)
    alpha = np.repeat(edges[:-1] + np.diff(edges) / 2, layer.shape[1])
    turn = np.cos(alpha) if direction == "eta" else np.sin(alpha)
    return np.asarray(coordinate(layer, "r") * turn, dtype=np.float64)
