"""A classifier test in seconds: gradient-boosted trees on the high-level features.

References:
    G. Ke et al., *LightGBM: a highly efficient gradient boosting decision tree*, NeurIPS 2017:
    the histogram-based trees that scikit-learn's ``HistGradientBoostingClassifier`` follows.
    C. Krause et al., *CaloChallenge 2022*, arXiv:2410.21611: the features.
"""

from __future__ import annotations

from time import perf_counter

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

from caloforge.errors import CaloforgeError, ShowersError
from caloforge.evaluation.classifiers.scores import AUCResult, bootstrap_auc
from caloforge.evaluation.comparable import check_alike
from caloforge.evaluation.features.calochallenge import high_level
from caloforge.evaluation.features.studied import once
from caloforge.evaluation.matching import energy_warnings
from caloforge.random import Purpose, stream
from caloforge.showers import Showers

__all__ = ["TreesProtocol", "TreesResult", "trees_test"]

_FEWEST = 20


class TreesProtocol(BaseModel):
    """How the trees are grown: fixed, nothing is chosen on any showers.

    Attributes:
        trees: Number of trees.
        learning_rate: Weight of each tree.
        leaves: Most leaves of a tree.
        showers_per_leaf: Fewest showers in a leaf.
        l2: L2 regularisation of the leaves.
        folds: Parts of the cross-validation.
        threshold: Deposits below it count as zero, MeV.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    trees: PositiveInt = 100
    learning_rate: PositiveFloat = 0.1
    leaves: int = Field(default=15, ge=2)
    showers_per_leaf: PositiveInt = 20
    l2: float = Field(default=1.0, ge=0)
    folds: int = Field(default=5, ge=2)
    threshold: float = Field(default=0.0, ge=0)


class TreesResult(AUCResult):
    """What the trees found.

    The AUC is the mean over the folds, each scored by trees that were grown on the other folds; its
    error is that of the bootstrap.

    Attributes:
        protocol: The settings.
        fold_auc: AUC of the single folds.
        n_showers: Showers of each class that were used; each is scored once.
        n_features: Number of features, their principal components not counted.
    """

    protocol: TreesProtocol
    fold_auc: tuple[float, ...]
    n_showers: int
    n_features: int


def trees_test(
    reference: Showers,
    showers: Showers,
    protocol: TreesProtocol | None = None,
    *,
    seed: int,
    threads: int = 1,
) -> TreesResult:
    """Grow trees that tell showers from reference showers, and judge them.

    Both classes are made equally large and are cut into equal folds at random. Where the two
    samples have the same incident energies row by row, rows of the same energy stay in the same
    fold.

    The trees see the high-level features and, as trees can only cut on one feature at a time, the
    principal components of the standardised features beside them: a response that is off by 1%
    is a cut in one of those, and lost among the incident energies in any single feature.

    Args:
        reference: Geant4 showers; label 1.
        showers: Showers to judge, of the same readout and particle and with the same spectrum of
            incident energies; label 0.
        protocol: How the trees are grown.
        seed: Seed of everything that is random.
        threads: Threads that the trees are grown with. Left alone, scikit-learn takes every core
            and its threads wait for each other in loops, which beside other work is many times
            slower than one thread.

    Raises:
        ShowersError: The samples are of different readouts or particles, or too small.
        CaloforgeError: The seed or the number of threads is not valid.
    """
    from sklearn.decomposition import PCA
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    started = perf_counter()
    protocol = protocol or TreesProtocol()
    check_alike(reference, showers)
    if threads < 1:
        msg = f"threads: got {threads}, must be at least 1"
        raise CaloforgeError(msg)
    size = min(len(reference), len(showers))
    if size < _FEWEST * protocol.folds:
        msg = (
            f"showers: got {size} of each class, must be at least {_FEWEST} in each of "
            f"{protocol.folds} folds"
        )
        raise ShowersError(msg)
    rng = stream(seed, Purpose.TREES)
    features = [
        once(each, high_level, threshold=protocol.threshold) for each in (reference, showers)
    ]
    first = rng.permutation(len(reference))[:size]
    paired = np.array_equal(reference.energy, showers.energy)
    second = first if paired else rng.permutation(len(showers))[:size]
    rows = np.concatenate([features[0][first], features[1][second]])
    labels = np.repeat([True, False], size)
    fold = np.tile(np.arange(size) % protocol.folds, 2)
    found = []
    for each in range(protocol.folds):
        trees = HistGradientBoostingClassifier(
            learning_rate=protocol.learning_rate,
            max_iter=protocol.trees,
            max_leaf_nodes=protocol.leaves,
            min_samples_leaf=protocol.showers_per_leaf,
            l2_regularization=protocol.l2,
            early_stopping=False,
            random_state=int(rng.integers(2**31)),
        )
        inside = fold == each
        with threadpool_limits(threads):
            rotate = make_pipeline(StandardScaler(), PCA(svd_solver="full")).fit(rows[~inside])
            seen = np.concatenate([rows, rotate.transform(rows)], axis=1)
            trees.fit(seen[~inside], labels[~inside])
            scores = np.asarray(trees.decision_function(seen[inside]), dtype=np.float64)
        found.append(bootstrap_auc(scores, labels[inside], rng))
    return TreesResult(
        protocol=protocol,
        auc=float(np.mean([each.value for each in found])),
        auc_error=float(np.sqrt(np.sum([each.error**2 for each in found])) / len(found)),
        fold_auc=tuple(each.value for each in found),
        n_showers=size,
        n_available=(len(reference), len(showers)),
        n_features=rows.shape[1],
        seed=seed,
        seconds=perf_counter() - started,
        warnings=tuple(energy_warnings(reference, showers)),
    )
