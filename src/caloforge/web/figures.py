"""The figures of an evaluation, as PNG and PDF files and for the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from caloforge.atomic import replacing
from caloforge.detector import Detector
from caloforge.evaluation.results import Evaluation
from caloforge.evaluation.shown import HistogramPanel, Panel, Shown
from caloforge.web.panels import KINDS, MOST, Alone, Together

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw", "save"]

_DPI = 110


def draw(
    evaluation: Evaluation, shown: Sequence[Shown], detector: Detector
) -> Iterator[tuple[str, str, Figure]]:
    """Draw all figures, one at a time.

    Args:
        evaluation: The numbers.
        shown: What sections show of each sample in it, the floor first; both of
            :func:`caloforge.evaluation.judge.evaluate`.
        detector: Their detector.

    Yields:
        Name, caption and figure.

    Raises:
        CaloforgeError: matplotlib is not installed.
    """
    first = 1 if len(shown) > 1 else 0  # the floor is drawn only where there is nothing else
    names = [sample.name for sample in evaluation.samples[first:]]
    figures: dict[tuple[type[Panel], str], list[list[Panel]]] = {}
    for i, item in enumerate(shown):
        for panel in item.panels:
            figures.setdefault((type(panel), panel.figure), [[] for _ in shown])[i].append(panel)
    for (kind, figure), panels in figures.items():
        drawn = KINDS[kind]
        if isinstance(drawn, Together):
            about = next(panel.about for found in panels for panel in found)
            caption = drawn.caption.format(about=about).strip()
            labels = {p.label for found in panels for p in found if isinstance(p, HistogramPanel)}
            if len(labels) > MOST:
                caption += f" These {MOST} of {len(labels)} differ most; the table has all."
            yield figure, caption, drawn.draw(panels[first:], panels[0], names)
        else:
            for i, (name, found) in enumerate(zip(names, panels[first:], strict=True)):
                yield from _alone(drawn, found, detector, name, f"{figure}-{i}")


def _alone(
    drawn: Alone, panels: Sequence[Panel], detector: Detector, name: str, file: str
) -> Iterator[tuple[str, str, Figure]]:
    """A figure for each panel of one sample."""
    for i, panel in enumerate(panels):
        caption = drawn.caption.format(about=panel.about, name=name)
        yield f"{file}-{i}" if i else file, caption, drawn.draw(panel, detector, name)


def save(figure: Figure, folder: Path, name: str) -> tuple[Path, Path]:
    """Write a figure as PNG and as PDF, each whole or not at all.

    Returns:
        The two files.

    Raises:
        OutputError: A file cannot be written.
    """
    pictures = folder / f"{name}.png", folder / f"{name}.pdf"
    with replacing(pictures[0]) as beside:
        _write_png(figure, beside)
    # What takes longest is not found out again.
    figure.set_layout_engine("none")
    with replacing(pictures[1]) as beside:
        # Without a date the same numbers give the same file.
        figure.savefig(beside, format="pdf", metadata={"CreationDate": None})
    return pictures


def _write_png(figure: Figure, path: Path) -> None:
    """Draw a picture once, and store it with the 256 colours that suit it best: much smaller."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    figure.set_dpi(_DPI)
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    few = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy()).quantize(
        256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE
    )
    few.save(path, format="png", dpi=(_DPI, _DPI))
