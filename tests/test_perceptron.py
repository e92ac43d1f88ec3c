"""The network of the headline test: its slopes, and that it learns."""

from __future__ import annotations

import numpy as np

from caloforge.evaluation.classifiers import perceptron
from caloforge.evaluation.classifiers.perceptron import train_perceptron
from caloforge.evaluation.classifiers.scores import roc_auc

SETTINGS = {"hidden": 32, "epochs": 20, "batch": 64, "rate": 3e-3, "dropout": 0.2, "decay": 0.01}


def test_slopes_are_those_of_the_loss() -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((7, 5)).astype(np.float32)
    y = (rng.random((7, 1)) < 0.5).astype(np.float32)
    kept = (rng.random((7, 4)) < 0.7).astype(np.float32) / np.float32(0.7)
    parameters = [
        rng.standard_normal(shape).astype(np.float32) for shape in ((5, 4), (4,), (4, 1), (1,))
    ]

    def loss() -> float:
        first, bias, second, last = (each.astype(np.float64) for each in parameters)
        logit = (np.maximum(x @ first + bias, 0) * kept) @ second + last
        return float(np.mean(np.logaddexp(0, logit) - y * logit))

    for parameter, slope in zip(
        parameters, perceptron._slopes(parameters, x, y, kept), strict=True
    ):
        assert slope.shape == parameter.shape
        for at in np.ndindex(parameter.shape):
            value = parameter[at]
            ends = []
            for step in (1e-2, -1e-2):
                parameter[at] = value + np.float32(step)
                ends.append(loss())
            parameter[at] = value
            assert abs((ends[0] - ends[1]) / 2e-2 - slope[at]) < 2e-3


def test_it_learns_what_no_single_column_says() -> None:
    rng = np.random.default_rng(2)
    rows = rng.standard_normal((4000, 6)).astype(np.float32)
    labels = rows[:, 0] * rows[:, 1] > 0
    trained = train_perceptron(rows[:3000], labels[:3000], rng, **SETTINGS)  # type: ignore[arg-type]
    assert roc_auc(trained.scores(rows[3000:]), labels[3000:]) > 0.95
    single = roc_auc(rows[:, 0].astype(np.float64), labels)
    assert abs(single - 0.5) < 0.05


def test_the_same_numbers_give_the_same_bits() -> None:
    rows = np.random.default_rng(3).standard_normal((200, 4)).astype(np.float32)
    labels = rows[:, 0] > 0
    first, second = (
        train_perceptron(rows, labels, np.random.default_rng(1), **SETTINGS).scores(rows)  # type: ignore[arg-type]
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)
