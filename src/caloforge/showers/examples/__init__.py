"""Some Geant4 showers that come with caloforge, to try everything on.

They are test rows of ours: nothing that is shipped was fitted, tuned or chosen on them. README.md
in this folder says where they come from; ``python docs/make_examples.py`` makes them.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from caloforge.errors import ParticleError
from caloforge.particles import particle_name
from caloforge.showers.container import Showers
from caloforge.showers.samples import read_showers

__all__ = ["EXAMPLES", "example_file", "example_showers"]

EXAMPLES = {"e+": "eplus.h5", "gamma": "gamma.h5", "pi+": "piplus.h5"}
"""The file of each particle that there are showers of."""


def example_showers(particle: str | int = "e+") -> Showers:
    """Geant4 showers that come with caloforge: 1,000 in the CaloGAN detector, 1 to 100 GeV.

    Args:
        particle: PDG name or identifier: e+, gamma or pi+.

    Raises:
        ParticleError: There are none of that particle.

    Examples:
        >>> example_showers("pi+")
        Showers(1000 pi+, 1.077-99.95 GeV, 'calogan')
    """
    return read_showers(example_file(particle))


def example_file(particle: str | int = "e+") -> Path:
    """The file of :func:`example_showers`.

    Raises:
        ParticleError: There is none of that particle.
    """
    name = particle_name(particle)
    if name not in EXAMPLES:
        msg = (
            f"particle: there are no example showers of {name}, only of {', '.join(EXAMPLES)}; "
            "ask for one of these by name"
        )
        raise ParticleError(msg)
    return Path(str(resources.files("caloforge.showers.examples"))) / EXAMPLES[name]
