# SPDX-License-Identifier: GPL-3.0-or-later
"""What an evaluation is to do: which methods in which tables, from a YAML file or the command line."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args

import yaml

from backend.weights.parts import PartKind
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import file_error
from training.evaluation.mlp import TrainingSettings
from training.evaluation.published import TABLES, TableName
from training.trainer.filling import filled, wrong

FoldsAs = Literal["mean", "pooled"]


@dataclass(frozen=True)
class MethodSettings:
    """A row to be measured.

    Attributes:
        name: of the row; the measured row stands below the published one of the same name.
        codes: takes, folders of takes, files of codes; empty for a network on pictures.
        predictions: what a network on pictures said, instead of codes.
        labels: csv of labels; that of the evaluation, or what the files hold, where empty.
        method: whose codes they are, where a file does not say; the row's name where empty.
        groups: which groups of the codes go in, in the order of the table of groups.
        standardise: see `train_mlp`; the paper's networks get codes as they are.
        smoothed: takes' smoothed curves rather than what each frame said by itself.
        model: checkpoint of a trained MLP, or `emotion_mlp` of those that were added; trained where empty.
    """

    name: str
    codes: Sequence[str] = ()
    predictions: str = ""
    labels: str = ""
    method: str = ""
    groups: Sequence[str] = ("coarse",)
    standardise: bool = False
    smoothed: bool = False
    model: str = ""

    @property
    def slug(self) -> str:
        """The name as a folder's."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.casefold()).strip("-")


@dataclass(frozen=True)
class Evaluation:
    """An evaluation.

    Attributes:
        tables: the rows to be measured of each table.
        labels: csv of labels of methods that name none of their own.
        seed: of splits, weights, order and chances.
        folds: how folds become one row: the mean of their measures, or the measures over all their faces at once.
        training: of the MLPs.
    """

    tables: Mapping[str, Sequence[MethodSettings]]
    labels: str = ""
    seed: int = 0
    folds: FoldsAs = "mean"
    training: TrainingSettings = field(default_factory=TrainingSettings)

    def rows(self) -> list[tuple[TableName, MethodSettings]]:
        """Table and method of each row that is to be measured."""
        return [(name, method) for name in TABLES for method in self.tables.get(name, ())]


def read_evaluation(path: Path) -> Evaluation:
    """An evaluation from a YAML file; paths in it are relative to its folder.

    Raises:
        MienError: MISSING_FILE, NOT_PERMITTED; USAGE, naming the entry that is wrong.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise file_error(path, error, "read") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise MienError(ErrorCode.USAGE, f"{path} is not YAML: {reason}.", "Correct the file.") from error
    return checked(_placed(filled(Evaluation, content, ""), path.absolute().parent))


def checked(evaluation: Evaluation) -> Evaluation:
    """The evaluation, if it can be done.

    Raises:
        MienError: USAGE.
    """
    for name, methods in evaluation.tables.items():
        place = f"tables.{name}"
        if name not in TABLES:
            raise wrong(place, "is no table", f"Tables are {', '.join(TABLES)}.")
        slugs = [method.slug for method in methods]
        for number, method in enumerate(methods):
            if not method.slug:
                raise wrong(f"{place}[{number}].name", f"is '{method.name}'", "Use letters or digits in it.")
            if method.slug in slugs[:number]:
                raise wrong(f"{place}[{number}].name", f"is '{method.name}' again", "Give each row its own name.")
            if bool(method.codes) == bool(method.predictions):
                reason = "has not just one of codes and predictions"
                raise wrong(f"{place}[{number}]", reason, "Name what the row is measured from.")
    if evaluation.seed < 0:
        raise wrong("seed", f"is {evaluation.seed}", "Give a number from 0.")
    training = evaluation.training
    for name, value, least in (
        ("epochs", training.epochs, 1), ("patience", training.patience, 1), ("batch", training.batch, 2),
        ("hidden", training.hidden, 1),
    ):  # fmt: skip
        if value < least:
            raise wrong(f"training.{name}", f"is {value}", f"Give at least {least}.")
    if not evaluation.rows():
        message = "There is nothing to evaluate."
        raise MienError(ErrorCode.USAGE, message, "Name codes with --codes NAME=PATH, or a file with --config.")
    return evaluation


def _placed(evaluation: Evaluation, folder: Path) -> Evaluation:
    """With paths seen from a folder."""
    def at(path: str) -> str:
        added = path.partition(":")[0] in get_args(PartKind)
        return path if added or not path else str(folder / Path(path).expanduser())

    def method(one: MethodSettings) -> MethodSettings:
        codes = tuple(map(at, one.codes))
        return replace(one, codes=codes, **{k: at(getattr(one, k)) for k in ("predictions", "labels", "model")})

    tables = {name: tuple(map(method, methods)) for name, methods in evaluation.tables.items()}
    return replace(evaluation, tables=tables, labels=at(evaluation.labels))
