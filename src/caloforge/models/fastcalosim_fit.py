"""Parametrised showers in the style of ATLAS FastCaloSim V2: the fit.

See :mod:`caloforge.models.fastcalosim` for the model. Each energy node is fitted on a window of
showers around it in log E, weighted with an Epanechnikov kernel and scaled to the energy of the
node by a power law per observable, so that the window does not broaden the distributions.

References:
    ATLAS Collaboration, *The new Fast Calorimeter Simulation in ATLAS*, ATL-SOFT-PUB-2018-002.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from caloforge.errors import ShowersError
from caloforge.models.rings import Rings

__all__ = ["FastCaloSimConfig", "Parametrisation", "fit_parametrisation"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_NORMAL_Z = np.linspace(-6, 6, 2401)
_NORMAL_P = np.array([NormalDist().cdf(z) for z in _NORMAL_Z])


class FastCaloSimConfig(BaseModel):
    """Settings of the fit.

    Attributes:
        energy_range: Lowest and highest incident energy in GeV: the first and the last node.
        n_nodes: Number of energy nodes, equidistant in log E.
        n_bins: Number of PCA bins, equally populated.
        window: Least half-width in log E of the window of showers around a node.
        min_rows: Least number of showers in a window; it is widened until it holds them.
        n_quantiles: Points of each quantile function, equidistant in the normal variable.
        max_z: The last of these points; beyond it a quantile function is constant.
        max_hits: Most hits of a voxel. Where more are expected, this number is placed, with
            weights that fluctuate less.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    energy_range: tuple[float, float] = (1.0, 100.0)
    n_nodes: int = Field(default=16, ge=2)
    n_bins: int = Field(default=5, ge=1)
    window: float = Field(default=0.3, gt=0)
    min_rows: int = Field(default=1000, ge=50)
    n_quantiles: int = Field(default=33, ge=5)
    max_z: float = Field(default=3.2, gt=0, lt=6)
    max_hits: int = Field(default=4, ge=1)


@dataclass(frozen=True)
class Parametrisation:
    """The fitted tables. K nodes, B PCA bins, V observables, Q quantile points, R rings.

    Attributes:
        log_energy: log of the energy of the nodes in GeV, shape (K,).
        z: Standard normal variable at which quantiles are tabulated, equidistant, shape (Q,).
        quantiles: Observables at each z: response, layer fractions, ring shares, shape
            (K, B, V, Q).
        rotation: Matrices that turn independent into correlated normal variables, shape
            (K, B, V, V); column j is the j-th principal component times its standard deviation.
        log_hit_energy: log of the mean energy of a hit in MeV, shape (K, B, R).
        dispersion: Mean square over squared mean of the hit energies, shape (K, B, R); above one.
        steepness: Decrease of log dE/dr across a ring, shape (K, B, R).
        max_hits: Most hits per voxel, by layer, shape (n_layers,).
    """

    log_energy: Floats
    z: Floats
    quantiles: Floats
    rotation: Floats
    log_hit_energy: Floats
    dispersion: Floats
    steepness: Floats
    max_hits: Floats


