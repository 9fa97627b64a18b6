# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures as they happen: from a camera, or from a clip that is played like one. Only the newest one counts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from backend.media.clip import frame_range, open_clip
from backend.media.cuts import CutDetector
from blender_addon.contract.errors import MienError

LEAVE_SECONDS = 5.0
"""How long the end waits for a source: a driver that hangs must not hang the capture."""


@dataclass(frozen=True)
class LivePicture:
    """A picture and when it was taken.

    Attributes:
        pixels: (H,W,3) uint8 RGB.
        time: Seconds since the first picture.
        taken: The same moment by `time.perf_counter`, to tell how late its result is.
        cut: Whether a new shot has begun since the picture that was taken before; true for the first one.
    """

    pixels: np.ndarray
    time: float
    taken: float
    cut: bool


Produce = Callable[[threading.Event], Generator[tuple[np.ndarray, float, float], None, None]]
"""Pixels, time and moment (see `LivePicture`) as they come; ends early when the event is set."""


@dataclass(frozen=True)
class Watch:
    """When a source that is silent counts as gone, also where its driver never comes back.

    Attributes:
        opening: Seconds until the first picture.
        silence: Seconds from one picture to the next.
        error: What to raise; told whether there was a picture before.
    """

    opening: float
    silence: float
    error: Callable[[bool], MienError]


class LiveSource:
    """A source that runs in a thread of its own; pictures that nobody took in time are dropped.

    Args:
        produce: Where pictures come from.
        focal_px: Focal length in pixels that the source's file notes, or None.
        watch: When it counts as gone; None for one that may be silent.

    Attributes:
        focal_px: As given.
    """

    def __init__(self, produce: Produce, focal_px: float | None = None, watch: Watch | None = None) -> None:
        self.focal_px = focal_px
        self._produce = produce
        self._watch = watch
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._newest: LivePicture | None = None
        self._error: BaseException | None = None
        self._begun = self._ended = False
        self._heard = 0.0
        self._thread = threading.Thread(target=self._run, name="live source", daemon=True)

    def __enter__(self) -> Self:
        self._heard = time.perf_counter()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(LEAVE_SECONDS)

    def newest(self, timeout: float) -> LivePicture | None:
        """The newest picture that was not taken yet; None after `timeout` seconds without one.

        Raises:
            EOFError: The source has ended.
            MienError: Why it ended, or that it is silent for too long.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None or self._ended, timeout)
            picture, self._newest = self._newest, None
            if picture is None and self._ended:
                raise self._error or EOFError
            silent = time.perf_counter() - self._heard
        watch = self._watch
        if picture is None and watch and silent > (watch.silence if self._begun else watch.opening):
            raise watch.error(self._begun)
        return picture

    def _run(self) -> None:
        cuts = CutDetector()
        try:
            with closing(self._produce(self._stop)) as pictures:
                for pixels, moment, taken in pictures:
                    cut = cuts.is_cut(pixels) or not self._begun
                    with self._changed:
                        missed = self._newest is not None and self._newest.cut
                        self._newest = LivePicture(pixels, moment, taken, cut or missed)
                        self._begun, self._heard = True, time.perf_counter()
                        self._changed.notify()
        except BaseException as error:  # noqa: BLE001  # it is raised where pictures are taken
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify()


def play_clip(path: Path, fps: float | None, first: int | None = None, last: int | None = None) -> LiveSource:
    """A clip that is played at its own speed, once, as if it were a camera.

    Args:
        path: The clip.
        fps: Frames per second of numbered images.
        first: The clip's own number of the first frame to play.
        last: That of the last one.

    Raises:
        MienError: What opening the clip raises; USAGE for a range outside of it.
    """
    with open_clip(path, fps) as opened:
        focal_px = opened.info.focal_px
        begin, end = frame_range(opened.info, first, last)

    def produce(stop: threading.Event) -> Generator[tuple[np.ndarray, float, float], None, None]:
        with open_clip(path, fps) as clip, closing(clip.frames(begin, end)) as frames:
            start = origin = None
            for frame in frames:
                if start is None:
                    start, origin = time.perf_counter(), frame.time
                moment = frame.time - origin
                if stop.wait(max(0.0, start + moment - time.perf_counter())):
                    return
                yield frame.pixels, moment, time.perf_counter()

    return LiveSource(produce, focal_px)
