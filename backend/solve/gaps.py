# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames of a shot without a face, or with one that cannot be relied on, filled from the frames around them.

The head goes on its way from the last good frame to the next, the expression relaxes and comes back. Nothing crosses a
cut, save that a shot without any good frame gets the pose of the nearest good frame in time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np

from backend.engines.params import FaceParams
from blender_addon.contract import rotations
from blender_addon.contract.errors import ErrorCode, MienError

LOW_CONFIDENCE = 0.25
"""A frame below this cannot be relied on, ..."""
RECOVERED = 0.4
"""... nor can the frames on either side of it until one reaches this."""
RELAX_SECONDS = 0.25
"""Time in which an expression that is no longer seen falls to 1/e."""
SHORT_SECONDS = 0.2
"""Gaps up to this long are bridged without relaxing; the relaxing sets in fully at twice this."""
VELOCITY_SECONDS = 0.15
"""How much of the motion beside a gap tells its speed there."""

GapReason = Literal["no face", "low confidence"]

_RELAXED = ("expression", "eyelids", "jaw", "eyes")
_TURNED = ("head_rotation", "neck")
_BLENDED = ("crop_camera", "crop_transform")


@dataclass(frozen=True)
class Gap:
    """Frames that were filled in, by index, the last one included.

    A gap that holds frames of both kinds counts as "no face".
    """

    first: int
    last: int
    reason: GapReason


@dataclass(frozen=True)
class Filled:
    """Frames without gaps.

    Attributes:
        params: T frames.
        translation: (T,3) metres, camera space.
        valid: (T,) bool, False where the values were filled in.
        gaps: What was filled in, in order of time.
    """

    params: FaceParams
    translation: np.ndarray
    valid: np.ndarray
    gaps: tuple[Gap, ...]


@dataclass(frozen=True)
class _Span:
    """The frames of one gap with the good frames beside it in its shot, None where there is none."""

    frames: slice
    before: int | None
    after: int | None


def fill_gaps(
    time: np.ndarray,
    valid: np.ndarray,
    confidence: np.ndarray,
    segment: np.ndarray,
    params: FaceParams,
    translation: np.ndarray,
) -> Filled:
    """Fill what cannot be relied on.

    Head and neck turn steadily the shorter way round, with the speed that they had at both ends of the gap; so moves
    the head, without leaving the range between the two places. Expression, eyelids, jaw and eyes fall towards rest (0)
    and rise again to the next good frame. Before the first and after the last good frame of a shot the pose is held
    and the expression relaxes. In a shot without a good frame the pose is that of the nearest good frame in time and
    the expression neutral.

    Args:
        time: (T,) seconds, not decreasing.
        valid: (T,) bool, whether there is a face.
        confidence: (T,) in [0, 1]; counts where there is a face.
        segment: (T,) int, the shot of each frame.
        params: T frames; values of frames that are not valid do not matter and need not be finite.
        translation: (T,3) metres, camera space.

    Raises:
        MienError: NO_FACE where no frame can be relied on.
    """
    good = reliable(valid, confidence, segment)
    if not good.any():
        raise MienError(
            ErrorCode.NO_FACE,
            "The face is in no frame clear enough to be followed.",
            "Use a range in which it is larger, sharper or less turned away.",
        )
    arrays = {field.name: np.array(getattr(params, field.name), dtype=np.float64) for field in fields(FaceParams)}
    arrays["translation"] = np.array(translation, dtype=np.float64)
    spans = _spans(good, segment)
    filled = {name: array.copy() for name, array in arrays.items()}
    for span in spans:
        if span.before is None and span.after is None:
            values = _elsewhere(time, good, span, arrays)
        elif span.before is None or span.after is None:
            values = _held(time, span, arrays)
        else:
            values = _bridged(time, good, segment, span, arrays)
        for name, value in values.items():
            filled[name][span.frames] = value
    moved = filled.pop("translation")
    gaps = tuple(_gap(span.frames, valid) for span in spans)
    return Filled(FaceParams(**filled), moved, good, gaps)


def reliable(valid: np.ndarray, confidence: np.ndarray, segment: np.ndarray) -> np.ndarray:
    """(T,) bool: frames with a face that is not in a stretch of low confidence.

    Such a stretch lies below `RECOVERED` throughout, below `LOW_CONFIDENCE` at least once, and within one shot.
    """
    doubtful = valid & (np.asarray(confidence) < RECOVERED)
    good = np.array(valid, dtype=bool)
    for frames in _runs(doubtful, segment):
        if (confidence[frames] < LOW_CONFIDENCE).any():
            good[frames] = False
    return good


def _runs(marked: np.ndarray, segment: np.ndarray) -> list[slice]:
    """Stretches of marked frames, each within one shot."""
    label = np.where(marked, np.concatenate(([0], np.cumsum(np.diff(segment) != 0))), -1)
    edges = np.flatnonzero(np.diff(label, prepend=-1, append=-1))
    return [slice(int(first), int(end)) for first, end in zip(edges[:-1], edges[1:], strict=True) if marked[first]]


def _spans(good: np.ndarray, segment: np.ndarray) -> list[_Span]:
    spans = []
    for frames in _runs(~good, segment):
        before, after = frames.start - 1, frames.stop
        same_before = before >= 0 and segment[before] == segment[frames.start]
        same_after = after < len(good) and segment[after] == segment[frames.start]
        spans.append(_Span(frames, before if same_before else None, after if same_after else None))
    return spans