def fit_parametrisation(
    rings: Rings, energy: NDArray[np.floating], deposits: NDArray[np.floating], config: FastCaloSimConfig
) -> Parametrisation:
    """Fit the tables to showers.

    Args:
        rings: Rings of the detector.
        energy: Incident energies in GeV, shape (N,).
        deposits: Deposits in MeV, shape (N, n_cells).
        config: Settings.

    Raises:
        ShowersError: There are fewer showers than ``config.min_rows``, or all deposits of one of
            them are zero.
    """
    if len(energy) < config.min_rows:
        msg = (
            f"showers: got {len(energy)}, must be at least min_rows = {config.min_rows}; "
            "add showers or lower min_rows"
        )
        raise ShowersError(msg)
    energy = np.asarray(energy, dtype=np.float64)
    voxels = np.asarray(deposits, dtype=np.float64)[:, rings.cell]
    ring_energy = np.add.reduceat(voxels, rings.first_voxel, axis=1)
    observables, defined = _observables(rings, energy, ring_energy)
    log_e = np.log(energy)
    score = _leading_component(log_e, observables[:, : 1 + rings.n_layers])
    pca_bin = np.minimum((score * config.n_bins).astype(np.int64), config.n_bins - 1)

    nodes = np.linspace(*np.log(config.energy_range), config.n_nodes)
    z = np.linspace(-config.max_z, config.max_z, config.n_quantiles)
    shape = (config.n_nodes, config.n_bins)
    quantiles = np.empty((*shape, observables.shape[1], config.n_quantiles))
    rotation = np.empty((*shape, observables.shape[1], observables.shape[1]))
    log_hit_energy, dispersion, steepness = (np.empty((*shape, rings.n_rings)) for _ in range(3))
    for k, node in enumerate(nodes):
        weight = _window(log_e - node, config)
        for b in range(config.n_bins):
            rows = np.flatnonzero((weight > 0) & (pca_bin == b))
            at_node = _scale(observables[rows], log_e[rows] - node, weight[rows])
            w = weight[rows, None] * defined[rows]
            quantiles[k, b], scores = _gaussianise(at_node, w, z)
            rotation[k, b] = _rotation(scores, weight[rows])
            hits = _fit_hits(rings, voxels[rows], ring_energy[rows], weight[rows])
            log_hit_energy[k, b], dispersion[k, b] = hits
            steepness[k, b] = _steepness(rings, weight[rows] @ ring_energy[rows])
    most = np.full(rings.n_layers, float(config.max_hits))
    n_alpha = rings.n_alpha[rings.first]
    most[n_alpha == 1] *= n_alpha.max()
    return Parametrisation(
        nodes, z, quantiles, rotation, log_hit_energy, dispersion, steepness, most
    )


