"""Parametrised showers in the style of ATLAS FastCaloSim V2: the fit.

See :mod:`caloforge.models.fastcalosim.sampling` for the model. Each energy node is fitted on a
window of showers around it in log E, weighted with an Epanechnikov kernel and scaled to the energy
of the node by a power law per observable, so that the window does not broaden the distributions.

References:
    ATLAS Collaboration, *The new Fast Calorimeter Simulation in ATLAS*, ATL-SOFT-PUB-2018-002.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from statistics import NormalDist
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from caloforge.errors import ShowersError
from caloforge.models.fastcalosim.lateral import fit_lateral
from caloforge.models.fastcalosim.radial import fit_radius
from caloforge.models.fastcalosim.rings import Rings
from caloforge.random import Purpose, stream
from caloforge.units import MEV_PER_GEV

__all__ = [
    "FastCaloSimConfig",
    "Parametrisation",
    "check_rows",
    "energy_range",
    "fit_parametrisation",
]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_LATERAL = ("loadings", "log_hit_energy", "dispersion")
_BY_BIN = ("quantiles", "rotation", "radius", *_LATERAL)
_BITS = {"quantiles": 12, "rotation": 7}  # significant, 8 for all other tables
_NORMAL_Z = np.linspace(-6, 6, 2401)
_NORMAL_P = np.array([NormalDist().cdf(z) for z in _NORMAL_Z])


class FastCaloSimConfig(BaseModel):
    """Settings of the fit.

    Attributes:
        energy_range: Lowest and highest incident energy in GeV: the first and the last node; by
            default those of the showers.
        n_nodes: Number of energy nodes, equidistant in log E.
        n_bins: Number of PCA bins, equally populated; with more than one number, each bin is split
            further by the leading component of a PCA of its own, as hadronic showers need.
        window: Least half-width in log E of the window of showers around a node.
        min_rows: Least number of showers in a window; it is widened until it holds them.
        n_quantiles: Points of each quantile function, equidistant in the normal variable.
        max_z: The last of these points; beyond it a quantile function is constant.
        n_factors: Number of common factors of the dipole moments of the rings in alpha.
        max_hits: Most hits of a sector that is small against the cells of any readout. Where more
            are expected, this number is placed, with weights that fluctuate less.
        hit_area: Area in mm^2 for which a larger sector may have one hit more.
        track_loss: Energy in MeV per mm of depth up to which a layer that is not divided in alpha
            is taken to hold a single track: all hits of a ring have one angle.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    energy_range: tuple[float, float] | None = None
    n_nodes: int = Field(default=16, ge=2)
    n_bins: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(5,), min_length=1)
    window: float = Field(default=0.55, gt=0)
    min_rows: int = Field(default=1000, ge=50)
    n_quantiles: int = Field(default=33, ge=5)
    max_z: float = Field(default=3.2, gt=0, lt=6)
    n_factors: int = Field(default=3, ge=1)
    max_hits: int = Field(default=3, ge=1)
    hit_area: float = Field(default=250.0, gt=0)
    track_loss: float = Field(default=0.0, ge=0)

    @classmethod
    def preset(cls, particle: str) -> Self:
        """The settings for a particle.

        Hadrons need more PCA bins, and wider windows to fill them; and they may leave a track only.

        Args:
            particle: PDG name.
        """
        if particle in {"e+", "e-", "gamma"}:
            return cls()
        return cls(n_bins=(3, 3, 3), n_nodes=7, min_rows=1500, n_quantiles=25, track_loss=0.9)


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
        loadings: What the common factors contribute to half the logarithmic dipole moment of each
            ring, shape (K, B, R, F).
        radius: Quantile function of r within each ring, as a fraction of its width, at equidistant
            probabilities, shape (K, B, R, P).
        log_hit_energy: log of the mean energy of a hit in MeV, shape (K, B, R).
        dispersion: Mean square over squared mean of the hit energies, shape (K, B, R); above one.
        max_hits: Most hits per sector of each ring, shape (R,).
        outer_radius: How far the ring outside the voxels of each layer reaches in mm, 0 where there
            is none, shape (n_layers,).
        track_energy: Energy in MeV up to which a layer holds a single track, shape (n_layers,).
    """

    log_energy: Floats
    z: Floats
    quantiles: Floats
    rotation: Floats
    loadings: Floats
    radius: Floats
    log_hit_energy: Floats
    dispersion: Floats
    max_hits: Floats
    outer_radius: Floats
    track_energy: Floats


def fit_parametrisation(
    rings: Rings,
    energy: Floats,
    sectors: Floats,
    config: FastCaloSimConfig,
    progress: Callable[[int], None] = lambda _: None,
) -> Parametrisation:
    """Fit the tables to showers.

    Args:
        rings: Rings of the detector.
        energy: Incident energies in GeV, shape (N,).
        sectors: Deposits in MeV by ring and sector, shape (N, n_rings, n_sectors).
        config: Settings.
        progress: Called with the number of energy nodes fitted so far.

    Raises:
        ShowersError: There are fewer showers than ``config.min_rows``, all deposits of one of them
            are zero, or all have the same incident energy.
    """
    check_rows(energy, config)
    ring_energy = sectors.sum(axis=2)
    observables, defined = _observables(rings, energy, ring_energy)
    log_e = np.log(energy)
    pca_bin = _pca_bins(log_e, observables[:, : 1 + rings.n_layers], config.n_bins)
    n_bins = prod(config.n_bins)

    low, high = np.log(energy_range(energy, config)).tolist()
    nodes = np.linspace(low, high, config.n_nodes)
    z = np.linspace(-config.max_z, config.max_z, config.n_quantiles)
    tables: dict[str, list[Floats]] = {name: [] for name in _BY_BIN}
    for k, node in enumerate(nodes):
        progress(k)
        weight = _window(log_e - node, config)
        for b in range(n_bins):
            rows = np.flatnonzero((weight > 0) & (pca_bin == b))
            w = weight[rows] / weight[rows].sum()
            at_node = _scale(observables[rows], log_e[rows] - node, w)
            quantiles, scores = _gaussianise(at_node, w[:, None] * defined[rows], z)
            rotation = _rotation(scores, w)
            tables["quantiles"].append(_calibrate(rings, quantiles, rotation, z, at_node, w))
            tables["rotation"].append(rotation)
            mean = w @ ring_energy[rows]
            tables["radius"].append(fit_radius(rings, mean))
            lateral = fit_lateral(rings, sectors[rows], mean, w, config.n_factors)
            for name, table in zip(_LATERAL, lateral, strict=True):
                tables[name].append(table)
    by_bin = {
        name: _round(
            np.stack(table).reshape(config.n_nodes, n_bins, *table[0].shape), _BITS.get(name, 8)
        )
        for name, table in tables.items()
    }
    area = np.pi * rings.r_width * (2 * rings.r_min + rings.r_width) / rings.n_sectors
    most = config.max_hits + np.floor(area / config.hit_area)
    return Parametrisation(
        log_energy=_round(nodes, 24),
        z=_round(z, 24),
        max_hits=most,
        outer_radius=rings.outer_radius,
        track_energy=np.where(rings.divided, 0, config.track_loss * rings.z_width)[rings.first],
        **by_bin,
    )


def energy_range(energy: Floats, config: FastCaloSimConfig) -> tuple[float, float]:
    """Lowest and highest incident energy that is fitted, GeV: as set, or those of the showers."""
    return config.energy_range or (float(energy.min()), float(energy.max()))


def check_rows(energy: Floats, config: FastCaloSimConfig) -> None:
    """Refuse showers that nothing can be fitted to, before the work.

    Args:
        energy: Incident energies in GeV of the showers that have a deposit, shape (N,).
        config: Settings.

    Raises:
        ShowersError: They are fewer than ``config.min_rows``, or all of the same energy.
    """
    if len(energy) < config.min_rows:
        msg = (
            f"showers: got {len(energy)} with a deposit, must be at least min_rows = "
            f"{config.min_rows}; add showers or lower min_rows"
        )
        raise ShowersError(msg)
    low, high = energy_range(energy, config)
    if high < energy.min() or low > energy.max():
        msg = (
            f"energy_range: got {low:g} to {high:g} GeV, but the showers have {energy.min():g} to "
            f"{energy.max():g} GeV; take a range that they have"
        )
        raise ShowersError(msg)
    for what, first, last in (
        ("showers: all have an incident energy", energy.min(), energy.max()),
        ("energy_range: is a single energy", low, high),
    ):
        if not first < last:
            msg = (
                f"{what} of {first:g} GeV, but a parametrisation goes from one energy to another; "
                "add others"
            )
            raise ShowersError(msg)


def _round(values: Floats, bits: int) -> Floats:
    """Round to significant bits, so that the tables compress and are exact in single precision."""
    mantissa, exponent = np.frexp(values)
    return np.asarray(np.ldexp(np.round(mantissa * 2.0**bits), exponent - bits))


def _observables(
    rings: Rings, energy: Floats, ring_energy: Floats
) -> tuple[Floats, NDArray[np.bool_]]:
    """Response, layer fractions and ring shares of each shower; and which of them are defined."""
    layer = np.add.reduceat(ring_energy, rings.first, axis=1)
    total = layer.sum(axis=1, keepdims=True)
    if (total <= 0).any():
        msg = "showers: some have no deposit at all, must be positive; leave them out"
        raise ShowersError(msg)
    layer_of_ring = layer[:, rings.layer]
    share = ring_energy / np.where(layer_of_ring > 0, layer_of_ring, 1)
    values = np.hstack([total / (MEV_PER_GEV * energy[:, None]), layer / total, share])
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
    degree = min(3, len(np.unique(x)) - 1)
    y = values[order] - np.polyval(np.polyfit(x, values[order], degree), x)
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
    ranks = [_conditional_ranks(log_e, np.log(column + 1e-6)) for column in longitudinal.T]
    normal = _normal_quantile(np.stack(ranks, axis=1))
    _, vectors = np.linalg.eigh(np.cov(normal, rowvar=False))
    return _conditional_ranks(log_e, normal @ vectors[:, -1])


def _pca_bins(log_e: Floats, longitudinal: Floats, n_bins: tuple[int, ...]) -> Integers:
    """PCA bin of each shower: equally populated bins, each split by a PCA of its own."""
    rank = _leading_component(log_e, longitudinal)
    bins = np.minimum((rank * n_bins[0]).astype(np.int64), n_bins[0] - 1)
    if len(n_bins) == 1:
        return bins
    split = np.empty_like(bins)
    for b in range(n_bins[0]):
        rows = bins == b
        split[rows] = _pca_bins(log_e[rows], longitudinal[rows], n_bins[1:])
    return bins * prod(n_bins[1:]) + split


def _window(distance: Floats, config: FastCaloSimConfig) -> Floats:
    """Epanechnikov weights of the showers at a distance in log E from a node."""
    distance = np.abs(distance)
    nearest = np.partition(distance, config.min_rows - 1)[config.min_rows - 1]
    return np.asarray(np.maximum(1 - (distance / max(config.window, nearest * 1.001)) ** 2, 0))


def _scale(values: Floats, distance: Floats, weight: Floats) -> Floats:
    """Scale observables to the energy of the node by the power law of their truncated mean."""
    w, d = weight[:, None], distance[:, None]
    core = np.clip(values, *np.quantile(values, [0.05, 0.95], axis=0))
    mean, mean_d = (w * core).sum(axis=0), (w * d).sum()
    spread = (w * (d - mean_d) ** 2).sum()
    if spread <= 0:  # all of one energy: nothing to scale by
        return values
    slope = (w * (d - mean_d) * core).sum(axis=0) / spread
    at_node = mean - slope * mean_d
    power = np.clip(slope / np.maximum(at_node, 0.1 * mean + 1e-30), -1.5, 1.5)
    return np.asarray(values * np.exp(-power * d))


def _gaussianise(values: Floats, weight: Floats, z: Floats) -> tuple[Floats, Floats]:
    """Quantile functions and normal scores of weighted observables.

    Args:
        values: Shape (n, V).
        weight: Shape (n, V); zero where an observable is not defined.
        z: Shape (Q,).

    Returns:
        The quantile functions, shape (V, Q), and the normal scores, shape (n, V), ties at their
        middle, zero where not defined.
    """
    quantiles = np.zeros((values.shape[1], len(z)))
    scores = np.zeros(values.shape)
    p = np.interp(z, _NORMAL_Z, _NORMAL_P)
    for j, (x, w) in enumerate(zip(values.T, weight.T, strict=True)):
        if w.sum() <= 0:
            continue
        inverse = np.unique(x, return_inverse=True)[1]
        step = np.bincount(inverse, w)
        upto = np.cumsum(step)
        centre = (upto - 0.5 * step) / upto[-1]
        scores[:, j] = np.where(w > 0, _normal_quantile(centre)[inverse], 0)
        order = np.argsort(x, kind="stable")
        cumulative = np.cumsum(w[order])
        quantiles[j] = np.interp(p, (cumulative - 0.5 * w[order]) / cumulative[-1], x[order])
    return quantiles, scores


def _rotation(scores: Floats, weight: Floats) -> Floats:
    """Principal components of normal scores, each times its standard deviation."""
    centred = scores - weight @ scores
    covariance = (centred * weight[:, None]).T @ centred
    sigma = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(sigma, sigma).clip(min=1e-12)
    np.fill_diagonal(correlation, 1)
    values, vectors = np.linalg.eigh(correlation)
    rotation = vectors[:, ::-1] * np.sqrt(values[::-1].clip(min=0))
    return np.asarray(rotation / np.sqrt((rotation**2).sum(axis=1, keepdims=True)))


def _calibrate(
    rings: Rings, quantiles: Floats, rotation: Floats, z: Floats, values: Floats, weight: Floats
) -> Floats:
    """Scale quantile functions so that the mean layer fractions and ring energies are kept.

    Fractions and shares are divided by their sums when showers are drawn, which moves their means;
    this takes the shift out, with the means of a fixed sample of normal numbers.
    """
    first_ring = 1 + rings.n_layers
    fraction, share = values[:, 1:first_ring], values[:, first_ring:]
    wanted_fraction = weight @ fraction
    wanted_ring = weight @ (fraction[:, rings.layer] * share)
    normal = stream(0, Purpose.CALIBRATION).standard_normal((2048, len(rotation)))
    correlated = normal @ rotation.T
    drawn = np.stack(
        [np.interp(x, z, q) for x, q in zip(correlated.T, quantiles, strict=True)], axis=1
    )
    scale = np.ones(len(quantiles))
    for _ in range(8):
        scaled = drawn * scale
        fraction, share = scaled[:, 1:first_ring], scaled[:, first_ring:]
        fraction /= fraction.sum(axis=1, keepdims=True)
        total = np.add.reduceat(share, rings.first, axis=1)
        share = share / np.where(total > 0, total, 1)[:, rings.layer]
        ring = (fraction[:, rings.layer] * share).mean(axis=0)
        scale[1:first_ring] *= _ratio(wanted_fraction, fraction.mean(axis=0))
        scale[first_ring:] *= _ratio(wanted_ring, ring)
    return quantiles * scale[:, None]


def _ratio(wanted: Floats, got: Floats) -> Floats:
    return np.clip(np.where(got > 0, wanted / np.where(got > 0, got, 1), 1), 0.5, 2)
