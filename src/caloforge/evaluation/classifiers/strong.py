"""The headline test: can anything tell generated showers from Geant4's?

Trees and a small network look at what gives generators away, the cells (see
:mod:`caloforge.evaluation.features.windows` and :mod:`~caloforge.evaluation.features.neighbours`),
for deposits above several thresholds: every deposit, and what a readout sees. It takes seconds,
asks for no PyTorch and says which numbers give the sample away.

For each threshold and each of three folds:

- the columns are those of the two modules, and up to 24 single cells whose mean differs by more
  than six errors on the rows that are trained on;
- trees are grown on the 150 columns that each alone tell most on the rows that are trained on;
- the network sees all columns, standardised;
- the score of a row of the fold is the sum of the two logarithms of the odds.

No row is scored by what has seen it, nothing is chosen on the rows that are scored, and the order
of the rows of a file does not matter (:mod:`caloforge.evaluation.classifiers.folds`).

References:
    G. Ke et al., *LightGBM*, NeurIPS 2017: the histogram-based trees that scikit-learn follows.
    C. Krause, D. Shih, CaloFlow, arXiv:2106.05285: classifiers as the judge of generators.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from time import perf_counter
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, model_validator

from caloforge.errors import CaloforgeError, ShowersError
from caloforge.evaluation.classifiers.clues import Clue, find_clues
from caloforge.evaluation.classifiers.folds import copies, fold_of_rows, hash_factors, row_keys
from caloforge.evaluation.classifiers.members import Members, Settings, Tallies, View
from caloforge.evaluation.classifiers.scores import AUCResult, bootstrap_auc, roc_auc
from caloforge.evaluation.classifiers.single_cells import CellMeans, cell_means, cells_as_columns
from caloforge.evaluation.comparable import check_alike
from caloforge.evaluation.features.blocks import row_blocks
from caloforge.evaluation.features.columns import Columns
from caloforge.evaluation.features.studied import once
from caloforge.evaluation.features.windows import window_columns
from caloforge.evaluation.matching import energy_warnings
from caloforge.random import Purpose, stream
from caloforge.showers import Showers

__all__ = [
    "HEADLINE_THRESHOLDS",
    "StrongProtocol",
    "StrongResult",
    "ThresholdResult",
    "strong_test",
]

HEADLINE_THRESHOLDS = (0.0, 0.01, 0.1, 1.0)
"""MeV per cell: every deposit, CaloFlow's 10 keV, 0.1 MeV, and 1 MeV, what readout sees."""

Rows = NDArray[np.intp]
Labels = NDArray[np.bool_]

_FEWEST = 20
_CLUES = 10
_COPIES = 1e-3  # share of a sample from which on copies are told


class StrongProtocol(BaseModel):
    """How the test is done: fixed, nothing is chosen on any showers.

    Attributes:
        thresholds: Deposits below each count as zero, MeV; in increasing order.
        showers: Most showers of each class.
        deposits: Most deposits (showers times cells) of each class, so that detectors of many cells
            take no more than seven times as long as the 504 cells of CaloGAN.
        folds: Parts of the cross-validation.
        trees: Number of trees.
        learning_rate: Weight of each tree.
        leaves: Most leaves of a tree.
        columns: Columns that trees see.
        hidden: Units of the hidden layer of the network.
        epochs: Passes of the network over the rows.
        batch: Most rows of its steps.
        rate: Its largest learning rate.
        dropout: Share of the units that a step leaves out.
        decay: Its weight decay.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    thresholds: tuple[float, ...] = HEADLINE_THRESHOLDS
    showers: PositiveInt = 10_000
    deposits: PositiveInt = 2**25
    folds: int = Field(default=3, ge=2)
    trees: PositiveInt = 60
    learning_rate: PositiveFloat = 0.15
    leaves: int = Field(default=15, ge=2)
    columns: PositiveInt = 150
    hidden: PositiveInt = 256
    epochs: PositiveInt = 15
    batch: PositiveInt = 256
    rate: PositiveFloat = 3e-3
    dropout: float = Field(default=0.3, ge=0, lt=1)
    decay: float = Field(default=0.01, ge=0)

    @model_validator(mode="after")
    def _check_thresholds(self) -> Self:
        given = self.thresholds
        if not given or given[0] < 0 or any(not a < b < np.inf for a, b in pairwise(given)):
            msg = f"thresholds: got {given}, must be at least one, increasing, none negative"
            raise ValueError(msg)
        return self

    def size(self, reference: Showers, showers: Showers) -> int:
        """Showers of each class that are used."""
        most = max(1, self.deposits // reference.detector.n_cells)
        return min(len(reference), len(showers), self.showers, most)

    @property
    def settings(self) -> Settings:
        """How the members are trained."""
        names = Settings.__dataclass_fields__
        return Settings(**{name: getattr(self, name) for name in names})


class ThresholdResult(BaseModel):
    """What was found with deposits below a threshold set to zero.

    Attributes:
        threshold: MeV.
        auc: Mean over the folds.
        auc_error: That of the bootstrap, or of the scatter of the folds where that is larger.
        fold_auc: AUC of the single folds.
        members: AUC of each member alone.
        n_columns: Columns, single cells not counted.
        weights: By how much the AUC falls when the columns of a family are shuffled among the
            showers of a fold.
        clues: The single numbers that tell most.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    threshold: float
    auc: float
    auc_error: float
    fold_auc: tuple[float, ...]
    members: Mapping[str, float]
    n_columns: int
    weights: Mapping[str, float]
    clues: tuple[Clue, ...]


