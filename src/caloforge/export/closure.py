"""Closure: response, resolution and layer fractions of a generator against its reference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from caloforge.evaluation.distances.response import resolution
from caloforge.incident.incident import Incident
from caloforge.random import Purpose, stream
from caloforge.runtime.card import Measurement
from caloforge.runtime.generator import Generator
from caloforge.showers import Showers
from caloforge.units import MEV_PER_GEV

__all__ = ["CLOSURE_ENERGIES", "asked", "closure", "compare_layers"]

Floats = NDArray[np.float64]

CLOSURE_ENERGIES = (5.0, 20.0, 50.0, 90.0)
_BATCH = 2000


def asked(generator: Generator, showers: Showers) -> Incident:
    """What a generator is asked for to make showers like these, of what it can be asked for."""
    incident, card = Incident.of_showers(showers), generator.card
    if card.condition("entry_point") is None:
        incident = replace(incident, entry_point=None)
    if card.condition("direction") is None:
        incident = replace(incident, direction=None)
    return incident


def closure(
    generator: Generator,
    reference: Showers,
    *,
    seed: int = 1,
    energies: tuple[float, ...] = CLOSURE_ENERGIES,
    repeat: int = 8,
) -> tuple[Measurement, ...]:
    """Compare a generator with reference showers at their own energies.

    Args:
        generator: Generator of showers.
        reference: Reference showers; nothing may have been fitted on them.
        seed: Seed of the showers and of the bootstrap.
        energies: Incident energies in GeV that the comparison is made around.
        repeat: Showers drawn for each reference shower.

    Returns:
        See :func:`compare_layers`.
    """
    wanted = asked(generator, reference)[np.tile(np.arange(len(reference)), repeat)]
    layers = []
    for start in range(0, len(wanted), _BATCH):
        showers = generator.sample(
            wanted[start : start + _BATCH], seed=seed, first=start, detector=reference.detector
        )
        layers.append(showers.detector.layer_sums(showers.deposits))
    drawn = np.concatenate(layers).reshape(repeat, len(reference), -1)
    expected = reference.detector.layer_sums(reference.deposits)
    return compare_layers(reference.energy, expected, drawn, energies=energies, seed=seed)


def compare_layers(
    energy: Floats,
    reference: Floats,
    drawn: Floats,
    *,
    energies: tuple[float, ...] = CLOSURE_ENERGIES,
    seed: int = 1,
    window: float = 0.35,
    n_bootstrap: int = 100,
) -> tuple[Measurement, ...]:
    """Compare layer energies in windows of the incident energy.

    Showers are weighted with an Epanechnikov kernel in log E; both sides have the same energies, so
    that the width of the window cancels in the differences.

    Args:
        energy: Incident energies in GeV, shape (N,).
        reference: Layer energies in MeV of the reference, shape (N, n_layers).
        drawn: Layer energies in MeV of a generator at the same incident energies, shape
            (repeat, N, n_layers).
        energies: Centres of the windows in GeV; one without any shower is left out.
        seed: Seed of the bootstrap.
        window: Half-width of the windows in log E.
        n_bootstrap: Number of bootstrap samples for the errors.

    Returns:
        Per energy: mean response, resolution (of
        :func:`~caloforge.evaluation.distances.response.resolution`), mean fraction of each layer,
        with the bootstrap error of the difference. The tolerances are 0.5% of the response, 10% of
        the resolution and, for a fraction, 2% of its standard deviation.
    """
    repeat = len(drawn)
    first, second = _observables(energy, reference), _observables(energy, drawn)
    rng = stream(seed, Purpose.CLOSURE)
    found = []
    for centre in energies:
        weight = np.maximum(1 - (np.log(energy / centre) / window) ** 2, 0)
        rows = np.flatnonzero(weight)
        if not len(rows):
            continue
        w, a, b = weight[rows], first[rows], second[:, rows]
        expected, got = _moments(a, w), _moments(_flat(b), np.tile(w, repeat))
        differences = np.empty((n_bootstrap, len(expected)))
        for i in range(n_bootstrap):
            pick = rng.integers(0, len(rows), len(rows))
            again = _moments(_flat(b[:, pick]), np.tile(w[pick], repeat))
            differences[i] = again - _moments(a[pick], w[pick])
        error = differences.std(axis=0)
        spread = np.sqrt(np.average((a - np.average(a, axis=0, weights=w)) ** 2, 0, w))
        tolerances = [0.005 * expected[0], 0.1 * expected[1], *(0.02 * spread[1:])]
        names = ["response", "resolution", *(f"layer_fraction_{i}" for i in range(a.shape[1] - 1))]
        found += [
            Measurement(
                quantity=name,
                energy=centre,
                value=value,
                reference=ref,
                error=err,
                tolerance=float(tolerance) or None,
            )
            for name, value, ref, err, tolerance in zip(
                names, got.tolist(), expected.tolist(), error.tolist(), tolerances, strict=True
            )
        ]
    return tuple(found)


def _flat(values: Floats) -> Floats:
    return values.reshape(-1, values.shape[-1])


def _observables(energy: Floats, layers: Floats) -> Floats:
    """Response and layer fractions, shape (..., N, 1 + n_layers)."""
    total = layers.sum(axis=-1, keepdims=True)
    fractions = layers / np.where(total > 0, total, 1)
    return np.concatenate([total / (MEV_PER_GEV * energy[:, None]), fractions], axis=-1)


def _moments(values: Floats, weight: Floats) -> Floats:
    """Mean response, resolution, mean fractions of weighted showers."""
    mean = np.average(values, axis=0, weights=weight)
    return np.array([mean[0], resolution(values[:, 0], weight), *mean[1:]])
