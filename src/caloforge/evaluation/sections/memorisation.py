"""Copies of training showers, and too little diversity."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caloforge.evaluation.distances.memorisation import memorisation
from caloforge.evaluation.features.facing import faced
from caloforge.evaluation.results import Headline, Verdict
from caloforge.evaluation.sections.pair import Finding, Pair
from caloforge.evaluation.shown import Example, ExamplesPanel
from caloforge.showers import Showers

__all__ = ["memorisation_section"]


def memorisation_section(pair: Pair) -> Finding:
    """Nearest neighbours in the training set, and diversity."""
    if pair.training is None:
        return Finding({})
    rng = pair.rng("memorisation")
    held_out, showers = pair.reference, pair.showers
    if pair.is_floor:  # these are showers of the training: half of the reference stands in for them
        order = rng.permutation(len(held_out))
        held_out, showers = (pair.reference[order[i::2]] for i in range(2))
    found = memorisation(
        pair.training, held_out, showers, rng, max_showers=1_500 if pair.quick else 5_000
    )
    warnings: list[str] = []
    verdicts: list[Verdict] = []
    if found.memorised:
        verdicts.append("memorised")
        warnings.append("showers of the training set come out again: the generator memorised them")
    if found.collapsed:
        verdicts.append("collapsed")
        warnings.append("generated showers are too much alike: the generator collapsed")
    headline = Headline.of("diversity", "diversity", found.diversity, "one")
    examples = tuple(
        Example(
            f"distance {item.distance:.3f}",
            _as_compared(showers, item.generated),
            _as_compared(pair.training, item.training),
        )
        for item in found.examples
    )
    panel = ExamplesPanel(
        figure="neighbours",
        about="single showers, from the nearest to a training shower to the farthest, each with "
        "that training shower below it, both the same way round. Copies would look the same.",
        names=("generated", "nearest"),
        examples=examples,
    )
    return Finding(found, (headline,), tuple(warnings), (panel,), verdicts=tuple(verdicts))


def _as_compared(showers: Showers, row: int) -> NDArray[np.float32]:
    """The deposits of a shower in the mirror that it is compared in: shape (n_cells,), MeV."""
    roots = np.sqrt(showers.deposits[row : row + 1])
    found: NDArray[np.float32] = np.square(faced(roots, showers.detector)[0])
    return found
