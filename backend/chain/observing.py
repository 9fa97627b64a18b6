# SPDX-License-Identifier: GPL-3.0-or-later
"""The first walk through a clip: which faces are in each frame. What was seen is on disk at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from backend.faces.landmarker import FaceFinder
from backend.faces.tracking import Sighting, Tracker
from backend.media.ahead import ahead
from backend.media.clip import Clip, Frame
from backend.media.cuts import CutDetector
from backend.progress import Progress
from backend.store.observations import Observations
from blender_addon.contract.messages import FrameCount


@dataclass(frozen=True)
class Span:
    """Frames of a clip by index, both included."""

    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first + 1


Show = Callable[[float, list[Sighting]], None]
"""Told of the time and the sightings of frames as they are looked at."""


def observe(
    finder: FaceFinder,
    clip: Clip,
    span: Span,
    observations: Observations,
    progress: Progress,
    show: Show,
    seconds_after: float,
) -> None:
    """Look at the frames of a range that were not looked at yet.

    Args:
        finder: The face finder.
        clip: The clip.
        span: Its range.
        observations: What was seen so far, and where to note more.
        progress: Told of the frames; from 0 to 1 for this walk.
        show: Told of each frame.
        seconds_after: What one frame will take later, for the time that is left.

    Raises:
        MienError: CANCELLED, NO_SPACE, NOT_PERMITTED, or what decoding raises.
    """
    seen = observations.frames()
    begin = int(seen["index"][-1]) + 1 if len(seen) else span.first
    if begin > span.last:
        return
    last = observations.last()
    tracker = Tracker(finder, last, next_track(observations))
    pace = Pace(len(span), begin - span.first, seconds_after)
    with ahead(_with_cuts(clip, max(begin - 1, span.first), span.last)) as frames:
        for frame, cut in frames:
            if frame.index < begin:
                continue  # the frame before shows whether a new shot begins with the next one
            progress.check_cancelled()
            sightings = tracker.update(frame.index, frame.pixels, cut or frame.index == span.first)
            observations.append(frame.index, frame.time, cut, sightings)
            progress.frames(pace.count(frame.index - span.first + 1))
            progress("faces", (frame.index - span.first + 1) / len(span), "Following faces")
            show(frame.time, sightings)


def _with_cuts(clip: Clip, first: int, last: int) -> Iterator[tuple[Frame, bool]]:
    """Frames, and whether a new shot begins with them."""
    cuts = CutDetector()
    with closing(clip.frames(first, last)) as frames:
        for frame in frames:
            yield frame, cuts.is_cut(frame.pixels)


def next_track(observations: Observations) -> int:
    """The number of the next new track."""
    return max((int(batch["track"].max()) for batch in observations.batches()), default=-1) + 1


class Pace:
    """How fast frames go by, and how long the rest takes.

    Args:
        total: All frames.
        done: Frames that were done before.
        seconds_after: What one frame of all will take in later stages.
    """

    def __init__(self, total: int, done: int, seconds_after: float) -> None:
        self._total = total
        self._before = done
        self._after = seconds_after
        self._start = time.perf_counter()

    def count(self, done: int) -> FrameCount:
        """How far the clip is when `done` frames are."""
        each = (time.perf_counter() - self._start) / max(done - self._before, 1)
        left = each * (self._total - done) + self._after * self._total
        return FrameCount(done, self._total, round(left, 2), round(1 / max(each, 1e-9), 2))


def cut_frames(frames: np.ndarray) -> list[int]:
    """Indices of the frames with which a new shot begins."""
    return [int(index) for index in frames["index"][frames["cut"]]]
