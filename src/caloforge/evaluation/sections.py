"""The parts of an evaluation: each looks at one sample beside the reference in its own way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.evaluation.calochallenge import high_level
from caloforge.evaluation.calochallenge_separation import (
    calochallenge_separations,
    find_dataset,
)
from caloforge.evaluation.cells import (
    brightest_cells,
    cell_correlations,
    compare_spectra,
    layer_correlations,
)
from caloforge.evaluation.classifier import classifier_test, find_protocol
from caloforge.evaluation.distance_table import compare_observables
from caloforge.evaluation.energy import compare_energy
from caloforge.evaluation.fastcalogan import fastcalogan_energy_chi2
from caloforge.evaluation.manifold import fpd, kpd
from caloforge.evaluation.memorisation import memorisation
from caloforge.evaluation.neighbours import log_cells, prdc
from caloforge.evaluation.results import Headline
from caloforge.evaluation.trees import trees_test
from caloforge.showers import Showers

__all__ = ["SECTIONS", "Finding", "Pair", "Section"]

FloatArray = NDArray[np.float64]

_QUICK_PROTOCOLS = ("caloflow", "caloflow-normalised", "calochallenge-high")
_FULL_PROTOCOLS = (*_QUICK_PROTOCOLS, "calochallenge-low", "calochallenge-low-normalised")
_BRIGHTEST = 40


@dataclass(frozen=True)
class Pair:
    """A sample beside the reference.

    Attributes:
        reference: Geant4 showers.
        showers: Showers to judge, comparable with the reference.
        training: Geant4 showers that the generator was made from, for memorisation; None where
            they are not known.
        seed: Seed of everything that is random.
        quick: Take the quick variants.
        repeats: Trainings of each classifier.
        device: Where classifiers are trained.
        is_floor: Whether the showers are Geant4 showers as well, some of those of the training.
    """

    reference: Showers
    showers: Showers
    training: Showers | None
    seed: int
    quick: bool
    repeats: int = 1
    device: str = "cpu"
    is_floor: bool = False

    def rng(self, purpose: int) -> np.random.Generator:
        """Random numbers of a section."""
        return np.random.Generator(np.random.Philox(key=[self.seed, purpose]))


@dataclass(frozen=True)
class Finding:
    """What a section found.

    Attributes:
        details: JSON values.
        headlines: Its numbers for the leaderboard.
        warnings: What makes them doubtful.
        drawing: Arrays for the figures, by name.
    """

    details: Mapping[str, Any]
    headlines: tuple[Headline, ...] = ()
    warnings: tuple[str, ...] = ()
    drawing: Mapping[str, Any] = field(default_factory=dict)


Section = Callable[[Pair], Finding]


def _observables(pair: Pair) -> Finding:
    table = compare_observables(
        pair.reference, pair.showers, pair.rng(0), replicas=10 if pair.quick else 50
    )
    powers = np.array([row.distances.separation.value for row in table.rows])
    errors = np.array([row.distances.separation.error for row in table.rows])
    defined = np.isfinite(powers)
    worst = int(np.nanargmax(np.where(defined, powers, -1)))
    name = table.rows[worst].observable.title
    headlines = (
        Headline(
            name="separation_mean",
            label="mean separation power",
            value=float(powers[defined].mean()),
            error=float(np.sqrt(np.nansum(errors[defined] ** 2)) / max(1, defined.sum())),
            better="lower",
        ),
        Headline(
            name="separation_worst",
            label="worst separation power",
            value=float(powers[worst]),
            error=_finite(errors[worst]),
            better="lower",
        ),
    )
    undefined = [
        f"{row.observable.title} is not defined in {row.distances.undefined[1]:.1%} of the showers "
        f"({row.distances.undefined[0]:.1%} of the reference)"
        for row in table.rows
        if abs(row.distances.undefined[1] - row.distances.undefined[0]) > 0.05
    ]
    dataset = find_dataset(pair.reference.detector)
    published = (
        () if dataset is None else calochallenge_separations(pair.reference, pair.showers, dataset)
    )
    details = {
        **table.to_dict(),
        "worst": name,
        "calochallenge": [asdict(separation) for separation in published],
    }
    return Finding(details, headlines, tuple(undefined), {"table": table})


def _spectra(pair: Pair) -> Finding:
    spectra = compare_spectra(pair.reference, pair.showers)
    names = ("all", *(f"layer_{i}" for i in range(pair.reference.detector.n_layers)))
    details = {
        name: {"separation_power": asdict(each.separation)}
        for name, each in zip(names, spectra, strict=True)
    }
    headline = Headline(
        name="separation_cells",
        label="separation power of the cell energies",
        value=spectra[0].separation.value,
        error=spectra[0].separation.error,
        better="lower",
    )
    return Finding(details, (headline,), (), {"spectra": spectra})


def _energy(pair: Pair) -> Finding:
    # As many of either: the test estimates variances from the counts, which in sparse bins of
    # samples of unequal size makes chi2/NDF of Geant4 against itself 1.3 (measured, 1,314 e+
    # against 5,000).
    size = min(len(pair.reference), len(pair.showers))
    found = fastcalogan_energy_chi2(pair.reference[:size], pair.showers[:size])
    chi2 = found.chi2
    details: dict[str, Any] = {
        "showers": size,
        "continuous": found.continuous,
        "left_out": found.left_out,
        "chi2": chi2.value,
        "ndf": chi2.ndf,
        "points": [
            {
                "energy": list(point.energy),
                "response_range": list(point.response),
                "counts": list(point.counts),
                "chi2": point.chi2.value,
                "ndf": point.chi2.ndf,
            }
            for point in found.points
        ],
    }
    points = compare_energy(pair.reference, pair.showers, pair.rng(5))
    details["response"] = points.to_dict()
    headline = Headline(
        name="energy_chi2_ndf",
        label="chi2/NDF of the total energy",
        value=_finite(chi2.reduced),
        error=_finite(chi2.reduced_error),
        better="lower",
    )
    return Finding(details, (headline,), (), {"response": points})


def _images(pair: Pair) -> Finding:
    cells = brightest_cells(pair.reference, _BRIGHTEST)
    correlations = [
        (layer_correlations(sample), cell_correlations(sample, cells))
        for sample in (pair.reference, pair.showers)
    ]
    differences = [
        float(np.nanmax(np.abs(mine - theirs), initial=0.0))
        for theirs, mine in zip(*correlations, strict=True)
    ]
    details = {
        "largest_difference_of_layer_correlations": differences[0],
        "largest_difference_of_cell_correlations": differences[1],
        "brightest_cells": _BRIGHTEST,
    }
    drawing = {
        "mean": [_mean_image(sample) for sample in (pair.reference, pair.showers)],
        "correlations": correlations,
    }
    return Finding(details, (), (), drawing)


def _trees(pair: Pair) -> Finding:
    found = trees_test(pair.reference, pair.showers, seed=pair.seed)
    headline = Headline(
        name="trees_auc",
        label="AUC, boosted trees",
        value=found.auc,
        error=found.auc_error,
        better="half",
    )
    return Finding(found.model_dump(mode="json"), (headline,), found.warnings)


def _classifiers(pair: Pair) -> Finding:
    if find_spec("torch") is None:
        note = "PyTorch is not installed, so no classifiers: pip install 'caloforge[torch]'"
        return Finding({}, (), (note,))
    details, headlines, warnings = {}, [], []
    for name in _QUICK_PROTOCOLS if pair.quick else _FULL_PROTOCOLS:
        found = classifier_test(
            pair.reference,
            pair.showers,
            find_protocol(name, quick=pair.quick),
            seed=pair.seed,
            repeats=pair.repeats,
            device=pair.device,
        )
        details[found.name] = found.model_dump(mode="json")
        warnings += [f"{found.name}: {warning}" for warning in found.warnings]
        headlines.append(
            Headline(
                name=f"auc_{name}",
                label=f"AUC, {found.name}",
                value=found.auc,
                error=found.auc_error,
                better="half",
            )
        )
    return Finding(details, tuple(headlines), tuple(dict.fromkeys(warnings)))


def _manifold(pair: Pair) -> Finding:
    samples = (pair.reference, pair.showers)
    features = [np.asarray(high_level(sample), dtype=np.float64) for sample in samples]
    few = min(map(len, features))
    # The batches of the CaloChallenge need 10,000 showers; of fewer, take what there is.
    largest = min(50_000, few)
    frechet = fpd(
        features[0],
        features[1],
        pair.rng(1),
        min_samples=min(10_000, max(2, largest // 2)),
        max_samples=largest,
        num_batches=5 if pair.quick else 20,
    )
    batch = min(5_000 if pair.quick else 10_000, few)
    kernel = kpd(features[0], features[1], pair.rng(2), batch_size=batch)
    rows = 2_000 if pair.quick else 20_000
    rng = pair.rng(3)
    cells = [log_cells(sample[rng.permutation(len(sample))[:rows]]) for sample in samples]
    scores = prdc(cells[0], cells[1], rng)
    lines = [
        ("fpd", "FPD x 1000", 1e3 * frechet.value, 1e3 * frechet.error, "lower"),
        ("kpd", "KPD x 1000", 1e3 * kernel.value, 1e3 * kernel.error, "lower"),
        ("precision", "precision", scores.precision.value, scores.precision.error, "higher"),
        ("recall", "recall", scores.recall.value, scores.recall.error, "higher"),
        ("density", "density", scores.density.value, scores.density.error, "one"),
        ("coverage", "coverage", scores.coverage.value, scores.coverage.error, "higher"),
    ]
    headlines = tuple(
        Headline.model_validate(
            {
                "name": name,
                "label": label,
                "value": _finite(value),
                "error": _finite(error),
                "better": better,
            }
        )
        for name, label, value, error, better in lines
    )
    cut = frechet.diverged[1]
    warnings = [f"{cut} showers diverged and were left out of FPD and KPD"] if cut else []
    details = {"fpd": asdict(frechet), "kpd": asdict(kernel), "prdc": asdict(scores)}
    return Finding(details, headlines, tuple(warnings))


def _memorisation(pair: Pair) -> Finding:
    if pair.training is None:
        return Finding({})
    rng = pair.rng(4)
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
    headline = Headline(
        name="diversity",
        label="diversity",
        value=_finite(found.diversity.value),
        error=_finite(found.diversity.error),
        better="one",
    )
    examples = [
        (
            showers.deposits[item.generated],
            pair.training.deposits[item.training],
            item.distance,
        )
        for item in found.examples
    ]
    return Finding(found.to_dict(), (headline,), tuple(warnings), {"examples": examples})


def _mean_image(showers: Showers) -> FloatArray:
    return np.asarray(showers.deposits.mean(axis=0, dtype=np.float64))


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


SECTIONS: Mapping[str, Section] = {
    "observables": _observables,
    "spectra": _spectra,
    "energy": _energy,
    "images": _images,
    "manifold": _manifold,
    "memorisation": _memorisation,
    "trees": _trees,
    "classifiers": _classifiers,
}
"""All sections by name, in the order in which they are run."""
