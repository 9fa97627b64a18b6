# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes of faces with what people said of them, whatever method made them: one table, written as one `.npz`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np

from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import write_npz
from training.evaluation.labels import Labels, as_texts, joined_labels

Group = Literal[
    "identity", "expression", "head_rotation", "jaw", "eyelids", "pose", "texture", "light", "translation", "codes",
    "detail",
]  # fmt: skip
"""What numbers of a code mean; `codes` is a method's whole code, of which nothing more is known."""
GROUPS: tuple[Group, ...] = get_args(Group)
"""In the order in which they go into the network, which is that of the published file: detail last."""
COARSE: tuple[Group, ...] = ("identity", "expression", "jaw", "codes")
"""Those that stand for a face's coarse shape; a method without a jaw has it in the expression."""


@dataclass(frozen=True)
class LeftOut:
    """Faces that are not in a table.

    Attributes:
        reason: A phrase ("without a label").
        count: How many.
        first: Name of one of them.
    """

    reason: str
    count: int
    first: str

    def __str__(self) -> str:
        return f"{self.count} {self.reason} (the first is {self.first})"


def counted(reasons: Mapping[str, Sequence[str]]) -> tuple[LeftOut, ...]:
    """From the names by reason."""
    return tuple(LeftOut(reason, len(names), names[0]) for reason, names in reasons.items() if names)


@dataclass(frozen=True, eq=False)
class CodeTable:
    """Codes of N faces by one method.

    Attributes:
        method: Who made them ("emoca", "3ddfa-v2", ...).
        names: (N,) text, each face's name, for messages.
        widths: How many columns each group has; groups stand in the order of `GROUPS`.
        values: (N, D) float32, as the method gave them.
        labels: What people said of them.
        source: Where they were read from.
        left_out: What was there and is not in the table.
    """

    method: str
    names: np.ndarray
    widths: Mapping[Group, int]
    values: np.ndarray
    labels: Labels
    source: str
    left_out: tuple[LeftOut, ...] = field(default=())

    def __post_init__(self) -> None:
        ordered = {group: self.widths[group] for group in GROUPS if group in self.widths}
        object.__setattr__(self, "widths", MappingProxyType(ordered))
        if set(ordered) != set(self.widths) or self.values.shape != (len(self.names), sum(ordered.values())):
            raise ValueError(f"values of shape {self.values.shape} for {len(self.names)} names and {dict(self.widths)}")
        if len(self.labels) != len(self.names):
            raise ValueError(f"{len(self.labels)} labels for {len(self.names)} names")
        if len(bad := np.flatnonzero(~np.isfinite(self.values).all(1))):
            reason = f"has codes that are not numbers, {len(bad)} in all; the first are those of {self.names[bad[0]]}"
            raise bad_codes(self.source, reason, "Leave such faces out, or make their codes anew.")

    def __len__(self) -> int:
        return len(self.names)

    def rows(self, chosen: np.ndarray) -> CodeTable:
        """The table of some rows, by index (K,) or (N,) mask."""
        labels = self.labels.rows(chosen)
        names, values = self.names[chosen], self.values[chosen]
        return CodeTable(self.method, names, self.widths, values, labels, self.source, self.left_out)

    def resolved(self, asked: Sequence[str]) -> tuple[Group, ...]:
        """Which groups are meant, in the table's order; `coarse` stands for those of `COARSE` that are there.

        Raises:
            MienError: USAGE for what is no group and for one that the table has not.
        """
        coarse = [group for group in COARSE if group in self.widths]
        wanted = {group for name in asked for group in (coarse if name == "coarse" else [name])}
        if strange := sorted(wanted - set(GROUPS)):
            message = f"There is no group of codes '{strange[0]}'."
            raise MienError(ErrorCode.USAGE, message, f"Choose of coarse, {', '.join(GROUPS)}.")
        if missing := sorted(wanted - set(self.widths)):
            message = f"{self.source} has no codes of the group '{missing[0]}', only {', '.join(self.widths)}."
            raise MienError(ErrorCode.USAGE, message, "Choose of those, or make the codes anew with it.")
        if not wanted:
            message = f"No group of the codes in {self.source} is chosen."
            raise MienError(ErrorCode.USAGE, message, f"Choose of {', '.join(self.widths)}.")
        return tuple(group for group in self.widths if group in wanted)

    def inputs(self, groups: Sequence[Group]) -> np.ndarray:
        """(N, D') float32 columns of groups of the table, in its order."""
        ends = np.cumsum(list(self.widths.values()))
        columns = {g: slice(end - width, end) for (g, width), end in zip(self.widths.items(), ends, strict=True)}
        return np.concatenate([self.values[:, columns[group]] for group in self.widths if group in groups], axis=1)

    def save(self, path: Path) -> None:
        """Write the table; `code_files.read_code_file` reads it.

        Raises:
            MienError: NO_SPACE, NOT_PERMITTED, MISSING_FILE.
        """
        groups = {group: self.inputs([group]) for group in self.widths}
        about = {"method": as_texts(np.array([self.method]))[0], "names": as_texts(self.names)}
        write_npz(path, about | groups | self.labels.arrays())


def joined(tables: Sequence[CodeTable]) -> CodeTable:
    """Tables of one method as one.

    Raises:
        MienError: USAGE where they are of different methods or have other groups.
    """
    first = tables[0]
    if len(tables) == 1:
        return first
    for other in tables[1:]:
        if (other.method, dict(other.widths)) != (first.method, dict(first.widths)):
            message = f"{other.source} has codes of another method or of other groups than {first.source}."
            raise MienError(ErrorCode.USAGE, message, "Give each method's codes by themselves.")
    names, values = (np.concatenate([getattr(table, name) for table in tables]) for name in ("names", "values"))
    labels = joined_labels([table.labels for table in tables])
    source = ", ".join(table.source for table in tables)
    left_out = tuple(each for table in tables for each in table.left_out)
    return CodeTable(first.method, names, first.widths, values, labels, source, left_out)


def bad_codes(source: object, reason: str, remedy: str) -> MienError:
    """The error of a file or folder that gives no codes: its path, then the reason."""
    return MienError(ErrorCode.BAD_IMPORT, f"{source} {reason}.", remedy, {"path": str(source)})
