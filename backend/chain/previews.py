# SPDX-License-Identifier: GPL-3.0-or-later
"""The newest frame on a head while the clip is still being looked at, as well as can be told by then."""

from __future__ import annotations

import time
from collections import defaultdict

import numpy as np

from backend.engines.fit.fit import LandmarkFit
from backend.faces.tracking import Sighting
from backend.media.clip import ClipInfo
from backend.progress import Progress
from backend.solve.camera import Focal
from backend.solve.frames import solve_frames
from backend.solve.shot import Shot
from blender_addon.contract.options import CaptureOptions

from .moment import moment, shot_of_one
from .result import confidence

INTERVAL = 0.12
"""Seconds between previews: often enough to look alive, seldom enough to cost little."""


class Previews:
    """Shows the most prominent person so far; the shape of the head is that of the first good frame.

    Args:
        options: What was asked for.
        engine: The engine.
        info: The clip.
        focal: Its focal length as far as it is known.
        progress: Where previews go.
    """

    def __init__(
        self, options: CaptureOptions, engine: LandmarkFit, info: ClipInfo, focal: Focal, progress: Progress
    ) -> None:
        self._options = options
        self._engine = engine
        self._info = info
        self._focal = focal
        self._progress = progress
        self._weights: dict[int, float] = defaultdict(float)
        self._shots: dict[int, Shot] = {}
        self._due = 0.0

    def show(self, seconds: float, sightings: list[Sighting]) -> None:
        """Show a frame, if somebody looks and the last one was shown long enough ago."""
        for item in sightings:
            low, high = np.split(item.face.box, 2)
            self._weights[item.track] += float(np.prod(high - low)) * item.face.presence
        now = time.monotonic()
        if now < self._due or not sightings or not self._progress.wants_preview():
            return
        self._due = now + INTERVAL
        chosen = max(sightings, key=lambda item: self._weights[item.track])
        face = chosen.face
        landmarks, scores = face.landmarks[None].astype(np.float64), face.blendshapes[None]
        size = (self._info.width, self._info.height)
        if chosen.track not in self._shots:
            self._shots[chosen.track] = shot_of_one(self._engine, landmarks, scores, size, self._focal)
        shot = self._shots[chosen.track]
        solution = solve_frames(self._engine, shot, landmarks, scores)
        sure = float(confidence(face.presence, solution.landmark_error)[0])
        self._progress.preview([moment(self._options, self._engine.head, shot, solution, seconds, sure)])
