"""What a classifier's scores say: AUC, accuracy and Jensen-Shannon divergence, with errors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from caloforge.evaluation.estimate import N_BOOTSTRAP, Estimate

__all__ = ["AUCResult", "bootstrap_auc", "calibrate_scores", "divergence", "jsd", "roc_auc"]

Floats = NDArray[np.float64]
Labels = NDArray[np.bool_]

_CLIP = 1e-6


class AUCResult(BaseModel):
    """What every classifier test finds.

    Attributes:
        auc: Area under the ROC curve.
        auc_error: Its error.
        n_available: Reference showers and generated showers that there were to draw from.
        seed: Seed of everything that is random.
        seconds: Wall time.
        warnings: What makes the numbers doubtful.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    auc: float
    auc_error: float
    n_available: tuple[int, int]
    seed: int
    seconds: float
    warnings: tuple[str, ...]


def roc_auc(scores: Floats, labels: Labels) -> float:
    """Area under the ROC curve: the chance that a row with label 1 scores above one with label 0.

    Equal scores count one half. Never turned around: less than 0.5 stays less than 0.5.

    Args:
        scores: Shape (N,), any monotonic scale.
        labels: Shape (N,), with rows of both labels.

    Examples:
        >>> roc_auc(np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, False, True, True]))
        0.875
    """
    return _weighted_auc(_ranks(scores), labels, np.ones(len(scores)))


def bootstrap_auc(
    scores: Floats, labels: Labels, rng: np.random.Generator, *, n_bootstrap: int = N_BOOTSTRAP
) -> Estimate:
    """AUC with its bootstrap error: rows are drawn anew within each class, the scores stay.

    Args:
        scores: Shape (N,), any monotonic scale.
        labels: Shape (N,), with rows of both labels.
        rng: Random numbers of the bootstrap.
        n_bootstrap: Number of bootstrap samples.
    """
    ranks = _ranks(scores)
    samples = [_weighted_auc(ranks, labels, _resampled(labels, rng)) for _ in range(n_bootstrap)]
    return Estimate(_weighted_auc(ranks, labels, np.ones(len(scores))), float(np.std(samples)))


def calibrate_scores(scores: Floats, labels: Labels, new_scores: Floats) -> Floats:
    """Probabilities of label 1 by isotonic regression, as CaloFlow and the CaloChallenge do it.

    Args:
        scores: Scores that the calibration is fitted on: shape (N,); not those it is applied to.
        labels: Their labels: shape (N,).
        new_scores: Scores to calibrate: shape (M,).

    Returns:
        Shape (M,), in [1e-6, 1 - 1e-6].
    """
    from sklearn.isotonic import IsotonicRegression

    fit = IsotonicRegression(y_min=_CLIP, y_max=1 - _CLIP, out_of_bounds="clip")
    fit.fit(scores, labels.astype(np.float64))
    return np.asarray(fit.predict(new_scores), dtype=np.float64)


def jsd(probability: Floats, labels: Labels) -> float:
    r"""Jensen-Shannon divergence in units of ln 2, from the binary cross-entropy of a classifier.

    .. math:: 1 + \frac{\langle \ln p \rangle_1 + \langle \ln(1 - p) \rangle_0}{2 \ln 2}

    For the best classifier it is 0 for equal distributions and 1 for disjoint ones; for any other
    it is lower, and can be negative. Probabilities are clipped to [1e-6, 1 - 1e-6], so that it is
    always finite.

    Args:
        probability: Probability of label 1: shape (N,).
        labels: Shape (N,), with rows of both labels.

    Examples:
        >>> jsd(np.full(4, 0.5), np.array([True, True, False, False]))
        0.0
    """
    return _weighted_jsd(_log_likelihood(probability, labels), labels, np.ones(len(labels)))


def divergence(
    probability: Floats,
    labels: Labels,
    rng: np.random.Generator,
    *,
    n_bootstrap: int = N_BOOTSTRAP,
) -> Estimate:
    """The divergence of :func:`jsd` with its bootstrap error.

    Args:
        probability: Probability of label 1: shape (N,).
        labels: Shape (N,), with rows of both labels.
        rng: Random numbers of the bootstrap.
        n_bootstrap: Number of bootstrap samples.
    """
    likelihood = _log_likelihood(probability, labels)
    samples = [
        _weighted_jsd(likelihood, labels, _resampled(labels, rng)) for _ in range(n_bootstrap)
    ]
    return Estimate(jsd(probability, labels), float(np.std(samples)))


def _log_likelihood(probability: Floats, labels: Labels) -> Floats:
    clipped = np.clip(probability, _CLIP, 1 - _CLIP)
    return np.log(np.where(labels, clipped, 1 - clipped))


def _weighted_jsd(log_likelihood: Floats, labels: Labels, weights: Floats) -> float:
    means = [np.average(log_likelihood[rows], weights=weights[rows]) for rows in (labels, ~labels)]
    return float(1.0 + 0.5 * sum(means) / np.log(2.0))


def _ranks(scores: Floats) -> NDArray[np.intp]:
    """Which of the distinct scores, in increasing order, each one is: shape (N,)."""
    return np.unique(scores, return_inverse=True)[1].ravel()


def _resampled(labels: Labels, rng: np.random.Generator) -> Floats:
    """How often each row is drawn, with replacement within its class: shape (N,)."""
    weights = np.empty(len(labels))
    for rows in (labels, ~labels):
        n = int(rows.sum())
        weights[rows] = np.bincount(rng.integers(0, n, n), minlength=n)
    return weights


def _weighted_auc(ranks: NDArray[np.intp], labels: Labels, weights: Floats) -> float:
    ones = np.bincount(ranks, weights=weights * labels)
    zeros = np.bincount(ranks, weights=weights * ~labels)
    below = np.cumsum(zeros) - 0.5 * zeros
    return float(ones @ below / (ones.sum() * zeros.sum()))
