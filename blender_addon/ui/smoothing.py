# SPDX-License-Identifier: GPL-3.0-or-later
"""The smoothing sliders of a take: its curves follow them, without a new capture.

A slider writes the curves at once, so that one undo step holds both; only where that takes too long for a drag it is
left to the timer. The action remembers how its curves were smoothed, so that after undo and redo curves and sliders can
be brought together again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from typing import Any

import bpy

from ..animation.record import TakeRecord, read_record
from ..animation.smooth import performances_of, resmooth
from ..contract.errors import ErrorCode, MienError
from ..contract.smoothing import GROUPS, smooth
from ..contract.take import Take
from ..rig import names
from .records import scene_of

FLUID_SECONDS = 0.08
"""What a slider may take while it is dragged."""
_PAUSE_SECONDS = 0.15
_TRUST_SECONDS = 1.0
"""For how long curves that were just written are taken to be as they were written."""
_SAME = 1e-3

_waiting: dict[tuple[int, str], float] = {}
_problems: dict[str, MienError] = {}
_written: dict[str, float] = {}
_cost = 0.0
_kept: tuple[tuple[str, int], Take] | None = None


def _factors(item: Any) -> dict[str, float]:
    return {group: round(getattr(item, f"smooth_{group}"), 4) for group in GROUPS}


def sliders(item: Any) -> tuple[float, dict[str, float]]:
    """What the sliders of a take say: the strength, and factors on it by group."""
    return round(item.smoothing, 4), _factors(item)


def follows(item: Any, strength: float, groups: Mapping[str, float]) -> bool:
    """Whether curves of this smoothing are as the sliders of a take say; sliders are of single precision."""
    pairs = [(item.smoothing, strength)]
    pairs += [(factor, groups.get(group, 1.0)) for group, factor in _factors(item).items()]
    return all(abs(one - other) < _SAME for one, other in pairs)


def playing(item: Any) -> Iterator[tuple[Any, Any, TakeRecord]]:
    """The heads of its scene that play a take, with each action of it and what that remembers.

    Args:
        item: The take's entry in the list.
    """
    for head in names.heads(item.id_data.objects):
        try:
            actions = performances_of(head)
        except MienError:  # the head has lost its rig: it plays nothing
            continue
        for action in actions:
            record = read_record(action)
            if record is not None and record.take_file == item.path:
                yield head, action, record


def problem_of(item: Any) -> MienError | None:
    """Why the curves do not follow the sliders of a take."""
    return _problems.get(item.path)


def changed(item: Any) -> None:
    """A slider moved. Called by Blender, in the middle of a drag too."""
    if _cost <= FLUID_SECONDS:
        apply(item)
    else:
        from . import ticker  # which calls this module

        _waiting[item.id_data.session_uid, item.path] = time.monotonic() + _PAUSE_SECONDS
        ticker.start()


def waiting() -> bool:
    """Whether curves wait for the timer."""
    return bool(_waiting)


def apply_waiting() -> bool:
    """Write curves that are due.

    Returns:
        Whether there were any.
    """
    now = time.monotonic()
    due = [key for key, when in _waiting.items() if now >= when]
    for key in due:
        del _waiting[key]
        scene = scene_of(key[0])
        for item in scene.mien.takes if scene is not None else ():
            if item.path == key[1]:
                apply(item)
    return bool(due)


def reconcile() -> None:
    """Bring curves and sliders together, which undo may have parted."""
    for scene in bpy.data.scenes:
        for item in scene.mien.takes:
            if item.frames > 1:
                apply(item)


def apply(item: Any, force: bool = False) -> None:
    """Let the curves of a take follow its sliders; what stands in the way is kept for `problem_of`.

    Args:
        item: The take's entry in the list.
        force: Also where the curves were edited by hand.
    """
    global _cost
    begin = time.perf_counter()
    _problems.pop(item.path, None)
    late = [
        (head, action) for head, action, record in playing(item) if not follows(item, record.smoothing, record.groups)
    ]
    if not late:
        return
    try:
        take = _take(item.path)
        for head, action in late:
            sure = force or time.monotonic() - _written.get(action.name, -_TRUST_SECONDS) < _TRUST_SECONDS
            resmooth(head, take, *sliders(item), sure, action)
            _written[action.name] = time.monotonic()
    except MienError as error:
        _problems[item.path] = _with_remedy(error)
    _cost = time.perf_counter() - begin


def load(item: Any) -> Take:
    """The take of an entry in the list, as its file has it.

    Raises:
        MienError: What reading it raises.
    """
    return _take(item.path)


def load_file(path: str) -> Take:
    """The take in a file; the last one is kept.

    Raises:
        MienError: What reading it raises.
    """
    return _take(path)


def smoothed(item: Any) -> Take:
    """The take of an entry in the list, smoothed as its sliders say.

    Raises:
        MienError: What reading it raises.
    """
    take = _take(item.path)
    plain = follows(item, take.meta.smoothing, {})
    if plain or len(take) == 1 or "raw_expression" not in take.extra:  # takes of other makers have nothing to smooth
        return take
    return smooth(take, *sliders(item))


def _with_remedy(error: MienError) -> MienError:
    if error.code is ErrorCode.MISSING_FILE:  # the scene came from another computer, or the file was deleted
        return MienError(error.code, error.message, "Press Re-Capture to make it again.", error.details)
    return error


def _take(path: str) -> Take:
    global _kept
    try:
        key = (path, os.stat(path).st_mtime_ns)
    except OSError:
        key = (path, 0)
    if _kept is None or _kept[0] != key:
        _kept = (key, Take.load(path))
    return _kept[1]


def forget() -> None:
    """Forget what was loaded."""
    global _kept, _cost
    _kept, _cost = None, 0.0
    _waiting.clear()
    _problems.clear()
    _written.clear()
