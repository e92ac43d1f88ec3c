"""Nearest neighbours, and what follows from them: precision, recall, density and coverage.

Around each shower of one sample is a ball that reaches to its k-th neighbour in that sample; the
balls together are taken for the support of the sample. Then

- *precision* is the share of generated showers that are within any ball of the reference,
- *recall* the share of the reference that is within any ball of the generated showers,
- *density* the number of balls of the reference that a generated shower is in, over k, on average,
- *coverage* the share of the balls of the reference that hold a generated shower.

For equal distributions density is 1 and coverage 1 - 2^-k; precision and recall depend on the
number of showers. Definitions and names are those of the package ``prdc``, which the CaloChallenge
uses with k = 5 on log10 of the voxels.

Distances are found in blocks of 64 MB, whatever the numbers of showers, in the precision that the
features have. In single precision their squares are good to some 1e-6 of the squared lengths.

References:
    T. Kynkaanniemi et al., Improved precision and recall metric for assessing generative models,
    arXiv:1904.06991; M. F. Naeem et al., Reliable fidelity and diversity metrics for generative
    models, arXiv:2002.09797; C. Krause et al., CaloChallenge 2022, arXiv:2410.21611.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import CaloforgeError, ShowersError
from caloforge.evaluation.estimate import Estimate
from caloforge.evaluation.features.blocks import above, vectors
from caloforge.showers import Showers

__all__ = ["ManifoldScores", "log_cells", "nearest", "prdc"]

FloatArray = NDArray[np.float64]
Features = NDArray[np.floating]

NEAREST_K = 5
_EMPTY = 0.1  # MeV, what a cell without energy counts as
_BLOCK_BYTES = 2**26
_SPLITS = 5  # into halves, for the errors
_HALF = 2500  # most rows of a half
# A ball does not hold the shower on its surface, in spite of rounding: in units of the precision.
_SURFACE = 50.0


@dataclass(frozen=True)
class ManifoldScores:
    """Precision, recall, density and coverage.

    The errors come from random halves of both samples, so the balls vary as well as what is in
    them. (Bootstrap samples have showers twice, which have no distance; many small parts do not
    have the few balls that hold very many showers.)

    Attributes:
        precision: Share of generated showers that look like the reference.
        recall: Share of the reference that looks like generated showers.
        density: How densely the reference surrounds generated showers.
        coverage: Share of the reference that has generated showers close to it.
        counts: Showers of the reference and of the sample that were used.
        diverged: Showers of each with a feature that is no finite number, which were cut.
    """

    precision: Estimate
    recall: Estimate
    density: Estimate
    coverage: Estimate
    counts: tuple[int, int]
    diverged: tuple[int, int]


def log_cells(
    showers: Showers, chosen: NDArray[np.intp] | None = None, *, threshold: float = 0.0
) -> NDArray[np.float32]:
    """The features of the CaloChallenge: log10(E_cell / MeV), with 0.1 MeV for empty cells.

    Args:
        showers: N showers.
        chosen: Rows of M of them; all by default.
        threshold: Deposits below it count as zero, MeV;
            see :func:`caloforge.evaluation.features.calochallenge.low_level`.

    Returns:
        Shape (M, n_cells).
    """

    def logarithms(
        deposits: NDArray[np.float32],
        energy: FloatArray,  # noqa: ARG001
    ) -> FloatArray:
        cells = above(deposits, threshold)
        cells[cells == 0] = _EMPTY
        return np.log10(cells)

    return vectors(showers, logarithms, chosen)


def prdc(
    reference: Features,
    sample: Features,
    rng: np.random.Generator,
    *,
    nearest_k: int = NEAREST_K,
    max_rows: int = 20_000,
) -> ManifoldScores:
    """Precision, recall, density and coverage of a sample.

    Args:
        reference: Features of the reference, shape (N, d); see :func:`log_cells`.
        sample: Features of the generated showers, shape (M, d).
        rng: Random numbers that choose the rows where there are more than are used.
        nearest_k: Balls reach to the neighbour of this rank.
        max_rows: Rows of each that are used, as the time grows with their square.

    Raises:
        ShowersError: The features do not fit together, or there are too few rows.
        CaloforgeError: ``nearest_k`` is not positive.
    """
    if nearest_k < 1:
        msg = f"nearest_k: got {nearest_k}, must be at least 1"
        raise CaloforgeError(msg)
    parts, diverged = [], []
    least = 4 * (nearest_k + 1)
    for name, rows in (("reference", reference), ("sample", sample)):
        finite = np.flatnonzero(np.isfinite(rows).all(axis=1))
        diverged.append(len(rows) - len(finite))
        if len(finite) < 2 * least:
            msg = (
                f"{name}: has {len(finite)} rows besides {diverged[-1]} that diverged, "
                f"must have at least {2 * least}"
            )
            raise ShowersError(msg)
        if len(finite) > max_rows:
            finite = np.sort(rng.permutation(finite)[:max_rows])
        parts.append(rows if len(finite) == len(rows) else rows[finite])
    real, fake = parts
    scores = _scores(real, fake, nearest_k)
    errors = np.sqrt(np.mean([_variance(real, fake, nearest_k, rng) for _ in range(_SPLITS)], 0))
    precision, recall, density, coverage = map(Estimate, scores, errors.tolist())
    return ManifoldScores(
        precision,
        recall,
        density,
        coverage,
        (len(real), len(fake)),
        (diverged[0], diverged[1]),
    )


def nearest(
    queries: Features, points: Features, *, k: int = 1, same: bool = False
) -> tuple[FloatArray, NDArray[np.intp]]:
    """The k nearest points of each query, by Euclidean distance.

    Args:
        queries: Shape (N, d).
        points: Shape (M, d) with M >= k, or M > k where they are the queries.
        k: How many.
        same: The points are the queries, and none is its own neighbour.

    Returns:
        Distances in increasing order, computed in double precision for the points that were found,
        and the indices of these points: both of shape (N, k).

    Raises:
        ShowersError: The features do not fit together, or there are fewer points than k.
    """
    if k > len(points) - same:
        msg = f"points: got {len(points)}, must be more than {k - 1 + same} for {k} neighbours"
        raise ShowersError(msg)
    distances = np.empty((len(queries), k))
    indices = np.empty((len(queries), k), dtype=np.intp)
    for rows, squares in _squared_distances(queries, points):
        if same:
            own = np.arange(rows.start, rows.stop)
            squares[own - rows.start, own] = np.inf
        if k == 1:  # one pass, and no indices of all pairs
            found = squares.argmin(axis=1)[:, None]
        else:
            found = np.argpartition(squares, k - 1, axis=1)[:, :k]
        exact = np.empty(found.shape)
        for rank in range(k):
            gap = queries[rows].astype(np.float64) - points[found[:, rank]]
            exact[:, rank] = np.sqrt(np.einsum("nd,nd->n", gap, gap))
        order = np.argsort(exact, axis=1, kind="stable")
        distances[rows] = np.take_along_axis(exact, order, axis=1)
        indices[rows] = np.take_along_axis(found, order, axis=1)
    return distances, indices


def _variance(
    real: Features, fake: Features, nearest_k: int, rng: np.random.Generator
) -> FloatArray:
    """Variance of the four scores, from how far those of two halves are apart."""
    share = min(1.0, 2 * _HALF / max(len(real), len(fake))) / 2
    order = [rng.permutation(len(rows)) for rows in (real, fake)]
    sizes = [int(share * len(rows)) for rows in (real, fake)]
    one, other = (
        np.array(
            _scores(
                real[order[0][half * sizes[0] : (half + 1) * sizes[0]]],
                fake[order[1][half * sizes[1] : (half + 1) * sizes[1]]],
                nearest_k,
            )
        )
        for half in (0, 1)
    )
    # Each has the variance of (one - other) / sqrt(2); the whole has more showers.
    return np.asarray((one - other) ** 2 / 2 * share)


def _scores(real: Features, fake: Features, k: int) -> tuple[float, float, float, float]:
    """Precision, recall, density and coverage."""
    tight = 1.0 - _SURFACE * float(np.finfo(np.result_type(real, fake)).eps)
    real_radii = tight * nearest(real, real, k=k, same=True)[0][:, -1] ** 2
    fake_radii = tight * nearest(fake, fake, k=k, same=True)[0][:, -1] ** 2
    precise, balls = 0, 0
    recalled = np.zeros(len(real), dtype=bool)
    covered = np.zeros(len(real), dtype=bool)
    for rows, squares in _squared_distances(fake, real):
        inside = squares < real_radii
        precise += int(inside.any(axis=1).sum())
        balls += int(inside.sum())
        covered |= inside.any(axis=0)
        recalled |= (squares < fake_radii[rows, None]).any(axis=0)
    return (
        precise / len(fake),
        float(recalled.mean()),
        balls / (k * len(fake)),
        float(covered.mean()),
    )


def _squared_distances(queries: Features, points: Features) -> Iterator[tuple[slice, Features]]:
    """Squared distances of all pairs: rows of the queries, and an array of shape (rows, M)."""
    if queries.ndim != 2 or points.ndim != 2 or queries.shape[1] != points.shape[1]:
        msg = f"features: have shapes {queries.shape} and {points.shape}, must be (N, d) and (M, d)"
        raise ShowersError(msg)
    lengths = np.einsum("nd,nd->n", points, points)
    size = max(1, _BLOCK_BYTES // (max(1, len(points)) * queries.itemsize))
    for start in range(0, len(queries), size):
        part = queries[start : start + size]
        squares = part @ points.T
        squares *= -2.0
        squares += lengths
        squares += np.einsum("nd,nd->n", part, part)[:, None]
        yield slice(start, start + len(part)), squares
