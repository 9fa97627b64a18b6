# SPDX-License-Identifier: GPL-3.0-or-later
"""Live frames put together to a take."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from backend.engines.params import FaceParams
from backend.faces.face import Face
from backend.live.frames import LiveFrame
from backend.live.neutral import NeutralPose
from backend.live.solver import LiveSolver, SolvedFrame
from backend.solve.gaps import Gap, fill_gaps, reliable
from backend.solve.shot import Shot
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.options import CaptureOptions
from blender_addon.contract.projection import camera_matrix
from blender_addon.contract.smoothing import smooth, with_raw
from blender_addon.contract.take import Take

from .result import confidence, take_meta

FEWEST_FRAMES = 2
"""A recording of fewer is none: a take of one frame would be a still."""
_PARTS = tuple(field.name for field in fields(LiveFrame))
_PARAMS = tuple(name for name in _PARTS if name != "translation")


@dataclass(frozen=True)
class _Row:
    """A recorded frame; without a face there is no more than its time and shot."""

    time: float
    segment: int
    presence: float = 0.0
    solved: SolvedFrame | None = None
    face: Face | None = None
    """As long as the head is not final."""


@dataclass(frozen=True)
class Recorded:
    """A finished recording.

    Attributes:
        take: All frames, those that cannot be relied on filled in.
        gaps: Which ones these are, by index.
        errors: (N,) landmark errors of the frames with a face.
    """

    take: Take
    gaps: tuple[Gap, ...]
    errors: np.ndarray

    def report(self) -> dict[str, object]:
        """What the capture's report says of it; frames are counted from 1."""
        take = self.take
        return {
            "person": take.meta.person,
            "landmark_error": round(float(np.median(self.errors)), 5),
            "landmark_errors_p95": round(float(np.quantile(self.errors, 0.95)), 5),
            "confidence": round(float(take.confidence[take.valid].mean()), 4),
            "gaps": [{"first": gap.first + 1, "last": gap.last + 1, "reason": gap.reason} for gap in self.gaps],
            "identity_frames": [],
        }


class Recording:
    """Frames of one person, one after the other, as they were seen: neither calibrated nor smoothed.

    Args:
        options: Of the live capture.
        head: Its head.
        number: Which recording it is, from 1: the take's person.
    """

    def __init__(self, options: CaptureOptions, head: HeadDescription, number: int) -> None:
        self._options = options
        self._head = head
        self.number = number
        self._rows: list[_Row] = []
        self._segment = 0
        self._settled = False

    def __len__(self) -> int:
        """Number of frames."""
        return len(self._rows)

    def add(self, time: float, face: Face | None, solved: SolvedFrame | None, cut: bool) -> None:
        """Add a frame.

        Args:
            time: Seconds, later than the frame before.
            face: The face, None where there is none.
            solved: The same solved.
            cut: Whether a new shot begins.
        """
        self._segment += cut and bool(self._rows)
        presence = face.presence if face else 0.0
        self._rows.append(_Row(time, self._segment, presence, solved, None if self._settled else face))

    def settle(self, solver: LiveSolver | None = None) -> None:
        """Expect no other head any more, after this one if it is given: faces need not be remembered."""
        if solver is not None:
            anew = iter(solver.all([row.face for row in self._rows if row.face]))
            self._rows = [replace(row, solved=next(anew)) if row.face else row for row in self._rows]
        self._rows = [replace(row, face=None) for row in self._rows]
        self._settled = True

    def finished(self, shot: Shot, neutral: NeutralPose | None) -> Recorded | None:
        """The recording as a take, calibrated as a whole, filled and smoothed as a clip's is, with raw twins.

        Args:
            shot: Identity and camera under which the frames were solved.
            neutral: The resting face, if there is one.

        Returns:
            None where there are too few frames, or none with a face that can be relied on.
        """
        if len(self) < FEWEST_FRAMES:
            return None
        time = np.array([row.time for row in self._rows]) - self._rows[0].time
        seen = np.array([row.solved is not None for row in self._rows])
        segment = np.array([row.segment for row in self._rows], np.int32)
        errors = np.array([row.solved.error for row in self._rows if row.solved])
        sure = np.zeros(len(self), np.float32)
        sure[seen] = confidence(np.array([row.presence for row in self._rows])[seen], errors)
        if not reliable(seen, sure, segment).any():
            return None
        params, translation = self._arrays(seen, neutral)
        filled = fill_gaps(time, seen, sure, segment, params, translation)
        arrays = {name: getattr(filled.params, name) for name in _PARAMS} | {"translation": filled.translation}
        extra = {"segment": segment, "frame": np.arange(1, len(self) + 1, dtype=np.int32)}
        rate = float(1 / np.median(np.diff(time)))
        take = live_take(
            self._options, self._head, shot, self.number, time, arrays, filled.valid, sure, rate=rate, extra=extra
        )
        return Recorded(smooth(with_raw(take), self._options.smoothing), filled.gaps, errors)

    def _arrays(self, seen: np.ndarray, neutral: NeutralPose | None) -> tuple[FaceParams, np.ndarray]:
        """Frames with zeros where there is no face, and their translations."""
        frames = [row.solved.frame for row in self._rows if row.solved is not None]
        if neutral is not None:
            frames = [neutral.apply(frame) for frame in frames]
        spread = {}
        for name in _PARTS:
            values = np.stack([getattr(frame, name) for frame in frames])
            spread[name] = np.zeros((len(self), values.shape[1]))
            spread[name][seen] = values
        translation, count = spread.pop("translation"), len(self)
        crops = {"crop_camera": np.zeros((count, 3)), "crop_transform": np.zeros((count, 3, 3))}
        return FaceParams(identity=np.zeros((count, 0)), **spread, **crops), translation


def live_take(
    options: CaptureOptions,
    head: HeadDescription,
    shot: Shot,
    number: int,
    time: np.ndarray,
    arrays: dict[str, np.ndarray],
    valid: np.ndarray,
    sure: np.ndarray,
    rate: float = 0.0,
    extra: dict[str, np.ndarray] | None = None,
) -> Take:
    """A take of live frames.

    Args:
        options: Of the live capture.
        head: Its head.
        shot: Identity and camera.
        number: The take's person.
        time: (T,) seconds.
        arrays: (T,...) by the names in `LiveFrame`.
        valid: (T,) whether the face was seen.
        sure: (T,) confidence.
        rate: Frames per second; 0 for a single one.
        extra: More arrays of the take.
    """
    width, height = shot.image_size
    return Take(
        meta=take_meta(options, head, number, rate=rate),
        time=time,
        valid=valid,
        confidence=sure,
        identity=shot.identity,
        **arrays,
        camera_matrix=camera_matrix(shot.focal.pixels, width, height),
        image_size=np.array([width, height], np.int32),
        crop_camera=np.zeros((len(time), 3)),  # pictures that are gone have no crops to go back to
        crop_transform=np.repeat(np.eye(3)[None], len(time), axis=0),
        extra=extra or {},
    )


def live_moment(
    options: CaptureOptions, head: HeadDescription, shot: Shot, time: float, frame: LiveFrame, seen: bool, sure: float
) -> Take:
    """A preview: one smoothed frame.

    Args:
        options: Of the live capture.
        head: Its head.
        shot: Identity and camera.
        time: Seconds.
        frame: What it shows.
        seen: Whether the face was seen; otherwise the frame was filled in.
        sure: Confidence.
    """
    arrays = {name: np.asarray(getattr(frame, name))[None] for name in _PARTS}
    return live_take(options, head, shot, 1, np.array([time]), arrays, np.array([seen]), np.array([sure]))
