# SPDX-License-Identifier: GPL-3.0-or-later
"""What the face of a take says on a frame of the scene. Reading a take from disk is left to the timer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np

from ..animation.nla import scene_frame
from ..animation.timing import key_frames
from ..contract.errors import MienError
from ..contract.models import EMOTIONS
from ..contract.take import Take
from . import smoothing
from .takes import active_take, performance
from .tell import redraw

PROBABILITY, VALENCE, AROUSAL = "emotion_probability", "emotion_valence", "emotion_arousal"
_STRONGEST = 2

_read: dict[str, Take | str] = {}
_asked: set[str] = set()


@dataclass(frozen=True)
class Emotion:
    """What a face says.

    Attributes:
        strongest: The strongest emotions and how likely they are, 0 to 1, the strongest first.
        valence: From unpleasant (-1) to pleasant (1); None where the take does not tell.
        arousal: From calm (-1) to excited (1); None where the take does not tell.
    """

    strongest: tuple[tuple[str, float], ...]
    valence: float | None
    arousal: float | None


def emotion_now(context: Any) -> Emotion | str:
    """What the face says on the current frame, or a sentence without a stop about why that cannot be told."""
    item = active_take(context)
    if item is None:
        return "Capture a face first"
    take = _take(item.path)
    if isinstance(take, str):
        return take
    if not {PROBABILITY, VALENCE, AROUSAL} & set(take.extra):
        return "This take tells no emotion; capture it with EMOCA, or with the emotion networks added"
    index = _frame_of(context, take)
    return index if isinstance(index, str) else emotion_at(take, index)


def emotion_at(take: Take, index: int) -> Emotion:
    """What a face says on a frame of a take."""
    likely = take.extra.get(PROBABILITY)
    strongest: tuple[tuple[str, float], ...] = ()
    if likely is not None and likely.ndim == 2 and likely.shape[1] == len(EMOTIONS):
        order = np.argsort(-likely[index])[:_STRONGEST]
        strongest = tuple((EMOTIONS[place].capitalize(), float(np.clip(likely[index, place], 0, 1))) for place in order)
    return Emotion(strongest, _value(take, VALENCE, index), _value(take, AROUSAL, index))


def _value(take: Take, name: str, index: int) -> float | None:
    values = take.extra.get(name)
    return None if values is None or values.ndim != 1 else float(values[index])


def _frame_of(context: Any, take: Take) -> int | str:
    """The frame of a take that its head shows now; the nearest where the scene shows none of it."""
    if len(take) == 1:
        return 0
    found = performance(context)
    if found is None:
        return "No head plays this take; select a head and press Apply to Head"
    head, action, record = found
    frames = key_frames(take, record.start, record.rate, record.timing)
    first, last = (scene_frame(head, action, float(frame)) for frame in (frames[0], frames[-1]))
    scale = (last - first) / max(frames[-1] - frames[0], 1e-9) or 1.0
    return int(np.abs(frames - (frames[0] + (context.scene.frame_current - first) / scale)).argmin())


def _take(path: str) -> Take | str:
    if path not in _read and path not in _asked:
        _asked.add(path)
        bpy.app.timers.register(lambda: read_later(path), first_interval=0.0, persistent=True)
    return _read.get(path, "Reading…")


def read_later(path: str) -> None:
    """Read a take, which is not done while Blender draws. Of all takes, the last one is kept."""
    _asked.discard(path)
    _read.clear()
    try:
        _read[path] = smoothing.load_file(path)
    except MienError as error:
        _read[path] = str(error).rstrip(".")
    redraw()


def forget() -> None:
    """Forget what was read."""
    _read.clear()
    _asked.clear()
