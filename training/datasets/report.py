# SPDX-License-Identifier: GPL-3.0-or-later
"""What a dataset left out and why, so that nothing goes missing silently."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

FIRST = 5
"""How many items a report names for each reason."""


class Reason(StrEnum):
    """Why an item cannot be used as it should be."""

    BAD_ROW = "the row holds a nonsense value"
    BAD_LABELS = "the annotations cannot be read"
    NO_PICTURE = "the picture is missing"
    BAD_PICTURE = "the picture is damaged"
    NO_LANDMARKS = "the landmarks are missing"
    BAD_LANDMARKS = "the landmarks are damaged or of another shape"
    NO_MASK = "the mask of the face is missing"
    BAD_MASK = "the mask of the face is damaged or of another shape"


@dataclass(frozen=True)
class Trouble:
    """A reason with the items that it holds for.

    Attributes:
        count: how many.
        first: names of the first few, with what exactly is wrong.
    """

    count: int
    first: tuple[str, ...]


@dataclass(frozen=True)
class DatasetReport:
    """What is in a dataset and what is not.

    Attributes:
        title: of the dataset and its part.
        items: how many it has.
        left_out: how many were left out on purpose, by filter.
        skipped: of the items that ought to be there but are not usable.
        noted: of the items that are used although something about them is missing.
    """

    title: str
    items: int
    left_out: Mapping[str, int]
    skipped: Mapping[Reason, Trouble]
    noted: Mapping[Reason, Trouble]

    def __str__(self) -> str:
        """Lines for people."""
        lines = [f"{self.title}: {self.items} items."]
        lines += [f"  {count} left out: {what}." for what, count in self.left_out.items()]
        for verb, troubles in (("skipped", self.skipped), ("used although", self.noted)):
            for reason, trouble in troubles.items():
                more = ", ..." if trouble.count > len(trouble.first) else ""
                lines.append(f"  {trouble.count} {verb}: {reason} ({', '.join(trouble.first)}{more}).")
        return "\n".join(lines)


class Findings:
    """Collects what a report tells, while a dataset is read."""

    def __init__(self) -> None:
        self.left_out: Counter[str] = Counter()
        self._counts: Counter[Reason] = Counter()
        self._first: dict[Reason, list[str]] = {}

    def filtered(self, what: str, count: int = 1) -> None:
        """Note items that were left out on purpose."""
        self.left_out[what] += count

    def trouble(self, reason: Reason, name: str, detail: str = "") -> None:
        """Note an item that cannot be used."""
        self._counts[reason] += 1
        first = self._first.setdefault(reason, [])
        if len(first) < FIRST:
            first.append(f"{name}: {detail}" if detail else name)

    def troubles(self) -> dict[Reason, Trouble]:
        """All that were noted, most frequent first."""
        return {reason: Trouble(count, tuple(self._first[reason])) for reason, count in self._counts.most_common()}

    def copy(self) -> Findings:
        """The same, to go on with."""
        other = Findings()
        other.left_out, other._counts = self.left_out.copy(), self._counts.copy()
        other._first = {reason: list(names) for reason, names in self._first.items()}
        return other


def reports(dataset: object) -> list[DatasetReport]:
    """Reports of all published datasets that a dataset is made of, and of who is left out of rings."""
    if hasattr(dataset, "report"):
        return [dataset.report()]
    parts = getattr(dataset, "datasets", None) or [getattr(dataset, "dataset", None)]
    found = [report for part in parts if part is not None for report in reports(part)]
    if few := getattr(dataset, "left_out", 0):
        title = f"Rings of {dataset.pictures} pictures"  # type: ignore[attr-defined]
        found.append(DatasetReport(title, len(dataset), {"people with fewer pictures": few}, {}, {}))  # type: ignore[arg-type]
    return found
