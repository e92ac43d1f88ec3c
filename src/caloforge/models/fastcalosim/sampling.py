r"""Parametrised showers in the style of ATLAS FastCaloSim V2: sampling.

A shower is described by its *observables*: the response :math:`E_{dep}/E_{inc}`, the fraction of
the deposit in each layer, and within each layer the share of each ring in r. At each of a number
of energy nodes, and in each of a number of bins of the leading principal component of the
longitudinal observables (the *PCA bin*), the parametrisation holds

- the quantile function of each observable, as a function of a standard normal variable z;
- a PCA rotation that turns independent standard normal numbers into correlated z;
- for each ring, the loadings of its dipole moment in alpha on a few common factors, the density
  in r, and the mean energy and the dispersion of the hits that it is made of.

A layer may have one ring more, outside its voxels, for the energy beside them.

A shower is drawn in two steps. Longitudinal and radial: PCA bin, rotation, quantile functions;
quantile functions are interpolated by power laws in E between the two neighbouring nodes,
everything else is taken from one of the two, drawn with the probability that its distance in log E
gives. Lateral: each ring's energy is shared among its sectors in alpha according to its dipole
moment, and in each sector among hits, a Poisson number of them with gamma distributed weights. The
hits carry exactly the layer energies of the first step; they can be digitised into any readout of
the same stack.

The fit is in :mod:`caloforge.models.fastcalosim.fit`. Only NumPy is needed here.

References:
    ATLAS Collaboration, *The new Fast Calorimeter Simulation in ATLAS*, ATL-SOFT-PUB-2018-002.
    ATLAS Collaboration, *AtlFast3: the next generation of fast simulation in ATLAS*,
    arXiv:2109.02551.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import CylindricalLayer, Detector, Hits
from caloforge.errors import ArtefactError, EnergyError
from caloforge.models.fastcalosim.fit import (
    FastCaloSimConfig,
    Parametrisation,
    check_rows,
    fit_parametrisation,
)
from caloforge.models.fastcalosim.rings import Rings
from caloforge.showers import Showers
from caloforge.units import MEV_PER_GEV

__all__ = ["FastCaloSim", "FastCaloSimConfig", "is_empty"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class FastCaloSim:
    """Parametrised shower generator of one particle.

    Args:
        detector: Detector with cylindrical layers that the parametrisation was fitted on.
        parametrisation: The fitted tables.

    Attributes:
        detector: The detector that the parametrisation was fitted on.
        energy_range: Lowest and highest incident energy in GeV.

    Raises:
        ArtefactError: The parametrisation does not fit the detector.
    """

    def __init__(self, detector: Detector, parametrisation: Parametrisation) -> None:
        self.detector = detector
        self._rings = Rings.of(detector, parametrisation.outer_radius)
        self._tables = parametrisation
        n_observables = 1 + self._rings.n_layers + self._rings.n_rings
        got = parametrisation.quantiles.shape[2]
        if got != n_observables:
            msg = (
                f"parametrisation: got {got} observables, but a detector with "
                f"{self._rings.n_layers} layers and {self._rings.n_rings} rings has "
                f"{n_observables}; use the detector that it was fitted on"
            )
            raise ArtefactError(msg)
        nodes = parametrisation.log_energy
        self.energy_range = (float(np.exp(nodes[0])), float(np.exp(nodes[-1])))

    @classmethod
    def fit(
        cls,
        showers: Showers,
        config: FastCaloSimConfig | None = None,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Self:
        """Fit the parametrisation of one particle.

        Args:
            showers: Reference showers on a detector with cylindrical layers; training rows only.
                Where they have overflow and the stack of the detector is known, a layer with
                overflow gets a ring outside its voxels, up to half the side of the plates. Showers
                without any deposit are left out: none is made.
            config: Settings of the fit; by default the preset of the particle.
            progress: Called with the number of energy nodes fitted so far.

        Returns:
            The generator.

        Raises:
            DetectorError: A layer of the detector is not cylindrical.
            ShowersError: There are too few showers for the settings.
        """
        config = config or FastCaloSimConfig.preset(showers.particle)
        showers = showers[~is_empty(showers)]
        rings = Rings.of(showers.detector, _outer_radius(showers))
        check_rows(showers.energy, config)
        sectors = rings.sectors(showers.detector, showers.deposits, showers.overflow)
        tables = fit_parametrisation(rings, showers.energy, sectors, config, progress)
        return cls(showers.detector, tables)

    @property
    def has_outer_rings(self) -> bool:
        """Whether energy beside the voxels is described."""
        return bool(self._rings.outside.any())

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """The tables by name, for an ``.npz`` file that needs no pickle."""
        return {
            field.name: getattr(self._tables, field.name).astype(np.float32)
            for field in fields(Parametrisation)
        }

    @classmethod
    def from_arrays(cls, detector: Detector, arrays: Mapping[str, NDArray[np.generic]]) -> Self:
        """The generator back from what :meth:`arrays` returned.

        Args:
            detector: The detector that the parametrisation was fitted on.
            arrays: Tables by name, as of ``numpy.load(path, allow_pickle=False)``.

        Raises:
            ArtefactError: A table is missing, or the tables do not fit the detector.
        """
        names = [field.name for field in fields(Parametrisation)]
        if missing := [name for name in names if name not in arrays]:
            msg = f"arrays: {', '.join(missing)} missing; need {', '.join(names)}"
            raise ArtefactError(msg)
        tables = {name: np.asarray(arrays[name], dtype=np.float64) for name in names}
        return cls(detector, Parametrisation(**tables))

    def hits(
        self,
        energy: Floats,
        rngs: Sequence[np.random.Generator],
        *,
        extrapolate: bool = False,
    ) -> Hits:
        """Draw showers.

        Args:
            energy: Incident energies in GeV, shape (N,).
            rngs: One generator per shower; a shower depends on its energy and its own generator
                alone, whatever else is in the block.
            extrapolate: Whether to accept energies outside ``energy_range``: they take the shape
                of the nearest node, and a deposit in proportion to their energy.

        Returns:
            The hits of all showers, in the order of the showers.

        Raises:
            EnergyError: An energy is not positive or is out of range.
        """
        energy = np.asarray(energy, dtype=np.float64)
        self._check_energy(energy, extrapolate=extrapolate)
        n = len(energy)
        rings, tables = self._rings, self._tables
        n_observables, n_factors = tables.quantiles.shape[2], tables.loadings.shape[3]
        normal = np.empty((n, n_observables + 2 * n_factors))
        uniform = np.empty((n, 2 + rings.n_rings))
        for i, rng in enumerate(rngs):
            rng.standard_normal(out=normal[i])
            rng.random(out=uniform[i])
        below, t = self._nodes_below(energy)
        node = below + (uniform[:, 0] < t)
        pca_bin = (uniform[:, 1] * tables.quantiles.shape[1]).astype(np.int64)
        rotation = tables.rotation[node, pca_bin]
        z = np.matmul(rotation, normal[:, :n_observables, None])[:, :, 0]
        ring_energy = self._ring_energies(MEV_PER_GEV * energy, below, t, pca_bin, z)
        factors = normal[:, n_observables:].reshape(n, n_factors, 2)
        dipole = np.matmul(tables.loadings[node, pca_bin], factors) * np.sqrt(0.5)
        return self._place(ring_energy, dipole, node, pca_bin, uniform[:, 2:], rngs)

    def _check_energy(self, energy: Floats, *, extrapolate: bool) -> None:
        low, high = self.energy_range
        margin = 1e-6  # of the nodes in single precision
        if extrapolate:
            bad = ~((energy > 0) & np.isfinite(energy))
            legal = "must be positive"
        else:
            bad = ~((energy >= low * (1 - margin)) & (energy <= high * (1 + margin)))
            legal = (
                f"must be between {low:g} and {high:g} GeV, where the parametrisation was fitted; "
                "pass extrapolate=True to go beyond"
            )
        if bad.any():
            msg = f"energy: got {energy[bad][0]:g} GeV, {legal}"
            raise EnergyError(msg)

    def _nodes_below(self, energy: Floats) -> tuple[Integers, Floats]:
        nodes = self._tables.log_energy
        log_energy = np.clip(np.log(energy), nodes[0], nodes[-1])
        below = np.clip(np.searchsorted(nodes, log_energy) - 1, 0, len(nodes) - 2)
        return below, (log_energy - nodes[below]) / (nodes[below + 1] - nodes[below])

    def _ring_energies(
        self, energy: Floats, below: Integers, t: Floats, pca_bin: Integers, z: Floats
    ) -> Floats:
        """Energy in MeV of each ring from the normal variables, shape (N, n_rings)."""
        tables, rings = self._tables, self._rings
        quantiles, z_grid = tables.quantiles, tables.z
        position = (z - z_grid[0]) / (z_grid[1] - z_grid[0])
        position = np.clip(position, 0, len(z_grid) - 1)
        cell = np.minimum(position.astype(np.int64), len(z_grid) - 2)
        weight = position - cell
        observables = np.arange(quantiles.shape[2])

        def at(node: Integers) -> Floats:
            index = (node[:, None], pca_bin[:, None], observables)
            left, right = quantiles[(*index, cell)], quantiles[(*index, cell + 1)]
            return np.asarray(left + weight * (right - left))

        values = _interpolate(at(below), at(below + 1), t[:, None])
        n_layers = rings.n_layers
        fraction = values[:, 1 : 1 + n_layers]
        layer_energy = (energy * values[:, 0])[:, None] * fraction
        layer_energy /= fraction.sum(axis=1, keepdims=True)
        share = values[:, 1 + n_layers :]
        for part in rings.of_layer:
            empty = np.flatnonzero(share[:, part].sum(axis=1) <= 0)
            share[empty, part.start + z[empty, 1 + n_layers :][:, part].argmax(axis=1)] = 1
        total = np.add.reduceat(share, rings.first, axis=1)
        return share * (layer_energy / total)[:, rings.layer]

    def _place(
        self,
        ring_energy: Floats,
        dipole: Floats,
        node: Integers,
        pca_bin: Integers,
        uniform: Floats,
        rngs: Sequence[np.random.Generator],
    ) -> Hits:
        """Share the energy of each ring among hits and place them.

        Args:
            ring_energy: Energy of each ring in MeV, shape (N, R).
            dipole: Half the logarithmic dipole moment of each ring, shape (N, R, 2).
            node: Energy node of each shower, shape (N,).
            pca_bin: PCA bin of each shower, shape (N,).
            uniform: Random numbers, shape (N, R).
            rngs: The generator of each shower.
        """
        rings, tables = self._rings, self._tables
        n, n_rings = ring_energy.shape
        alpha = rings.sector_centres
        share = np.exp(2 * (dipole[:, :, :1] * np.cos(alpha) + dipole[:, :, 1:] * np.sin(alpha)))
        share /= share.sum(axis=2, keepdims=True)
        track_angle = self._tracks(ring_energy, share, uniform)
        hit_energy = np.exp(tables.log_hit_energy[node, pca_bin])
        expected = (ring_energy / hit_energy)[:, :, None] * share
        most = tables.max_hits[:, None]
        crowded = expected >= most
        capped = np.where(crowded, most, expected)
        counts = np.empty(expected.shape, dtype=np.int64)
        for i, rng in enumerate(rngs):
            counts[i] = rng.poisson(capped[i])
        counts = np.where(crowded, most.astype(np.int64), counts)
        shower, ring = np.nonzero((counts.sum(axis=2) == 0) & (ring_energy > 0))
        below = np.cumsum(share[shower, ring], axis=1) < uniform[shower, ring, None]
        counts[shower, ring, np.minimum(below.sum(axis=1), rings.n_sectors - 1)] = 1

        # Gamma weights: their sum in a sector has mean `expected` and dispersion / expected as its
        # relative variance, if the number of hits is Poisson distributed or fixed alike.
        dispersion = tables.dispersion[node, pca_bin][:, :, None]
        shape = np.where(crowded, expected / (dispersion * most), 1 / (dispersion - 1))
        scale = np.where(crowded, dispersion, dispersion - 1)
        sector = np.repeat(np.arange(counts.size), counts.ravel())
        key, sector_in_ring = np.divmod(sector, rings.n_sectors)
        shower, ring = np.divmod(key, n_rings)
        weight = np.empty(len(sector))
        u = np.empty((len(sector), 3))
        hit_shape = shape.ravel()[sector]
        start = 0
        for rng, end in zip(rngs, np.cumsum(counts.sum(axis=(1, 2))).tolist(), strict=True):
            weight[start:end] = rng.standard_gamma(hit_shape[start:end])
            rng.random(out=u[start:end])
            start = end
        weight *= scale.ravel()[sector]
        total = np.bincount(key, weight, minlength=n * n_rings)
        energy = weight * (ring_energy.ravel() / np.where(total > 0, total, 1))[key]

        n_points = tables.radius.shape[3]
        table = tables.radius[node, pca_bin].reshape(n * n_rings, n_points)
        position = u[:, 0] * (n_points - 1)
        cell = position.astype(np.int64)
        left, right = table[key, cell], table[key, cell + 1]
        r = rings.r_min[ring] + rings.r_width[ring] * (left + (position - cell) * (right - left))
        angle = track_angle.ravel()[key]
        angle = np.where(np.isnan(angle), sector_in_ring + u[:, 1], angle)
        angle *= 2 * np.pi / rings.n_sectors
        z = rings.z_min[ring] + rings.z_width[ring] * u[:, 2]
        return Hits(r * np.cos(angle), r * np.sin(angle), z, energy, shower)

    def _tracks(self, ring_energy: Floats, share: Floats, uniform: Floats) -> Floats:
        """Give all energy of a ring to one sector where its layer holds a single track.

        Args:
            ring_energy: Energy of each ring in MeV, shape (N, R).
            share: Shares of the sectors, shape (N, R, A); changed in place.
            uniform: Random numbers, shape (N, R).

        Returns:
            The angle of the track in sectors, NaN where there is none, shape (N, R).
        """
        rings = self._rings
        angle = np.full(ring_energy.shape, np.nan)
        layer_energy = np.add.reduceat(ring_energy, rings.first, axis=1)
        at = np.nonzero((layer_energy < self._tables.track_energy)[:, rings.layer])
        sectors = np.arange(rings.n_sectors + 1)
        upto = np.cumsum(share[at], axis=1)
        edges = np.concatenate([np.zeros((len(upto), 1)), upto], axis=1)
        for i, (edge, p) in enumerate(zip(edges, uniform[at], strict=True)):
            angle[at[0][i], at[1][i]] = np.interp(p, edge, sectors)
        share[at] = np.floor(angle[at])[:, None].clip(max=rings.n_sectors - 1) == sectors[:-1]
        return angle


def _interpolate(first: Floats, second: Floats, t: Floats) -> Floats:
    """Power law in the energy between two nodes; linear in its logarithm where one value is 0."""
    linear = first + t * (second - first)
    positive = (first > 0) & (second > 0)
    ratio = np.where(positive, second, 1) / np.where(positive, first, 1)
    return np.asarray(np.where(positive, first * ratio**t, linear))


def is_empty(showers: Showers) -> NDArray[np.bool_]:
    """Which showers have no deposit, neither in voxels nor beside them: shape (N,)."""
    total = showers.total_energy
    if showers.overflow is not None:
        total = total + showers.overflow.sum(axis=1)
    empty: NDArray[np.bool_] = total <= 0
    return empty


def _outer_radius(showers: Showers) -> Floats:
    """How far the ring outside the voxels of each layer reaches in mm, 0 where there is none."""
    radius = np.zeros(showers.detector.n_layers)
    if showers.overflow is None or showers.detector.stack is None:
        return radius
    half = 0.5 * showers.detector.stack.lateral
    for i, layer in enumerate(showers.detector.layers):
        if isinstance(layer, CylindricalLayer) and layer.r_edges[-1] < half:
            radius[i] = half * showers.overflow[:, i].any()
    return radius
