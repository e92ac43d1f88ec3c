"""The picture of what the best epoch was chosen by."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from caloforge.atomic import replacing

__all__ = ["draw_curve"]


def draw_curve(path: Path, records: Sequence[Mapping[str, Any]], criterion: str) -> None:
    """Draw what the best epoch was chosen by.

    Args:
        path: PNG file to make or replace.
        records: For each validation ``"epoch"`` and the criteria by name.
        criterion: The one that decided.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.add_subplot()
    epochs = [record["epoch"] for record in records]
    values = [record[criterion] if _finite(record[criterion]) else math.nan for record in records]
    axes.plot(epochs, values, marker=".", color="tab:blue")
    finite = [value for value in values if math.isfinite(value)]
    if finite:
        best = epochs[values.index(min(finite))]
        axes.axvline(best, color="tab:red", linewidth=1, label=f"best: epoch {best}")
        axes.legend(frameon=False)
        if max(finite) > 20 * min(finite) > 0:
            axes.set_yscale("log")
    axes.set_xlabel("epoch")
    axes.set_ylabel(f"{criterion} on validation rows")
    with replacing(path) as beside:
        FigureCanvasAgg(figure).print_figure(str(beside), format="png", dpi=120)


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
