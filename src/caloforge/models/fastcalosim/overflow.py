"""The energy beside voxels, from the same showers in cells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import CylindricalLayer
from caloforge.errors import ShowersError
from caloforge.showers import Showers

__all__ = ["overflow_from_cells"]

Floats = NDArray[np.float64]

_SIGNIFICANT = 2.0  # standard deviations of the rounding


def overflow_from_cells(voxels: Showers, cells: Showers) -> Floats:
    """The energy beside the voxels of each layer: all energy at its depth, less that in its voxels.

    A layer of cells may span several layers of voxels; what is beside these goes to the one that
    ends at the smallest radius. Deposits are rounded in many files, so that a difference of sums
    has an error, whose size the negative differences give. What is not larger than twice that is
    set to zero, and the rest scaled such that the mean over all showers stays as it is.

    Args:
        voxels: N showers in cylindrical voxels.
        cells: The same showers in cells, with their overflow.

    Returns:
        Shape (N, n_layers) for the layers of the voxels, MeV; zero where no layer of cells begins
        and ends with layers of voxels, and where the depths or the overflow of the cells are not
        known.

    Raises:
        ShowersError: The showers are not the same.
    """
    if len(voxels) != len(cells) or not np.allclose(voxels.energy, cells.energy, rtol=1e-5):
        msg = (
            f"cells: {cells!r} must be the showers of {voxels!r}, row by row; "
            "leave them out or give the file of the same run"
        )
        raise ShowersError(msg)
    overflow = np.zeros((len(voxels), voxels.detector.n_layers))
    if cells.overflow is None or not (cells.detector.has_depth and voxels.detector.has_depth):
        return overflow
    everywhere = cells.layer_energies + cells.overflow
    in_voxels = voxels.layer_energies
    for i, layer in enumerate(cells.detector.layers):
        covered = {
            j: each.r_edges[-1]
            for j, each in enumerate(voxels.detector.layers)
            if isinstance(each, CylindricalLayer)
            and each.z_min >= layer.z_min
            and each.z_max <= layer.z_max
        }
        thickness = sum(
            voxels.detector.layers[j].z_max - voxels.detector.layers[j].z_min for j in covered
        )
        if not covered or not np.isclose(thickness, layer.z_max - layer.z_min):
            continue
        narrowest = min(covered, key=covered.__getitem__)
        beside = everywhere[:, i] - in_voxels[:, list(covered)].sum(axis=1)
        overflow[:, narrowest] = _without_noise(beside, everywhere[:, i])
    return overflow


def _without_noise(difference: Floats, total: Floats) -> Floats:
    """Differences of rounded numbers, zero where they are within the rounding, of the same mean.

    Args:
        difference: What should not be negative, shape (N,).
        total: The numbers that were subtracted, to which the rounding is in proportion, shape (N,).
    """
    negative = difference < 0
    if not negative.any():
        return difference
    noise = np.sqrt(np.mean((difference[negative] / total[negative]) ** 2))
    kept = np.where(difference > _SIGNIFICANT * noise * total, difference, 0)
    if difference.sum() <= 0 or not kept.any():
        return np.zeros_like(difference)
    return np.asarray(kept * (difference.sum() / kept.sum()))
