# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames as metrical-tracker saves them (`.frame`): FLAME at rest in a world, and a camera that moves around it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from blender_addon.contract.head import HeadDescription

from .flame_motion import FlameMotion
from .flame_space import are_rotations, narrowed, one_shape, rotations_from_6d
from .records import Record, read_records
from .tables import bad_import

SUFFIX = ".frame"
_STILL = 1e-6


def is_frame(record: Record) -> bool:
    """Whether a record is one of these frames."""
    return record.has("flame", "opencv")


def read_metrical_tracker(path: Path, head: HeadDescription) -> FlameMotion:
    """One file, or a folder of them in the order of their numbers.

    The camera's motion becomes the head's. The head's neck is straight: the tracker has no neck.

    Raises:
        MienError: BAD_IMPORT, also for a camera whose lens changes; what reading files raises.
    """
    records = list(read_records(path))
    if wrong := [record for record in records if not is_frame(record)]:
        raise wrong[0].refuse("is no frame of metrical-tracker: it has no 'flame' and 'opencv'")
    flames = [record.inner("flame") for record in records]
    cameras = [record.inner("opencv") for record in records]
    frames = len(records)
    shape, notes = one_shape(_rows(flames, "shape"))
    expression = _rows(flames, "exp")
    matrices = _rows(cameras, "K", 9).reshape(-1, 3, 3)
    if np.ptp(matrices, axis=0).max() > _STILL * matrices.max():
        raise bad_import(path, "has a camera whose lens changes", "Import a part of it where the lens stays.")
    turns = _rows(cameras, "R", 9).reshape(-1, 3, 3)
    if not are_rotations(turns):
        raise bad_import(path, "has a camera that is not a plain turn and place", "Check that the tracking went well.")
    size = records[0].optional("img_size", 2)
    if size is None:
        raise records[0].refuse("has no 'img_size'")
    eyelids = _rows(flames, "eyelids", 2) if flames[0].has("eyelids") else None
    if eyelids is not None and not head.eyelids.shape[2]:
        notes.append("This head has no shapes for the eyelids: they stay in the take, and the mesh does not show them.")
    return FlameMotion(
        head_rotation=np.zeros((frames, 3)),
        translation=np.zeros((frames, 3)),
        neck=np.zeros((frames, 3)),
        jaw=_turns(flames, "jaw", 6),
        eyes=_turns(flames, "eyes", 12),
        identity=narrowed(shape, head.identity.shape[2], "identity", path),
        expression=narrowed(expression, head.expression.shape[2], "expression", path),
        eyelids=eyelids,
        camera_matrix=matrices[0],
        image_size=(int(size[0, 1]), int(size[0, 0])),
        frame=_numbers(records),
        notes=tuple(notes),
    ).moved(head, turns, _rows(cameras, "t", 3))


def _rows(records: list[Record], name: str, width: int | None = None) -> np.ndarray:
    """(T, width) of one array of every frame."""
    rows = [record.series(name, 1, width) for record in records]
    if len({row.shape for row in rows}) > 1:
        raise records[-1].refuse(f"has another number of values for '{name}' than the first frame")
    return np.concatenate(rows)


def _turns(records: list[Record], name: str, width: int) -> np.ndarray:
    """(T, width / 2) axis-angles of 6D rotations."""
    rows = _rows(records, name, width)
    try:
        return rotations_from_6d(rows.reshape(-1, 6)).reshape(len(rows), -1)
    except ValueError as error:
        raise records[0].refuse(f"has a '{name}' that is no rotation") from error


def _numbers(records: list[Record]) -> np.ndarray | None:
    """(T,) the tracker's own numbers, where all names tell one and they rise."""
    found = [re.search(r"(\d+)$", record.path.stem) for record in records]
    if not all(found):
        return None
    numbers = np.array([int(match[1]) for match in found if match])
    rising = (np.diff(numbers) > 0).all() and numbers.max() < 2**31
    return numbers if rising else None
