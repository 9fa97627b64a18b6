# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes of other methods as `.npz`: which arrays each method's file has and how wide they are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from backend.weights.restricted import load_restricted
from blender_addon.contract.errors import ErrorCode
from blender_addon.contract.models import EMOTIONS
from training.evaluation.codes import GROUPS, CodeTable, Group, LeftOut, bad_codes
from training.evaluation.labels import LabelFile, Labels, parse_split, parts_of, unlabelled

_LABELS = ("label", "valence", "arousal", "subject", "split")
_ALIASES: Mapping[str, Group] = MappingProxyType(
    {"id": "identity", "shape": "identity", "exp": "expression", "tex": "texture", "angle": "head_rotation",
     "gamma": "light", "trans": "translation"}  # fmt: skip
)
"""What the methods' own programs call the groups."""


@dataclass(frozen=True)
class Layout:
    """What one method's code has.

    Attributes:
        title: For people.
        widths: Numbers of each group.
        required: Groups that have to be there; the others may.
    """

    title: str
    widths: Mapping[Group, int]
    required: tuple[Group, ...] = ("identity", "expression")


LAYOUTS: Mapping[str, Layout] = MappingProxyType(
    {
        "deep3dfacerecon": Layout(
            "Deep3DFaceRecon",
            {"identity": 80, "expression": 64, "texture": 80, "head_rotation": 3, "light": 27, "translation": 3},
        ),
        "3ddfav2": Layout("3DDFA-V2", {"pose": 12, "identity": 40, "expression": 10}),
        "mgcnet": Layout("MGCNet", {"identity": 80, "expression": 64, "texture": 80, "pose": 6, "light": 27}),
        "expnet": Layout("ExpNet", {"expression": 29, "pose": 6}, ("expression",)),
    }
)
"""By the method's name in small letters and digits alone."""


def read_code_file(path: Path, method: str = "", labels: LabelFile | None = None) -> CodeTable:
    """The codes in a `.npz`, also those that `CodeTable.save` wrote.

    It has `names` (N,) and either the arrays of a method of `LAYOUTS` or those of groups, each (N, width); a method
    without groups has `codes` (N, D). `method` () names the method. The labels stand in it as well (`label`, `valence`,
    `arousal`, `subject`, `split`, each (N,)), or come from the table, which then counts alone.

    Args:
        path: The file; nothing in it is run.
        method: Whose codes they are, where the file does not say.
        labels: Of the names.

    Raises:
        MienError: MISSING_FILE, NOT_PERMITTED, TOO_LARGE; BAD_IMPORT naming the array and what is wrong with it;
            BAD_MANIFEST where no name has a label.
    """
    arrays = read_arrays(path)
    names = texts(path, arrays, "names", None)
    stated = arrays.get("method")
    method = str(stated) if stated is not None and np.ndim(stated) == 0 else method
    given = {key: array for key, array in arrays.items() if key not in ("names", "method", *_LABELS)}
    groups = _groups(path, given, method, len(names))
    source_labels, chosen, left_out = attach(path, arrays, names, labels)
    widths = {group: values.shape[1] for group, values in groups.items()}
    values = np.concatenate([groups[group] for group in GROUPS if group in groups], axis=1)
    return CodeTable(method, names[chosen], widths, values[chosen], source_labels, str(path), left_out)