def _gap(frames: slice, valid: np.ndarray) -> Gap:
    return Gap(frames.start, frames.stop - 1, "low confidence" if valid[frames].all() else "no face")


def _elsewhere(
    time: np.ndarray, good: np.ndarray, span: _Span, arrays: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    known = np.flatnonzero(good)
    right = np.minimum(np.searchsorted(time[known], time[span.frames]), len(known) - 1)
    left = np.maximum(right - 1, 0)
    later = time[known[right]] - time[span.frames] < time[span.frames] - time[known[left]]
    nearest = known[np.where(later, right, left)]
    return {
        name: np.zeros_like(array[nearest]) if name in _RELAXED else array[nearest] for name, array in arrays.items()
    }


def _held(time: np.ndarray, span: _Span, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    source = span.after if span.before is None else span.before
    left = np.exp(-np.abs(time[span.frames] - time[source]) / RELAX_SECONDS)
    return {
        name: np.multiply.outer(left if name in _RELAXED else np.ones_like(left), array[source])
        for name, array in arrays.items()
    }


def _bridged(
    time: np.ndarray, good: np.ndarray, segment: np.ndarray, span: _Span, arrays: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    before, after = span.before, span.after
    start, length = time[before], time[after] - time[before]
    part = (time[span.frames] - start) / length if length > 0 else np.full(after - before - 1, 0.5)
    fall, rise = _relaxing(part, length)
    beside = [_stretch(time, good, segment, before, -1), _stretch(time, good, segment, after, 1)]
    values = {}
    for name, array in arrays.items():
        first, last = array[before], array[after]
        if name in _RELAXED:
            values[name] = np.multiply.outer(fall, first) + np.multiply.outer(rise, last)
        elif name in _TURNED:
            values[name] = _turned(part, length, array, beside, time)
        elif name == "translation":
            speeds = [_speed(array, far, near, time) * length for near, far in beside]
            values[name] = first + (last - first) * _steady(part[:, None], *_limited(last - first, *speeds))
        elif name in _BLENDED:
            values[name] = np.multiply.outer(1 - part, first) + np.multiply.outer(part, last)
        else:
            values[name] = np.repeat(first[None], len(part), axis=0)
    return values


def _relaxing(part: np.ndarray, length: float) -> tuple[np.ndarray, np.ndarray]:
    """Shares of the values before and after a gap: the solution of x'' = x / RELAX_SECONDS^2 between them, a straight
    line where the gap is short.
    """
    rate = np.clip(length / SHORT_SECONDS - 1, 0.0, 1.0) * length / RELAX_SECONDS
    if rate < 1e-6:
        return 1 - part, part
    scale = -np.expm1(-2 * rate)  # sinh(a rate) / sinh(rate) in a form that does not overflow
    return tuple(np.exp(-rate * (1 - far)) * -np.expm1(-2 * rate * far) / scale for far in (1 - part, part))


def _stretch(time: np.ndarray, good: np.ndarray, segment: np.ndarray, near: int, step: int) -> tuple[int, int]:
    """The good frame beside a gap and the farthest one, on the same side, of the unbroken motion that leads there."""
    far = near
    while (
        0 <= far + step < len(time)
        and good[far + step]
        and segment[far + step] == segment[near]
        and abs(time[far + step] - time[near]) <= VELOCITY_SECONDS
    ):
        far += step
    return near, far


def _speed(values: np.ndarray, far: int, near: int, time: np.ndarray) -> np.ndarray:
    """Change a second between two frames in either order, 0 where they are one."""
    seconds = time[near] - time[far]
    return (values[near] - values[far]) / seconds if seconds else np.zeros_like(values[near])


def _limited(way: np.ndarray, start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slopes of `_steady` for the given changes, over the gap, at its ends: within 0 and 3, where it never turns back
    (Fritsch and Carlson, 1980).
    """
    safe = np.where(np.abs(way) > 1e-12, way, np.inf)
    return np.clip(start / safe, 0.0, 3.0), np.clip(end / safe, 0.0, 3.0)


def _steady(part: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Cubic from 0 to 1 with the given slopes at the ends (Hermite)."""
    return part * (1 - part) ** 2 * start + part**2 * (3 - 2 * part) - part**2 * (1 - part) * end


def _turned(
    part: np.ndarray, length: float, array: np.ndarray, beside: list[tuple[int, int]], time: np.ndarray
) -> np.ndarray:
    """(N,3) axis-angle: the shorter way round between the two frames beside the gap."""
    (before, _), (after, _) = beside
    start, end = rotations.to_quaternions(array[before]), rotations.to_quaternions(array[after])
    way = _way(start, end)
    speeds = []
    for near, far in beside:
        seconds = time[near] - time[far]
        turned = _way(rotations.to_quaternions(array[far]), rotations.to_quaternions(array[near]))
        speeds.append(turned / seconds * length if seconds else np.zeros(3))
    size = np.linalg.norm(way)
    along = [speed @ way / max(size, 1e-12) for speed in speeds]
    steady = _steady(part, *_limited(size, *along))
    path = rotations.slerp(start, end, steady)
    return rotations.to_axis_angles(np.where(path[:, :1] < 0, -path, path))


def _way(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """(3,) axis-angle of the shorter turn that leads from one unit quaternion to another, in fixed axes."""
    turn = rotations.multiply(end, start * np.array([1.0, -1.0, -1.0, -1.0]))
    return rotations.to_axis_angles(turn if turn[0] >= 0 else -turn)
