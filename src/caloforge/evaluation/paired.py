"""Compare showers with reference showers of the same incident energies, quantity by quantity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import RectangularLayer
from caloforge.errors import ShowersError
from caloforge.evaluation.comparable import check_alike
from caloforge.evaluation.features.shapes import Unit, lateral_width, occupancy
from caloforge.showers import Showers
from caloforge.units import MEV_PER_GEV

__all__ = ["PairedMean", "compare_matched"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class PairedMean:
    """The mean of one quantity in reference showers and in others.

    Attributes:
        quantity: What is compared.
        reference: Mean over the reference showers.
        showers: Mean over the other showers.
        error: Standard error of the difference of the two.
    """

    quantity: str
    reference: float
    showers: float
    error: float

    @property
    def pull(self) -> float:
        """The difference in units of its error; 0 where both agree exactly."""
        difference = self.showers - self.reference
        return difference / self.error if difference else 0.0


def compare_matched(reference: Showers, showers: Showers) -> list[PairedMean]:
    """Compare response, layer fractions, lateral widths, occupancies and overflow.

    Shower ``i`` must have the energy of reference shower ``i % len(reference)``. What is averaged
    is the difference at one energy, so the spread of energies is not in the errors.

    Args:
        reference: N showers.
        showers: k * N showers in the same readout.

    Returns:
        One comparison per quantity: the response (energy in cells over incident energy), the
        overflow over incident energy, and for each layer its share of the deposited energy, the
        lateral widths along y and x in numbers of rectangular cells (sigma_i of table IV of the
        CaloGAN paper is the one along y, eta), and the share of cells that are hit. Of cylindrical
        voxels the widths are along eta and phi, in mm.

    Raises:
        ShowersError: The samples cannot be compared, or their energies do not match.

    References:
        Paganini, de Oliveira, Nachman, CaloGAN, arXiv:1712.10321, table IV.
    """
    check_alike(reference, showers)
    copies = len(showers) // len(reference)
    if not (
        len(reference) > 1
        and len(showers) == copies * len(reference) > 0
        and np.allclose(showers.energy, np.tile(reference.energy, copies), rtol=1e-5)
    ):
        msg = (
            f"showers: {showers!r} must have the energies of {reference!r}, which must be two or "
            "more, once or several times over"
        )
        raise ShowersError(msg)
    ours = _quantities(showers)
    return [
        _compare(name, values, ours[name].reshape(copies, -1))
        for name, values in _quantities(reference).items()
    ]


def _compare(name: str, reference: FloatArray, showers: FloatArray) -> PairedMean:
    # A quantity may be undefined (NaN), such as the width of an empty layer.
    both = np.isfinite(reference) & np.isfinite(showers).any(axis=0)
    if both.sum() < 2:
        return PairedMean(name, float("nan"), float("nan"), float("nan"))
    mean = np.nanmean(showers[:, both], axis=0)
    error = (mean - reference[both]).std(ddof=1) / np.sqrt(both.sum())
    return PairedMean(name, float(reference[both].mean()), float(mean.mean()), float(error))


def _quantities(showers: Showers) -> dict[str, FloatArray]:
    found = {"response": showers.response}
    if showers.overflow is not None:
        found["overflow"] = showers.overflow.sum(axis=1) / (MEV_PER_GEV * showers.energy)
    for i, fraction in enumerate(showers.layer_fractions.T):
        found[f"fraction of layer {i}"] = fraction
    # Cells have numbers along y and x where they are rectangular; else widths are in mm.
    layers = showers.detector.layers
    unit: Unit = "cells" if all(isinstance(x, RectangularLayer) for x in layers) else "mm"
    widths = [lateral_width(showers, direction, unit) for direction in ("eta", "phi")]
    shares = occupancy(showers)
    for i in range(len(layers)):
        found[f"width of layer {i} along y"] = widths[0][:, i]
        found[f"width of layer {i} along x"] = widths[1][:, i]
        found[f"occupancy of layer {i}"] = shares[:, i]
    return found
