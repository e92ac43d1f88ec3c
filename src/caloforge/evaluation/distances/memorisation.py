"""Diversity and memorisation: nearest neighbours, duplicates, copies of the training set.

The distance of two showers is the Euclidean distance of the square roots of their deposits in units
of the incident energy, sqrt(E_cell / E_inc):

- Divided by the incident energy, showers of different energies can be neighbours, and a copy stays
  a copy when it is scaled.
- The energy in a cell fluctuates like a number of particles, with a variance proportional to its
  mean; its square root fluctuates by as much in hot cells as in cold ones. Without it two or three
  hot cells decide; with a logarithm instead, hundreds of cells with next to nothing.
- All showers are seen in the mirrors of the detector in which they lie the same way round
  (:func:`~caloforge.evaluation.features.facing.faced`): a mirror image of a copy is a copy.
- Where all energy is deposited, the vectors have length one, and distances are between 0 and
  sqrt(2): the Hellinger distance of the two patterns, times sqrt(2).

Generated showers are compared with Geant4 showers that were held out of the training: if nothing
was memorised, both are as far from the training set. A generator of blurred showers may be nearer
to it without having copied anything, as an average is near to everything; so it is also asked how
often the nearest of all Geant4 showers is one of the training. Without a memory that happens as
often as there are training showers among them (:attr:`Memorisation.preference`).

References:
    M. Paganini, L. de Oliveira, B. Nachman, CaloGAN, arXiv:1712.10321 (figures 9 to 11);
    C. Meehan et al., A non-parametric test to detect data-copying, arXiv:2004.05675.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import ShowersError
from caloforge.evaluation.comparable import check_kind
from caloforge.evaluation.distances.coverage import nearest
from caloforge.evaluation.distances.single import (
    KolmogorovSmirnov,
    bootstrap_error,
    kolmogorov_smirnov,
)
from caloforge.evaluation.estimate import Estimate
from caloforge.evaluation.features.blocks import vectors
from caloforge.evaluation.features.facing import faced
from caloforge.showers import Showers
from caloforge.units import MEV_PER_GEV

__all__ = ["Memorisation", "Neighbours", "memorisation", "scaled_cells"]

FloatArray = NDArray[np.float64]
Cells = NDArray[np.float32]
Rows = NDArray[np.intp]

SAME = 1e-4
"""Showers nearer than this are one shower: rounding moves one by some 1e-7, and the nearest two of
18,000 charged pions of Geant4, most of which only ionise, are 0.0025 apart."""
CLOSE = 0.01
"""Generated showers count as close to the training set below this quantile of held-out ones."""
_LEAST = 40  # showers of each kind
_GROUPS = 10
_TENTH = 0.1
_REPLICAS = 100
_SIGMAS = 5.0
_NEARER = 0.5
_BELOW_ALL = 0.7
_PULLED = (5, 0.004)  # showers, and their share
_FEW = 0.01
_NARROW = 0.5


@dataclass(frozen=True)
class Neighbours:
    """A generated shower and the training shower next to it.

    Attributes:
        generated: Row of the generated shower.
        training: Row of the training shower.
        distance: Their distance.
    """

    generated: int
    training: int
    distance: float


@dataclass(frozen=True, eq=False)
class Memorisation:
    """How generated and held-out showers lie to the training set, and generated ones to each other.

    Attributes:
        counts: Training, held-out and generated showers that were used.
        empty: Generated showers without any deposit; they are left out of all else.
        held_out_distances: Distances of held-out showers to the training set: shape (N,).
        distances: Distances of generated showers to the training set: shape (M,).
        test: Kolmogorov-Smirnov test of these two.
        median_ratio: Median distance of generated showers over that of held-out ones.
        close_share: Share of generated showers nearer than the 1% quantile of held-out ones: 0.01
            where they agree.
        preference: Share of the generated showers, duplicates left out, that are nearer to the
            training set than to held-out showers.
        close_preference: The same of the tenth that is nearest to Geant4 showers of either kind,
            where copies are if only a few were made.
        pulled: Generated showers that are so much nearer to a training shower than to any held-out
            one as no held-out shower is: the ratio of the two distances is below ``pull``.
        pull: Half, or 0.7 times the smallest ratio of a held-out shower (to the other held-out
            ones) where that is less.
        expected_preference: Both where nothing was memorised: the share of the training set in
            the Geant4 showers.
        copies: Generated showers that are training showers.
        duplicates: Generated showers that are there more than once.
        diversity: Median distance of generated showers to each other over that of as many held-out
            ones: 1 where they agree, 0 where all are the same.
        examples: Generated showers from the nearest to the farthest, with their neighbours.
    """

    counts: tuple[int, int, int]
    empty: int
    held_out_distances: FloatArray
    distances: FloatArray
    test: KolmogorovSmirnov
    median_ratio: Estimate
    close_share: Estimate
    preference: Estimate
    close_preference: Estimate
    pulled: int
    pull: float
    expected_preference: float
    copies: int
    duplicates: int
    diversity: Estimate
    examples: tuple[Neighbours, ...]

    @property
    def memorised(self) -> bool:
        """Whether training showers come out again.

        That is, any generated shower is one; or five of them, and four in a thousand, are pulled to
        one, which does not happen without copies; or one of the two preferences for training
        showers is larger than expected by more than five errors.
        """
        if self.pulled >= max(_PULLED[0], _PULLED[1] * self.counts[2]):
            return True
        return self.copies > 0 or any(
            found.value > self.expected_preference + _SIGMAS * found.error
            for found in (self.preference, self.close_preference)
        )

    @property
    def collapsed(self) -> bool:
        """Whether generated showers are too much alike.

        That is, more than 1% of them are there more than once, or they are less than half as far
        from each other as those of Geant4.
        """
        return self.duplicates > _FEW * self.counts[2] or self.diversity.value < _NARROW

    def to_dict(self) -> dict[str, object]:
        """The numbers by name, without the single distances."""
        estimates = {
            item.name: value
            for item in fields(self)
            if isinstance(value := getattr(self, item.name), Estimate)
        }
        return {
            "counts": dict(zip(("training", "held_out", "generated"), self.counts, strict=True)),
            "empty": self.empty,
            "kolmogorov_smirnov": self.test.statistic,
            "kolmogorov_smirnov_p_value": self.test.p_value,
            **estimates,
            "pulled": self.pulled,
            "pull": self.pull,
            "expected_preference": self.expected_preference,
            "copies": self.copies,
            "duplicates": self.duplicates,
            "memorised": self.memorised,
            "collapsed": self.collapsed,
            "examples": self.examples,
        }


def scaled_cells(showers: Showers, chosen: Rows | None = None) -> Cells:
    """The vectors that showers are compared by: sqrt(E_cell / E_inc), the same way round.

    Args:
        showers: N showers.
        chosen: Rows of M of them; all by default.

    Returns:
        Shape (M, n_cells).
    """

    def roots(deposits: Cells, energy: FloatArray) -> FloatArray:
        return faced(np.sqrt(deposits / (MEV_PER_GEV * energy[:, None])), showers.detector)

    return vectors(showers, roots, chosen)


def memorisation(
    training: Showers,
    held_out: Showers,
    generated: Showers,
    rng: np.random.Generator,
    *,
    max_showers: int = 5_000,
    n_examples: int = 5,
) -> Memorisation:
    """Look for training showers among generated ones.

    The three samples must have the same spectrum of incident energies: a shower of low energy is
    far from any other. All training showers are searched, in blocks of 64 MB.

    Args:
        training: What the generator was trained on.
        held_out: Showers of the same source that it was not trained on.
        generated: What it makes.
        rng: Random numbers that choose showers, and those of the bootstrap errors.
        max_showers: Held-out and generated showers that are used, of each.
        n_examples: How many examples.

    Raises:
        ShowersError: The samples are of different detectors or particles, or have fewer than 40
            showers with energy.
    """
    samples = {"training": training, "held_out": held_out, "generated": generated}
    cells: dict[str, Cells] = {}
    rows: dict[str, Rows] = {}
    for name, showers in samples.items():
        check_kind(training, showers, name)
        filled = np.flatnonzero(showers.deposits.any(axis=1))
        if len(filled) < _LEAST:
            msg = f"{name}: has {len(filled)} showers with energy, must have at least {_LEAST}"
            raise ShowersError(msg)
        used = filled if name == "training" else rng.permutation(filled)[:max_showers]
        cells[name], rows[name] = scaled_cells(showers, used), used
    known, other, made = cells.values()
    found, indices = nearest(made, known)
    distances, neighbours = found[:, 0], indices[:, 0]
    reference = nearest(other, known)[0][:, 0]
    own = nearest(made, made, same=True)[0][:, 0]
    order = np.argsort(distances, kind="stable")
    chosen = order[np.linspace(0, len(order) - 1, min(n_examples, len(order))).astype(int)]
    return Memorisation(
        (len(known), len(other), len(made)),
        int((~generated.deposits.any(axis=1)).sum()),
        reference,
        distances,
        kolmogorov_smirnov(distances, reference),
        _bootstrap(_median_ratio, distances, reference, rng),
        _bootstrap(_close_share, distances, reference, rng),
        *_preferences(made[own >= SAME], known, other),
        *_pulled(distances, nearest(made, other)[0][:, 0], reference, _others(other)),
        _expected(known, other),
        int((distances < SAME).sum()),
        int((own < SAME).sum()),
        _diversity(made, other, rng),
        tuple(
            Neighbours(
                int(rows["generated"][i]),
                int(rows["training"][neighbours[i]]),
                float(distances[i]),
            )
            for i in chosen
        ),
    )


def _bootstrap(
    metric: Callable[[FloatArray, FloatArray], float],
    generated: FloatArray,
    held_out: FloatArray,
    rng: np.random.Generator,
) -> Estimate:
    error = bootstrap_error(metric, generated, held_out, rng, replicas=_REPLICAS)
    return Estimate(metric(generated, held_out), error)


def _median_ratio(generated: FloatArray, held_out: FloatArray) -> float:
    return float(np.median(generated) / max(np.median(held_out), SAME))


def _close_share(generated: FloatArray, held_out: FloatArray) -> float:
    return float(np.mean(generated < np.quantile(held_out, CLOSE)))


def _diversity(generated: Cells, held_out: Cells, rng: np.random.Generator) -> Estimate:
    size = min(len(generated), len(held_out))  # the more there are, the nearer they are
    own, other = (nearest(x[:size], x[:size], same=True)[0][:, 0] for x in (generated, held_out))
    return _bootstrap(_median_ratio, own, other, rng)


def _preferences(generated: Cells, training: Cells, held_out: Cells) -> tuple[Estimate, Estimate]:
    """Shares of generated showers whose nearest neighbour is one of the training.

    The errors are those of the jackknife over ten groups of all three samples, as one shower may be
    next to many generated ones, so that these are not independent; between independent samples they
    are up to twice too large. They are not smaller than those of the expected share.

    Returns:
        Of all, and of the tenth that is nearest to any neighbour.
    """
    expected = _expected(training, held_out)
    if len(generated) < _LEAST:
        return Estimate(expected, 0.5), Estimate(expected, 0.5)
    known, other = (_group_distances(generated, points) for points in (training, held_out))
    group = np.arange(len(generated)) % _GROUPS
    values = _shares(known, other)
    varied = []
    for left_out in range(_GROUPS):
        kept = np.ix_(group != left_out, np.arange(_GROUPS) != left_out)
        varied.append(_shares(known[kept], other[kept]))
    errors = np.sqrt(_GROUPS - 1) * np.std(varied, axis=0)
    sizes = len(generated) * np.array([1.0, _TENTH])
    errors = np.maximum(errors, np.sqrt(expected * (1 - expected) / sizes))
    return Estimate(values[0], float(errors[0])), Estimate(values[1], float(errors[1]))


def _others(held_out: Cells) -> FloatArray:
    """Distance of each held-out shower to the nearest of the others."""
    return nearest(held_out, held_out, same=True)[0][:, 0]


def _pulled(
    to_training: FloatArray,
    to_held_out: FloatArray,
    held_out_to_training: FloatArray,
    held_out_to_others: FloatArray,
) -> tuple[int, float]:
    """Generated showers that are pulled to the training, and the ratio of distances they are by.

    In few dimensions ratios are small by chance; held-out showers say how small.
    """
    apart = held_out_to_others >= SAME
    ratios = held_out_to_training[apart] / held_out_to_others[apart]
    pull = min(_NEARER, _BELOW_ALL * float(ratios.min(initial=np.inf)))
    return int((to_training < pull * to_held_out).sum()), pull


def _shares(known: FloatArray, other: FloatArray) -> tuple[float, float]:
    """Shares of rows that are nearer to ``known``: of all, and of the nearest tenth."""
    first, second = known.min(axis=1), other.min(axis=1)
    both = np.minimum(first, second)
    close = both <= np.quantile(both, _TENTH)
    return float((first < second).mean()), float((first < second)[close].mean())


def _expected(training: Cells, held_out: Cells) -> float:
    return len(training) / (len(training) + len(held_out))


def _group_distances(queries: Cells, points: Cells) -> FloatArray:
    """Distance of each query to the nearest point of each of ten groups: shape (N, 10)."""
    groups = [nearest(queries, points[g::_GROUPS])[0] for g in range(_GROUPS)]
    return np.concatenate(groups, axis=1)
