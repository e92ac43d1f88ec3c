"""A small network in NumPy: a hidden layer, dropout, one cycle of the learning rate.

It is trained in about a second on some thousand rows of some hundred columns, gives the same bits
every time, and asks for no PyTorch.

References:
    D. Kingma, J. Ba, *Adam*, arXiv:1412.6980; I. Loshchilov, F. Hutter, *Decoupled weight decay*,
    arXiv:1711.05101.
    L. Smith, N. Topin, *Super-convergence*, arXiv:1708.07120: the cycle of the learning rate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Perceptron", "train_perceptron"]

Floats = NDArray[np.float32]

_CLIP = 8.0  # standard deviations that a column may be from its mean
_WARM = 0.2  # share of the steps in which the learning rate rises
_MOMENTS = (0.9, 0.999)


@dataclass(frozen=True, eq=False)
class Perceptron:
    """A trained network.

    Attributes:
        mean: Means of the columns: shape (n_columns,).
        spread: Their standard deviations: shape (n_columns,).
        weights: Of the hidden layer, shape (n_columns, hidden), and of the score, (hidden, 1).
        biases: Shapes (hidden,) and (1,).
    """

    mean: Floats
    spread: Floats
    weights: tuple[Floats, Floats]
    biases: tuple[Floats, Floats]

    def scores(self, rows: Floats) -> NDArray[np.float64]:
        """Logarithm of the odds of label 1 of each row.

        Args:
            rows: Shape (N, n_columns).

        Returns:
            Shape (N,).
        """
        hidden = _scaled(rows, self.mean, self.spread) @ self.weights[0] + self.biases[0]
        found = np.maximum(hidden, 0) @ self.weights[1] + self.biases[1]
        return np.asarray(found[:, 0], dtype=np.float64)


def train_perceptron(
    rows: Floats,
    labels: NDArray[np.bool_],
    rng: np.random.Generator,
    *,
    hidden: int,
    epochs: int,
    batch: int,
    rate: float,
    dropout: float,
    decay: float,
) -> Perceptron:
    """Train a network that tells rows of label 1 from rows of label 0.

    Args:
        rows: Shape (N, n_columns); N at least one batch.
        labels: Shape (N,).
        rng: Random numbers of all of it.
        hidden: Units of the hidden layer.
        epochs: Passes over the rows.
        batch: Rows of a step.
        rate: Largest learning rate.
        dropout: Share of the hidden units that a step leaves out.
        decay: Weight decay.
    """
    mean = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
    spread = rows.std(axis=0, dtype=np.float64).astype(np.float32) + np.float32(1e-6)
    x, y = _scaled(rows, mean, spread), labels.astype(np.float32)[:, None]
    parameters = _start(x.shape[1], hidden, rng)
    first, second = ([np.zeros_like(p) for p in parameters] for _ in range(2))
    batch = min(batch, len(x))
    steps, step = epochs * (len(x) // batch), 0
    for _ in range(epochs):
        order = rng.permutation(len(x))
        for start in range(0, len(x) - batch + 1, batch):
            chosen = order[start : start + batch]
            kept = (rng.random((batch, hidden), dtype=np.float32) >= dropout) / (1 - dropout)
            slopes = _slopes(parameters, x[chosen], y[chosen], kept.astype(np.float32))
            step += 1
            now = rate * _cycle(step / steps)
            for i, (parameter, slope) in enumerate(zip(parameters, slopes, strict=True)):
                first[i] += (1 - _MOMENTS[0]) * (slope - first[i])
                second[i] += (1 - _MOMENTS[1]) * (slope * slope - second[i])
                if i % 2 == 0:
                    parameter *= np.float32(1 - now * decay)
                size = np.sqrt(second[i] / np.float32(1 - _MOMENTS[1] ** step)) + np.float32(1e-8)
                parameter -= np.float32(now / (1 - _MOMENTS[0] ** step)) * first[i] / size
    return Perceptron(mean, spread, (parameters[0], parameters[2]), (parameters[1], parameters[3]))


def _start(columns: int, hidden: int, rng: np.random.Generator) -> list[Floats]:
    """Weights and bias of the hidden layer, then of the score."""
    first = rng.standard_normal((columns, hidden), dtype=np.float32) * np.sqrt(2 / columns)
    second = rng.standard_normal((hidden, 1), dtype=np.float32) * (0.1 * np.sqrt(2 / hidden))
    return [
        first.astype(np.float32),
        np.zeros(hidden, np.float32),
        second.astype(np.float32),
        np.zeros(1, np.float32),
    ]


def _slopes(parameters: list[Floats], x: Floats, y: Floats, kept: Floats) -> list[Floats]:
    """Slopes of the mean cross-entropy, in the order of the parameters."""
    hidden = np.maximum(x @ parameters[0] + parameters[1], 0) * kept
    logit = np.clip(hidden @ parameters[2] + parameters[3], -60, 60)
    wrong = (1 / (1 + np.exp(-logit)) - y) / np.float32(len(x))
    back = (wrong @ parameters[2].T) * kept * (hidden > 0)
    return [x.T @ back, back.sum(axis=0), hidden.T @ wrong, wrong.sum(axis=0)]


def _cycle(share: float) -> float:
    """The learning rate of a step in units of the largest: up, then down along a cosine."""
    if share < _WARM:
        return share / _WARM
    return float(0.5 * (1 + np.cos(np.pi * (share - _WARM) / (1 - _WARM))))


def _scaled(rows: Floats, mean: Floats, spread: Floats) -> Floats:
    scaled: Floats = np.clip((rows - mean) / spread, -_CLIP, _CLIP)
    return scaled
