# SPDX-License-Identifier: GPL-3.0-or-later
"""Measuring one row of a table: from codes or predictions to scores, kept so that it is done once."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch

from backend.networks.emotion import EmotionMLP
from backend.outputs import TAKE
from blender_addon.contract.errors import ErrorCode, MienError
from training.evaluation.code_files import read_arrays, read_code_file
from training.evaluation.codes import CodeTable, joined
from training.evaluation.labels import LabelFile, Labels
from training.evaluation.mlp import TrainedMLP, TrainingSettings, ask, load_mlp, train_mlp
from training.evaluation.published import KINDS, TableName
from training.evaluation.results import RESULT, Measured, fingerprint_of, hash_of_network, keep, kept
from training.evaluation.scores import Predictions, Said, Scores, read_predictions, score
from training.evaluation.settings import MethodSettings
from training.evaluation.splits import fold_of, fold_splits, stated_split, test_rows
from training.evaluation.take_codes import take_table

_NAME_LABELS = "Name a csv of labels with --labels; docs/evaluation.md describes it."
_PROCEDURE = 1
"""Raised with every change that gives other numbers for the same input, so that kept results are measured anew."""

Told = Callable[[float, str], None]
"""Gets the share that is done and a phrase."""


@dataclass(frozen=True, eq=False)
class _Outcome:
    """What a network, or one for each fold, said of the faces that are judged."""

    rows: np.ndarray
    said: Said
    trained: tuple[TrainedMLP, ...] = ()


@cache
def label_file(path: str) -> LabelFile | None:
    """A csv of labels, read once; None for an empty path."""
    return LabelFile(Path(path)) if path else None


def read_codes(method: MethodSettings, labels: str, told: Told) -> CodeTable:
    """The codes of a method, of whatever they are read from.

    Raises:
        MienError: See `take_table` and `read_code_file`; USAGE for takes without a csv of labels.
    """
    known = label_file(method.labels or labels)
    return joined([_read(Path(path), method, known, told) for path in method.codes])


def _read(path: Path, method: MethodSettings, labels: LabelFile | None, told: Told) -> CodeTable:
    if not (os.path.isdir(path) or path.name.endswith(TAKE)) and "meta" not in read_arrays(path):
        return read_code_file(path, method.method or method.name, labels)
    if labels is None:
        message = f"{path} holds takes, which have no labels of their own."
        raise MienError(ErrorCode.USAGE, message, _NAME_LABELS)
    return take_table(path, labels, smoothed=method.smoothed, progress=lambda done: told(done, f"reading {path.name}"))


def measure(
    table: TableName, method: MethodSettings, labels: str, seed: int, training: TrainingSettings, folder: Path,
    device: torch.device, told: Told,
) -> Measured:  # fmt: skip
    """Measure a row, or read what was measured of the same input with the same settings.

    Args:
        table: which one.
        method: the row.
        labels: csv of labels where the method names none.
        seed: of everything.
        training: of the MLP.
        folder: where the result is kept; made where it is missing.
        device: where the MLP is trained.
        told: of each step.

    Raises:
        MienError: what reading and training raise.
    """
    known: CodeTable | Predictions
    if method.predictions:
        table_of_labels = label_file(method.labels or labels)
        known = read_predictions(Path(method.predictions), table_of_labels, shared=not method.labels)
        inputs, groups = np.zeros((len(known.names), 0), np.float32), ()
    else:
        known = read_codes(method, labels, told)
        groups = known.resolved(method.groups)
        inputs = known.inputs(groups)
    network = load_mlp(method.model, inputs.shape[1]) if method.model and isinstance(known, CodeTable) else None
    about: dict[str, object] = {
        "table": table, "method": method.name, "procedure": _PROCEDURE, "seed": seed, "groups": list(groups),
        "inputs": inputs.shape[1], "standardised": method.standardise, "training": asdict(training),
        "model": hash_of_network(network) if network else "",
    }  # fmt: skip
    fingerprint = fingerprint_of(about, known, inputs)
    if (done := kept(folder / RESULT, fingerprint)) is not None:
        return done
    outcome = _outcome(table, method, known, inputs, network, seed, training, device, told)
    judged = known.labels.rows(outcome.rows)
    folds = _in_folds(table, outcome.said, judged, known.source, seed)
    about |= _how(known, outcome)
    measured = Measured(score(outcome.said, _learnt(table, judged)), folds, MappingProxyType(about))
    said = Predictions(known.names[outcome.rows], outcome.said, judged, known.source)
    keep(folder, measured, fingerprint, said, [one.network for one in outcome.trained])
    return measured


def _outcome(
    table: TableName, method: MethodSettings, known: CodeTable | Predictions, inputs: np.ndarray,
    network: EmotionMLP | None, seed: int, training: TrainingSettings, device: torch.device, told: Told,
) -> _Outcome:  # fmt: skip
    in_folds = KINDS[table].in_folds
    if isinstance(known, Predictions) or network:
        judged = np.flatnonzero(known.labels.rated) if in_folds else test_rows(known.labels, known.source)
        if isinstance(known, Predictions):
            return _Outcome(judged, known.said.rows(judged))
        return _Outcome(judged, ask(network, inputs[judged], device))
    labels = _learnt(table, known.labels)
    if in_folds:
        rated = np.flatnonzero(labels.rated)
        inputs, labels = inputs[rated], labels.rows(rated)
        splits = list(fold_splits(labels, known.source, seed))
    else:
        rated = np.arange(len(labels))
        splits = [stated_split(labels, known.source, seed)]
    said, trained = [], []
    for number, split in enumerate(splits):

        def epoch(count: int, number: int = number) -> None:
            which = f"fold {number + 1} of {len(splits)}, " if in_folds else ""
            told((number + count / training.epochs) / len(splits), f"{which}epoch {count} of at most {training.epochs}")

        trained.append(
            train_mlp(inputs, labels, split, training, seed=seed, classes=not in_folds,
                      standardise=method.standardise, device=device, progress=epoch)
        )  # fmt: skip
        said.append(ask(trained[-1].network, inputs[split.test], device))
    rows = rated[np.concatenate([split.test for split in splits])]
    return _Outcome(rows, _joined(said), tuple(trained))


def _learnt(table: TableName, labels: Labels) -> Labels:
    """Labels of what the table is about: that of AFEW-VA knows no classes."""
    if not KINDS[table].in_folds:
        return labels
    return Labels(np.full(len(labels), -1, np.int64), labels.valence, labels.arousal, labels.subject, labels.split)


def _joined(several: Sequence[Said]) -> Said:
    return Said(*(np.concatenate([getattr(said, field.name) for said in several]) for field in fields(Said)))


def _in_folds(table: TableName, said: Said, labels: Labels, source: str, seed: int) -> tuple[Scores, ...]:
    if not KINDS[table].in_folds:
        return ()
    fold = fold_of(labels, source, seed)
    learnt = _learnt(table, labels)
    return tuple(score(said.rows(fold == number), learnt.rows(fold == number)) for number in np.unique(fold))


def _how(known: CodeTable | Predictions, outcome: _Outcome) -> dict[str, object]:
    training = [{"epochs": one.epochs, "best": one.best, "loss": one.loss} for one in outcome.trained]
    left, own = [asdict(each) for each in known.left_out], isinstance(known, Predictions) and known.own_labels
    return {
        "source": known.source, "labelled": len(known.names), "own_labels": own, "left_out": left, "runs": training,
    }  # fmt: skip


