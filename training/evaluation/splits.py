# SPDX-License-Identifier: GPL-3.0-or-later
"""Which faces train, which choose when to stop, and which judge; no person or clip is in more than one of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from blender_addon.contract.errors import ErrorCode, MienError
from training.evaluation.labels import Labels
from training.folds import FOLDS, dealt_folds

_HELD_BACK = 10
"""One in so many persons or clips of the training rows chooses when to stop, where the table names none for it."""


@dataclass(frozen=True, eq=False)
class Split:
    """Indices of rows, (K,) int64 each."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def test_rows(labels: Labels, source: str) -> np.ndarray:
    """(K,) the rows for testing.

    Raises:
        MienError: USAGE where there is none.
    """
    rows = np.flatnonzero(labels.split == "test")
    if not len(rows):
        message = f"{source} has no labelled faces of the split 'test'."
        raise MienError(ErrorCode.USAGE, message, "Give the labels a column 'split' with train, validation and test.")
    return rows


def stated_split(labels: Labels, source: str, seed: int) -> Split:
    """The split that the labels state; a tenth of the training subjects stops training where none is for validation.

    Raises:
        MienError: USAGE where rows for training or testing are missing, and where a subject is in both.
    """
    test = test_rows(labels, source)
    train, validation = (np.flatnonzero(labels.split == name) for name in ("train", "validation"))
    if not len(train):
        message = f"{source} has no labelled faces of the split 'train'."
        raise MienError(ErrorCode.USAGE, message, "Give the labels a column 'split' with train, validation and test.")
    if not len(validation):
        train, validation = held_back(labels, train, seed)
    seen = np.concatenate((train, validation))
    if len(shared := np.intersect1d(labels.subject[seen], labels.subject[test])):
        message = f"{source} has faces of '{shared[0]}' both for training and for testing."
        raise MienError(ErrorCode.USAGE, message, "Let each subject be in one split alone.")
    return Split(train, validation, test)


def fold_splits(labels: Labels, source: str, seed: int) -> Iterator[Split]:
    """Cross-validation: each fold is tested once by a network that saw none of its clips.

    The folds are those that the column `split` numbers, else whole clips dealt out so that folds are about as large.

    Raises:
        MienError: USAGE where there are too few clips, where clips are not named and where one is in two folds.
    """
    fold = fold_of(labels, source, seed)
    for number in np.unique(fold):
        train, validation = held_back(labels, np.flatnonzero(fold != number), seed)
        yield Split(train, validation, np.flatnonzero(fold == number))


def fold_of(labels: Labels, source: str, seed: int) -> np.ndarray:
    """(N,) int64 the fold of each row: the stated one, else the one that it is dealt.

    Raises:
        MienError: USAGE.
    """
    return _stated_folds(labels, source) if (labels.split != "").any() else _dealt_folds(labels, source, seed)


def held_back(labels: Labels, rows: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows to train with and rows that choose when to stop: a tenth of the subjects, one at least.

    Raises:
        MienError: USAGE where all rows are of one subject.
    """
    subjects = np.unique(labels.subject[rows])
    if len(subjects) < 2:
        message = f"All faces for training are of one subject ('{subjects[0]}')."
        raise MienError(ErrorCode.USAGE, message, "Give faces of several, or the split 'validation'.")
    random = np.random.default_rng(seed)
    chosen = random.choice(subjects, max(1, len(subjects) // _HELD_BACK), replace=False)
    back = np.isin(labels.subject[rows], chosen)
    return rows[~back], rows[back]


def _stated_folds(labels: Labels, source: str) -> np.ndarray:
    numbered = np.char.isdigit(labels.split)
    if not numbered.all():
        message = f"{source} has faces that are in no numbered fold ('{labels.split[~numbered][0]}')."
        raise MienError(ErrorCode.USAGE, message, "Number the folds in the column 'split', or leave it out.")
    fold = labels.split.astype(np.int64)
    pairs = np.unique(np.stack((np.unique(labels.subject, return_inverse=True)[1], fold)), axis=1)
    twice = np.bincount(pairs[0]) > 1
    if twice.any() or len(np.unique(fold)) < 2:
        what = f"'{np.unique(labels.subject)[twice][0]}' in two folds" if twice.any() else "one fold alone"
        raise MienError(ErrorCode.USAGE, f"{source} has {what}.", "Let each clip be in one of several folds.")
    return fold


def _dealt_folds(labels: Labels, source: str, seed: int) -> np.ndarray:
    clips = np.unique(labels.subject)
    if len(clips) == len(labels):
        message = f"{source} does not say which clip each face is of."
        raise MienError(ErrorCode.USAGE, message, "Give the labels a column 'subject' with the clip's name.")
    if len(clips) < FOLDS:
        message = f"{source} has {len(clips)} clips, fewer than the {FOLDS} folds."
        raise MienError(ErrorCode.USAGE, message, "Give more clips.")
    return dealt_folds(labels.subject, seed) + 1
