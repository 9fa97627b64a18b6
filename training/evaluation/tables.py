# SPDX-License-Identifier: GPL-3.0-or-later
"""Our rows beside the published ones, as text, Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from training.evaluation.published import KINDS, PublishedRow, TableName
from training.evaluation.scores import COLUMNS, Scores

Origin = Literal["published", "measured"]
NOT_ENTERED, NOT_TOLD = "—", "·"
_FOOTNOTES: Mapping[str, str] = {
    NOT_ENTERED: "not entered: see docs/evaluation.md",
    NOT_TOLD: "the labels or the predictions do not tell it",
}


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        method: its name.
        origin: whether a paper or this program says so.
        cells: a text for each of the table's columns.
        numbers: the same as numbers; None where there is none.
        faces: how many were judged; None for published rows.
        source: where the figures are from.
    """

    method: str
    origin: Origin
    cells: tuple[str, ...]
    numbers: tuple[float | None, ...]
    faces: int | None
    source: str


@dataclass(frozen=True)
class Table:
    """A table with its rows; a method's measured row follows its published one.

    Attributes:
        name: which one.
        notes: sentences on how the measured rows came about.
        rows: in the order of the published file, then what it does not have.
    """

    name: TableName
    notes: tuple[str, ...]
    rows: tuple[Row, ...]


def make_table(
    name: TableName, measured: Mapping[str, Scores], published: Sequence[PublishedRow], notes: Sequence[str] = ()
) -> Table:
    """A table of what was measured, by method, and of the published rows."""
    left = dict(measured)
    rows = []
    for row in (each for each in published if each.table == name):
        rows.append(_published(name, row))
        for method in [method for method in left if method.casefold() == row.method.casefold()]:
            rows.append(_measured(name, method, left.pop(method)))
    rows += [_measured(name, method, scores) for method, scores in left.items()]
    return Table(name, tuple(notes), tuple(rows))


def as_text(table: Table) -> str:
    """Columns under each other."""
    head, *body = lines = _cells(table)
    widths = [max(len(line[place]) for line in lines) for place in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        first = [cell.ljust(width) for cell, width in zip(cells[:2], widths[:2], strict=True)]
        rest = [cell.rjust(width) for cell, width in zip(cells[2:], widths[2:], strict=True)]
        return "  ".join((*first, *rest)).rstrip()

    ruled = [KINDS[table.name].title, line(head), "-" * (sum(widths) + 2 * (len(widths) - 1)), *map(line, body)]
    return "\n".join((*ruled, *_under(table)))


def as_markdown(table: Table) -> str:
    """A table of GitHub's kind."""
    head, *body = _cells(table)
    rules = ["---", "---", *["---:"] * (len(head) - 2)]
    lines = [f"| {' | '.join(cells)} |" for cells in (head, rules, *([_escaped(c) for c in line] for line in body))]
    return "\n".join((f"## {KINDS[table.name].title}", "", *lines, "", *(f"{line}  " for line in _under(table))))


def as_csv(tables: Sequence[Table]) -> str:
    """All tables as one, with all columns and the numbers in full."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("table", "method", "row", "faces", *COLUMNS, "source"))
    for table in tables:
        for row in table.rows:
            numbers = dict(zip(KINDS[table.name].columns, row.numbers, strict=True))
            told = ["" if (value := numbers.get(column)) is None else repr(value) for column in COLUMNS]
            writer.writerow((table.name, row.method, row.origin, row.faces or "", *told, row.source))
    return text.getvalue()


def as_values(table: Table) -> dict[str, object]:
    """For JSON."""
    columns = KINDS[table.name].columns
    rows = [
        {"method": row.method, "row": row.origin, "faces": row.faces, "source": row.source,
         "values": dict(zip(columns, row.numbers, strict=True))}
        for row in table.rows
    ]  # fmt: skip
    return {"table": table.name, "title": KINDS[table.name].title, "notes": list(table.notes), "rows": rows}


def _published(name: TableName, row: PublishedRow) -> Row:
    cells = tuple(row.cells.get(column, NOT_ENTERED) for column in KINDS[name].columns)
    numbers = tuple(None if cell == NOT_ENTERED else float(cell) for cell in cells)
    return Row(row.method, "published", cells, numbers, None, row.source)


def _measured(name: TableName, method: str, scores: Scores) -> Row:
    numbers = tuple(scores.values.get(column) for column in KINDS[name].columns)
    cells = tuple(NOT_TOLD if value is None else f"{value:.3f}" for value in numbers)
    return Row(method, "measured", cells, numbers, scores.faces, "")


def _cells(table: Table) -> list[list[str]]:
    """The line of names, then a line for each row."""
    head = ["method", "row", "faces", *KINDS[table.name].columns]
    faces = ["" if row.faces is None else str(row.faces) for row in table.rows]
    return [head, *([row.method, row.origin, told, *row.cells] for row, told in zip(table.rows, faces, strict=True))]


def _under(table: Table) -> list[str]:
    used = {cell for row in table.rows for cell in row.cells}
    sources = dict.fromkeys(f"{row.method}: {row.source}" for row in table.rows if row.source)
    marks = [f"{mark} {said}" for mark, said in _FOOTNOTES.items() if mark in used]
    return [*table.notes, *marks, *sources]


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")
