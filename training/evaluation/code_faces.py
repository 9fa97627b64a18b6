# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes as a dataset, so that they are trained on as pictures are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from blender_addon.contract.errors import ErrorCode, MienError
from training.evaluation.code_files import read_code_file
from training.evaluation.labels import LabelFile, Labels


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

    def __getitem__(self, index: int | Sequence[int]) -> dict[str, Tensor]:
        """An item, or with a list of indices a whole batch, which is much faster than items one by one."""
        if isinstance(index, int) and not 0 <= index < len(self):
            raise IndexError(index)
        rows = index if isinstance(index, int) else torch.as_tensor(index, dtype=torch.int64)
        return {name: values[rows] for name, values in self._columns.items()}

    def labels(self) -> np.ndarray:
        """(N,) int64 `label` of all items."""
        return self._columns["label"].numpy()

    def by_person(self) -> list[np.ndarray]:
        """For each subject the indices (N,) int64 of its items."""
        _, which = np.unique(self._subjects, return_inverse=True)
        return np.split(np.argsort(which, kind="stable"), np.cumsum(np.bincount(which))[:-1])


def codes(
    *, file: Path, split: str = "", groups: str = "coarse", labels: Path | None = None, method: str = ""
) -> CodeFaces:
    """`kind: codes`: a file of codes, as `read_code_file` takes it.

    Args:
        file: the file.
        split: which of its faces; all that have a label where empty.
        groups: which groups of codes, with commas.
        labels: csv of labels, where the file holds none.
        method: whose codes they are, where the file does not say.

    Raises:
        MienError: USAGE where it has no face of the split; what reading raises.
    """
    table = read_code_file(file, method, LabelFile(labels) if labels else None)
    chosen = table.rows(table.labels.split == split) if split else table
    if not len(chosen):
        message = f"{file} has no labelled faces of the split '{split}'."
        raise MienError(ErrorCode.USAGE, message, "Name a split that it has, or leave the key split away.")
    return CodeFaces(chosen.inputs(chosen.resolved(groups.split(","))), chosen.labels)
