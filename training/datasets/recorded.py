# SPDX-License-Identifier: GPL-3.0-or-later
"""A published dataset's records with what reads their pictures, as a torch dataset."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from blender_addon.contract.errors import ErrorCode, MienError
from training.datasets.faces import Epoch
from training.datasets.files import BadItem, Face, as_item
from training.datasets.records import Record, Records
from training.datasets.report import DatasetReport, Findings, Reason

_REASONS = tuple(Reason)
_MOST_TRIES = 256
"""Damaged items one after the other after which the dataset is given up."""


class Reader(Protocol):
    """Reads the pictures of records."""

    def usable(self, records: Records, findings: Findings) -> np.ndarray:
        """(M,) indices of the records whose files are there; why others are not goes to the findings."""

    def read(self, record: Record, random: np.random.Generator) -> Face:
        """One face; chances, if any, come from `random`. Raises `BadItem`."""


class RecordedFaces(Dataset[dict[str, Tensor]]):
    """Items of records whose files are there.

    What is found damaged only when it is read is noted (from workers too, see `report`), and another picture, of the
    same person if there is one, comes in its place, without labels and not a number for valence and arousal: nothing
    is judged on it twice.

    Args:
        title: of the dataset and its part, for people.
        records: what its own files say.
        reader: of pictures.
        findings: what was noted when the records were made.
        seed: of what the reader leaves to chance.

    Raises:
        MienError: MISSING_FILE where nothing is left.
    """

    def __init__(self, title: str, records: Records, reader: Reader, findings: Findings, seed: int = 0) -> None:
        self._title, self._reader, self._findings, self._seed = title, reader, findings, seed
        usable = reader.usable(records, findings)
        self.records = records if len(usable) == len(records) else Records([records[int(i)] for i in usable])
        if not len(self.records):
            message = f"Nothing of {title} can be used."
            remedy = str(self._report(findings)).replace("\n", " ")
            raise MienError(ErrorCode.MISSING_FILE, message, remedy)
        self._people = self.records.by_person()
        self._epoch = Epoch()
        # Reason's number from 1, shared with workers.
        self._damaged = torch.zeros(len(self.records), dtype=torch.uint8).share_memory_()

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        item = self._item(index)
        return self._instead(index) if item is None else item

    def by_person(self) -> list[np.ndarray]:
        """For each person the indices (N,) of the items that show it."""
        return self._people

    def labels(self) -> np.ndarray:
        """(N,) int64 of all items."""
        return self.records.label

    def set_epoch(self, number: int) -> None:
        """Draw other chances."""
        self._epoch.set(number)

    def report(self) -> DatasetReport:
        """What is in it and what is not, with all that was found damaged so far."""
        findings = self._findings.copy()
        for index in self._damaged.nonzero()[:, 0].tolist():
            findings.trouble(_REASONS[self._damaged[index] - 1], self.records.name(index))
        return self._report(findings)

    def _report(self, findings: Findings) -> DatasetReport:
        troubles = findings.troubles()
        noted = set(getattr(self._reader, "tolerated", ()))
        return DatasetReport(
            self._title, len(self.records), dict(findings.left_out),
            {reason: trouble for reason, trouble in troubles.items() if reason not in noted},
            {reason: trouble for reason, trouble in troubles.items() if reason in noted},
        )  # fmt: skip

    def _item(self, index: int, labelled: bool = True) -> dict[str, Tensor] | None:
        """The item, or None where it is damaged."""
        if self._damaged[index]:
            return None
        record = self.records[index]
        random = np.random.default_rng((self._seed, int(self._epoch), index))
        try:
            face = self._reader.read(record, random)
        except BadItem as bad:
            self._damaged[index] = _REASONS.index(bad.reason) + 1
            return None
        return as_item(face, record if labelled else replace(record, label=-1, valence=np.nan, arousal=np.nan))

    def _instead(self, index: int) -> dict[str, Tensor]:
        """The next sound picture of the same person, or else of anybody, without labels."""
        same = np.flatnonzero(self.records.person == self.records.person[index])
        anybody = (index + np.arange(1, min(len(self), _MOST_TRIES))) % len(self)
        others = np.concatenate((same[same > index], same[same < index], anybody[~np.isin(anybody, same)]))
        for other in others[:_MOST_TRIES].tolist():
            if (item := self._item(other, labelled=False)) is not None:
                return item
        message = f"{self._title} is damaged: {len(others[:_MOST_TRIES]) + 1} pictures in a row cannot be read."
        raise MienError(ErrorCode.BAD_IMAGE, message, f"Prepare the dataset anew. {self.report()}".replace("\n", " "))
