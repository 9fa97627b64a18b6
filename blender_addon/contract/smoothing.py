# SPDX-License-Identifier: GPL-3.0-or-later
"""Zero-phase smoothing of a take, computed from its unsmoothed twins: the same for the backend and Blender's slider."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from . import rotations
from .arkit import CHANNELS, JAW, MOUTH_CLOSE, SOLVED
from .errors import ErrorCode, MienError
from .placement import face_place, translation_to
from .shrinkage import TimeBase, noise_level, shrink
from .take import Take

Group = Literal["pose", "brows", "lids", "mouth", "jaw", "gaze"]
"""Channels that are smoothed alike: head and neck, brows and nose bridge, eyelids, mouth and cheeks, jaw, eyes."""
GROUPS: tuple[Group, ...] = get_args(Group)
DEFAULT_STRENGTH = 0.5

SMOOTHED = ("expression", "eyelids", "head_rotation", "neck", "jaw", "eyes", "translation")
"""Arrays that are smoothed, as is `arkit` where a take has it; the crop's camera stays as it is, as it belongs to the
crop."""

_RAW = "raw_"
_PREFIXES: tuple[tuple[str, Group], ...] = (
    ("brow", "brows"),
    ("eyeLook", "gaze"),
    ("eye", "lids"),
    ("cheekSquint", "lids"),
    ("jaw", "jaw"),
)


@dataclass(frozen=True)
class _Tuning:
    """How a kind of channel is smoothed at the default strength.

    Attributes:
        width: Seconds, see `shrinkage.shrink`.
        threshold: Standard deviations of noise under which details go.
        least, most: Limits of the noise that is believed, in the channel's unit.
    """

    width: float
    threshold: float
    least: float
    most: float


_COEFFICIENT = {
    "brows": _Tuning(0.13, 3.5, 0.003, 0.03),
    "lids": _Tuning(0.1, 3.5, 0.003, 0.03),
    "mouth": _Tuning(0.13, 3.5, 0.003, 0.03),
    "jaw": _Tuning(0.13, 3.5, 0.003, 0.03),
    "gaze": _Tuning(0.13, 3.5, 0.003, 0.03),
}
_COMPONENT = _Tuning(0.13, 3.5, 0.003, 0.5)
"""Of components of shape, in standard deviations: ten times and more what ARKit's weights, 0 to 1, vary by."""
_ROTATION = {
    "pose": _Tuning(0.13, 3.5, 0.0002, 0.01),
    "jaw": _Tuning(0.13, 3.5, 0.0005, 0.01),
    "gaze": _Tuning(0.13, 3.5, 0.001, 0.03),
}
_PLACE = _Tuning(0.13, 3.5, 0.00002, 0.001)
_DEPTH = _Tuning(0.16, 3.5, 0.0002, 0.01)

_CARRY_SECONDS = 0.25
"""How far into a gap what smoothing does to the good frames beside it is carried on."""
_LEAST_TRUST = 0.1
"""Confidence below which frames count alike."""


def channel_group(name: str) -> Group:
    """The group of an expression channel by its ARKit name; cheeks, nose and all unknown names belong to the mouth."""
    return next((group for prefix, group in _PREFIXES if name.startswith(prefix)), "mouth")


def with_raw(take: Take) -> Take:
    """The take with its present values as the unsmoothed ones."""
    twins = {_RAW + name: getattr(take, name) for name in SMOOTHED}
    if SOLVED in take.extra:
        twins[_RAW + SOLVED] = take.extra[SOLVED]
    return replace(take, extra={**take.extra, **twins}, meta=replace(take.meta, smoothing=0.0))


def has_raw(take: Take) -> bool:
    """Whether a take has the unsmoothed twins of all that is smoothed."""
    return all(_RAW + name in take.extra for name in SMOOTHED)


def unsmoothed(take: Take) -> Take:
    """The take with its unsmoothed values as the present ones, and without twins.

    Raises:
        MienError: BAD_TAKE for a take without the twins.
    """
    extra = {name: value for name, value in take.extra.items() if not name.startswith(_RAW)}
    if _RAW + SOLVED in take.extra:
        extra[SOLVED] = take.extra[_RAW + SOLVED]
    values = {name: _raw(take, name) for name in SMOOTHED}
    return replace(take, **values, extra=extra, meta=replace(take.meta, smoothing=0.0))


def with_raw_arkit(take: Take, raw: np.ndarray) -> Take:
    """The take with these weights (T, 52) as its unsmoothed ARKit weights, and smoothed as the take is."""
    factors = _factors(take.meta.smoothing, {})
    smoothed = raw if len(take) == 1 else _arkit(raw, _frames(take), factors)
    return replace(take, extra={**take.extra, _RAW + SOLVED: raw, SOLVED: smoothed})


