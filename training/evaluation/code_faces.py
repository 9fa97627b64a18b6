# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes as a dataset, so that they are trained on as pictures are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from training.evaluation.labels import Labels


class CodeFaces(Dataset[dict[str, Tensor]]):
    """Items `codes` (D,) float32, `label` int64, `valence` and `arousal` float32; -1 and not a number stand for none.

    Args:
        codes: (N, D) float32.
        labels: N.
    """

    def __init__(self, codes: np.ndarray, labels: Labels) -> None:
        arrays = {"codes": codes, "label": labels.label, "valence": labels.valence, "arousal": labels.arousal}
        self._columns = {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in arrays.items()}
        self._subjects = labels.subject

    def __len__(self) -> int:
        return len(self._columns["codes"])

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return {name: values[index] for name, values in self._columns.items()}

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """A whole batch at once, with a leading axis: small items one by one would take longer than the network."""
        rows = torch.as_tensor(indices, dtype=torch.int64)
        return {name: values[rows] for name, values in self._columns.items()}

    def labels(self) -> np.ndarray:
        """(N,) int64 `label` of all items."""
        return self._columns["label"].numpy()

    def by_person(self) -> list[np.ndarray]:
        """For each subject the indices (N,) int64 of its items."""
        _, which = np.unique(self._subjects, return_inverse=True)
        return np.split(np.argsort(which, kind="stable"), np.cumsum(np.bincount(which))[:-1])
