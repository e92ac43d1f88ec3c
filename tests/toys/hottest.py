"""A section of the judge: the hottest cell of a shower, with a number, figures and tables."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caloforge.evaluation.distances.histograms import bin_edges, fill
from caloforge.evaluation.estimate import Estimate
from caloforge.evaluation.features.studied import once
from caloforge.evaluation.results import Headline
from caloforge.evaluation.sections.pair import Finding, Pair
from caloforge.evaluation.shown import (
    HistogramPanel,
    MatrixPanel,
    PointsPanel,
    Row,
    Series,
    Table,
)
from caloforge.showers import Showers


def hottest_cell(showers: Showers) -> NDArray[np.float32]:
    """Deposit in the hottest cell: shape (N,), MeV."""
    return np.asarray(showers.deposits.max(axis=1))


def hottest_section(pair: Pair) -> Finding:
    """The hottest cell: how far its mean is from the reference."""
    first, second = (once(sample, hottest_cell) for sample in (pair.reference, pair.showers))
    edges = bin_edges(first.astype(np.float64))
    error = float(first.std() / first.mean() / len(first) ** 0.5)
    shift = Estimate(float(second.mean() / first.mean()) - 1, error)
    means = [Series((50.0,), (Estimate(float(each.mean()), 1.0),)) for each in (first, second)]
    return Finding(
        details={"shift": shift, "largest": second.max(), "undefined": float("nan")},
        headlines=(Headline.of("hottest", "shift of the hottest cell", shift, "lower"),),
        warnings=("the hottest cell is very hot",) if second.max() > 1e5 else (),
        panels=(
            HistogramPanel(
                figure="hottest",
                about="The hottest cell.",
                label="hottest cell / MeV",
                reference=fill(first.astype(np.float64), edges),
                showers=fill(second.astype(np.float64), edges),
                distance=0.25,
            ),
            PointsPanel(
                figure="hottest-mean",
                about="The hottest cell against energy.",
                label="GeV",
                title="MeV",
                reference=means[0],
                showers=means[1],
            ),
            MatrixPanel(
                figure="hottest-matrix",
                about="Nothing much",
                label="cell",
                reference=np.eye(3),
                showers=np.eye(3)[::-1],
            ),
        ),
        tables=(
            Table(
                title="Hottest cells",
                columns=("quantile", "MeV"),
                rows=(Row("median", (f"{np.median(second):.1f}",)),),
            ),
            Table(
                title="Every quantile",
                columns=("quantile", "distance", "remark"),
                rows=(
                    Row("low", (Estimate(1.0, 0.1), "<low>")),
                    Row("high", (Estimate(abs(shift.value), shift.error), "h")),
                ),
                things="quantiles",
            ),
        ),
    )
