"""The two members of the headline test: trees on the columns that tell most, a network on all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.evaluation.classifiers.perceptron import Perceptron, train_perceptron
from caloforge.evaluation.features.columns import Columns

__all__ = ["BINS", "Members", "Settings", "Tallies", "View"]

Floats = NDArray[np.float32]
FloatArray = NDArray[np.float64]
Labels = NDArray[np.bool_]
Rows = NDArray[np.intp]

BINS = 64
"""Bins of each column, with as many rows in each as can be."""

_SMALLEST_BATCH, _BATCHES = 64, 32


@dataclass(frozen=True)
class Settings:
    """How the members are trained.

    Attributes:
        trees: Number of trees.
        learning_rate: Weight of each.
        leaves: Most leaves of a tree.
        columns: Columns that trees see.
        hidden: Units of the network's hidden layer.
        epochs: Passes of the network over the rows.
        batch: Most rows of its steps.
        rate: Its largest learning rate.
        dropout: Share of the units that a step leaves out.
        decay: Its weight decay.
    """

    trees: int
    learning_rate: float
    leaves: int
    columns: int
    hidden: int
    epochs: int
    batch: int
    rate: float
    dropout: float
    decay: float


@dataclass(frozen=True, eq=False)
class View:
    """Columns of all rows, as the members see them.

    Attributes:
        inputs: The columns, of counts the logarithm of one more: shape (N, n_columns).
        bins: The bin of each value: shape (N, n_columns).
    """

    inputs: Floats
    bins: NDArray[np.uint8]

    @classmethod
    def of(cls, columns: Columns) -> View:
        """Bins have edges at quantiles of all rows, whatever their labels."""
        inputs = columns.values.copy()
        counts = [i for i, column in enumerate(columns.columns) if column.scale == "count"]
        inputs[:, counts] = np.log1p(inputs[:, counts])
        bins = np.empty(inputs.shape, dtype=np.uint8)
        at = (np.arange(1, BINS) * len(inputs)) // BINS
        for i, column in enumerate(np.ascontiguousarray(inputs.T)):
            bins[:, i] = np.searchsorted(np.unique(np.sort(column)[at]), column, side="right")
        return cls(inputs, bins)

    def beside(self, other: View) -> View:
        """Both views' columns."""
        return View(
            np.concatenate([self.inputs, other.inputs], axis=1),
            np.concatenate([self.bins, other.bins], axis=1),
        )

    def __getitem__(self, rows: Rows) -> View:
        return View(self.inputs[rows], self.bins[rows])


@dataclass(frozen=True, eq=False)
class Tallies:
    """How many rows there are in each bin of each column.

    Attributes:
        counts: Shape (n_columns, folds, 2, BINS); of label 0, then of label 1.
    """

    counts: NDArray[np.int64]

    @classmethod
    def of(cls, view: View, labels: Labels, fold: Rows, folds: int) -> Tallies:
        """Count the rows of a view."""
        start = BINS * (labels + 2 * fold)
        counts = np.stack(
            [np.bincount(start + column, minlength=2 * BINS * folds) for column in view.bins.T]
        )
        return cls(counts.reshape(-1, folds, 2, BINS))

    def aucs(self, without: int | None = None) -> tuple[FloatArray, FloatArray]:
        """AUC of each column alone, and of its distance from the median of label 1, in bins.

        Args:
            without: A fold that is left out.

        Returns:
            Each of shape (n_columns,).
        """
        counts = self.counts.sum(axis=1)
        if without is not None:
            counts = counts - self.counts[:, without]
        half = counts[:, 1].sum(axis=1, keepdims=True) / 2
        middle = (np.cumsum(counts[:, 1], axis=1) < half).sum(axis=1)
        distance = np.abs(np.arange(BINS) - middle[:, None])
        folded = np.zeros_like(counts)
        for i, (row, where) in enumerate(zip(counts, distance, strict=True)):
            for label in (0, 1):
                folded[i, label] = np.bincount(where, weights=row[label], minlength=BINS)
        return _aucs(counts), _aucs(folded)


def _aucs(counts: NDArray[np.int64]) -> FloatArray:
    below = np.cumsum(counts[:, 0], axis=1) - 0.5 * counts[:, 0]
    pairs = counts.sum(axis=2, dtype=np.float64).prod(axis=1)
    return np.asarray((counts[:, 1] * below).sum(axis=1) / pairs, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Members:
    """Trained members.

    Attributes:
        trees: The trees, of scikit-learn.
        seen: Columns that they see.
        network: The network.
    """

    trees: Any
    seen: Rows
    network: Perceptron

    @classmethod
    def train(
        cls,
        view: View,
        labels: Labels,
        telling: FloatArray,
        settings: Settings,
        rng: np.random.Generator,
    ) -> Members:
        """Train both.

        Args:
            view: Of the rows to train on.
            labels: Their labels.
            telling: How much each column alone tells of these rows: shape (n_columns,).
            settings: How.
            rng: Random numbers of all of it.
        """
        from sklearn.ensemble import HistGradientBoostingClassifier

        seen = np.sort(np.argsort(-telling, kind="stable")[: settings.columns])
        trees = HistGradientBoostingClassifier(
            learning_rate=settings.learning_rate,
            max_iter=settings.trees,
            max_leaf_nodes=settings.leaves,
            max_bins=BINS,
            max_features=0.3,
            l2_regularization=1.0,
            early_stopping=False,
            random_state=int(rng.integers(2**31)),
        )
        trees.fit(view.bins[:, seen], labels)
        network = train_perceptron(
            view.inputs,
            labels,
            rng,
            hidden=settings.hidden,
            epochs=settings.epochs,
            batch=min(settings.batch, max(_SMALLEST_BATCH, len(labels) // _BATCHES)),
            rate=settings.rate,
            dropout=settings.dropout,
            decay=settings.decay,
        )
        return cls(trees, seen, network)

    def scores(self, view: View) -> dict[str, FloatArray]:
        """Logarithm of the odds of label 1 by each member, and their sum.

        Args:
            view: Of the rows to score.
        """
        trees = np.asarray(self.trees.decision_function(view.bins[:, self.seen]), dtype=np.float64)
        network = self.network.scores(view.inputs)
        return {"trees": trees, "network": network, "both": trees + network}
