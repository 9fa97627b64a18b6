# SPDX-License-Identifier: GPL-3.0-or-later
"""Several datasets as one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor
from torch.utils.data import ConcatDataset

from training.datasets.faces import Faces, set_epoch

_PEOPLE_BITS = 40
"""People of dataset d are numbered from d * 2^40, so that no two datasets share one."""


class Together(ConcatDataset[dict[str, Tensor]]):
    """Datasets one behind the other.

    Args:
        datasets: at least one.
        weights: how often each is drawn, in relation to the others; by their sizes where not given. They count with
            `sampling.sampler`.
        keys: those of the items that are kept; all by default, which is right where all have the same.
    """

    def __init__(
        self, datasets: Sequence[Faces], weights: Sequence[float] | None = None, keys: Sequence[str] | None = None
    ) -> None:
        super().__init__(datasets)
        self.weights = None if weights is None else tuple(weights)
        self._keys = keys

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        which = int(np.searchsorted(self.cumulative_sizes, index, side="right"))
        item = self.datasets[which][index - self._start(which)]
        kept = item if self._keys is None else {name: item[name] for name in self._keys}
        return kept | {"person": item["person"] + (which << _PEOPLE_BITS)}

    def by_person(self) -> list[np.ndarray]:
        """People of all datasets."""
        return [
            indices + self._start(which)
            for which, dataset in enumerate(self.datasets)
            for indices in dataset.by_person()
        ]

    def labels(self) -> np.ndarray:
        """(N,) int64 of all datasets."""
        return np.concatenate([dataset.labels() for dataset in self.datasets])

    def item_weights(self) -> np.ndarray | None:
        """(N,) how often each item is drawn, in relation to the others; None where all are drawn alike."""
        if self.weights is None:
            return None
        sizes = [len(dataset) for dataset in self.datasets]
        return np.concatenate(
            [np.full(size, weight / size) for size, weight in zip(sizes, self.weights, strict=True)]
        )

    def set_epoch(self, number: int) -> None:
        """Tell all datasets."""
        for dataset in self.datasets:
            set_epoch(dataset, number)

    def _start(self, which: int) -> int:
        return self.cumulative_sizes[which - 1] if which else 0
