"""The figure that FastCaloGAN chooses its best epoch by: chi2/NDF of the total energy.

References:
    ATLAS, AtlFast3, arXiv:2109.02551; M. Faucci Giannelli, R. Zhang, CaloShowerGAN,
    arXiv:2309.06515; the public ``selectBestEpoch_Energy.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import ShowersError
from caloforge.evaluation.comparable import check_alike
from caloforge.evaluation.distances.histograms import fill
from caloforge.evaluation.distances.single import ChiSquare, chi2_test
from caloforge.showers import Showers

__all__ = ["EnergyChi2", "EnergyChi2Point", "fastcalogan_energy_chi2"]

FloatArray = NDArray[np.float64]

_BINS = 30
_MODE_EDGES = np.linspace(0.0, 2.0, 101)
_ELECTROMAGNETIC = frozenset({"e-", "e+", "gamma"})
# At more incident energies than this a spectrum counts as continuous, and is cut into slices: as
# many as FastCaloGAN has energies, unless that leaves too few showers in each.
_MOST_ENERGIES = 64
_MOST_SLICES = 15
_SLICE_SHOWERS = 400
_SAME_ENERGY = 1e-5


@dataclass(frozen=True)
class EnergyChi2Point:
    """The comparison at one incident energy, or in one slice of it.

    Attributes:
        energy: Smallest and largest incident energy of the reference, GeV.
        response: Range of E_tot / E_inc that is histogrammed.
        counts: Number of showers of the reference and of the sample, in the range or not.
        chi2: The test.
    """

    energy: tuple[float, float]
    response: tuple[float, float]
    counts: tuple[int, int]
    chi2: ChiSquare


@dataclass(frozen=True)
class EnergyChi2:
    """The comparison at all incident energies.

    Attributes:
        points: One per incident energy or slice.
        continuous: Whether the points are slices of a continuous spectrum.
        left_out: Showers of the sample at energies that the reference does not have.
    """

    points: tuple[EnergyChi2Point, ...]
    continuous: bool
    left_out: int

    @property
    def chi2(self) -> ChiSquare:
        """Sums of chi-square and degrees of freedom over the points: the published figure."""
        return sum((point.chi2 for point in self.points), ChiSquare(0.0, 0))


def fastcalogan_energy_chi2(
    reference: Showers, showers: Showers, *, factors: tuple[float, float] | None = None
) -> EnergyChi2:
    """Compare the total energy at each incident energy, as FastCaloGAN does.

    At each incident energy of the reference: 30 bins from max(0, m - a RMS) to m + b RMS, where m
    is the middle of the highest of 100 bins of E_tot from 0 to 2 E_inc and RMS the standard
    deviation of the values in those bins, both of the reference; then the weighted chi-square test
    without underflow and overflow. Chi-squares and degrees of freedom are summed over energies.

    A continuous spectrum (more than 64 different incident energies) has no published form: we cut
    it into at most 15 slices with equal numbers of reference showers, at least 400 each, and take
    E_tot / E_inc in each. At discrete energies that is the published figure, as bins of E_tot scale
    with E_inc.

    Args:
        reference: Geant4 showers.
        showers: Showers of the same detector and particle.
        factors: a and b; by default the published 3 and 3 for electrons, positrons and photons,
            4 and 3.5 for other particles.

    Raises:
        ShowersError: The samples cannot be compared, or there are no showers at an energy of the
            reference.
    """
    check_alike(reference, showers)
    if factors is None:
        factors = (3.0, 3.0) if reference.particle in _ELECTROMAGNETIC else (4.0, 3.5)
    limits, continuous = _energy_limits(reference.energy)
    responses = reference.response, showers.response
    slices = _slice_of(limits, reference.energy), _slice_of(limits, showers.energy)
    points = []
    for i in range(len(limits)):
        inside = reference.energy[slices[0] == i]
        energy = float(inside.min()), float(inside.max())
        values = [sample[index == i] for sample, index in zip(responses, slices, strict=True)]
        if not len(values[1]):
            msg = (
                f"showers: has none with an incident energy of {energy[0]:g} to {energy[1]:g} GeV, "
                "must have some wherever the reference has; generate them at its energies"
            )
            raise ShowersError(msg)
        points.append(_compare(values, energy, factors))
    return EnergyChi2(tuple(points), continuous, int((slices[1] < 0).sum()))


def _energy_limits(energy: FloatArray) -> tuple[FloatArray, bool]:
    """Lower and upper limits of the points, GeV: shape (n_points, 2)."""
    found = np.unique(energy)
    if len(found) <= _MOST_ENERGIES:
        return np.stack([found * (1 - _SAME_ENERGY), found * (1 + _SAME_ENERGY)], axis=1), False
    count = int(np.clip(len(energy) // _SLICE_SHOWERS, 1, _MOST_SLICES))
    edges = np.quantile(energy, np.linspace(0, 1, count + 1))
    return np.stack([edges[:-1], edges[1:]], axis=1), True


def _slice_of(limits: FloatArray, energy: FloatArray) -> NDArray[np.intp]:
    """Point that each shower belongs to, -1 for none: shape (N,)."""
    index = np.searchsorted(limits[:, 0], energy, side="right") - 1
    inside = (index >= 0) & (energy <= limits[np.maximum(index, 0), 1])
    return np.where(inside, index, -1)


def _compare(
    values: list[FloatArray], energy: tuple[float, float], factors: tuple[float, float]
) -> EnergyChi2Point:
    """Compare the responses of the reference and of the sample."""
    low, high = _response_range(values[0], factors)
    counts = (len(values[0]), len(values[1]))
    if not high > low:  # all showers of the reference are the same
        return EnergyChi2Point(energy, (low, high), counts, ChiSquare(0.0, 0))
    edges = np.linspace(low, high, _BINS + 1)
    chi2 = chi2_test(*(fill(sample, edges) for sample in values))
    return EnergyChi2Point(energy, (low, high), counts, chi2)


def _response_range(values: FloatArray, factors: tuple[float, float]) -> tuple[float, float]:
    counts = fill(values, _MODE_EDGES).inside
    highest = int(counts.argmax())
    mode = 0.5 * float(_MODE_EDGES[highest] + _MODE_EDGES[highest + 1])
    inside = values[(values >= _MODE_EDGES[0]) & (values < _MODE_EDGES[-1])]
    rms = float(inside.std()) if len(inside) else 0.0
    return max(0.0, mode - factors[0] * rms), mode + factors[1] * rms