class StrongResult(AUCResult):
    """What the test found; its AUC is that of the first threshold.

    Attributes:
        protocol: The settings.
        thresholds: What was found at each.
        n_showers: Showers of each class that were used; each is scored once.
    """

    protocol: StrongProtocol
    thresholds: tuple[ThresholdResult, ...]
    n_showers: int


@dataclass(frozen=True, eq=False)
class _Studied:
    """Rows in an order that depends on what is in them, and their columns.

    Attributes:
        rows: Shape (K,).
        keys: Hashes of these rows, in increasing order.
        columns: Of these rows.
        copies: How many of these are copies of others.
    """

    rows: Rows
    keys: NDArray[np.uint64]
    columns: Columns
    copies: int


def _studied(
    showers: Showers, factors: NDArray[np.uint64], most: int, thresholds: tuple[float, ...]
) -> _Studied:
    keys = row_keys(showers, factors)
    rows = np.argsort(keys, kind="stable")[:most]
    parts = [
        window_columns(showers[rows[part]], thresholds) for part in row_blocks(showers, len(rows))
    ]
    columns = Columns(parts[0].columns, np.concatenate([part.values for part in parts]))
    return _Studied(rows, keys[rows], columns, copies(keys[rows], showers.deposits[rows]))


def strong_test(
    reference: Showers,
    showers: Showers,
    protocol: StrongProtocol | None = None,
    *,
    seed: int,
    threads: int = 1,
) -> StrongResult:
    """Try to tell showers from reference showers, at several thresholds.

    Both classes are made equally large: the first rows in the order of a seeded hash.

    Args:
        reference: Geant4 showers; label 1.
        showers: Showers to judge, of the same readout and particle and with the same spectrum of
            incident energies; label 0.
        protocol: How it is done.
        seed: Seed of everything that is random.
        threads: Threads; one, as more wait for each other in loops beside other work.

    Raises:
        ShowersError: The samples are of different readouts or particles, or too small.
        CaloforgeError: The seed or the number of threads is not valid.
    """
    from threadpoolctl import threadpool_limits

    started = perf_counter()
    protocol = protocol or StrongProtocol()
    check_alike(reference, showers)
    if threads < 1:
        msg = f"threads: got {threads}, must be at least 1"
        raise CaloforgeError(msg)
    size = protocol.size(reference, showers)
    if size < _FEWEST * protocol.folds:
        msg = (
            f"showers: got {size} of each class, must be at least {_FEWEST} in each of "
            f"{protocol.folds} folds"
        )
        raise ShowersError(msg)
    with threadpool_limits(threads):
        test = _Test.prepare((reference, showers), protocol, size, seed)
        found = tuple(test.at(i) for i in range(len(protocol.thresholds)))
    return StrongResult(
        protocol=protocol,
        thresholds=found,
        auc=found[0].auc,
        auc_error=found[0].auc_error,
        n_showers=size,
        n_available=(len(reference), len(showers)),
        seed=seed,
        seconds=perf_counter() - started,
        warnings=(*energy_warnings(reference, showers), *test.warnings),
    )