def _observables(rings: Rings, energy: Floats, ring_energy: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Response, layer fractions and ring shares of each shower; and which of them are defined."""
    layer = np.add.reduceat(ring_energy, rings.first, axis=1)
    total = layer.sum(axis=1, keepdims=True)
    if (total <= 0).any():
        msg = "showers: some have no deposit at all, must be positive; remove them"
        raise ShowersError(msg)
    layer_of_ring = layer[:, rings.layer]
    share = ring_energy / np.where(layer_of_ring > 0, layer_of_ring, 1)
    values = np.hstack([total / (1e3 * energy[:, None]), layer / total, share])
    defined = np.ones(values.shape, dtype=np.bool_)
    defined[:, 1 + rings.n_layers :] = layer_of_ring > 0
    return values, defined


def _normal_quantile(p: Floats) -> Floats:
    return np.interp(p, _NORMAL_P, _NORMAL_Z)


def _conditional_ranks(log_e: Floats, values: Floats, neighbours: int = 250) -> Floats:
    """Rank of each value among the showers next to it in energy, in (0, 1), ties at their middle.

    Args:
        log_e: log of the incident energies, shape (N,).
        values: Shape (N,).
        neighbours: Number of showers compared with, on either side.
    """
    order = np.argsort(log_e, kind="stable")
    x = log_e[order]
    y = values[order] - np.polyval(np.polyfit(x, values[order], 3), x)
    n = len(y)
    start = np.clip(np.arange(n) - neighbours, 0, max(n - 2 * neighbours - 1, 0))
    index = np.minimum(start[:, None] + np.arange(2 * neighbours + 1), n - 1)
    near = y[index]
    rank = 0.5 * ((near < y[:, None]).mean(axis=1) + (near <= y[:, None]).mean(axis=1))
    ranks = np.empty(n)
    ranks[order] = rank
    return ranks


def _leading_component(log_e: Floats, longitudinal: Floats) -> Floats:
    """Rank, at given energy, of the leading principal component of the longitudinal observables."""
    columns = [_normal_quantile(_conditional_ranks(log_e, np.log(c + 1e-6))) for c in longitudinal.T]
    normal = np.stack(columns, axis=1)
    _, vectors = np.linalg.eigh(np.cov(normal, rowvar=False))
    leading = vectors[:, -1]
    leading *= np.sign(leading[np.argmax(np.abs(leading))])
    return _conditional_ranks(log_e, normal @ leading)


def _window(distance: Floats, config: FastCaloSimConfig) -> Floats:
    """Epanechnikov weights of the showers at a distance in log E from a node."""
    distance = np.abs(distance)
    nearest = np.partition(distance, config.min_rows - 1)[config.min_rows - 1]
    return np.maximum(1 - (distance / max(config.window, nearest * 1.001)) ** 2, 0)


def _scale(values: Floats, distance: Floats, weight: Floats) -> Floats:
    """Scale observables to the energy of the node by the power law of their mean."""
    w = weight[:, None] / weight.sum()
    d = distance[:, None]
    mean, mean_d = (w * values).sum(axis=0), (w * d).sum()
    spread = (w * (d - mean_d) ** 2).sum()
    slope = (w * (d - mean_d) * values).sum(axis=0) / spread
    at_node = mean - slope * mean_d
    power = np.clip(slope / np.maximum(at_node, 0.1 * mean + 1e-30), -1.5, 1.5)
    return values * np.exp(-power * d)


def _gaussianise(values: Floats, weight: Floats, z: Floats) -> tuple[Floats, Floats]:
    """Quantile functions and normal scores of weighted observables.

    Args:
        values: Shape (n, V).
        weight: Shape (n, V); zero where an observable is not defined.
        z: Shape (Q,).

    Returns:
        The quantile functions, shape (V, Q), with the mean of the values if z is normal; and the
        normal scores, shape (n, V), ties at their middle, zero where not defined.
    """
    quantiles = np.zeros((values.shape[1], len(z)))
    scores = np.zeros(values.shape)
    p = np.interp(z, _NORMAL_Z, _NORMAL_P)
    mass = np.diff(_NORMAL_P)
    middle = 0.5 * (_NORMAL_Z[1:] + _NORMAL_Z[:-1])
    for j, (x, w) in enumerate(zip(values.T, weight.T, strict=True)):
        if w.sum() <= 0:
            continue
        distinct, inverse = np.unique(x, return_inverse=True)
        step = np.bincount(inverse, w)
        upto = np.cumsum(step)
        centre = (upto - 0.5 * step) / upto[-1]
        scores[:, j] = np.where(w > 0, _normal_quantile(centre)[inverse], 0)
        order = np.argsort(x, kind="stable")
        cumulative = np.cumsum(w[order])
        q = np.interp(p, (cumulative - 0.5 * w[order]) / cumulative[-1], x[order])
        mean = mass @ np.interp(middle, z, q)
        quantiles[j] = q * ((w @ x) / w.sum() / mean) if mean > 0 else q
    return quantiles, scores


def _rotation(scores: Floats, weight: Floats) -> Floats:
    """Principal components of normal scores, each times its standard deviation."""
    w = weight / weight.sum()
    centred = scores - w @ scores
    covariance = (centred * w[:, None]).T @ centred
    sigma = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(sigma, sigma).clip(min=1e-12)
    np.fill_diagonal(correlation, 1)
    values, vectors = np.linalg.eigh(correlation)
    rotation = vectors[:, ::-1] * np.sqrt(values[::-1].clip(min=0))
    norm = np.sqrt((rotation**2).sum(axis=1, keepdims=True))
    return np.asarray(rotation / norm)


def _bisect(function: Callable[[Floats], Floats], low: float, high: float, n: int) -> Floats:
    """Roots of n decreasing functions of one variable, evaluated together."""
    below, above = np.full(n, low), np.full(n, high)
    for _ in range(40):
        middle = 0.5 * (below + above)
        positive = function(middle) > 0
        below, above = np.where(positive, middle, below), np.where(positive, above, middle)
    return 0.5 * (below + above)


def _fit_hits(
    rings: Rings, voxels: Floats, ring_energy: Floats, weight: Floats
) -> tuple[Floats, Floats]:
    r"""Mean energy and dispersion of the hits of each ring.

    With :math:`\epsilon` the mean energy and D the dispersion of a hit, a ring of energy e and A
    voxels has empty voxels with probability :math:`\exp(-e / A \epsilon)`, and the shares of its
    voxels vary as those of a Dirichlet distribution of total parameter :math:`e / D \epsilon`.
    Rings that are not divided in alpha take the values at equal radius in the nearest layer that
    is.

    Returns:
        log of the mean energy in MeV and the dispersion, each of shape (n_rings,).
    """
    log_hit, dispersion = np.zeros(rings.n_rings), np.full(rings.n_rings, 2.0)
    centre = rings.r_min + 0.5 * rings.r_width
    for part in rings.of_layer:
        a = int(rings.n_alpha[part.start])
        if a == 1:
            continue
        e = ring_energy[:, part]
        w = weight[:, None] * (e > 0)
        w /= w.sum(axis=0).clip(min=1e-12)
        first = rings.first_voxel[part.start]
        x = voxels[:, first : first + a * e.shape[1]].reshape(len(e), e.shape[1], a)
        occupied = np.count_nonzero(e, axis=0)
        empty = (w * (x == 0).mean(axis=2)).sum(axis=0)
        empty = np.clip(empty, 0.5 / (a * occupied + 1), 1 - 1 / a)
        spread = (w * ((x / np.where(e > 0, e, 1)[:, :, None]) ** 2).sum(axis=2)).sum(axis=0)
        spread = np.clip((spread - 1 / a) / (1 - 1 / a), 1e-6, 1)

        def too_few(log_h: Floats, e: Floats = e, w: Floats = w, p: Floats = empty, a: int = a) -> Floats:
            return p - (w * np.exp(-e / (a * np.exp(log_h)))).sum(axis=0)

        def too_wide(log_v: Floats, e: Floats = e, w: Floats = w, s: Floats = spread) -> Floats:
            return s - (w / (e / np.exp(log_v) + 1)).sum(axis=0)

        n = e.shape[1]
        h, v = _bisect(too_few, -12, 12, n), _bisect(too_wide, -12, 12, n)
        ratio = np.clip(np.exp(v - h), 1.05, 20)
        dispersion[part] = ratio
        log_hit[part] = np.minimum(h, v - np.log(1.05))
    divided = [i for i, part in enumerate(rings.of_layer) if rings.n_alpha[part.start] > 1]
    for i, part in enumerate(rings.of_layer):
        if divided and i not in divided:
            near = rings.of_layer[min(divided, key=lambda j, i=i: abs(j - i))]  # type: ignore[misc]
            log_hit[part] = np.interp(centre[part], centre[near], log_hit[near])
            dispersion[part] = np.interp(centre[part], centre[near], dispersion[near])
    return log_hit, dispersion


def _steepness(rings: Rings, ring_energy: Floats) -> Floats:
    """Decrease of log dE/dr across each ring: the smaller of the slopes to its neighbours."""
    steepness = np.zeros(rings.n_rings)
    for part in rings.of_layer:
        width = rings.r_width[part]
        centre = rings.r_min[part] + 0.5 * width
        log_density = np.log(ring_energy[part] / width + 1e-12)
        slope = np.diff(log_density) / np.diff(centre)
        left, right = np.append(slope[:1], slope), np.append(slope, slope[-1:])
        limited = np.where(np.abs(left) < np.abs(right), left, right)
        steepness[part] = -np.where(left * right > 0, limited, 0) * width
    return np.clip(steepness, -5, 20)
