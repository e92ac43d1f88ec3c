"""Tables of reports: those of the sections beside the floor, and the form of all of them."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from caloforge.evaluation.estimate import Estimate
from caloforge.evaluation.ranking import Cell
from caloforge.evaluation.results import Evaluation
from caloforge.evaluation.shown import Row, Shown, Table

__all__ = ["TableOfSample", "cell_text", "html_grid", "html_table", "tables_of"]

_WORST = 8  # rows
# A row stands out where its distance is that many times the floor's.
_STANDS_OUT = 3.0


@dataclass(frozen=True)
class TableOfSample:
    """A table that a section made of a sample, and where it is to be compared that of the floor.

    Attributes:
        sample: Name of the sample.
        table: Its table.
        floor: The rows of the floor by name, where they are to be compared with.
    """

    sample: str
    table: Table
    floor: Mapping[str, Row]

    @property
    def compared(self) -> bool:
        """Whether the rows are to be compared with those of the floor."""
        return bool(self.table.things)

    @property
    def rows(self) -> list[Row]:
        """The rows, in their order or, where they are compared, what stands out most first."""
        return sorted(self.table.rows, key=self.excess, reverse=True)

    def excess(self, row: Row) -> float:
        """The distance in units of the floor's, which is at least its own error."""
        floor = self.floor.get(row.name)
        if floor is None:
            return 0.0
        mine, clean = row.cells[0], floor.cells[0]
        if isinstance(mine, str) or isinstance(clean, str):
            return 0.0
        if not (np.isfinite(mine.value) and np.isfinite(clean.value)):
            return 0.0
        error = clean.error if np.isfinite(clean.error) else 0.0
        return mine.value / max(clean.value, error, 1e-6)

    def verdict(self) -> str:
        """How many rows stand out, in a sentence."""
        rows, things = self.rows, self.table.things
        out = [row for row in rows if self.excess(row) > _STANDS_OUT]
        if not out:
            return f"None of {len(rows)} {things} differs by more than three times the floor."
        names = "; ".join(f"{row.name} ({self.excess(row):.0f} x floor)" for row in out[:3])
        return (
            f"{len(out)} of {len(rows)} {things} differ by more than {_STANDS_OUT:g} times the "
            f"floor, most of all {names}."
        )

    def whole(self) -> str:
        """All of it, as HTML."""
        lines = [self._line(row, len(self.table.columns)) for row in self.rows]
        return html_grid(self.sample, self._head(len(self.table.columns)), lines)

    def worst(self) -> str:
        """The rows that stand out most, the first columns alone, and how much; as HTML."""
        lines = [[*self._line(row, 3), f"{self.excess(row):.1f}"] for row in self.rows[:_WORST]]
        return html_grid(self.sample, [*self._head(3), "times floor"], lines)

    def _head(self, columns: int) -> list[str]:
        return self._beside_floor(list(self.table.columns[:columns]), "floor")

    def _line(self, row: Row, columns: int) -> list[str]:
        floor = self.floor.get(row.name)
        line = [row.name, *map(cell_text, row.cells[: columns - 1])]
        return self._beside_floor(line, cell_text(floor.cells[0]) if floor else "")

    def _beside_floor(self, line: list[str], text: str) -> list[str]:
        return [*line[:2], text, *line[2:]] if self.compared else line


def tables_of(evaluation: Evaluation, shown: Sequence[Shown]) -> list[TableOfSample]:
    """All tables, sample by sample; of the floor those that are not compared with it.

    Args:
        evaluation: The numbers.
        shown: What sections show of each sample in it, the floor first.
    """
    clean = {table.title: {row.name: row for row in table.rows} for table in shown[0].tables}
    return [
        TableOfSample(sample.name, table, clean.get(table.title, {}) if table.things else {})
        for i, (sample, item) in enumerate(zip(evaluation.samples, shown, strict=True))
        for table in item.tables
        if i or not table.things
    ]


def cell_text(cell: Estimate | str) -> str:
    """What a cell says."""
    if isinstance(cell, str):
        return cell
    if not np.isfinite(cell.value):
        return "not defined"
    error = f" ± {cell.error:.1g}" if np.isfinite(cell.error) else ""
    return f"{cell.value:.3g}{error}"


def html_grid(title: str, head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Lines of text as HTML, with a title above them."""
    cells = [[Cell(text) for text in line] for line in [head, *lines]]
    return f"<h3>{html.escape(title)}</h3>{html_table(cells)}"


def html_table(rows: Sequence[Sequence[Cell]]) -> str:
    """Rows of cells as HTML; the first is the head."""

    def cell(item: Cell, tag: str) -> str:
        best = ' class="best"' if item.best else ""
        error = f" <small>{html.escape(item.error)}</small>" if item.error else ""
        return f"<{tag}{best}>{html.escape(item.text)}{error}</{tag}>"

    head = "".join(cell(item, "th") for item in rows[0])
    body = "".join(f"<tr>{''.join(cell(item, 'td') for item in row)}</tr>" for row in rows[1:])
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'
