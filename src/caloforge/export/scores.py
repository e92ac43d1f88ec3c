"""What the judge says of a generator, for its card."""

from __future__ import annotations

from importlib.util import find_spec

from caloforge.evaluation.sections import SECTIONS, Pair
from caloforge.runtime.card import Score
from caloforge.runtime.generator import Generator
from caloforge.showers import Showers

__all__ = ["scores"]

_SECTIONS = ("observables", "energy", "manifold", "trees")
_LEAST = 200  # showers: fewer say nothing, and some sections cannot compare them


def scores(generator: Generator, test: Showers, *, seed: int) -> tuple[Score, ...]:
    """Judge a generator quickly, with one shower of it for each of Geant4.

    Args:
        generator: A loaded artefact.
        test: Geant4 showers that nothing was fitted, chosen or tuned on.
        seed: Seed of the showers and of the judge.

    Returns:
        The judge's headlines; none of fewer than 200 showers, or where scikit-learn is not
        installed.
    """
    if len(test) < _LEAST or find_spec("sklearn") is None:
        return ()
    showers = generator.sample(test.energy, seed=seed, detector=test.detector)
    pair = Pair(reference=test, showers=showers, training=None, seed=seed, quick=True)
    return tuple(
        Score(
            name=item.name, label=item.label, value=item.value, error=item.error, showers=len(test)
        )
        for section in _SECTIONS
        for item in SECTIONS[section](pair).headlines
        if item.value is not None
    )