def smooth(take: Take, strength: float, groups: Mapping[Group, float] | None = None) -> Take:
    """Smooth a take anew from its unsmoothed twins (`raw_*`), whatever smoothing it has now.

    Time is taken from the timestamps; shots (`segment`) do not see each other; frames of low confidence count less.
    Filled frames (not `valid`) count for nothing: they keep their course and join the smoothed frames beside them. What
    stands out of a channel's noise keeps its depth: blinks, lip closures, jumps of the eyes.

    Args:
        take: A take with `raw_*` twins. A still is returned as it is.
        strength: 0 gives exactly the unsmoothed values, 0.5 is the default, 1 is strong; steady in between.
        groups: Factors on the strength by group, 1 where not named.

    Raises:
        MienError: USAGE for a strength out of range or an unknown group; BAD_TAKE for a take of several frames without
            the twins.
    """
    factors = _factors(strength, groups or {})
    if len(take) == 1:
        return take
    raw = {name: _raw(take, name) for name in SMOOTHED}
    frames = _frames(take)
    values = raw | {
        "expression": _expression(raw["expression"], take.meta.channels, frames, factors),
        "eyelids": _coefficients(raw["eyelids"], "lids", frames, factors, bounded=True),
        "neck": _rotation(raw["neck"], "pose", frames, factors),
        "jaw": _rotation(raw["jaw"], "jaw", frames, factors),
        "eyes": np.concatenate(
            [_rotation(eye, "gaze", frames, factors) for eye in np.split(raw["eyes"], 2, 1)], axis=1
        ),
    }
    values["head_rotation"], values["translation"] = _pose(raw["head_rotation"], raw["translation"], frames, factors)
    extra = dict(take.extra)
    if _RAW + SOLVED in extra:
        extra[SOLVED] = _arkit(extra[_RAW + SOLVED], frames, factors)
    return replace(
        take,
        extra=extra,
        meta=replace(take.meta, smoothing=float(strength)),
        **{name: value.astype(np.float32) for name, value in values.items()},
    )


def _factors(strength: float, groups: Mapping[Group, float]) -> dict[Group, float]:
    """Widths over those of the default strength, by group."""
    if unknown := set(groups) - set(GROUPS):
        message = f"There is no smoothing group '{min(unknown)}'."
        raise MienError(ErrorCode.USAGE, message, f"Use {', '.join(GROUPS)}.")
    if not 0 <= strength <= 1:
        raise MienError(ErrorCode.USAGE, f"Smoothing {strength} is out of range.", "Use a number from 0 to 1.")
    for name, value in groups.items():
        if not (math.isfinite(value) and value >= 0):
            message = f"The smoothing factor {value} of '{name}' is out of range."
            raise MienError(ErrorCode.USAGE, message, "Use a number from 0.")
    return {group: strength / DEFAULT_STRENGTH * groups.get(group, 1.0) for group in GROUPS}


def _raw(take: Take, name: str) -> np.ndarray:
    if _RAW + name not in take.extra:
        raise MienError(
            ErrorCode.BAD_TAKE,
            f"The take of {take.meta.source} has no unsmoothed '{name}', so its smoothing cannot be changed.",
            "Use a take that Mien captured, or leave the smoothing of this one as it is.",
            {"cause": "missing"},
        )
    return take.extra[_RAW + name]


@dataclass(frozen=True)
class _Frames:
    """The frames of a take: the good ones are smoothed, filled ones follow the good ones on either side.

    Attributes:
        starts: (T,) bool, True on the first frame of each shot.
        good: Indices (N,) of the good frames.
        base: Their times, shots and weights.
        beside: (2, T) position among the good frames of the one before and the one after each frame, itself if good.
        share: (2, T, 1) how much of the change of these two passes to the frame.
    """

    starts: np.ndarray
    good: np.ndarray
    base: TimeBase
    beside: np.ndarray
    share: np.ndarray


def _frames(take: Take) -> _Frames:
    segment = take.extra.get("segment", np.zeros(len(take), np.int32))
    starts = np.diff(segment, prepend=segment[0] - 1) != 0
    shot = np.cumsum(starts)
    good = np.flatnonzero(take.valid)
    trust = np.maximum(take.confidence.astype(np.float64), _LEAST_TRUST) ** 2
    base = TimeBase(take.time[good], shot[good], trust[good])
    if not len(good):
        return _Frames(starts, good, base, np.zeros((2, 0), int), np.zeros((2, 0, 1)))
    after = np.searchsorted(good, np.arange(len(take)))
    before = np.searchsorted(good, np.arange(len(take)), side="right") - 1
    beside = np.clip(np.stack((before, after)), 0, len(good) - 1)
    away = np.abs(take.time[good][beside] - take.time)
    near = (shot[good][beside] == shot) * np.exp(-away / _CARRY_SECONDS)
    part = away[::-1] / np.maximum(away.sum(axis=0), 1e-9)
    part = np.where(away.sum(axis=0) > 0, part, 0.5)
    alone = near[::-1] == 0
    return _Frames(starts, good, base, beside, (near * np.where(alone, 1.0, part))[..., None])


