# SPDX-License-Identifier: GPL-3.0-or-later
"""Rings: several pictures of one person as one item, for what has to be the same in all of them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from blender_addon.contract.errors import ErrorCode, MienError
from training.datasets.faces import Epoch, Faces, set_epoch


class Rings(Dataset[dict[str, Tensor]]):
    """Item i is `pictures` different pictures of person i, chosen by seed, epoch and i alone.

    People with fewer pictures are left out; `left_out` says how many. Every array of an item gets a leading axis of
    `pictures`.

    Args:
        dataset: where the pictures come from.
        pictures: how many a ring.
        seed: of the choice.

    Raises:
        MienError: USAGE where nobody has so many pictures.
    """

    def __init__(self, dataset: Faces, pictures: int, seed: int = 0) -> None:
        self.dataset, self.pictures, self.seed = dataset, pictures, seed
        everybody = dataset.by_person()
        self._people = [indices for indices in everybody if len(indices) >= pictures]
        self.left_out = len(everybody) - len(self._people)
        if not self._people:
            message = f"Nobody of {len(everybody)} people has {pictures} pictures for a ring."
            raise MienError(ErrorCode.USAGE, message, "Set pictures_a_ring to fewer.")
        self._epoch = Epoch()

    def __len__(self) -> int:
        return len(self._people)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        chosen = [self.dataset[int(picture)] for picture in self.chosen(index)]
        return {name: torch.stack([item[name] for item in chosen]) for name in chosen[0]}

    def chosen(self, index: int) -> np.ndarray:
        """(K,) indices into `dataset` of the pictures of a ring."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        random = np.random.default_rng((self.seed, int(self._epoch), index))
        return random.choice(self._people[index], self.pictures, replace=False)

    def by_person(self) -> list[np.ndarray]:
        """Each ring is a person's own."""
        return [np.array([index]) for index in range(len(self))]

    def labels(self) -> np.ndarray:
        """(N,) -1: the pictures of a ring have labels of their own."""
        return np.full(len(self), -1)

    def set_epoch(self, number: int) -> None:
        """Choose other pictures."""
        self._epoch.set(number)
        set_epoch(self.dataset, number)
