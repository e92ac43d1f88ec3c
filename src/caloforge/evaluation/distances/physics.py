r"""Frechet and kernel physics distance: two samples of features, all features at once.

Both follow ``jetnet`` 0.2.5, which the CaloChallenge uses on the high-level features
(:func:`caloforge.evaluation.features.calochallenge.high_level`), and agree with it where it gives a
number. What differs:

- Everything is in double precision and in blocks: what is needed besides the features does not
  grow with their number.
- The trace of the matrix square root comes from the eigenvalues of a symmetric matrix, so it has no
  imaginary part and exists for singular covariances.
- The straight line is the one with the least squares. ``jetnet`` searches for it and stops early
  where distances are small: up to 1.5 of its errors away in Geant4 against Geant4.
- A sample that diverged has a distance too. Rows with a value that is no finite number are cut,
  and so are rows of the sample with a value beyond 100 times the largest absolute value of that
  feature in the reference. They are counted in the result: a distance with many of them is one of
  the rest of the sample, and not a good one.

Distances between finite samples of the same distribution are not zero: rows are drawn with
replacement, so both converge to the distance of the samples, not of the distributions. Read them
beside those of Geant4 against Geant4 with as many showers.

References:
    R. Kansal et al., Evaluating generative models in high energy physics, arXiv:2211.10295;
    M. J. Chong, D. Forsyth, Effectively unbiased FID, arXiv:1911.07023;
    M. Binkowski et al., Demystifying MMD GANs, arXiv:1801.01401.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import CaloforgeError, ShowersError

__all__ = ["PhysicsDistance", "fpd", "gaussian_frechet", "kpd"]

FloatArray = NDArray[np.float64]

DIVERGED = 100.0
"""A feature has diverged beyond this many times its largest absolute value in the reference."""
# Half of the central 67.45%: what jetnet takes for one standard deviation.
_CENTRAL = (16.275, 83.725)
_BLOCK = 2**22  # numbers in one block, 32 MB


@dataclass(frozen=True)
class PhysicsDistance:
    """A distance between two samples of features.

    Attributes:
        value: The distance.
        error: Error of the method, as ``jetnet`` gives it: of the fit (FPD), of the batches (KPD).
            That the samples are finite is not in it; see the distance of Geant4 against Geant4.
        counts: Rows of the reference and of the sample that were used.
        diverged: Rows of the reference and of the sample that were cut.
    """

    value: float
    error: float
    counts: tuple[int, int]
    diverged: tuple[int, int]


def fpd(
    reference: FloatArray,
    sample: FloatArray,
    rng: np.random.Generator,
    *,
    min_samples: int = 10_000,
    max_samples: int = 50_000,
    num_batches: int = 20,
    num_points: int = 10,
    normalise: bool = True,
) -> PhysicsDistance:
    r"""Frechet physics distance: that of two Gaussians with the samples' means and covariances.

    It is biased by a term proportional to 1/n, with n the number of rows, so it is measured at
    several n and extrapolated by a straight line in 1/n, whose intercept and slope may not be
    negative. The defaults are those of the CaloChallenge; ``jetnet`` itself begins at 20,000 rows.

    Args:
        reference: Features of the reference, shape (N, d).
        sample: Features of the sample, shape (M, d).
        rng: Random numbers; ``default_rng(42)`` draws the rows that ``jetnet`` draws.
        min_samples: Smallest n.
        max_samples: Largest n.
        num_batches: Batches that are averaged at each n, drawn with replacement.
        num_points: How many n, evenly spaced in 1/n; at least three.
        normalise: Divide each feature by its largest absolute value in the reference.

    Returns:
        The distance, in units of the (normalised) features squared.

    Raises:
        ShowersError: The features do not fit together, or fewer than two rows can be used.
        CaloforgeError: The sizes of the batches are out of range.
    """
    if not 2 <= min_samples < max_samples or num_points < 3 or num_batches < 1:
        msg = (
            f"min_samples, max_samples, num_points, num_batches: got {min_samples}, {max_samples}, "
            f"{num_points}, {num_batches}, must be 2 <= min_samples < max_samples, at least 3, and "
            "at least 1"
        )
        raise CaloforgeError(msg)
    pair = _Pair.of(reference, sample, normalise=normalise)
    # A shift changes nothing but the rounding.
    centre = pair.reference.mean(axis=0)
    samples = (pair.reference - centre, pair.sample - centre)
    sizes = (1 / np.linspace(1 / min_samples, 1 / max_samples, num_points)).astype(int)
    distances = np.zeros(num_points)
    for i, size in enumerate(sizes.tolist()):
        for _ in range(num_batches):
            first, second = (_moments(rows, _draw(rows, size, rng)) for rows in samples)
            distances[i] += gaussian_frechet(*first, *second) / num_batches
    return pair.result(*_intercept(1 / sizes, distances))


def kpd(
    reference: FloatArray,
    sample: FloatArray,
    rng: np.random.Generator,
    *,
    num_batches: int = 10,
    batch_size: int = 5_000,
    normalise: bool = True,
) -> PhysicsDistance:
    r"""Kernel physics distance: the unbiased squared maximum mean discrepancy.

    The kernel is (x . y / d + 1)^4. The value is the median over batches, the error half of their
    central 67%. ``jetnet`` seeds each batch anew, so it agrees to within the error, and to rounding
    for one batch of ``default_rng(42)``. The CaloChallenge has batches of 10,000.

    Args:
        reference: Features of the reference, shape (N, d).
        sample: Features of the sample, shape (M, d).
        rng: Random numbers.
        num_batches: Number of batches.
        batch_size: Rows of each batch, drawn with replacement.
        normalise: Divide each feature by its largest absolute value in the reference.

    Returns:
        The distance; being unbiased, it can be negative.

    Raises:
        ShowersError: The features do not fit together, or fewer than two rows can be used.
        CaloforgeError: The sizes of the batches are out of range.
    """
    if batch_size < 2 or num_batches < 1:
        msg = (
            f"batch_size, num_batches: got {batch_size}, {num_batches}, "
            "must be at least 2 and at least 1"
        )
        raise CaloforgeError(msg)
    pair = _Pair.of(reference, sample, normalise=normalise)
    distances = [
        _discrepancy(
            (pair.reference, _draw(pair.reference, batch_size, rng)),
            (pair.sample, _draw(pair.sample, batch_size, rng)),
        )
        for _ in range(num_batches)
    ]
    low, high = np.percentile(distances, _CENTRAL)
    return pair.result(float(np.median(distances)), 0.5 * float(high - low))


def gaussian_frechet(
    mean: FloatArray, covariance: FloatArray, other_mean: FloatArray, other_covariance: FloatArray
) -> float:
    r"""Frechet distance squared between two Gaussians.

    .. math:: |\mu - \mu'|^2 + \mathrm{Tr}\left(C + C' - 2 (C^{1/2} C' C^{1/2})^{1/2}\right)

    The last trace equals that of (C C')^(1/2), but the matrix is symmetric: its eigenvalues are
    real, and those that rounding made negative are set to zero.

    Args:
        mean: Shape (d,).
        covariance: Shape (d, d), positive semi-definite.
        other_mean: Shape (d,).
        other_covariance: Shape (d, d), positive semi-definite.

    Examples:
        >>> one = np.eye(2)
        >>> gaussian_frechet(np.zeros(2), one, np.array([3.0, 0.0]), 4 * one)
        11.0
    """
    values, vectors = np.linalg.eigh(covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    product = np.linalg.eigvalsh(root @ other_covariance @ root)
    overlap = np.sqrt(np.maximum(product, 0.0)).sum()
    shift = mean - other_mean
    return float(shift @ shift + np.trace(covariance) + np.trace(other_covariance) - 2 * overlap)


@dataclass(frozen=True, eq=False)
class _Pair:
    """Two samples without the rows that diverged, normalised."""

    reference: FloatArray
    sample: FloatArray
    diverged: tuple[int, int]

    @classmethod
    def of(cls, reference: FloatArray, sample: FloatArray, *, normalise: bool) -> _Pair:
        reference, sample = (np.asarray(x, dtype=np.float64) for x in (reference, sample))
        if reference.ndim != 2 or sample.ndim != 2 or reference.shape[1] != sample.shape[1]:
            msg = (
                f"features: have shapes {reference.shape} and {sample.shape}, "
                "must be (N, d) and (M, d)"
            )
            raise ShowersError(msg)
        first = reference[np.isfinite(reference).all(axis=1)]
        scale = np.abs(first).max(axis=0, initial=0.0)
        scale[scale == 0] = 1.0
        # What is not a number is not smaller than anything.
        second = sample[(np.abs(sample) <= DIVERGED * scale).all(axis=1)]
        diverged = (len(reference) - len(first), len(sample) - len(second))
        for name, rows, cut in (
            ("reference", first, diverged[0]),
            ("sample", second, diverged[1]),
        ):
            if len(rows) < 2:
                msg = (
                    f"{name}: has {len(rows)} rows besides {cut} that diverged, "
                    "a distance needs at least two"
                )
                raise ShowersError(msg)
        return (
            cls(first / scale, second / scale, diverged)
            if normalise
            else cls(first, second, diverged)
        )

    def result(self, value: float, error: float) -> PhysicsDistance:
        counts = (len(self.reference), len(self.sample))
        return PhysicsDistance(value, error, counts, self.diverged)


def _draw(rows: FloatArray, size: int, rng: np.random.Generator) -> FloatArray:
    """How often each row is drawn, with replacement: shape (N,)."""
    drawn = rng.integers(0, len(rows), size)
    return np.bincount(drawn, minlength=len(rows)).astype(np.float64)


def _blocks(rows: NDArray[np.intp], width: int) -> Iterator[NDArray[np.intp]]:
    """Rows in blocks of bounded memory, given the numbers that one row needs."""
    size = max(1, _BLOCK // width)
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _moments(rows: FloatArray, times: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean, shape (d,), and covariance, shape (d, d), of rows that were drawn several times."""
    total = times.sum()
    mean = times @ rows / total
    products = np.zeros((rows.shape[1], rows.shape[1]))
    for part in _blocks(np.flatnonzero(times), rows.shape[1]):
        chosen = rows[part]
        products += (chosen * times[part, None]).T @ chosen
    return mean, (products - total * np.outer(mean, mean)) / (total - 1)


def _intercept(x: FloatArray, y: FloatArray) -> tuple[float, float]:
    """Intercept of the straight line with the least squares, and its error.

    Neither intercept nor slope are negative; the error is that of the line without this condition,
    scaled with the residuals, as SciPy's ``curve_fit`` has it.

    Args:
        x: Shape (K,), positive, not all equal.
        y: Shape (K,).
    """
    design = np.column_stack([np.ones_like(x), x])
    free = np.linalg.lstsq(design, y)[0]
    candidates = (
        [free]
        if free.min() >= 0
        else [
            np.array([max(y.mean(), 0.0), 0.0]),
            np.array([0.0, max(x @ y / (x @ x), 0.0)]),
        ]
    )
    squares = [float(np.sum((y - design @ line) ** 2)) for line in candidates]
    best = int(np.argmin(squares))
    # The inverse of design.T @ design, first element.
    variance = float(np.mean(x**2) / (len(x) * np.var(x)))
    return float(candidates[best][0]), float(np.sqrt(variance * squares[best] / (len(x) - 2)))


def _discrepancy(
    first: tuple[FloatArray, FloatArray], second: tuple[FloatArray, FloatArray]
) -> float:
    """Unbiased squared maximum mean discrepancy of rows that were drawn several times."""
    own = 0.0
    for rows, times in (first, second):
        size = times.sum()
        diagonal = times @ (np.einsum("nd,nd->n", rows, rows) / rows.shape[1] + 1.0) ** 4
        own += (_kernel_sum(rows, times, rows, times) - diagonal) / (size * (size - 1))
    cross = _kernel_sum(*first, *second) / (first[1].sum() * second[1].sum())
    return float(own - 2 * cross)


def _kernel_sum(
    rows: FloatArray, times: FloatArray, other_rows: FloatArray, other_times: FloatArray
) -> float:
    """Sum of the kernel over all pairs."""
    there = np.flatnonzero(other_times)
    columns, weights = other_rows[there], other_times[there]
    total = 0.0
    for part in _blocks(np.flatnonzero(times), len(there)):
        kernel = rows[part] @ columns.T
        kernel /= rows.shape[1]
        kernel += 1.0
        kernel *= kernel  # twice: the fourth power, many times faster than **
        kernel *= kernel
        total += float(times[part] @ (kernel @ weights))
    return total
