# SPDX-License-Identifier: GPL-3.0-or-later
"""Rings of one person, and the order in which items are drawn."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from blender_addon.contract.errors import MienError
from training.datasets.balanced import class_weights
from training.datasets.faces import set_epoch
from training.datasets.rings import Rings
from training.datasets.sampling import EpochSampler, FileByFile, InOrder, Shuffled, Weighted, in_order, sampler
from training.datasets.together import Together


class Numbers(Dataset[dict[str, Tensor]]):
    """Items that know who and what they are."""

    def __init__(self, people: list[int], labels: list[int] | None = None) -> None:
        self._people = np.array(people)
        self._labels = np.array(labels if labels is not None else [-1] * len(people))

    def __len__(self) -> int:
        return len(self._people)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"number": torch.tensor(index), "person": torch.tensor(int(self._people[index]))}

    def by_person(self) -> list[np.ndarray]:
        return [np.flatnonzero(self._people == person) for person in np.unique(self._people)]

    def labels(self) -> np.ndarray:
        return self._labels


PEOPLE = [0, 1, 0, 2, 0, 1, 1, 0, 2, 1, 0, 1]  # person 2 has two pictures


def test_a_ring_is_of_one_person_and_has_no_picture_twice() -> None:
    rings = Rings(Numbers(PEOPLE), 3, seed=1)
    assert len(rings) == 2
    assert rings.left_out == 1
    for index in range(2):
        item = rings[index]
        assert item["person"].tolist() == [index] * 3
        assert len(set(item["number"].tolist())) == 3
    with pytest.raises(IndexError):
        rings[2]


def test_a_ring_depends_on_seed_epoch_and_index_alone() -> None:
    def drawn(rings: Rings) -> list[list[int]]:
        return [rings[index]["number"].tolist() for index in range(2)]

    rings, again = Rings(Numbers(PEOPLE), 3, seed=1), Rings(Numbers(PEOPLE), 3, seed=1)
    first = drawn(rings)
    seen = {str(first)}
    for epoch in range(1, 5):
        set_epoch(rings, epoch)
        seen.add(str(drawn(rings)))
    assert len(seen) > 2
    set_epoch(again, 4)
    assert drawn(again) == drawn(rings) == drawn(pickle.loads(pickle.dumps(rings)))
    set_epoch(rings, 0)
    assert drawn(rings) == first
    assert drawn(Rings(Numbers(PEOPLE), 3, seed=2)) != first


def test_workers_that_stay_see_the_epoch() -> None:
    rings = Rings(Numbers(PEOPLE), 3, seed=1)
    both = Together([rings])
    loader = DataLoader(both, batch_size=None, num_workers=1, persistent_workers=True)
    for epoch in range(3):
        set_epoch(both, epoch)
        told = [item["number"].tolist() for item in loader]
        assert told == [rings[index]["number"].tolist() for index in range(2)]


def test_nobody_with_enough_pictures_is_told() -> None:
    with pytest.raises(MienError, match="Nobody of 3 people has 6"):
        Rings(Numbers(PEOPLE), 6)


def test_processes_share_the_items_of_an_epoch() -> None:
    shares = [list(EpochSampler(Shuffled(10), 10, seed=3, rank=rank, processes=4)) for rank in range(4)]
    assert [len(share) for share in shares] == [3, 3, 3, 3]
    assert set().union(*shares) == set(range(10))
    one = EpochSampler(Shuffled(10), 10, seed=3)
    first = list(one)
    assert sorted(first) == list(range(10)) and list(one) == first
    one.set_epoch(1)
    assert list(one) != first


def test_processes_look_at_one_after_the_other_of_their_share() -> None:
    assert list(in_order(Numbers(PEOPLE))) == list(range(12))
    shares = [list(EpochSampler(InOrder(5), 5, rank=rank, processes=2)) for rank in range(2)]
    assert shares == [[0, 1, 2], [3, 4, 0]]


def test_every_class_comes_equally_often() -> None:
    labels = np.array([0] * 900 + [1] * 90 + [2] * 10 + [-1] * 200)
    np.testing.assert_allclose([class_weights(labels)[labels == label].sum() for label in (0, 1, 2, -1)], [1, 1, 1, 0])
    dataset = Numbers([0] * 1200, labels.tolist())
    shares = np.zeros(3)
    drawn = sampler(dataset, 7, balanced=True)
    for epoch in range(5):
        drawn.set_epoch(epoch)
        shares += np.bincount(labels[list(drawn)], minlength=3)  # fails on a label of -1
    assert shares.sum() == 6000
    assert abs(shares / 6000 - 1 / 3).max() < 4 * np.sqrt(2 / 9 / 6000)
    with pytest.raises(MienError, match="no item of the dataset has a label"):
        sampler(Numbers([0, 1]), balanced=True)


def test_datasets_of_a_list_come_as_their_weights_say() -> None:
    small, large = Numbers([0] * 10, [0] * 5 + [1] * 5), Numbers([0] * 990, [0] * 900 + [1] * 90)
    both = Together([small, large], [3, 1])
    for balanced, ones in ((False, 0.75 / 2 + 0.25 / 11), (True, 0.5)):
        drawn = np.concatenate([list(sampler(both, seed, balanced=balanced)) for seed in range(4)])
        assert abs((drawn < 10).mean() - 0.75) < 0.03
        assert abs(both.labels()[drawn].mean() - ones) < 0.03


def test_file_by_file_reads_each_file_once_and_still_mixes() -> None:
    order = FileByFile(106, per_file=10, window=4)
    indices = order.indices(np.random.default_rng(0))
    assert sorted(indices) == list(range(106))
    files = indices // 10
    windows = [set(files[start : start + 40]) for start in range(0, 66, 40)]
    changes = [np.flatnonzero(files == number) for number in range(11)]
    assert max(places[-1] - places[0] for places in changes) < 40
    assert len(windows[0]) <= 5
    assert (np.diff(indices) == 1).mean() < 0.2
    assert not np.array_equal(indices, order.indices(np.random.default_rng(1)))


def test_an_item_without_weight_is_never_drawn() -> None:
    drawn = Weighted(np.array([0.0, 2.0, 1.0])).indices(np.random.default_rng(0))
    assert len(drawn) == 3 and 0 not in drawn
