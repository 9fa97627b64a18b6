# SPDX-License-Identifier: GPL-3.0-or-later
"""What every dataset of faces is to the rest."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

FACE_KEYS = ("image", "mask", "landmarks", "mediapipe", "label", "valence", "arousal", "person")
"""What the items of every dataset have.

`image` (3, 224, 224) float32 RGB in [0, 1]; `mask` (1, 224, 224) float32, 1 where the face is; `landmarks` (68, 3) and
`mediapipe` (478, 3) crop NDC x, y and visibility, 0 where there are none; `label` int64 of `EMOTIONS`, -1 for none;
`valence`, `arousal` float32 in [-1, 1], not a number for none; `person` int64, the same for pictures of one person (or
of one clip, or of one row of a list).
"""


@runtime_checkable
class Faces(Protocol):
    """A map-style dataset of items with at least `FACE_KEYS`, all with the same keys."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> dict[str, Tensor]: ...

    def by_person(self) -> list[np.ndarray]:
        """For each person the indices (N,) int64 of the items that show it."""

    def labels(self) -> np.ndarray:
        """(N,) int64 `label` of all items, without reading pictures."""


class Epoch:
    """The number of the epoch, seen by the workers too, whichever way and whenever they were started."""

    def __init__(self) -> None:
        self._number = torch.zeros((), dtype=torch.int64).share_memory_()

    def set(self, number: int) -> None:
        """Begin an epoch."""
        self._number.fill_(number)

    def __int__(self) -> int:
        return int(self._number)


def set_epoch(dataset: Dataset, number: int) -> None:
    """Tell a dataset, and those that it is made of, which epoch begins: others would show the same chances again."""
    if hasattr(dataset, "set_epoch"):
        dataset.set_epoch(number)
