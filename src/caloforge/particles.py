"""Names and identifiers of particles, after the Particle Data Group."""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import lru_cache

from caloforge.errors import ParticleError

__all__ = ["particle_name", "pdg_id"]

# The particles of nearly every calorimeter study: named here so that the 0.7 s that the table of
# all particles takes to load is paid only by those who need it.
_COMMON = {
    "gamma": 22,
    "e-": 11,
    "e+": -11,
    "mu-": 13,
    "mu+": -13,
    "pi+": 211,
    "pi-": -211,
    "K+": 321,
    "K-": -321,
    "K(L)0": 130,
    "p": 2212,
    "n": 2112,
}


@lru_cache(maxsize=256)
def pdg_id(particle: str | int) -> int:
    """PDG identifier of a particle.

    Args:
        particle: PDG name (``"e+"``, ``"gamma"``, ``"pi+"``, ``"K(L)0"``, ...) or identifier.

    Raises:
        ParticleError: There is no such particle.

    Examples:
        >>> pdg_id("e+"), pdg_id("-11"), pdg_id(22)
        (-11, -11, 22)
    """
    text = str(particle).strip()
    if text in _COMMON:
        return _COMMON[text]
    identifier = int(text) if re.fullmatch(r"[+-]?[0-9]{1,18}", text) else None
    if identifier in _COMMON.values():
        return int(text)
    from particle import Particle

    found = Particle.findall(pdgid=identifier) if identifier else Particle.findall(name=text)
    if not found:
        near = get_close_matches(text, _COMMON, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}?" if near else f"use for example {', '.join(_COMMON)}"
        msg = f"particle: {text!r} is neither a PDG name nor a PDG identifier; {hint}"
        raise ParticleError(msg)
    return int(found[0].pdgid)


@lru_cache(maxsize=256)
def particle_name(particle: str | int) -> str:
    """PDG name of a particle, given its name or identifier.

    Raises:
        ParticleError: There is no such particle.

    Examples:
        >>> particle_name(-11)
        'e+'
    """
    identifier = pdg_id(particle)
    for name, known in _COMMON.items():
        if known == identifier:
            return name
    from particle import Particle

    return str(Particle.from_pdgid(identifier).name)
