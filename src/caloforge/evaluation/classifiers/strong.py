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

from dataclasses import dataclass
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import CaloforgeError, ShowersError
from caloforge.evaluation.classifiers.clues import Clue, find_clues
from caloforge.evaluation.classifiers.folds import copies, fold_of_rows, hash_factors, row_keys
from caloforge.evaluation.classifiers.members import Members, Tallies, View
from caloforge.evaluation.classifiers.scores import bootstrap_auc, roc_auc
from caloforge.evaluation.classifiers.single_cells import CellMeans, cell_means, cells_as_columns
from caloforge.evaluation.classifiers.strong_result import (
    StrongProtocol,
    StrongResult,
    ThresholdResult,
    WindowMeans,
)
from caloforge.evaluation.comparable import check_alike
from caloforge.evaluation.features.blocks import row_blocks
from caloforge.evaluation.features.columns import Columns
from caloforge.evaluation.features.studied import once
from caloforge.evaluation.features.windows import window_columns
from caloforge.evaluation.matching import energy_warnings
from caloforge.random import Purpose, stream
from caloforge.showers import Showers

__all__ = ["strong_test"]

Rows = NDArray[np.intp]
Labels = NDArray[np.bool_]

_FEWEST = 20
_CLUES = 10
_COPIES = 1e-3  # share of a sample from which on copies are told


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
        windows=_window_means(test.columns, test.labels),
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


def _window_means(columns: Columns, labels: Labels) -> tuple[WindowMeans, ...]:
    """Numbers of cells in each window, of every deposit."""
    found = []
    for column, values in zip(columns.columns, columns.values.T, strict=True):
        if column.window is not None and column.only is None:
            means = [
                (float(each.mean(dtype=np.float64)), float(each.std(dtype=np.float64)))
                for each in (values[labels], values[~labels])
            ]
            error = np.sqrt(labels.sum())  # as many of either
            found.append(
                WindowMeans(
                    place=column.place,
                    window=column.window,
                    reference=means[0][0],
                    reference_error=means[0][1] / error,
                    showers=means[1][0],
                    showers_error=means[1][1] / error,
                )
            )
    return tuple(found)
