"""The features of the CaloChallenge, exactly as its public evaluation makes them.

They feed the classifiers and the distances in high dimension, so what matters here is agreement to
the last digits: the small numbers that the public code adds to denominators and logarithms, the
order of the columns, zeros where :mod:`caloforge.evaluation.observables` says "not defined".

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

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import CylindricalLayer, Detector
from caloforge.evaluation.observables import Direction, coordinate, row_blocks
from caloforge.showers import Showers

__all__ = ["high_level", "high_level_names", "low_level", "low_level_normalised"]

FloatArray = NDArray[np.float64]
Precision = type[np.float32] | type[np.float64]

_MEV = 1000.0  # per GeV
_SUM = 1e-16  # added to sums of deposits that are divided by
_LOG = 1e-8  # added to energies that a logarithm is taken of
_LENGTH = 100.0  # mm, the unit of lengths


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
        energy = _MEV * showers.energy[rows, None]
        found[rows, :1] = np.log10(energy)
        found[rows, 1:] = _above(showers.deposits[rows], threshold) / energy
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
        found[rows, :1] = np.log10(_MEV * showers.energy[rows, None])
        found[rows, 1:last] = deposits / (layers + _SUM)[:, detector.layer_of_cell]
        found[rows, last:] = np.log10(layers + _LOG)
    return found


def high_level(
    showers: Showers, *, threshold: float = 0.0, dtype: Precision = np.float64
) -> NDArray[np.floating]:
    """The high-level features; :func:`high_level_names` names the columns.

    With x one of eta, phi, r: EC_x = sum(x E) / (sum(E) + 1e-16 MeV), width_x =
    sqrt(max(sum(x^2 E) / (sum(E) + 1e-16 MeV) - EC_x^2, 0)), both in units of 100 mm;
    sparsity = 1 - mean(E > 0); energies as log10(E / MeV + 1e-8).

    Args:
        showers: N showers.
        threshold: Deposits below it count as zero, MeV; see :func:`low_level`.
        dtype: Precision of the result.

    Returns:
        Shape (N, 2 + 4 n_layers + 4 n_binned), where n_binned layers are binned in alpha (all
        layers of rectangular cells are).
    """
    detector = showers.detector
    binned = _binned(detector)
    found = np.empty((len(showers), len(high_level_names(detector))), dtype)
    for rows in row_blocks(showers):
        deposits = _above(showers.deposits[rows], threshold)
        layers = detector.layer_sums(deposits)
        centres, widths = _lateral(detector, deposits)
        hit = detector.layer_sums((deposits > 0).astype(np.float64))
        found[rows] = np.concatenate(
            [
                np.log10(_MEV * showers.energy[rows, None]),
                np.log10(layers + _LOG),
                centres["eta"][:, binned] / _LENGTH,
                centres["phi"][:, binned] / _LENGTH,
                widths["eta"][:, binned] / _LENGTH,
                widths["phi"][:, binned] / _LENGTH,
                np.log10(layers.sum(axis=1, keepdims=True) + _LOG),
                1.0 - hit / [layer.n_cells for layer in detector.layers],
                centres["r"] / _LENGTH,
                widths["r"] / _LENGTH,
            ],
            axis=1,
        )
    return found


def high_level_names(detector: Detector) -> tuple[str, ...]:
    """Names of the columns of :func:`high_level`.

    Examples:
        >>> from caloforge.detector import load_detector
        >>> high_level_names(load_detector("calogan"))[:5]
        ('log_e_inc', 'log_e_0', 'log_e_1', 'log_e_2', 'centre_eta_0')
    """
    layers, binned = range(detector.n_layers), _binned(detector)
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
