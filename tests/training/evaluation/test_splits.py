# SPDX-License-Identifier: GPL-3.0-or-later
"""Nobody is both learnt from and judged by."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from blender_addon.contract.errors import MienError
from tests.fabricated_codes import fabricated
from training.evaluation.labels import Labels
from training.evaluation.splits import fold_splits, held_back, stated_split


def subjects(labels: Labels, rows: np.ndarray) -> set[str]:
    return set(labels.subject[rows].tolist())


def clips(count: int = 23, longest: int = 40) -> Labels:
    sizes = np.random.default_rng(3).integers(1, longest, count)
    labels = fabricated(1, int(sizes.sum())).labels
    subject = np.repeat([f"clip{number}" for number in range(count)], sizes)
    return replace(labels, subject=subject, split=np.full(len(labels), ""))


def test_folds_part_whole_clips_and_judge_each_face_once() -> None:
    labels = clips()
    splits = list(fold_splits(labels, "AFEW-VA", 0))
    assert len(splits) == 5
    np.testing.assert_array_equal(np.sort(np.concatenate([s.test for s in splits])), np.arange(len(labels)))
    for split in splits:
        assert sorted(np.concatenate((split.train, split.validation, split.test))) == list(range(len(labels)))
        assert len(split.train) and len(split.validation)
        parts = [subjects(labels, rows) for rows in (split.train, split.validation, split.test)]
        assert not parts[0] & parts[1] and not parts[0] & parts[2] and not parts[1] & parts[2]
    sizes = [len(split.test) for split in splits]
    assert max(sizes) - min(sizes) <= 40
    again, others = ([split.test.tolist() for split in fold_splits(labels, "AFEW-VA", seed)] for seed in (0, 1))
    assert again == [split.test.tolist() for split in splits] != others


def test_stated_folds_are_kept() -> None:
    labels = clips(8)
    fold = np.unique(labels.subject, return_inverse=True)[1] % 4 + 1
    splits = list(fold_splits(replace(labels, split=fold.astype(str)), "AFEW-VA", 0))
    assert len(splits) == 4
    for number, split in enumerate(splits, start=1):
        np.testing.assert_array_equal(split.test, np.flatnonzero(fold == number))


def test_folds_that_would_leak_are_refused() -> None:
    labels = clips(8)
    apart = np.where(np.arange(len(labels)) % 2, "1", "2")
    with pytest.raises(MienError, match="in two folds"):
        list(fold_splits(replace(labels, split=apart), "AFEW-VA", 0))
    with pytest.raises(MienError, match="does not say which clip"):
        list(fold_splits(replace(labels, subject=np.arange(len(labels)).astype(str)), "AFEW-VA", 0))
    with pytest.raises(MienError, match="3 clips, fewer than the 5 folds"):
        list(fold_splits(clips(3), "AFEW-VA", 0))
    with pytest.raises(MienError, match="in no numbered fold"):
        list(fold_splits(replace(labels, split=np.full(len(labels), "train")), "AFEW-VA", 0))
    with pytest.raises(MienError, match="one fold alone"):
        list(fold_splits(replace(labels, split=np.full(len(labels), "1")), "AFEW-VA", 0))


def test_stated_split_holds_people_back_who_are_in_neither() -> None:
    labels = fabricated(40, 5).labels
    split = stated_split(labels, "AffectNet", 0)
    assert (labels.split[split.test] == "test").all() and (labels.split == "test").sum() == len(split.test)
    assert not subjects(labels, split.train) & subjects(labels, split.validation)
    assert len(subjects(labels, split.validation)) == 2  # a tenth of 28
    own = np.where(np.isin(labels.subject, ["person000", "person001"]), "validation", labels.split)
    assert subjects(labels, stated_split(replace(labels, split=own), "", 0).validation) == {"person000", "person001"}


def test_splits_that_are_none_are_refused() -> None:
    labels = fabricated(10, 3).labels
    with pytest.raises(MienError, match="no labelled faces of the split 'test'"):
        stated_split(replace(labels, split=np.full(len(labels), "train")), "AffectNet", 0)
    with pytest.raises(MienError, match="no labelled faces of the split 'train'"):
        stated_split(replace(labels, split=np.full(len(labels), "test")), "AffectNet", 0)
    mixed = np.where(np.arange(len(labels)) % 3 == 0, "test", "train")
    with pytest.raises(MienError, match="both for training and for testing"):
        stated_split(replace(labels, split=mixed), "AffectNet", 0)
    with pytest.raises(MienError, match="of one subject"):
        held_back(labels, np.arange(3), 0)