@dataclass(frozen=True, eq=False)
class _Test:
    """The rows of both classes, the reference first.

    Attributes:
        samples: Reference and sample.
        rows: Of each, which are used.
        columns: Of these.
        labels: True for the reference.
        fold: Fold of each.
        protocol: How it is done.
        seed: Of everything that is random.
        warnings: What makes the numbers doubtful.
    """

    samples: tuple[Showers, Showers]
    rows: tuple[Rows, Rows]
    columns: Columns
    labels: Labels
    fold: Rows
    protocol: StrongProtocol
    seed: int
    warnings: tuple[str, ...]

    @classmethod
    def prepare(
        cls, samples: tuple[Showers, Showers], protocol: StrongProtocol, size: int, seed: int
    ) -> _Test:
        """Choose rows and folds, and compute the columns."""
        thresholds = protocol.thresholds
        most = min(protocol.showers, max(1, protocol.deposits // samples[0].detector.n_cells))
        factors = hash_factors(samples[0].detector.n_cells, seed)
        first, second = (once(each, _studied, factors, most, thresholds) for each in samples)
        rows = first.rows[:size], second.rows[:size]
        keys = np.concatenate([first.keys[:size], second.keys[:size]])
        energy = np.concatenate([s.energy[r] for s, r in zip(samples, rows, strict=True)])
        values = np.concatenate([first.columns.values[:size], second.columns.values[:size]])
        warnings = []
        if second.copies > _COPIES * len(second.rows):
            warnings.append(
                f"showers: {second.copies} of {len(second.rows)} are copies of others, so errors "
                "are too small"
            )
        equal = len(np.intersect1d(first.keys[:size], second.keys[:size]))
        if equal:
            warnings.append(f"showers: {equal} of {size} are showers of the reference")
        return cls(
            samples,
            rows,
            Columns(first.columns.columns, values),
            np.repeat([True, False], size),
            fold_of_rows(keys, energy, protocol.folds),
            protocol,
            seed,
            tuple(warnings),
        )

    def at(self, index: int) -> ThresholdResult:
        """What is found at one threshold."""
        threshold, folds = self.protocol.thresholds[index], self.protocol.folds
        columns = self.columns.at(threshold)
        view = View.of(columns)
        tallies = Tallies.of(view, self.labels, self.fold, folds)
        means = cell_means(self.samples, self.rows, self.fold, folds, threshold)
        aucs: dict[str, list[float]] = {}
        errors = []
        weights: dict[str, float] = {}
        for fold in range(folds):
            rng = stream(self.seed, Purpose.HEADLINE, 1 + index * folds + fold)
            seen, telling = view, _telling(tallies, without=fold)
            cells = means.telling(without=fold)
            if len(cells):
                single = View.of(cells_as_columns(self.samples, self.rows, cells, threshold))
                tally = Tallies.of(single, self.labels, self.fold, folds)
                seen = view.beside(single)
                telling = np.append(telling, _telling(tally, without=fold))
            inside = self.fold == fold
            train, test = np.flatnonzero(~inside), np.flatnonzero(inside)
            settings = self.protocol.settings
            members = Members.train(seen[train], self.labels[train], telling, settings, rng)
            labels, scores = self.labels[test], members.scores(seen[test])
            for name, each in scores.items():
                aucs.setdefault(name, []).append(roc_auc(each, labels))
            errors.append(bootstrap_auc(scores["both"], labels, rng).error)
            if fold == 0:
                weights = _weights(members, seen[test], labels, columns, rng)
        found = aucs.pop("both")
        scatter = float(np.std(found, ddof=1) / np.sqrt(folds))
        return ThresholdResult(
            threshold=threshold,
            auc=float(np.mean(found)),
            auc_error=max(float(np.sqrt(np.sum(np.square(errors))) / folds), scatter),
            fold_auc=tuple(found),
            members={name: float(np.mean(each)) for name, each in aucs.items()},
            n_columns=len(columns.columns),
            weights=weights,
            clues=self._clues(columns, tallies, means, threshold),
        )

    def _clues(
        self, columns: Columns, tallies: Tallies, means: CellMeans, threshold: float
    ) -> tuple[Clue, ...]:
        """Of all rows: what is told of a sample trains nothing."""
        aucs, spreads = tallies.aucs()
        cells = means.telling()
        if len(cells):
            single = cells_as_columns(self.samples, self.rows, cells, threshold)
            more = Tallies.of(View.of(single), self.labels, self.fold, self.protocol.folds).aucs()
            aucs, spreads = np.append(aucs, more[0]), np.append(spreads, more[1])
            columns = Columns(
                columns.columns + single.columns,
                np.concatenate([columns.values, single.values], axis=1),
            )
        return find_clues(columns, self.labels, aucs, spreads, most=_CLUES)


def _telling(tallies: Tallies, without: int) -> NDArray[np.float64]:
    """How much each column alone tells of the rows of the other folds: shape (n_columns,)."""
    aucs, spreads = tallies.aucs(without)
    return np.maximum(np.abs(aucs - 0.5), np.abs(spreads - 0.5))


def _weights(
    members: Members, view: View, labels: Labels, columns: Columns, rng: np.random.Generator
) -> dict[str, float]:
    """By how much the AUC falls when the columns of a family are shuffled among the rows."""
    whole = roc_auc(members.scores(view)["both"], labels)
    families = [column.family for column in columns.columns]
    families += ["single cells"] * (view.inputs.shape[1] - len(families))
    order = rng.permutation(len(labels))
    found = {}
    for family in dict.fromkeys(families):
        where = [i for i, each in enumerate(families) if each == family]
        inputs, bins = view.inputs.copy(), view.bins.copy()
        inputs[:, where], bins[:, where] = inputs[order][:, where], bins[order][:, where]
        shuffled = members.scores(View(inputs, bins))["both"]
        found[family] = float(whole - roc_auc(shuffled, labels))
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))
