# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures that papers print, as somebody copied them from there: none is known to the program itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal, get_args

from training.evaluation.csv_rows import CsvRow, bad_csv, read_rows
from training.evaluation.scores import COLUMNS, REGRESSION

TableName = Literal["table1", "table2", "afew-va"]
TABLES: tuple[TableName, ...] = get_args(TableName)
SHIPPED = Path(__file__).with_name("published.csv")


@dataclass(frozen=True)
class TableKind:
    """One of the paper's tables.

    Attributes:
        title: for people.
        columns: of `COLUMNS`.
        in_folds: whether it is judged by cross-validation rather than on the split for testing.
    """

    title: str
    columns: tuple[str, ...]
    in_folds: bool = False


KINDS: Mapping[TableName, TableKind] = MappingProxyType(
    {
        "table1": TableKind("Table 1: emotion on AffectNet, by method", COLUMNS),
        "table2": TableKind("Table 2: emotion on AffectNet, ablations of EMOCA", COLUMNS),
        "afew-va": TableKind("AFEW-VA: valence and arousal, cross-validation over clips", REGRESSION, in_folds=True),
    }
)


@dataclass(frozen=True)
class PublishedRow:
    """A row of a paper's table.

    Attributes:
        table: which one.
        method: its name there.
        cells: figures as they were typed, by column; a column is absent where none was entered.
        source: where the figures are from.
    """

    table: TableName
    method: str
    cells: Mapping[str, str]
    source: str


def read_published(path: Path = SHIPPED) -> tuple[PublishedRow, ...]:
    """The rows of a file of published figures, in its order.

    Raises:
        MienError: MISSING_FILE, NOT_PERMITTED; BAD_MANIFEST for an unknown table, a figure that is no number, figures
            without a source and a method that stands twice in a table.
    """
    known = ("table", "method", *(column.casefold() for column in COLUMNS), "source")
    rows = tuple(_row(row) for row in read_rows(path, ("table", "method"), known))
    seen: set[tuple[str, str]] = set()
    for row in rows:
        key = (row.table, row.method.casefold())
        if key in seen:
            raise bad_csv(path, f"has '{row.method}' twice in {row.table}", "Give each method one row.")
        seen.add(key)
    return rows


def _row(row: CsvRow) -> PublishedRow:
    table, method, source = (row.cells.get(name, "") for name in ("table", "method", "source"))
    if table not in TABLES:
        raise row.refuse(f"a table '{table}'", f"Tables are {', '.join(TABLES)}.")
    if not method:
        raise row.refuse("no method", "Name the method as the paper does.")
    cells = {column: text for column in COLUMNS if (text := row.cells.get(column.casefold(), ""))}
    for column, text in cells.items():
        if not _is_number(text):
            raise row.refuse(f"'{text}' for {column}, which is not a number", "Copy the figure, or leave it empty.")
    if cells and not source:
        raise row.refuse("figures without a source", "Say in the column 'source' which paper and table they are from.")
    return PublishedRow(table, method, MappingProxyType(cells), source)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
