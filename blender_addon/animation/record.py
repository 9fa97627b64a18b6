# SPDX-License-Identifier: GPL-3.0-or-later
"""What an action keeps of the take that it was made from: enough to smooth it anew, and to find its weak places."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ..contract.take import Take
from .channels import shot_starts
from .timing import Timing

RECORD = "mien_take"
"""Custom property of the action, JSON."""
KEY_ACTION = "mien_keys"
"""Custom property of the action: the action of the shape keys, where those need their own."""

_MOST_MARKERS = 200


@dataclass(frozen=True)
class TakeRecord:
    """How an action came about.

    Attributes:
        take_file: File of the take; empty where it was not saved.
        source: The footage, as the take names it.
        person: Number of the person in the source.
        head_sha256: The kind of head.
        start: Scene frame of the first sample.
        timing: How source frames fall on scene frames.
        rate: Scene frames per second of the source's time.
        smoothing: Strength with which the curves are smoothed.
        groups: Factors on it by group of channels.
        neck_share: Part of the head's rotation that the neck makes.
        origin: Metres, camera space: the translation for which the head stands at its rig's origin.
        gaps: Scene frames, first and last, of the ranges that were filled in.
        cuts: Scene frames on which new shots begin.
        checksum: Of the curves' values when they were written.
    """

    take_file: str
    source: str
    person: int
    head_sha256: str
    start: float
    timing: Timing
    rate: float
    smoothing: float
    neck_share: float
    origin: tuple[float, ...]
    gaps: tuple[tuple[float, float], ...] = ()
    cuts: tuple[float, ...] = ()
    checksum: int = 0
    groups: Mapping[str, float] = field(default_factory=dict)


def read_record(action: Any) -> TakeRecord | None:
    """The record of an action; None for actions that no take was put in, or that an unknown version made."""
    text = action.get(RECORD) if action is not None else None
    if not isinstance(text, str):
        return None
    try:
        values = json.loads(text)
        gaps = tuple((float(first), float(last)) for first, last in values.pop("gaps"))
        return TakeRecord(**{**values, "origin": tuple(values["origin"]), "cuts": tuple(values["cuts"])}, gaps=gaps)
    except (ValueError, TypeError, KeyError):  # edited by hand, or of another version
        return None


def write_record(action: Any, record: TakeRecord) -> None:
    """Keep a record on an action."""
    action[RECORD] = json.dumps(asdict(record))


def gap_frames(take: Take, frames: np.ndarray) -> tuple[tuple[float, float], ...]:
    """First and last scene frame of each run of samples that were filled in, shot by shot.

    Args:
        take: The take.
        frames: (T,) scene frame of each sample.
    """
    edges = np.flatnonzero(shot_starts(take) | np.concatenate(([True], np.diff(take.valid.astype(np.int8)) != 0)))
    ends = np.append(edges[1:], len(take)) - 1
    runs = zip(edges.tolist(), ends.tolist(), strict=True)
    return tuple((float(frames[first]), float(frames[last])) for first, last in runs if not take.valid[first])


def cut_frames(take: Take, frames: np.ndarray) -> tuple[float, ...]:
    """Scene frames on which a new shot begins, without the first."""
    return tuple(float(frame) for frame in frames[shot_starts(take)][1:])


def mark(action: Any, record: TakeRecord) -> None:
    """Show filled ranges and cuts as the action's pose markers."""
    markers = [(cut, "Cut") for cut in record.cuts]
    markers += [(first, f"Filled to {last:g}") for first, last in record.gaps]
    for frame, name in sorted(markers)[:_MOST_MARKERS]:
        action.pose_markers.new(name).frame = round(frame)
