r"""Parametrised showers in the style of ATLAS FastCaloSim V2: the fit of the density in r.

Within a ring dE/dr falls exponentially. In a ring outside the voxels it continues that of the
outermost ring of the voxels, and its scale is such that the ring holds the energy that it has: for
showers with a tail :math:`e^{-r/\lambda}` that is :math:`\lambda`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caloforge.models.fastcalosim.rings import Rings

__all__ = ["fit_radius"]

Floats = NDArray[np.float64]

_N_RADIUS = 9
_MAX_STEEPNESS = 20.0


def fit_radius(rings: Rings, ring_energy: Floats) -> Floats:
    """Quantile function of r within each ring, as a fraction of its width.

    Layers that are not divided take the radial profile of the nearest divided layer, stretched so
    that the cumulative energy at the edges of the rings is theirs.

    Args:
        rings: Rings of the detector.
        ring_energy: Mean energy of the rings in MeV, shape (R,).

    Returns:
        The quantile function at equidistant probabilities, shape (R, P).
    """
    u = np.linspace(0, 1, _N_RADIUS)
    steepness = _steepness(rings, ring_energy)[:, None]
    steepness = np.where(np.abs(steepness) < 1e-3, 1e-3, steepness)
    radius = -np.log1p(u * np.expm1(-steepness)) / steepness
    # Between the last two points the function is taken as linear: in the long tail of a ring
    # outside, move the last one such that the mean is right.
    s, before = steepness[rings.outside, 0], radius[rings.outside, -2]
    mean = before + 1 / s - (1 - before) / np.expm1(s * (1 - before))
    radius[rings.outside, -1] = 2 * mean - before
    for i, part in enumerate(rings.of_layer):
        near = rings.of_layer[rings.nearest_divided(i)]
        if near == part or ring_energy[part].sum() <= 0 or ring_energy[near].sum() <= 0:
            continue
        share = ring_energy[near] / ring_energy[near].sum()
        cumulative = (np.cumsum(share) - share)[:, None] + share[:, None] * u
        r = rings.r_min[near, None] + rings.r_width[near, None] * radius[near]
        own = ring_energy[part] / ring_energy[part].sum()
        wanted = (np.cumsum(own) - own)[:, None] + own[:, None] * u
        mapped = np.interp(wanted, cumulative.ravel(), r.ravel())
        length = mapped[:, -1:] - mapped[:, :1]
        uniform = np.broadcast_to(u, mapped.shape)
        stretched = (mapped - mapped[:, :1]) / np.where(length > 0, length, 1)
        radius[part] = np.where(length > 0, stretched, uniform)
    return radius


def _steepness(rings: Rings, ring_energy: Floats) -> Floats:
    """Decrease of log dE/dr across each ring: the smaller of the slopes to its neighbours."""
    steepness = np.zeros(rings.n_rings)
    for i, whole in enumerate(rings.of_layer):
        part = np.flatnonzero((rings.layer == i) & ~rings.outside)
        width = rings.r_width[part]
        centre = rings.r_min[part] + 0.5 * width
        log_density = np.log(ring_energy[part] / width + 1e-12)
        if len(centre) > 1:
            slope = np.diff(log_density) / np.diff(centre)
            left, right = np.append(slope[:1], slope), np.append(slope, slope[-1:])
            limited = np.where(np.abs(left) < np.abs(right), left, right)
            steepness[part] = -np.where(left * right > 0, limited, 0) * width
        last, outside = part[-1], whole.stop - 1
        if outside > last and ring_energy[last] > 0:
            s = max(steepness[last], 1e-3)
            at_edge = ring_energy[last] / width[-1] * s / np.expm1(s)
            filled = ring_energy[outside] / (at_edge * rings.r_width[outside])
            steepness[outside] = _steepness_of(filled)
    return np.clip(steepness, -5, _MAX_STEEPNESS)


def _steepness_of(filled: float) -> float:
    """The s for which the mean of exp(-s x) over x in (0, 1) has a value, 0 where it is 1."""
    s = np.linspace(1e-3, _MAX_STEEPNESS, 1000)
    return float(np.interp(-filled, np.expm1(-s) / s, s))
