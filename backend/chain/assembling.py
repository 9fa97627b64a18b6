# SPDX-License-Identifier: GPL-3.0-or-later
"""From the solved frames of a person to a take of every frame: gaps filled, curves smoothed, all of it said."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from backend.emotion.readout import emotion_arrays
from backend.engines.params import FaceParams
from backend.faces.people import Person
from backend.media.clip import ClipInfo
from backend.solve.camera import Focal
from backend.solve.gaps import Gap, fill_gaps
from backend.solve.looking import sideways_units, through_blinks
from backend.solve.zero_phase import smoothed
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.options import CaptureOptions
from blender_addon.contract.projection import camera_matrix
from blender_addon.contract.smoothing import smooth, with_raw
from blender_addon.contract.take import Take

from .moment import FRAME_ARRAYS
from .observing import Span
from .result import take_meta
from .solving import Solved

DETAIL_SECONDS = 0.1
"""Standard deviation of the time over which codes of wrinkles are averaged at a smoothing of 1. They have no unsmoothed
twins: a take keeps them as smooth as it was captured."""


@dataclass(frozen=True)
class Assembled:
    """A take and what the report says of it. Frames by index into the clip.

    Attributes:
        take: Every frame of the range.
        head: Its head.
        focal: Its focal length.
        best_frame: The frame that shows the face best.
        gaps: What was filled in, by index into the take.
        solved: The solved frames.
    """

    take: Take
    head: HeadDescription
    focal: Focal
    best_frame: int
    gaps: tuple[Gap, ...]
    solved: Solved

    def report(self, numbers: np.ndarray) -> dict[str, object]:
        """What the capture's report says of this person.

        Args:
            numbers: (T,) what users call the clip's frames.
        """
        frames, errors = self.take.extra["frame"], self.solved.errors
        return {
            "person": self.take.meta.person,
            "landmark_error": round(float(np.median(errors)), 5),
            "landmark_error_p95": round(float(np.quantile(errors, 0.95)), 5),
            "confidence": round(float(self.take.confidence[self.take.valid].mean()), 4),
            "gaps": [
                {"first": int(frames[gap.first]), "last": int(frames[gap.last]), "reason": gap.reason}
                for gap in self.gaps
            ],
            "identity_frames": [int(numbers[index]) for index in self.solved.identity_frames],
        }


def assemble(
    options: CaptureOptions,
    head: HeadDescription,
    info: ClipInfo,
    span: Span,
    looked_at: np.ndarray,
    person: Person,
    solved: Solved,
) -> Assembled:
    """The take of one person.

    Args:
        options: What was asked for.
        head: The head.
        info: The clip.
        span: The captured range.
        looked_at: (L,) records of the frames that could be read (`store.observations.FRAME`).
        person: Who.
        solved: The frames with that person.

    Raises:
        MienError: NO_FACE where no frame can be relied on.
    """
    place = solved.frames - span.first
    seen = np.zeros(len(span), bool)
    seen[place] = True
    sure = np.zeros(len(span), np.float32)
    sure[place] = solved.confidence
    segment = segments(span, looked_at)
    time = info.times[span.first : span.last + 1]
    params = FaceParams(**{name: _spread(value, place, len(span)) for name, value in vars(solved.params).items()})
    filled = fill_gaps(time, seen, sure, segment, params, _spread(solved.translation, place, len(span)))
    good, lids = filled.valid, filled.params.eyelids
    if solved.closure is not None:
        lids = carried(time, good, segment, _spread(solved.closure, place, len(span)))
    eyes = through_blinks(time, good, segment, lids, filled.params.eyes)
    expression = sideways_units(head.expression_names, filled.params.expression, eyes)
    filled_in = replace(filled.params, eyes=eyes, expression=expression)
    more: dict[str, np.ndarray] = {}
    if solved.detail is not None:
        detail = carried(time, good, segment, _spread(solved.detail, place, len(span)))
        more["detail_code"] = smoothed(time, detail, segment, DETAIL_SECONDS * options.smoothing).astype(np.float32)
    if solved.emotion is not None:
        more |= emotion_arrays(carried(time, good, segment, _spread(solved.emotion, place, len(span))))
    take = Take(
        meta=take_meta(options, head, person.number, rate=info.rate),
        time=time,
        valid=filled.valid,
        confidence=sure,
        identity=solved.shot.identity.astype(np.float32),
        **{name: getattr(filled_in, name) for name in FRAME_ARRAYS},
        translation=filled.translation,
        camera_matrix=camera_matrix(solved.focal.pixels, info.width, info.height),
        image_size=np.array([info.width, info.height], np.int32),
        extra={"segment": segment, "frame": info.numbers[span.first : span.last + 1]} | more,
    )
    take = smooth(with_raw(take), options.smoothing)
    best = int(place[np.argmax(sure[place] * solved.frontal)])
    return Assembled(take, head, solved.focal, span.first + best, filled.gaps, solved)


def carried(time: np.ndarray, good: np.ndarray, segment: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values (T,C) whose frames that are not good pass evenly from the good ones before to those after, in each shot;
    a shot without any gets those of the nearest good frame."""
    result = np.array(values, np.float64)
    for shot in np.unique(segment):
        here = segment == shot
        known, wanted = here & good, here & ~good
        if known.any():
            for column in result.T:
                column[wanted] = np.interp(time[wanted], time[known], column[known])
        else:
            nearest = np.abs(time[wanted][:, None] - time[good]).argmin(axis=1)
            result[wanted] = values[good][nearest]
    return result


def segments(span: Span, looked_at: np.ndarray) -> np.ndarray:
    """(T,) int32: the shot of each frame of a range, from 0; frames that could not be read belong to the one before."""
    begins = np.zeros(len(span), np.int32)
    begins[looked_at["index"][looked_at["cut"]] - span.first] = 1
    begins[0] = 0
    return np.cumsum(begins, dtype=np.int32)


def _spread(values: np.ndarray, place: np.ndarray, count: int) -> np.ndarray:
    """Values (N,...) put at their places among `count` frames, zero elsewhere."""
    spread = np.zeros((count, *values.shape[1:]), values.dtype)
    spread[place] = values
    return spread
