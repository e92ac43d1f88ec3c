"""The report of an evaluation: one HTML page that says where the generator fails."""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from caloforge.atomic import write_text
from caloforge.detector import Detector
from caloforge.evaluation.estimate import Estimate
from caloforge.evaluation.ranking import Cell, leaderboard
from caloforge.evaluation.results import METRICS, Evaluation, SampleInfo, write_evaluation
from caloforge.evaluation.shown import Shown
from caloforge.evaluation.verdicts import opening
from caloforge.web.figures import draw, save
from caloforge.web.tables import TableOfSample, cell_of, html_grid, html_table, tables_of
from caloforge.web.template import render

__all__ = ["REPORT", "write_report"]

REPORT = "report.html"


def write_report(
    folder: str | Path, evaluation: Evaluation, shown: Sequence[Shown], detector: Detector
) -> Path:
    """Write the figures of an evaluation, ``report.html`` and, last of all, ``metrics.json``.

    Args:
        folder: Where to; made if it is not there.
        evaluation: The numbers.
        shown: What sections show of each sample in it, the floor first; both of
            :func:`caloforge.evaluation.judge.evaluate`.
        detector: The detector of the showers.

    Returns:
        The page.

    Raises:
        OutputError: A file cannot be written; what was made of the report is removed.
        CaloforgeError: matplotlib is not installed.
    """
    folder = Path(folder)
    fresh, before = not folder.exists(), _parts(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder, evaluation, shown, detector)
    except BaseException:
        for path in _parts(folder) - before:
            path.unlink(missing_ok=True)
        if fresh and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
        raise
    return folder / REPORT


def _parts(folder: Path) -> set[Path]:
    """What is in the folder that could be part of a report."""
    return {path for end in ("png", "pdf", "html", "json") for path in folder.glob(f"*.{end}")}


def _write(
    folder: Path, evaluation: Evaluation, shown: Sequence[Shown], detector: Detector
) -> None:
    figures = []
    for name, caption, figure in draw(evaluation, shown, detector):
        picture, _ = save(figure, folder, name)
        figures.append(_figure(picture, name, caption))
    tables = tables_of(evaluation, shown)
    parts = {
        "title": html.escape(_title(evaluation)),
        "lead": html.escape(_lead(evaluation)),
        "summary": _summary(evaluation, tables),
        # A column per sample: there are more numbers than samples.
        "leaderboard": html_table([*zip(*leaderboard([evaluation]), strict=True)]),
        "worst": _section(
            "Where it differs most", "".join(each.worst() for each in tables if each.compared)
        ),
        "conditional": _section("Asked for single energies", _conditional(evaluation)),
        "figures": _section("Figures", "".join(figures)),
        "tables": "".join(
            _section(title, "".join(each.whole() for each in tables if each.table.title == title))
            for title in dict.fromkeys(each.table.title for each in tables)
        ),
        "provenance": _provenance(evaluation),
    }
    write_text(folder / REPORT, render("report.html", parts))
    write_evaluation(folder / METRICS, evaluation)


def _section(title: str, content: str) -> str:
    """A part of the page; nothing where there is nothing in it."""
    return f"<section><h2>{html.escape(title)}</h2>{content}</section>" if content else ""


def _title(evaluation: Evaluation) -> str:
    names = ", ".join(sample.name for sample in evaluation.samples[1:]) or "Geant4"
    return f"{names} against Geant4: {evaluation.reference.particle}"


def _lead(evaluation: Evaluation) -> str:
    reference = evaluation.reference
    low, high = reference.energy
    return (
        f"{reference.particle} in {reference.detector}, {low:.4g} to {high:.4g} GeV. "
        f"{reference.showers:,} Geant4 showers ({reference.rows} of {reference.file}) are what is "
        f"compared with; {evaluation.floor.info.showers:,} others ({evaluation.floor.info.rows}) "
        "are judged in the same way and are the floor: nothing can be expected to do better."
    )


def _summary(evaluation: Evaluation, tables: Sequence[TableOfSample]) -> str:
    lines = [html.escape(text) for text in opening(evaluation)]
    lines += [html.escape(text) for text in evaluation.floor.warnings]
    for sample in evaluation.samples[1:]:
        said = [each.verdict() for each in tables if each.compared and each.sample == sample.name]
        lines += [
            f"<strong>{html.escape(sample.name)}</strong>: {html.escape(text)}" for text in said
        ]
        lines += [
            f"<strong>{html.escape(sample.name)}</strong>: {html.escape(text)}"
            for text in sample.warnings
        ]
    if evaluation.quick:
        lines.append(
            "Quick variants of the classifiers were used: compare them with quick ones only."
        )
    return f'<ul class="notes">{"".join(f"<li>{line}</li>" for line in lines)}</ul>'


def _conditional(evaluation: Evaluation) -> str:
    tables = ""
    for name, points in evaluation.conditional.items():
        lines = [
            [Cell(f"{item['energy']:.4g}"), Cell(item["where"]), *_response(item)]
            for item in points
        ]
        head = ["GeV", "of its range", "response", "peak", "resolution"]
        tables += html_grid(name, head, lines)
    return tables


def _response(item: dict[str, Any]) -> list[Cell]:
    point = item["point"]
    if point is None:
        return [Cell(item["problem"]), Cell(""), Cell("")]
    return [cell_of(_estimate(point[key])) for key in ("response", "peak", "resolution")]


def _estimate(found: Mapping[str, float | None]) -> Estimate:
    """An estimate as it was before it was JSON."""
    value, error = (math.nan if item is None else item for item in (found["value"], found["error"]))
    return Estimate(value, error)


def _figure(picture: Path, name: str, caption: str) -> str:
    data = base64.b64encode(picture.read_bytes()).decode("ascii")
    return (
        f'<figure><img alt="{html.escape(name)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{html.escape(caption)} Also {html.escape(name)}.png and .pdf.</figcaption>"
        "</figure>"
    )


def _provenance(evaluation: Evaluation) -> str:
    lines = [["reference", *_source(evaluation.reference)]]
    lines += [[sample.name, *_source(sample.info)] for sample in evaluation.samples]
    facts = {
        "command": evaluation.command,
        "seed": str(evaluation.seed),
        "caloforge": evaluation.caloforge,
        "with": ", ".join(f"{name} {text}" for name, text in evaluation.versions.items()),
        "machine": evaluation.machine,
        "time": f"{evaluation.seconds:.0f} s",
    }
    rows = "".join(
        f"<dt>{html.escape(key)}</dt><dd>{html.escape(value)}</dd>"
        for key, value in facts.items()
        if value
    )
    head = ["sample", "showers", "of", "rows", "file", "SHA-256"]
    return f"{html_grid('Showers', head, lines)}<h3>Run</h3><dl class='facts'>{rows}</dl>"


def _source(info: SampleInfo) -> list[str]:
    return [f"{info.showers:,}", f"{info.available:,}", info.rows, info.file, info.sha256[:16]]