def layout_of(method: str) -> Layout | None:
    """The layout of a method by its name, however it is spelt; None for one that has none."""
    return LAYOUTS.get(re.sub(r"[^a-z0-9]", "", method.casefold()))


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a `.npz`.

    Raises:
        MienError: MISSING_FILE, NOT_PERMITTED, TOO_LARGE, BAD_IMPORT.
    """
    content = load_restricted(path, code=ErrorCode.BAD_IMPORT)
    if not isinstance(content, dict) or not all(isinstance(value, np.ndarray) for value in content.values()):
        raise bad_codes(path, "is no file of named arrays (.npz)", "Write it with numpy.savez, without objects.")
    return content


def texts(path: Path, arrays: Mapping[str, np.ndarray], name: str, count: int | None) -> np.ndarray:
    """(N,) texts.

    Raises:
        MienError: BAD_IMPORT where they are missing, something else, or not `count`.
    """
    found = arrays.get(name)
    if found is None:
        raise bad_codes(path, f"has no array '{name}'", "Give each face a name: an array of N texts.")
    if found.ndim != 1 or found.dtype.kind not in "US" or (count is not None and len(found) != count):
        reason = f"has '{name}' of type {found.dtype} and shape {found.shape} where {count or 'N'} texts are expected"
        raise bad_codes(path, reason, "Write it as numpy.array([...], dtype=str).")
    return np.char.decode(found, "utf-8", "replace") if found.dtype.kind == "S" else found


def numbers(path: Path, name: str, array: np.ndarray, count: int, width: int | None) -> np.ndarray:
    """(count, width) float32 of an array; any width where None.

    Raises:
        MienError: BAD_IMPORT.
    """
    wide = array[:, None] if array.ndim == 1 and width == 1 else array
    if wide.dtype.kind not in "biuf" or wide.ndim != 2 or len(wide) != count or not wide.shape[1]:
        reason = f"has '{name}' of type {array.dtype} and shape {array.shape} where numbers of shape "
        raise bad_codes(path, f"{reason}({count}, {width or 'D'}) are expected", "Give a row for each name.")
    if width is not None and wide.shape[1] != width:
        reason = f"has '{name}' with {wide.shape[1]} numbers a face where {width} are expected"
        raise bad_codes(path, reason, "Give the array as the method's own program makes it.")
    return wide.astype(np.float32)


def attach(
    path: Path, arrays: Mapping[str, np.ndarray], names: np.ndarray, table: LabelFile | None
) -> tuple[Labels, np.ndarray, tuple[LeftOut, ...]]:
    """The labels of named rows, from a table or from the file itself.

    Returns:
        The labels of the rows that have any, which rows (K,) they are, and what was left out.

    Raises:
        MienError: BAD_IMPORT for labels in the file that are none; BAD_MANIFEST where the table has none of the names.
    """
    if table is None:
        own = _own_labels(path, arrays, names)
        chosen = np.flatnonzero(own.any)
        if not len(chosen):
            raise bad_codes(path, "has no labels", "Name a table of labels, or put label, valence and arousal into it.")
        labels = own.rows(chosen)
    else:
        found = rows_of(table, names)
        chosen = np.array([index for index, row in enumerate(found) if row is not None], np.int64)
        if not len(chosen):
            raise unlabelled(table.path, f"the names in {path}")
        labels = table.labels.rows(np.array([found[index] for index in chosen], np.int64))
    missing = np.setdiff1d(np.arange(len(names)), chosen)
    left = (LeftOut("without a label", len(missing), str(names[missing[0]])),) if len(missing) else ()
    return labels, chosen, left


def rows_of(table: LabelFile, names: np.ndarray) -> list[int | None]:
    """Which row of a table each name (N,) belongs to; None for those without a label in it."""
    return [_row(table, str(name)) for name in names]


def _row(table: LabelFile, name: str) -> int | None:
    """The row of a name, which may end in `#frame`."""
    file, mark, frame = name.rpartition("#")
    counted = bool(mark) and frame.isdecimal()
    row = table.find([parts_of(file if counted else name)], int(frame) if counted else 0)
    return row if row is not None and table.labels.any[row] else None


def _own_labels(path: Path, arrays: Mapping[str, np.ndarray], names: np.ndarray) -> Labels:
    count = len(names)
    none = np.full((count, 1), np.nan, np.float32)
    numeric = {
        name: numbers(path, name, arrays.get(name, none), count, 1)[:, 0] for name in ("label", "valence", "arousal")
    }
    label = np.nan_to_num(numeric["label"], nan=-1.0)
    rated = np.isfinite(numeric["valence"])
    outside = np.maximum(np.abs(numeric["valence"]), np.abs(numeric["arousal"])) > 1
    for bad, what in (
        ((label != np.round(label)) | (label < -1) | (label >= len(EMOTIONS)), "a label that is no emotion"),
        (rated != np.isfinite(numeric["arousal"]), "one of valence and arousal without the other"),
        (outside, "a valence or arousal outside of -1 to 1"),
    ):
        if bad.any():
            reason = f"has {what}, for {names[np.flatnonzero(bad)[0]]}"
            raise bad_codes(path, reason, "docs/evaluation.md says what stands in the array.")
    subject = texts(path, arrays, "subject", count) if "subject" in arrays else names
    return Labels(label.astype(np.int64), numeric["valence"], numeric["arousal"], subject, _splits(path, arrays, count))


def _splits(path: Path, arrays: Mapping[str, np.ndarray], count: int) -> np.ndarray:
    if "split" not in arrays:
        return np.full(count, "", "<U1")
    try:
        return np.array([parse_split(str(text)) for text in texts(path, arrays, "split", count)])
    except ValueError as error:
        raise bad_codes(path, f"has {error}", "Use train, validation and test, or numbers of folds.") from error


def _groups(path: Path, given: Mapping[str, np.ndarray], method: str, count: int) -> dict[Group, np.ndarray]:
    """(N, width) of each group, checked against what the method has."""
    layout = layout_of(method)
    groups: dict[Group, np.ndarray] = {}
    for name, array in given.items():
        group = _ALIASES.get(name, name)
        if group not in GROUPS or (layout and group not in layout.widths) or group in groups:
            allowed = ", ".join(layout.widths if layout else GROUPS)
            reason = f"has an array '{name}' that {layout.title if layout else 'no such file'} has not, or has it twice"
            raise bad_codes(path, reason, f"The groups are {allowed}; docs/evaluation.md has their names and widths.")
        groups[group] = numbers(path, name, array, count, layout.widths[group] if layout else None)  # type: ignore[index]
    missing = [group for group in layout.required if group not in groups] if layout else []
    if missing or not groups:
        what = f"no array '{missing[0]}', which {layout.title}'s codes have" if missing and layout else "no codes"
        raise bad_codes(path, f"has {what}", "Give the arrays that docs/evaluation.md names, or 'codes' (N, D).")
    return groups
