"""Compare showers with reference showers of the same incident energies, quantity by quantity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import ShowersError
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
        lateral widths along y and x in cell numbers (sigma_i of table IV of the CaloGAN paper is
        the one along y, eta) and the share of cells that are hit.

    Raises:
        ShowersError: Readouts or energies do not match.

    References:
        Paganini, de Oliveira, Nachman, CaloGAN, arXiv:1712.10321, table IV.
    """
    copies = len(showers) // max(len(reference), 1)
    if not (
        len(reference) > 1
        and showers.detector.same_readout(reference.detector)
        and len(showers) == copies * len(reference) > 0
        and np.allclose(showers.energy, np.tile(reference.energy, copies), rtol=1e-5)
    ):
        msg = (
            f"showers: {showers!r} must have the readout and the energies of {reference!r}, once "
            "or several times over"
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
    for i, image in enumerate(showers.images):
        found[f"width of layer {i} along y"] = _width(image.sum(axis=1, dtype=np.float64))
        found[f"width of layer {i} along x"] = _width(image.sum(axis=2, dtype=np.float64))
        found[f"occupancy of layer {i}"] = (image > 0).mean(axis=(1, 2))
    return found


def _width(profile: FloatArray) -> FloatArray:
    """Standard deviation of profiles of shape (N, n_bins) in bins, NaN where they are empty."""
    total = profile.sum(axis=1)
    bins = np.arange(profile.shape[1])
    total = np.where(total > 0, total, np.nan)
    mean = profile @ bins / total
    return np.sqrt(np.clip(profile @ bins**2 / total - mean**2, 0, None))
