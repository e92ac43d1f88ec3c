"""The report of an evaluation: one HTML page that says where the generator fails."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from caloforge.atomic import write_text
from caloforge.detector import Detector
from caloforge.evaluation.judge import Judged
from caloforge.evaluation.ranking import Cell, leaderboard
from caloforge.evaluation.results import (
    METRICS,
    Evaluation,
    SampleResult,
    write_evaluation,
)
from caloforge.web.figures import draw, save
from caloforge.web.template import render

__all__ = ["REPORT", "write_report"]

REPORT = "report.html"
_WORST = 8
# An observable stands out where its separation power is that many times the floor's.
_STANDS_OUT = 3.0


def write_report(
    folder: str | Path, evaluation: Evaluation, judged: Sequence[Judged], detector: Detector
) -> Path:
    """Write ``metrics.json``, ``report.html`` and the figures of an evaluation.

    Args:
        folder: Where to; made if it is not there.
        evaluation: The numbers.
        judged: What the figures are drawn from.
        detector: The detector of the showers.

    Returns:
        The page.

    Raises:
        OutputError: A file cannot be written.
        CaloforgeError: matplotlib is not installed.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_evaluation(folder / METRICS, evaluation)
    figures = []
    for name, caption, figure in draw(judged, detector):
        picture, _ = save(figure, folder, name)
        figures.append(_figure(picture, name, caption))
    parts = {
        "title": html.escape(_title(evaluation)),
        "lead": html.escape(_lead(evaluation)),
        "summary": _summary(evaluation),
        "leaderboard": _table(leaderboard([evaluation])),
        "worst": "".join(_worst(sample, evaluation.floor) for sample in evaluation.samples[1:]),
        "conditional": _conditional(evaluation),
        "figures": "".join(figures),
        "observables": "".join(
            _observables(sample, evaluation.floor) for sample in evaluation.samples[1:]
        ),
        "provenance": _provenance(evaluation),
    }
    write_text(folder / REPORT, render("report.html", parts))
    return folder / REPORT


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


def _summary(evaluation: Evaluation) -> str:
    lines = []
    for sample in evaluation.samples[1:]:
        rows = _rows(sample, evaluation.floor)
        out = [row for row in rows if _excess(row) > _STANDS_OUT]
        names = "; ".join(f"{row['title']} ({_excess(row):.0f} x floor)" for row in out[:3])
        verdict = (
            f"{len(out)} of {len(rows)} observables differ by more than {_STANDS_OUT:g} times the "
            f"floor, most of all {names}."
            if out
            else "No observable differs by more than three times the floor."
        )
        lines.append(f"<strong>{html.escape(sample.name)}</strong>: {html.escape(verdict)}")
        lines += [f"{html.escape(text)}" for text in sample.warnings]
    mode = (
        "Quick variants of the classifiers were used: compare them with quick ones only."
        if evaluation.quick
        else ""
    )
    return (
        f'<ul class="notes">{"".join(f"<li>{line}</li>" for line in [*lines, mode] if line)}</ul>'
    )


def _worst(sample: SampleResult, floor: SampleResult) -> str:
    lines = [
        [row["title"], *_numbers(row), f"{_excess(row):.1f}"]
        for row in _rows(sample, floor)[:_WORST]
    ]
    return _grid(
        sample.name,
        ["observable", "separation power", "floor", "Wasserstein / spread", "times floor"],
        lines,
    )


def _observables(sample: SampleResult, floor: SampleResult) -> str:
    lines = [
        [
            row["title"],
            *_numbers(row),
            _pair(row["chi2_ndf"]),
            _pair(row["kolmogorov_smirnov"]),
            row["formula"],
        ]
        for row in _rows(sample, floor)
    ]
    head = ["observable", "separation power", "floor", "Wasserstein / spread", "chi2/NDF", "KS", ""]
    return _grid(sample.name, head, lines)


def _conditional(evaluation: Evaluation) -> str:
    if not evaluation.conditional:
        return ""
    tables = ""
    for name, points in evaluation.conditional.items():
        lines = [[f"{item['energy']:.4g}", item["where"], *_response(item)] for item in points]
        head = ["GeV", "of its range", "response", "peak", "resolution"]
        tables += _grid(name, head, lines)
    return f"<section><h2>Asked for single energies</h2>{tables}</section>"


def _response(item: dict[str, Any]) -> list[str]:
    point = item["point"]
    if point is None:
        return [item["problem"], "", ""]
    return [_pair(point[key]) for key in ("response", "peak", "resolution")]


def _rows(sample: SampleResult, floor: SampleResult) -> list[dict[str, Any]]:
    """The observables with what the floor has of each, the one that stands out most first."""
    floors = {row["name"]: row for row in _observable_rows(floor)}
    rows = [{**row, "floor": floors[row["name"]]} for row in _observable_rows(sample)]
    return sorted(rows, key=_excess, reverse=True)


def _observable_rows(sample: SampleResult) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = sample.sections.get("observables", {}).get("observables", [])
    return rows


def _excess(row: dict[str, Any]) -> float:
    """Separation power in units of the floor's, which is at least its own error."""
    mine, floor = row["separation_power"]["value"], row["floor"]["separation_power"]
    if mine is None or floor["value"] is None:
        return 0.0
    return float(mine / max(floor["value"], floor["error"] or 0.0, 1e-6))


def _numbers(row: dict[str, Any]) -> list[str]:
    distance, spread = row["wasserstein"]["value"], row["spread"]
    relative = "" if distance is None or not spread else f"{distance / spread:.3f}"
    return [_pair(row["separation_power"]), _pair(row["floor"]["separation_power"]), relative]


def _pair(estimate: dict[str, float | None]) -> str:
    if estimate["value"] is None:
        return "not defined"
    error = "" if estimate["error"] is None else f" ± {estimate['error']:.1g}"
    return f"{estimate['value']:.3g}{error}"


def _figure(picture: Path, name: str, caption: str) -> str:
    data = base64.b64encode(picture.read_bytes()).decode("ascii")
    return (
        f'<figure><img alt="{html.escape(name)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{html.escape(caption)} Also {html.escape(name)}.png and .pdf.</figcaption>"
        "</figure>"
    )


def _table(rows: Sequence[Sequence[Cell]]) -> str:
    def cell(item: Cell, tag: str) -> str:
        best = ' class="best"' if item.best else ""
        error = f" <small>{html.escape(item.error)}</small>" if item.error else ""
        return f"<{tag}{best}>{html.escape(item.text)}{error}</{tag}>"

    head = "".join(cell(item, "th") for item in rows[0])
    body = "".join(f"<tr>{''.join(cell(item, 'td') for item in row)}</tr>" for row in rows[1:])
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def _grid(title: str, head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    cells = [[Cell(text) for text in line] for line in [head, *lines]]
    return f"<h3>{html.escape(title)}</h3>{_table(cells)}"


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
        f"<tr><td>{html.escape(key)}</td><td>{html.escape(value)}</td></tr>"
        for key, value in facts.items()
        if value
    )
    head = ["sample", "showers", "of", "rows", "file", "SHA-256"]
    return f"{_grid('Showers', head, lines)}<h3>Run</h3><table>{rows}</table>"


def _source(info: Any) -> list[str]:
    return [f"{info.showers:,}", f"{info.available:,}", info.rows, info.file, info.sha256[:16]]
