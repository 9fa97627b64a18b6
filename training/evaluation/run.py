# SPDX-License-Identifier: GPL-3.0-or-later
"""`mien train evaluate-emotion`: rows are measured one after the other, then the tables are printed."""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from backend.device import choose_device, set_threads
from backend.outputs import check_writable
from backend.terminal import TerminalProgress, put
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import atomic_write, make_folder
from training.evaluation.measuring import Measured, label_file, measure, read_codes
from training.evaluation.published import KINDS, SHIPPED, TABLES, TableName, read_published
from training.evaluation.settings import Evaluation, MethodSettings, checked, read_evaluation
from training.evaluation.tables import Table, as_csv, as_markdown, as_text, as_values, make_table

_DETAIL = ("coarse", "detail")
DETAILED = " with detail"
"""What is added to the names of rows that get the detail code, too."""


def evaluate_emotion(options: argparse.Namespace) -> None:
    """Run `mien train evaluate-emotion`.

    Args:
        options: As `training.evaluation.command` parses them.

    Raises:
        MienError: What reading, training and writing raise. Rows that were measured before stay in --out.
    """
    evaluation = _asked(options)
    published = read_published(Path(options.published) if options.published else SHIPPED)
    for path in (options.csv, options.markdown):
        if path:
            check_writable(Path(path))
    out = Path(options.out)
    make_folder(out)
    label_file.cache_clear()  # a csv may have changed since
    evaluation, plain = _detailed(evaluation) if options.with_detail else (evaluation, ())
    measured = _measure_all(evaluation, out, options)
    tables = [
        make_table(name, {method: one.scores(evaluation.folds) for method, one in rows.items()}, published,
                   _notes(name, evaluation, rows, plain))
        for name, rows in measured.items()
    ]  # fmt: skip
    _tell(tables, options)


def _measure_all(
    evaluation: Evaluation, out: Path, options: argparse.Namespace
) -> Mapping[TableName, dict[str, Measured]]:
    device = choose_device(options.device)
    set_threads(options.threads)
    rows = evaluation.rows()
    measured: dict[TableName, dict[str, Measured]] = defaultdict(dict)
    with TerminalProgress() as progress:
        for number, (table, method) in enumerate(rows):

            def told(done: float, what: str, number: int = number, name: str = method.name) -> None:
                progress(name, (number + done) / len(rows), what)

            folder = out / table / method.slug
            told(0.0, "reading")
            measured[table][method.name] = measure(
                table, method, evaluation.labels, evaluation.seed, evaluation.training, folder, device, told
            )
    return {name: measured[name] for name in TABLES if name in measured}


def _asked(options: argparse.Namespace) -> Evaluation:
    """The evaluation of the YAML file, or of the command line, with what the command line changes.

    Raises:
        MienError: USAGE where both name rows; what reading the file raises.
    """
    given = [name for name in ("table", "codes", "predictions", "with_detail") if getattr(options, name)]
    if options.config and given:
        message = f"--config and --{given[0].replace('_', '-')} both say what is measured."
        raise MienError(ErrorCode.USAGE, message, "Leave one of them out.")
    evaluation = read_evaluation(Path(options.config)) if options.config else _of_command_line(options)
    changes = {name: value for name in ("labels", "seed", "folds") if (value := getattr(options, name)) is not None}
    if options.epochs is not None:
        changes["training"] = replace(evaluation.training, epochs=options.epochs)
    return replace(evaluation, **changes)


def _of_command_line(options: argparse.Namespace) -> Evaluation:
    methods = [MethodSettings(name, predictions=path) for name, path in options.predictions]
    methods += [MethodSettings(name, (path,)) for name, path in options.codes]
    return checked(Evaluation({options.table or "table1": tuple(methods)}))


def _detailed(evaluation: Evaluation) -> tuple[Evaluation, Sequence[str]]:
    """With a second row for each method whose codes have a detail code, and the names of those that have none.

    Raises:
        MienError: What reading the codes raises; USAGE for two rows of one name.
    """
    tables: dict[str, list[MethodSettings]] = {name: [] for name in evaluation.tables}
    plain = []
    with TerminalProgress() as progress:
        for table, method in evaluation.rows():
            tables[table].append(method)
            if not method.codes:
                continue
            codes = read_codes(method, evaluation.labels, partial(progress, method.name))
            if "detail" in codes.widths:
                second = replace(method, name=method.name + DETAILED, method=method.name, groups=_DETAIL)
                tables[table].append(second)
            else:
                plain.append(method.name)
    return checked(replace(evaluation, tables=tables)), plain


def _notes(
    name: TableName, evaluation: Evaluation, rows: Mapping[str, Measured], plain: Sequence[str]
) -> list[str]:
    notes = [f"{method}: no row with detail, since its codes have none." for method in plain]
    if KINDS[name].in_folds:
        how = {"mean": "the mean over folds", "pooled": "over the faces of all folds at once"}[evaluation.folds]
        notes.append(f"Measured rows: whole clips in a fold; measures are {how}.")
    for method, one in rows.items():
        if evaluation.labels and one.about.get("own_labels"):
            notes.append(f"{method}: judged by the labels in its own file; {evaluation.labels} has none of its names.")
        for left in one.about["left_out"]:
            notes.append(f"{method}: left out: {left['count']} {left['reason']} (the first is {left['first']}).")
    return notes


def _tell(tables: Sequence[Table], options: argparse.Namespace) -> None:
    markdown = "\n\n".join(as_markdown(table) for table in tables) + "\n"
    for path, text in ((options.csv, as_csv(tables)), (options.markdown, markdown)):
        if path:
            atomic_write(path, lambda file, text=text: file.write(text.encode()))
    if options.json:
        put(json.dumps({"tables": [as_values(table) for table in tables]}, indent=2))
    else:
        put("\n\n".join(as_text(table) for table in tables))
