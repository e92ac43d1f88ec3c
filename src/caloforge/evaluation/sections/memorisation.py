"""Copies of training showers, and too little diversity."""

from __future__ import annotations

from caloforge.evaluation.distances.memorisation import memorisation
from caloforge.evaluation.results import Headline
from caloforge.evaluation.sections.pair import Finding, Pair
from caloforge.evaluation.shown import Example, ExamplesPanel

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
    warnings = []
    if found.memorised:
        warnings.append("showers of the training set come out again: the generator memorised them")
    if found.collapsed:
        warnings.append("generated showers are too much alike: the generator collapsed")
    headline = Headline.of("diversity", "diversity", found.diversity, "one")
    # Copies, so that five showers do not keep all the others in memory.
    examples = tuple(
        Example(
            f"distance {item.distance:.3f}",
            showers.deposits[item.generated].copy(),
            pair.training.deposits[item.training].copy(),
        )
        for item in found.examples
    )
    panel = ExamplesPanel(
        figure="neighbours",
        about="single showers, from the nearest to a training shower to the farthest, each with "
        "that training shower below it. Copies would look the same.",
        names=("generated", "nearest"),
        examples=examples,
    )
    return Finding(found, (headline,), tuple(warnings), (panel,))
