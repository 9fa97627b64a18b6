# SPDX-License-Identifier: GPL-3.0-or-later
"""Webcams, through OpenCV: the right interface of each system, the newest picture, and what is wrong in words."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import cv2
import numpy as np

from backend.media.live import LiveSource, Watch
from blender_addon.contract.errors import ErrorCode, MienError

OPENING_SECONDS = 25.0
"""Until the first picture. Drivers try many formats, and systems may ask for permission meanwhile."""
FIRST_PICTURE_SECONDS = 4.0
"""Until the first picture of a camera that is open; cameras that wake up take up to three."""
SILENCE_SECONDS = 5.0
"""Without a picture after which a camera counts as gone."""
_PAUSE = 0.01

_INTERFACES: dict[str, tuple[int, ...]] = {
    "linux": (cv2.CAP_V4L2,),
    "win32": (cv2.CAP_DSHOW, cv2.CAP_MSMF),  # the former opens at once and knows virtual cameras
    "darwin": (cv2.CAP_AVFOUNDATION,),
}
_WISHES = (
    (cv2.CAP_PROP_FOURCC, cv2.VideoWriter_fourcc(*"MJPG")),  # uncompressed 720p gets 10 pictures a second through USB 2
    (cv2.CAP_PROP_FRAME_WIDTH, 1280),
    (cv2.CAP_PROP_FRAME_HEIGHT, 720),
    (cv2.CAP_PROP_FPS, 30),
    (cv2.CAP_PROP_BUFFERSIZE, 1),  # no old pictures
)
"""What is asked of a camera; what it cannot do it leaves as it is."""


def open_camera(number: int) -> LiveSource:
    """The camera with this number on this machine, from 0. It is opened when pictures are first asked for.

    Taking pictures raises NO_CAMERA where there is no such camera, where another program uses it and where it gives no
    pictures any more; NOT_PERMITTED where the system forbids its use.
    """

    def produce(stop: threading.Event) -> Generator[tuple[np.ndarray, float, float], None, None]:
        device = _opened(number, stop)
        if device is None:
            return
        start = last = time.perf_counter()
        try:
            while not stop.is_set():
                picture, now = _read(device)
                if picture is not None:
                    last = now
                    yield picture, now - start, now
                elif now - last > SILENCE_SECONDS:
                    raise _gone(number)
                else:
                    stop.wait(_PAUSE)
        finally:
            device.release()

    def silent(begun: bool) -> MienError:
        return _gone(number) if begun else _unusable(number, opened=True)

    return LiveSource(produce, watch=Watch(OPENING_SECONDS, SILENCE_SECONDS, silent))


def _opened(number: int, stop: threading.Event) -> cv2.VideoCapture | None:
    """The camera, once it gives pictures; None when told to stop meanwhile.

    Raises:
        MienError: NO_CAMERA, NOT_PERMITTED.
    """
    opened = False
    with _quiet():
        for interface in _INTERFACES.get(sys.platform, (cv2.CAP_ANY,)):
            device = cv2.VideoCapture(number, interface)
            if device.isOpened():
                opened = True
                for wish, value in _WISHES:
                    device.set(wish, value)
                if _gives_pictures(device, stop):
                    return device
            device.release()
            if stop.is_set():
                return None
    raise _unusable(number, opened)


def _gives_pictures(device: cv2.VideoCapture, stop: threading.Event) -> bool:
    end = time.perf_counter() + FIRST_PICTURE_SECONDS
    while time.perf_counter() < end and not stop.is_set():
        if _read(device)[0] is not None:
            return True
        stop.wait(_PAUSE)
    return False


def _read(device: cv2.VideoCapture) -> tuple[np.ndarray | None, float]:
    """The next picture, (H,W,3) RGB, None where there is none; and when it was there."""
    try:
        grabbed = device.grab()
        now = time.perf_counter()
        good, picture = device.retrieve() if grabbed else (False, None)
        if not good or picture is None or not picture.size or picture.dtype != np.uint8:
            return None, now
        grey = picture.ndim == 2 or picture.shape[2] == 1
        return cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB if grey else cv2.COLOR_BGR2RGB), now
    except cv2.error:  # a damaged picture; the next one may be whole
        return None, time.perf_counter()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep OpenCV from writing warnings about cameras that are not there: the error says it better."""
    logging = cv2.utils.logging
    before = logging.getLogLevel()
    logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(before)


def _gone(number: int) -> MienError:
    message = f"Camera {number} gives no pictures any more."
    return MienError(ErrorCode.NO_CAMERA, message, "Check its cable and start the live capture again.")


def _unusable(number: int, opened: bool) -> MienError:
    """Why a camera could not be opened, or gives no pictures although it could be."""
    allow = {
        "darwin": " Allow Blender (or the terminal) to use it in System Settings > Privacy & Security > Camera.",
        "win32": " Let desktop apps use the camera in Settings > Privacy & security > Camera.",
    }.get(sys.platform, "")
    close = f"Close other programs that use it, or choose another camera.{allow}"
    if opened:
        message = f"Camera {number} gives no pictures; another program may be using it."
        return MienError(ErrorCode.NO_CAMERA, message, close)
    if sys.platform == "linux":
        device = f"/dev/video{number}"
        if not os.path.exists(device):
            message = f"There is no camera {number} on the backend's machine."
            return MienError(ErrorCode.NO_CAMERA, message, "Connect it, or choose another; the first one is 0.")
        if not os.access(device, os.R_OK | os.W_OK):
            message = f"This account may not use camera {number} ({device})."
            remedy = "Add your account to the group 'video', log in again, and start the live capture anew."
            return MienError(ErrorCode.NOT_PERMITTED, message, remedy)
        return MienError(ErrorCode.NO_CAMERA, f"Camera {number} cannot be opened; another program may use it.", close)
    message = f"There is no camera {number} on the backend's machine, or another program uses it."
    return MienError(ErrorCode.NO_CAMERA, message, f"Connect it. {close}")
