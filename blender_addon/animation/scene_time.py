# SPDX-License-Identifier: GPL-3.0-or-later
"""The scene's frame rate and range for a take, without spoiling what else is animated in it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .. import compat
from ..contract.take import Take
from ..rig.armature import rig_of
from .timing import Timing, is_clip, source_rate

FOOTAGE = "mien_footage"
"""Custom property of actions that only retime the footage."""

_SAME_RATE = 1e-4


@dataclass(frozen=True)
class Plan:
    """Where takes go on the timeline.

    Attributes:
        start: Scene frame of their first samples.
        rate: Scene frames per second of the source's time.
        timing: One source frame per scene frame, or real time.
        alone: Whether nothing else is animated in the scene, so that its range may become the takes'.
        clip: Whether the takes are of footage.
        warnings: Sentences for the user.
    """

    start: float
    rate: float
    timing: Timing
    alone: bool
    clip: bool
    warnings: tuple[str, ...] = ()


def plan(scene: Any, takes: Sequence[Take], start: int | None, timing: Timing, own: Iterable[Any]) -> Plan:
    """Decide where takes of one source go, and set the scene's rate if they may.

    Args:
        scene: The scene.
        takes: Takes of one source.
        start: Scene frame of their first samples; None for the current frame.
        timing: One source frame per scene frame, or real time.
        own: Objects of the heads or characters that the takes are for; what is on them now does not count.
    """
    begin = scene.frame_current if start is None else start
    scene_rate = frame_rate(scene)
    if not is_clip(takes[0]):
        return Plan(begin, scene_rate, timing, False, False)
    alone = not _is_animated(scene, own)
    if timing == "source":
        return Plan(begin, scene_rate, timing, alone, True)
    rate = source_rate(takes[0])
    if math.isclose(rate, scene_rate, rel_tol=_SAME_RATE):
        return Plan(begin, scene_rate, timing, alone, True)
    if alone:
        set_frame_rate(scene, rate)
        return Plan(begin, rate, timing, True, True)
    warning = (
        f"The scene stays at {scene_rate:.4g} frames a second for what else is animated in it, so the performance of "
        f"{rate:.4g} frames a second plays at another speed. Choose Source timing to keep its real time."
    )
    return Plan(begin, rate, timing, False, True, (warning,))


def set_range(scene: Any, made: Plan, first: float, last: float) -> None:
    """Make the scene's range hold the keys from `first` to `last`: just these where nothing else is animated."""
    if not made.clip:
        return
    begin, end = math.floor(first), math.ceil(last)
    if not made.alone:
        begin, end = min(scene.frame_start, begin), max(scene.frame_end, end)
    scene.frame_end = max(0, end)
    scene.frame_start = max(0, begin)  # Blender's timeline has no range before 0; keys may lie there


def frame_rate(scene: Any) -> float:
    """Frames per second of a scene."""
    return scene.render.fps / scene.render.fps_base


def set_frame_rate(scene: Any, rate: float) -> None:
    """Set a scene's frames per second; 24000/1001 becomes 24 over 1.001."""
    whole = max(1, math.ceil(rate - _SAME_RATE * rate))
    scene.render.fps = whole
    scene.render.fps_base = whole / rate


def _is_animated(scene: Any, own: Iterable[Any]) -> bool:
    """Whether anything but the given heads' actions moves in a scene; a single key does not."""
    spared = [item for mine in own for item in (mine, mine.data, getattr(mine.data, "shape_keys", None), rig_of(mine))]
    if compat.strips_of(scene):
        return True
    return any(_has_strips(item) or (item not in spared and _moves(item)) for item in _blocks(scene))


def _blocks(scene: Any) -> Iterator[Any]:
    yield from (scene, scene.world)
    for item in scene.objects:
        yield item
        if item.data is not None:
            yield item.data
            yield getattr(item.data, "shape_keys", None)
        yield from (slot.material for slot in item.material_slots)


def _has_strips(item: Any) -> bool:
    data = getattr(item, "animation_data", None)
    return data is not None and any(track.strips for track in data.nla_tracks)


def _moves(item: Any) -> bool:
    data = getattr(item, "animation_data", None)
    action = data.action if data is not None else None
    if action is None or FOOTAGE in action.keys():
        return False
    first, last = action.frame_range
    return bool(last > first)
