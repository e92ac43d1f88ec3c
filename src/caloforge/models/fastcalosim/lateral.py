r"""Parametrised showers in the style of ATLAS FastCaloSim V2: the fit of the lateral fluctuations.

The energy of a ring is shared among its sectors in two steps. The mean share of the sector at angle
:math:`\alpha` is proportional to :math:`\exp(2 \operatorname{Re}(\bar q e^{i \alpha}))`, where q,
half the logarithmic dipole moment of the ring, is a sum of a few complex normal factors common to
all rings of the shower: a displacement of the shower, and of its parts, from the axis. On top of
that come hits: a Poisson number of them, with gamma distributed energies.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from caloforge.models.fastcalosim.rings import Rings

__all__ = ["fit_lateral"]

Floats = NDArray[np.float64]

_MIN_JOINT = 0.01  # of the showers must have energy in two rings for their covariance to count
_MIN_DISPERSION, _MAX_DISPERSION = 1.05, 20.0


def fit_lateral(
    rings: Rings, sectors: Floats, mean: Floats, weight: Floats, n_factors: int
) -> tuple[Floats, Floats, Floats]:
    """Fit the lateral fluctuations of a sample of showers.

    Rings that are not divided take the values of the nearest layer that is: the hits at equal
    radius, the dipole moments at equal cumulative energy. For a ring outside the voxels of a
    divided layer that is the outermost ring of the voxels.

    Args:
        rings: Rings of the detector.
        sectors: Deposits in MeV by ring and sector, shape (N, R, A).
        mean: Mean energy of the rings in MeV, shape (R,).
        weight: Weights of the showers, sum one, shape (N,).
        n_factors: Number of common factors.

    Returns:
        Loadings of the factors, shape (R, n_factors), log of the mean energy of a hit in MeV and
        dispersion of the hit energies, each of shape (R,).
    """
    x = sectors[:, rings.divided]
    e = x.sum(axis=2)
    share = x / np.where(e > 0, e, 1)[:, :, None]
    w = weight[:, None] * (e > 0)
    w /= w.sum(axis=0).clip(min=1e-12)
    dipole = share @ np.exp(1j * rings.sector_centres)
    signal, noise_free = _common_factors(dipole, e > 0, weight, n_factors)
    loadings = np.zeros((rings.n_rings, n_factors))
    log_hit_energy, dispersion = np.zeros(rings.n_rings), np.zeros(rings.n_rings)
    loadings[rings.divided] = signal
    hits = _fit_hits(e, share, w, noise_free)
    log_hit_energy[rings.divided], dispersion[rings.divided] = hits
    centre = rings.r_min + 0.5 * rings.r_width
    upto = np.concatenate([_cumulative(mean[part]) for part in rings.of_layer])
    for i in range(rings.n_layers):
        to = np.flatnonzero(~rings.divided & (rings.layer == i))
        near = np.flatnonzero(rings.divided & (rings.layer == rings.nearest_divided(i)))
        for table in (log_hit_energy, dispersion):
            table[to] = np.interp(centre[to], centre[near], table[near])
        for j in range(n_factors):
            loadings[to, j] = np.interp(upto[to], upto[near], loadings[near, j])
    return loadings, log_hit_energy, dispersion


def _cumulative(energy: Floats) -> Floats:
    """Fraction of the energy inside the middle of each ring."""
    return np.asarray((np.cumsum(energy) - 0.5 * energy) / max(energy.sum(), 1e-12))


def _common_factors(
    dipole: NDArray[np.complex128], occupied: NDArray[np.bool_], weight: Floats, n_factors: int
) -> tuple[Floats, Floats]:
    """Factor analysis of the dipole moments of the rings.

    Args:
        dipole: First Fourier coefficient of the shares of the sectors, shape (N, R); zero where a
            ring is empty.
        occupied: Where it is not, shape (N, R).
        weight: Weights of the showers, shape (N,).
        n_factors: Number of common factors.

    Returns:
        Loadings of the factors, shape (R, n_factors), and the mean square of the dipole moment
        that they give, shape (R,).
    """
    joint = (occupied * weight[:, None]).T @ occupied
    covariance = ((dipole.conj() * weight[:, None]).T @ dipole).real
    covariance = np.where(joint > _MIN_JOINT, covariance / joint.clip(min=_MIN_JOINT), 0)
    sigma = np.sqrt(np.diag(covariance)).clip(min=1e-12)
    correlation = covariance / np.outer(sigma, sigma)
    common = np.full(len(sigma), 0.5)
    loadings = np.zeros((len(sigma), n_factors))
    for _ in range(30):
        np.fill_diagonal(correlation, common)
        values, vectors = np.linalg.eigh(correlation)
        loadings = vectors[:, -n_factors:] * np.sqrt(values[-n_factors:].clip(min=0))
        common = (loadings**2).sum(axis=1).clip(max=0.95)
    norm = np.sqrt((loadings**2).sum(axis=1).clip(min=1e-12))
    moment = np.sqrt(common) * sigma
    # The dipole moment of the exponential saturates: invert that.
    scale = np.linspace(0, 4, 161)
    saturated = np.array([_rms_dipole(s) for s in scale])
    return loadings * (np.interp(moment, saturated, scale) / norm)[:, None], moment**2


def _rms_dipole(scale: float) -> float:
    """Root mean square dipole moment for complex normal q of mean square ``scale**2``."""
    p = (np.arange(64) + 0.5) / 64
    kappa = 2 * scale * np.sqrt(-np.log(p))[:, None]
    cosine = np.cos((np.arange(36) + 0.5) * (2 * np.pi / 36))
    density = np.exp(kappa * (cosine - 1))
    return float(np.sqrt(((density @ cosine / density.sum(axis=1)) ** 2).mean()))


def _fit_hits(e: Floats, share: Floats, w: Floats, dipole_squared: Floats) -> tuple[Floats, Floats]:
    r"""Mean energy and dispersion of the hits of each ring.

    With :math:`\epsilon` the mean energy and D the dispersion of a hit, a sector of expected
    energy e is empty with probability :math:`\exp(-e / \epsilon)`, and the shares of the sectors
    of a ring of energy e vary about their means as in a Dirichlet distribution of total parameter
    :math:`e / D \epsilon`. Where too few sectors are empty to say, the dispersion is that of the
    next ring outside.

    Args:
        e: Energy of the rings in MeV, shape (N, R).
        share: Shares of the sectors, shape (N, R, A).
        w: Weights of the showers by ring, shape (N, R).
        dipole_squared: Mean square dipole moment of the mean shares, shape (R,).

    Returns:
        log of the mean energy in MeV and the dispersion, each of shape (R,).
    """
    a = share.shape[2]
    n_rings = e.shape[1]
    floor = 3 / (a * np.count_nonzero(e, axis=0) + 3)
    empty = (w * (share == 0).mean(axis=2)).sum(axis=0)
    resolved = empty > floor
    empty = np.clip(empty, floor, 1 - 1 / a)
    smooth = (1 + 2 * dipole_squared) / a
    spread = (w * (share**2).sum(axis=2)).sum(axis=0)
    spread = np.clip((spread - smooth) / (1 - smooth).clip(min=0.01), 1e-6, 0.999)
    log_hit = _bisect(lambda h: empty - (w * np.exp(-e / (a * np.exp(h)))).sum(axis=0), n_rings)
    log_both = _bisect(lambda v: spread - (w / (e / np.exp(v) + 1)).sum(axis=0), n_rings)
    dispersion = np.clip(np.exp(log_both - log_hit), _MIN_DISPERSION, _MAX_DISPERSION)
    outermost = 2.0
    for i in reversed(range(n_rings)):
        if resolved[i]:
            outermost = dispersion[i]
        dispersion[i] = outermost
    log_hit = np.where(dispersion > _MIN_DISPERSION, log_both - np.log(dispersion), log_hit)
    return log_hit, dispersion


def _bisect(function: Callable[[Floats], Floats], n: int) -> Floats:
    """Roots in [-12, 12] of n decreasing functions of one variable, evaluated together."""
    below, above = np.full(n, -12.0), np.full(n, 12.0)
    for _ in range(32):
        middle = 0.5 * (below + above)
        positive = function(middle) > 0
        below, above = np.where(positive, middle, below), np.where(positive, above, middle)
    return np.asarray(0.5 * (below + above))