def _denoise(values: np.ndarray, tuning: _Tuning, factor: float, frames: _Frames, together: bool = False) -> np.ndarray:
    """(T, C) float64; constant channels stay exactly as they are."""
    result = values.astype(np.float64)
    moving = np.flatnonzero(np.ptp(values, axis=0) > 0)
    if factor == 0 or not len(moving) or not len(frames.good):
        return result
    series = result[np.ix_(frames.good, moving)]
    noise = np.clip(noise_level(series, frames.base), tuning.least, tuning.most)
    threshold = tuning.threshold * math.sqrt(factor)
    change = shrink(series, frames.base, tuning.width * factor, noise, threshold, together) - series
    if len(frames.good) == len(values):
        result[:, moving] += change
    else:
        result[:, moving] += (frames.share * change[frames.beside]).sum(axis=0)
    return result


def _components(raw: np.ndarray, frames: _Frames, factor: float) -> np.ndarray:
    """(T, C) components of shape, which have no bounds."""
    return raw.astype(np.float64) if factor == 0 else _denoise(raw, _COMPONENT, factor, frames)


def _coefficients(
    raw: np.ndarray, group: Group, frames: _Frames, factors: Mapping[Group, float], bounded: bool = False
) -> np.ndarray:
    """(T, C) coefficients; those that were within 0 and 1 stay there."""
    if factors[group] == 0:
        return raw
    smoothed = _denoise(raw, _COEFFICIENT[group], factors[group], frames)
    unit = bounded | ((raw >= 0) & (raw <= 1)).all(axis=0)
    return np.where(unit, np.clip(smoothed, 0.0, 1.0), smoothed)


def _expression(
    raw: np.ndarray, channels: tuple[str, ...], frames: _Frames, factors: Mapping[Group, float]
) -> np.ndarray:
    owners = np.array([GROUPS.index(channel_group(name)) for name in channels], dtype=int)
    result = raw.astype(np.float64)
    if not set(channels) & set(CHANNELS):
        return _components(raw, frames, factors["mouth"])
    for index, group in enumerate(GROUPS):
        own = np.flatnonzero(owners == index)
        if len(own):
            result[:, own] = _coefficients(raw[:, own], group, frames, factors)
    return result


def _arkit(raw: np.ndarray, frames: _Frames, factors: Mapping[Group, float]) -> np.ndarray:
    """(T, 52) float32; lips close no further than the jaw is open."""
    weights = np.clip(_expression(raw, CHANNELS, frames, factors), 0.0, 1.0)
    close, jaw = CHANNELS.index(MOUTH_CLOSE), CHANNELS.index(JAW)
    weights[:, close] = np.minimum(weights[:, close], weights[:, jaw])
    return weights.astype(np.float32)


def _rotation(raw: np.ndarray, group: Group, frames: _Frames, factors: Mapping[Group, float]) -> np.ndarray:
    """(T, 3) axis-angle without jumps of a turn within a shot."""
    if factors[group] == 0 or not np.ptp(raw, axis=0).any():
        return raw
    return rotations.to_axis_angles(_quaternions(raw, group, frames, factors))


def _quaternions(raw: np.ndarray, group: Group, frames: _Frames, factors: Mapping[Group, float]) -> np.ndarray:
    quaternions = rotations.same_side(rotations.to_quaternions(raw), frames.starts)
    smoothed = 0.5 * _denoise(2 * quaternions, _ROTATION[group], factors[group], frames, together=True)
    return smoothed / np.linalg.norm(smoothed, axis=-1, keepdims=True)


def _pose(
    rotation: np.ndarray, translation: np.ndarray, frames: _Frames, factors: Mapping[Group, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Smoothed head rotation and translation (T, 3)."""
    factor = factors["pose"]
    if factor == 0:
        return rotation, translation
    turned = _rotation(rotation, "pose", frames, factors)
    place = face_place(rotation, translation)
    if not np.isfinite(place).all():  # behind the camera: a take without perspective
        return turned, _denoise(translation, _PLACE, factor, frames)
    still = [_denoise(place[:, :2], _PLACE, factor, frames), _denoise(place[:, 2:], _DEPTH, factor, frames)]
    return turned, translation_to(np.concatenate(still, axis=1), turned)
