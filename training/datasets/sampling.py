# SPDX-License-Identifier: GPL-3.0-or-later
"""The order in which items are drawn: shuffled, by weights, or file by file; each process of a run its own share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch.distributed
from torch.utils.data import Dataset, Sampler

from training.datasets.augmentation import Augmented
from training.datasets.balanced import balanced_weights
from training.datasets.faces import Faces
from training.synthetic.on_disk import KEPT_FILES, StoredFaces


class Order(Protocol):
    """Puts the items of an epoch in order."""

    def indices(self, random: np.random.Generator) -> np.ndarray:
        """(N,) int64 indices of the items of an epoch."""


class InOrder:
    """Every item once, as they come."""

    def __init__(self, count: int) -> None:
        self._count = count

    def indices(self, random: np.random.Generator) -> np.ndarray:
        """(N,) ascending."""
        return np.arange(self._count)


class Shuffled:
    """Every item once, in random order."""

    def __init__(self, count: int) -> None:
        self._count = count

    def indices(self, random: np.random.Generator) -> np.ndarray:
        """(N,) a permutation."""
        return random.permutation(self._count)


class FileByFile:
    """Every item of files once, so that few files have to be unpacked at a time.

    Files are shuffled, and the items of `window` files after each other among themselves.

    Args:
        count: items in all.
        per_file: items in a file.
        window: how many files are read from at a time.
    """

    def __init__(self, count: int, per_file: int, window: int = KEPT_FILES) -> None:
        self._count, self._per_file, self._window = count, per_file, window

    def indices(self, random: np.random.Generator) -> np.ndarray:
        """(N,) a permutation."""
        files = random.permutation(-(-self._count // self._per_file))
        windows = np.split(files, range(self._window, len(files), self._window))
        starts = (part[:, None] * self._per_file + np.arange(self._per_file) for part in windows)
        return np.concatenate([random.permutation(part[part < self._count]) for part in starts])


class Weighted:
    """As many items as there are, drawn with replacement, each as often as its weight says.

    Args:
        weights: (N,) not negative, not all 0; an item of weight 0 is never drawn.
    """

    def __init__(self, weights: np.ndarray) -> None:
        self._share = weights / weights.sum()

    def indices(self, random: np.random.Generator) -> np.ndarray:
        """(N,) indices, some of them several times."""
        return random.choice(len(self._share), len(self._share), p=self._share)


class EpochSampler(Sampler[int]):
    """The order of an epoch by seed and epoch alone, of which each process of a distributed run takes its own part.

    All processes get equally many; the first items come twice where they do not suffice, as torch's own distributed
    sampler does. Lightning is to leave it as it is (`Trainer(use_distributed_sampler=False)`), and calls `set_epoch`.

    Args:
        order: of all items.
        count: how many those are.
        seed: of the chances.
        rank: number of this process; that of `torch.distributed` by default.
        processes: how many there are; likewise.
    """

    def __init__(
        self, order: Order, count: int, seed: int = 0, rank: int | None = None, processes: int | None = None
    ) -> None:
        self._order, self._count, self._seed, self._epoch = order, count, seed, 0
        self._taken = (0, 0)
        self._place = None if rank is None or processes is None else (rank, processes)

    def __len__(self) -> int:
        return -(-self._count // self._rank_of()[1])

    def __iter__(self) -> Iterator[int]:
        rank, processes = self._rank_of()
        indices = self._order.indices(np.random.default_rng((self._seed, self._epoch)))
        # Neighbours stay together: the order may be one that spares reading files.
        share = np.resize(indices, len(self) * processes)[rank * len(self) : (rank + 1) * len(self)]
        epoch, taken = self._taken
        return iter(share[taken if epoch == self._epoch else 0 :].tolist())

    def set_epoch(self, epoch: int) -> None:
        """Begin an epoch."""
        self._epoch = epoch

    def go_on(self, epoch: int, taken: int) -> None:
        """Begin an epoch of which a run that was interrupted has taken this process's first items; the length stays."""
        self._epoch, self._taken = epoch, (epoch, taken)

    def _rank_of(self) -> tuple[int, int]:
        if self._place is not None:
            return self._place
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            return torch.distributed.get_rank(), torch.distributed.get_world_size()
        return 0, 1


def sampler(dataset: Faces | Dataset, seed: int = 0, *, balanced: bool = False) -> EpochSampler:
    """The sampler that suits a dataset in training.

    Args:
        dataset: as `choice.dataset` makes it.
        seed: of the chances.
        balanced: whether each class of emotion is drawn equally often; items without one are not drawn then.

    Returns:
        Weighted where `balanced` is asked for or the datasets of a list have weights (with both, classes are even in
        each of the datasets); file by file for faces stored in files; else shuffled.

    Raises:
        MienError: USAGE where `balanced` is asked for and nothing has a label.
    """
    while isinstance(dataset, Augmented):
        dataset = dataset.dataset
    own = getattr(dataset, "item_weights", lambda: None)()
    if balanced:
        return EpochSampler(Weighted(balanced_weights(dataset)), len(dataset), seed)
    if own is not None:
        return EpochSampler(Weighted(own), len(dataset), seed)
    if isinstance(dataset, StoredFaces):
        return EpochSampler(FileByFile(len(dataset), dataset.per_file), len(dataset), seed)
    return EpochSampler(Shuffled(len(dataset)), len(dataset), seed)


def in_order(dataset: Faces) -> EpochSampler:
    """The sampler for looking at a dataset: each process of a run at its own share."""
    return EpochSampler(InOrder(len(dataset)), len(dataset))
