# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes from takes of any engine: every frame with a face, the values as the network said them."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np

from backend.networks.codes import EXPRESSION, IDENTITY
from backend.outputs import TAKE, take_stem
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.take import Take
from training.evaluation.codes import GROUPS, CodeTable, Group, bad_codes, counted
from training.evaluation.labels import LabelFile, Parts, parts_of, unlabelled

UNLABELLED, DAMAGED, OTHER_PERSON = "without a label", "damaged", "of other people in the same source"
FILLED, NO_DETAIL = "frames without a face", "takes without a detail code, so that none is used"
_OWN_WIDTHS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {"deca": (IDENTITY, EXPRESSION), "emoca": (IDENTITY, EXPRESSION)}
)
"""Identity and expression that an engine's networks give, of which takes have as many as the head."""


@dataclass
class _Collected:
    """What takes gave so far, a list entry for each take."""

    groups: dict[Group, list[np.ndarray]] = field(default_factory=lambda: defaultdict(list))
    rows: list[np.ndarray] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    made_by: tuple[str, str] | None = None
    """Engine and head of the first take."""


def take_files(path: Path) -> list[Path]:
    """A take, or all takes in a folder and the folders in it, by name.

    Raises:
        MienError: MISSING_FILE where there is none.
    """
    if not os.path.isdir(path):
        return [path]
    found = sorted(path.rglob(f"*{TAKE}"))
    if not found:
        message = f"{path} holds no takes (*{TAKE})."
        raise MienError(ErrorCode.MISSING_FILE, message, "Make them with 'mien batch', or choose another folder.")
    return found


def take_table(
    path: Path, labels: LabelFile, *, smoothed: bool = False, progress: Callable[[float], None] = lambda done: None
) -> CodeTable:
    """The codes of labelled takes.

    The identity is the take's, which all frames of a clip share. Takes are found in the table of labels by their
    source, else by their own path in the folder.

    Args:
        path: A take, or a folder of takes of one engine.
        labels: Of the sources.
        smoothed: The smoothed curves of clips instead of what each frame said by itself.
        progress: Told the share that is read.

    Raises:
        MienError: MISSING_FILE, NOT_PERMITTED; WRONG_HEAD for takes of different heads or engines; BAD_IMPORT for codes
            wider than the engine's; BAD_MANIFEST where no take has a label.
    """
    files = take_files(path)
    collected = _Collected()
    for number, file in enumerate(files):
        _add(collected, file, path, labels, smoothed)
        progress((number + 1) / len(files))
    if not collected.rows:
        if len(collected.left_out[DAMAGED]) == len(files):
            raise bad_codes(path, "holds no take that can be read", "Capture the sources again.")
        raise unlabelled(labels.path, f"the takes in {path}")
    return _table(collected, path, labels)


def _add(into: _Collected, file: Path, root: Path, labels: LabelFile, smoothed: bool) -> None:
    """The frames of one take, or why it has none."""
    try:
        take = Take.load(file)
    except MienError as error:
        if error.code not in (ErrorCode.BAD_TAKE, ErrorCode.UNKNOWN_SCHEMA):
            raise
        into.left_out[DAMAGED].append(str(file))
        return
    if take.meta.person > 1:
        into.left_out[OTHER_PERSON].append(str(file))
        return
    places = [place for place in (parts_of(take.meta.source), _own_parts(file, root)) if place]
    numbers = take.extra.get("frame", np.arange(1, len(take) + 1))
    found = [labels.find(places, int(number)) for number in numbers]
    has_label = np.array([row is not None and bool(labels.labels.any[row]) for row in found])
    if count := int((has_label & ~take.valid).sum()):
        into.left_out[FILLED] += [str(file)] * count
    if count := int((~has_label).sum()):
        into.left_out[UNLABELLED] += [str(file)] * count
    chosen = has_label & take.valid
    if chosen.any():
        _check_same(into, file, take)
        for group, values in _groups(file, take, smoothed).items():
            into.groups[group].append(values[chosen])
        if "detail_code" not in take.extra:
            into.left_out[NO_DETAIL].append(str(file))
        rows = np.array([row for row, use in zip(found, chosen, strict=True) if use], np.int64)
        into.rows.append(rows)
        into.names += [_name(labels, row, int(number)) for row, number in zip(rows, numbers[chosen], strict=True)]


def _name(labels: LabelFile, row: int, number: int) -> str:
    return f"{labels.files[row]}#{number}" if labels.by_frame else labels.files[row]


def _own_parts(file: Path, root: Path) -> Parts:
    """A take's own place, seen from the folder that was given."""
    folder = file.relative_to(root).parent if file != root else Path()
    return (*folder.parts, take_stem(file))


def _check_same(into: _Collected, file: Path, take: Take) -> None:
    made_by = (take.meta.engine, take.meta.head_sha256)
    into.made_by = into.made_by or made_by
    if into.made_by != made_by:
        message = f"{file} is of another engine or head than the takes before it ({take.meta.engine})."
        raise MienError(ErrorCode.WRONG_HEAD, message, "Give the takes of each engine in a folder of their own.")


def _groups(file: Path, take: Take, smoothed: bool) -> dict[Group, np.ndarray]:
    """(T, width) by group."""

    def curve(name: str) -> np.ndarray:
        return getattr(take, name) if smoothed else take.extra.get(f"raw_{name}", getattr(take, name))

    identity = np.broadcast_to(take.identity, (len(take), len(take.identity)))
    expression = curve("expression")
    if take.meta.engine in _OWN_WIDTHS:
        widths = _OWN_WIDTHS[take.meta.engine]
        identity = _narrowed(file, take, "identity", identity, widths[0])
        expression = _narrowed(file, take, "expression", expression, widths[1])
    groups: dict[Group, np.ndarray] = {"identity": identity, "expression": expression}
    groups |= {name: curve(name) for name in ("head_rotation", "jaw", "eyelids")}  # type: ignore[misc]
    if "detail_code" in take.extra:
        groups["detail"] = take.extra["detail_code"]
    return groups


def _narrowed(file: Path, take: Take, name: str, values: np.ndarray, width: int) -> np.ndarray:
    if values.shape[1] < width or values[:, width:].any():
        reason = f"has an {name} of other numbers than the {width} that {take.meta.engine} gives"
        raise bad_codes(file, reason, "Capture it with the engine's own identity (without --identity mica).")
    return values[:, :width]


def _table(collected: _Collected, path: Path, labels: LabelFile) -> CodeTable:
    groups = dict(collected.groups)
    if lacking := collected.left_out.pop(NO_DETAIL, []):
        groups.pop("detail", None)
        if len(lacking) < len(collected.rows):  # else the engine sees no wrinkles, which is no news
            collected.left_out[NO_DETAIL] = lacking
    widths = {group: values[0].shape[1] for group, values in groups.items()}
    for group, values in groups.items():
        if any(each.shape[1] != widths[group] for each in values):
            raise bad_codes(path, f"holds takes whose {group} have different widths", "Capture the sources again.")
    columns = [np.concatenate(groups[group]) for group in GROUPS if group in groups]
    engine = collected.made_by[0] if collected.made_by else ""
    values = np.concatenate(columns, axis=1).astype(np.float32)
    said = labels.labels.rows(np.concatenate(collected.rows))
    names = np.array(collected.names)
    return CodeTable(engine, names, widths, values, said, str(path), counted(collected.left_out))
