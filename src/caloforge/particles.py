"""Names and identifiers of particles, after the Particle Data Group."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path

from caloforge.errors import ConfigError, ParticleError

__all__ = ["files_by_particle", "particle_name", "pdg_id"]

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
# What people and Geant4 call them, in lower case; how a file name spells them.
_WORDS = {
    "photon": 22,
    "electron": 11,
    "positron": -11,
    "muon": 13,
    "antimuon": -13,
    "kaon+": 321,
    "kaon-": -321,
    "kaon0l": 130,
    "kaon0s": 310,
    "proton": 2212,
    "neutron": 2112,
    "antiproton": -2212,
    "anti_proton": -2212,
    "antineutron": -2112,
    "anti_neutron": -2112,
    "eminus": 11,
    "eplus": -11,
    "muminus": 13,
    "muplus": -13,
    "piplus": 211,
    "piminus": -211,
    "kplus": 321,
    "kminus": -321,
}
# What leaves open which one is meant.
_SEVERAL = {"pion": "pi+ or pi-", "kaon": "K+, K- or K(L)0", "e": "e+ or e-", "mu": "mu+ or mu-"}


@lru_cache(maxsize=256)
def pdg_id(particle: str | int) -> int:
    """PDG identifier of a particle.

    Args:
        particle: PDG name (``"e+"``, ``"gamma"``, ``"pi+"``, ``"K(L)0"``, ...) or identifier, or
            what it is called in words or in Geant4 (``"positron"``, ``"photon"``, ``"kaon0L"``).

    Raises:
        ParticleError: There is no such particle.

    Examples:
        >>> pdg_id("e+"), pdg_id("-11"), pdg_id(22), pdg_id("positron")
        (-11, -11, 22, -11)
    """
    text = str(particle).strip()
    if text in _COMMON:
        return _COMMON[text]
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    identifier = int(text) if re.fullmatch(r"[+-]?[0-9]{1,18}", text) else None
    if identifier in _COMMON.values():
        return int(text)
    from particle import Particle

    found = Particle.findall(pdgid=identifier) if identifier else Particle.findall(name=text)
    if not found:
        msg = f"particle: {text!r} is neither a PDG name nor a PDG identifier; {_hint(text)}"
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


def files_by_particle(
    particles: Sequence[str], files: Sequence[Path]
) -> dict[str, tuple[Path, ...]]:
    """Files of showers by particle, from two lists as they are written on the command line.

    Args:
        particles: One for each file, in order, or one for all of them.
        files: Files of showers.

    Raises:
        ConfigError: There are as many of neither.

    Examples:
        >>> files_by_particle(["e+"], [Path("a.h5"), Path("b.h5")])["e+"]
        (PosixPath('a.h5'), PosixPath('b.h5'))
    """
    if len(particles) == 1:
        particles = list(particles) * len(files)
    if len(particles) != len(files) or not files:
        msg = (
            f"data: got {len(files)} files for {len(particles)} particles; name one particle for "
            "each file, in order, or one for all"
        )
        raise ConfigError(msg)
    found: dict[str, tuple[Path, ...]] = {}
    for particle, file in zip(particles, files, strict=True):
        found[particle] = (*found.get(particle, ()), file)
    return found


def _hint(text: str) -> str:
    """What may have been meant."""
    near = get_close_matches(text, _COMMON, n=1, cutoff=0.4)
    near = near or get_close_matches(text.lower(), _WORDS, n=1)
    meant = _SEVERAL.get(text.lower(), near[0] if near else "")
    return f"did you mean {meant}?" if meant else f"use for example {', '.join(_COMMON)}"
