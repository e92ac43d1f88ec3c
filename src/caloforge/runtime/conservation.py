"""What energy conservation allows: the rule for showers that are drawn again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caloforge.particles import pdg_id
from caloforge.units import MEV_PER_GEV

__all__ = ["allowed_energy", "released_energy"]

_ROUNDING = 1e-6  # relative: deposits are single-precision numbers
_ELECTRON = 0.51099895  # MeV, as all numbers below
# What a particle leaves behind when it stops: nothing where it is stable or there was none before,
# two photons of an annihilation, or, at most, its mass in a decay (CODATA, PDG 2024).
_RELEASED = {
    22: 0.0,
    11: 0.0,
    2212: 0.0,
    2112: 0.0,
    -11: 2 * _ELECTRON,
    13: 105.65838,
    -13: 105.65838,
    211: 139.57039,
    -211: 139.57039,
    321: 493.677,
    -321: 493.677,
    130: 497.611,
}


def released_energy(particle: str | int) -> float:
    """Energy beyond the kinetic one that a particle can leave in a calorimeter.

    It is what its mass can turn into: nothing for photons, electrons, protons and neutrons, twice
    the electron mass for positrons, their own mass for muons, pions and kaons. For any other
    particle it is twice its mass, which no decay or annihilation exceeds.

    Args:
        particle: PDG name or identifier.

    Returns:
        Energy, MeV.

    Raises:
        ParticleError: There is no such particle.

    Examples:
        >>> released_energy("gamma"), released_energy("e+")
        (0.0, 1.0219979)
    """
    identifier = pdg_id(particle)
    if identifier in _RELEASED:
        return _RELEASED[identifier]
    from particle import Particle

    return 2 * float(Particle.from_pdgid(identifier).mass or 0.0)


def allowed_energy(energy: NDArray[np.float64], particle: str | int) -> NDArray[np.float64]:
    """The most that showers can deposit: kinetic energy and what the mass releases.

    Args:
        energy: Incident energies: shape (N,), GeV.
        particle: PDG name or identifier.

    Returns:
        Shape (N,), MeV, with a margin of one part in a million for rounding.

    Raises:
        ParticleError: There is no such particle.
    """
    return np.asarray((MEV_PER_GEV * energy + released_energy(particle)) * (1 + _ROUNDING))
