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

__all__ = ["TableOfSample", "cell_of", "html_grid", "html_table", "tables_of"]

_FLOOR = Cell("floor")
_WORST = 8  # rows
_MANY = 6  # columns from which on errors stand below their numbers
_WORDS = 24  # characters from which on a cell is text, not a number
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
        lines = [
            [*self._line(row, 3), Cell(f"{self.excess(row):.1f}")] for row in self.rows[:_WORST]
        ]
        return html_grid(self.sample, [*self._head(3), Cell("times floor")], lines)

    def _head(self, columns: int) -> list[Cell]:
        return self._beside_floor([Cell(text) for text in self.table.columns[:columns]], _FLOOR)

    def _line(self, row: Row, columns: int) -> list[Cell]:
        floor = self.floor.get(row.name)
        line = [Cell(row.name), *map(cell_of, row.cells[: columns - 1])]
        return self._beside_floor(line, cell_of(floor.cells[0]) if floor else Cell(""))

    def _beside_floor(self, line: list[Cell], cell: Cell) -> list[Cell]:
        return [*line[:2], cell, *line[2:]] if self.compared else line


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


def cell_of(found: Estimate | str) -> Cell:
    """What a cell says."""
    if isinstance(found, str):
        return Cell(found)
    if not np.isfinite(found.value):
        return Cell("not defined")
    return Cell(f"{found.value:.3g}", f"± {found.error:.1g}" if np.isfinite(found.error) else "")


def html_grid(title: str, head: Sequence[Cell | str], lines: Sequence[Sequence[Cell | str]]) -> str:
    """Lines of cells as HTML, with a title above them."""
    cells = [
        [Cell(item) if isinstance(item, str) else item for item in line] for line in [head, *lines]
    ]
    return f"<h3>{html.escape(title)}</h3>{html_table(cells)}"


def html_table(rows: Sequence[Sequence[Cell]]) -> str:
    """Rows of cells as HTML; the first is the head.

    On a narrow screen each row becomes a block, in which the heads stand beside the cells.
    """
    heads = [item.text for item in rows[0]]
    head = "".join(f"<th>{html.escape(text)}</th>" for text in heads)
    body = "".join(
        f"<tr>{''.join(map(_html_cell, row, heads, range(len(row))))}</tr>" for row in rows[1:]
    )
    many = ' class="many"' if len(heads) > _MANY else ""
    return (
        f'<div class="scroll"><table{many}><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _html_cell(item: Cell, head: str, column: int) -> str:
    kinds = ["best"] * item.best + ["words"] * (column > 0 and len(item.text) > _WORDS)
    kind = f' class="{" ".join(kinds)}"' if kinds else ""
    error = f" <small>{html.escape(item.error)}</small>" if item.error else ""
    return f'<td{kind} data-head="{html.escape(head)}">{html.escape(item.text)}{error}</td>'
