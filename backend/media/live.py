# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures as they happen: from a camera, or from a clip that is played like one. Only the newest one counts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np

from backend.media.clip import frame_range, open_clip
from blender_addon.contract.errors import ErrorCode, MienError

CAMERA_SILENCE = 5.0
"""Seconds without a picture after which a camera counts as gone."""


@dataclass(frozen=True)
class LivePicture:
    """A picture and when it was taken.

    Attributes:
        pixels: (H,W,3) uint8 RGB.
        time: Seconds since the source was opened.
        taken: The same moment by `time.perf_counter`, to tell how late its result is.
    """

    pixels: np.ndarray
    time: float
    taken: float


Produce = Callable[[threading.Event], Iterator[tuple[np.ndarray, float]]]
"""Pictures with their times as they come; ends early when the event is set."""


class LiveSource:
    """A source that runs in a thread of its own; pictures that nobody took in time are dropped.

    Args:
        produce: Where pictures come from.
        rate: Nominal frames per second; 0 where that is not known.
        focal_px: Focal length in pixels that the source's file notes, or None.

    Attributes:
        rate: As given.
        focal_px: As given.
    """

    def __init__(self, produce: Produce, rate: float, focal_px: float | None = None) -> None:
        self.rate = rate
        self.focal_px = focal_px
        self._produce = produce
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._newest: LivePicture | None = None
        self._error: BaseException | None = None
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="live source", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(CAMERA_SILENCE)  # a driver that hangs must not hang the end

    def newest(self, timeout: float) -> LivePicture | None:
        """The newest picture that was not taken yet; None after `timeout` seconds without one.

        Raises:
            EOFError: The source has ended.
            MienError: Why it ended.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None or self._ended, timeout)
            picture, self._newest = self._newest, None
            if picture is None and self._ended:
                raise self._error or EOFError
            return picture

    def _run(self) -> None:
        try:
            with closing(self._produce(self._stop)) as pictures:
                for pixels, moment in pictures:
                    with self._changed:
                        self._newest = LivePicture(pixels, moment, time.perf_counter())
                        self._changed.notify()
        except BaseException as error:  # noqa: BLE001  # it is raised where pictures are taken
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify()


def open_camera(number: int) -> LiveSource:
    """The camera with this number on this machine.

    Raises:
        MienError: NO_CAMERA where there is none or it gives no picture.
    """
    device = cv2.VideoCapture(number)
    if not device.isOpened():
        device.release()
        message = f"There is no camera {number} on the backend's machine, or another program uses it."
        raise MienError(ErrorCode.NO_CAMERA, message, "Connect it, close other programs that use it, or take another.")

    def produce(stop: threading.Event) -> Iterator[tuple[np.ndarray, float]]:
        start = last = time.perf_counter()
        try:
            while not stop.is_set():
                good, picture = device.read()
                now = time.perf_counter()
                if good:
                    last = now
                    yield cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), now - start
                elif now - last > CAMERA_SILENCE:
                    message = f"Camera {number} gives no pictures any more."
                    raise MienError(ErrorCode.NO_CAMERA, message, "Check its cable and start the live capture again.")
                else:
                    time.sleep(0.01)
        finally:
            device.release()

    return LiveSource(produce, max(float(device.get(cv2.CAP_PROP_FPS)), 0.0))


def play_clip(path: Path, fps: float | None, first: int | None = None, last: int | None = None) -> LiveSource:
    """A clip that is played at its own speed, once, as if it were a camera.

    Raises:
        MienError: What opening the clip raises.
    """
    with open_clip(path, fps) as opened:
        rate, focal_px = opened.info.rate, opened.info.focal_px
        begin, end = frame_range(opened.info, first, last)

    def produce(stop: threading.Event) -> Iterator[tuple[np.ndarray, float]]:
        with open_clip(path, fps) as clip, closing(clip.frames(begin, end)) as frames:
            start, origin = time.perf_counter(), float(clip.info.times[begin])
            for frame in frames:
                moment = frame.time - origin
                if stop.wait(max(0.0, start + moment - time.perf_counter())):
                    return
                yield frame.pixels, moment

    return LiveSource(produce, rate, focal_px)
