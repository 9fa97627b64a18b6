# SPDX-License-Identifier: GPL-3.0-or-later
"""Live sources: clips played like cameras, and cameras that are made up, with all that can be wrong with them."""

from __future__ import annotations

import sys
import threading
import time

import cv2
import numpy as np
import pytest

from backend.media import camera
from backend.media.camera import open_camera
from backend.media.live import LivePicture, LiveSource, Watch, play_clip
from blender_addon.contract.errors import ErrorCode, MienError
from tests.footage import RATE, SIZE, empty, panned, write


def pictures(source: LiveSource, most: int = 1000) -> list[LivePicture]:
    """What comes until the source ends."""
    seen = []
    while len(seen) < most:
        try:
            picture = source.newest(0.2)
        except EOFError:
            return seen
        if picture is not None:
            seen.append(picture)
    return seen


def sources() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "live source"]


@pytest.fixture
def clip(tmp_path, astronaut):
    """A face for 10 frames, then a cut to noise."""
    frames = [*panned(astronaut, 10, (60.0, 0.0), (1.0, 0.0)), *(255 - picture for picture in empty(10))]
    return write(tmp_path / "plays.mp4", frames)


def test_a_clip_plays_at_its_own_speed(clip):
    start = time.perf_counter()
    with play_clip(clip, None) as source:
        seen = pictures(source)
    assert time.perf_counter() - start >= 19 / RATE
    assert seen[0].time == 0 and seen[0].cut and seen[-1].time == pytest.approx(19 / RATE)
    assert all(picture.pixels.shape == (SIZE[1], SIZE[0], 3) for picture in seen)
    assert all(picture.taken - seen[0].taken >= picture.time - 0.02 for picture in seen)
    assert not sources()


def test_pictures_that_nobody_took_are_dropped_but_not_their_cut(clip):
    with play_clip(clip, None, 5, 15) as source:
        first = source.newest(5.0)
        while source._thread.is_alive():
            time.sleep(0.01)
        last = source.newest(0.1)
        with pytest.raises(EOFError):
            source.newest(0.1)
    assert first.time == 0
    assert last.time == pytest.approx(10 / RATE) and last.cut


def test_it_ends_in_the_middle(clip):
    with play_clip(clip, None) as source:
        assert source.newest(5.0) is not None
    assert not sources()


def test_a_range_outside_of_the_clip(clip):
    with pytest.raises(MienError) as caught:
        play_clip(clip, None, 5, 99)
    assert caught.value.code is ErrorCode.USAGE


def test_a_failure_reaches_whoever_takes_pictures():
    def broken(stop):
        yield np.zeros((4, 4, 3), np.uint8), 0.0, time.perf_counter()
        raise MienError(ErrorCode.BAD_CLIP, "It is damaged.", "Use another.")

    with LiveSource(broken) as source:
        while source._thread.is_alive():
            time.sleep(0.005)
        assert source.newest(1.0) is not None  # what came before is not lost
        with pytest.raises(MienError) as caught:
            source.newest(1.0)
    assert caught.value.code is ErrorCode.BAD_CLIP


@pytest.mark.parametrize("before", [False, True])
def test_a_driver_that_hangs_counts_as_gone(before):
    def hanging(stop):
        if before:
            yield np.zeros((4, 4, 3), np.uint8), 0.0, time.perf_counter()
        stop.wait()

    def error(begun):
        return MienError(ErrorCode.NO_CAMERA, f"begun: {begun}", "Wait.")

    watch = Watch(opening=1000.0 if before else 0.1, silence=0.1 if before else 1000.0, error=error)
    with LiveSource(hanging, watch=watch) as source:
        assert not before or source.newest(5.0) is not None
        with pytest.raises(MienError) as caught:
            while True:
                source.newest(0.05)
    assert caught.value.message == f"begun: {before}"


class FakeCamera:
    """What OpenCV gives for a camera. `script` says what each grab does: a picture, None, or an exception; the last
    entry is repeated.
    """

    opened: list[FakeCamera] = []

    def __init__(self, script, interface=None, opens=True):
        self.script, self.interface, self.opens = list(script), interface, opens
        self.settings, self.released, self._now = {}, False, None
        FakeCamera.opened.append(self)

    def isOpened(self):  # noqa: N802  # OpenCV's name
        return self.opens

    def set(self, prop, value):
        self.settings[prop] = value
        return False

    def grab(self):
        assert not self.released
        self._now = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        time.sleep(0.002)
        return self._now is not None

    def retrieve(self):
        if isinstance(self._now, BaseException):
            raise self._now
        return True, self._now

    def release(self):
        self.released = True


BLUE = np.zeros((6, 8, 3), np.uint8)
BLUE[..., 0] = 200


@pytest.fixture
def plugged(monkeypatch):
    """Plug in a made-up camera: a function of the interface by which it is opened."""
    FakeCamera.opened = []
    monkeypatch.setattr(camera, "FIRST_PICTURE_SECONDS", 0.1)
    monkeypatch.setattr(camera, "SILENCE_SECONDS", 0.1)

    def plug(make):
        monkeypatch.setattr(cv2, "VideoCapture", lambda number, interface: make(interface))

    return plug


def first_error(source: LiveSource) -> MienError:
    with source, pytest.raises(MienError) as caught:
        while True:
            source.newest(0.2)
    return caught.value


def test_a_camera(plugged):
    plugged(lambda interface: FakeCamera([None, None, BLUE], interface))
    with open_camera(0) as source:
        seen = pictures(source, most=3)
    assert np.array_equal(seen[0].pixels[0, 0], [0, 0, 200]), "red, green, blue"
    assert seen[0].time < seen[1].time < seen[2].time
    (device,) = FakeCamera.opened
    assert device.released
    wanted = {cv2.CAP_PROP_FRAME_WIDTH: 1280, cv2.CAP_PROP_FRAME_HEIGHT: 720, cv2.CAP_PROP_BUFFERSIZE: 1}
    assert wanted.items() <= device.settings.items()
    assert not sources()


def test_grey_and_damaged_pictures(plugged):
    damaged = cv2.error("no JPEG")
    plugged(lambda interface: FakeCamera([BLUE, damaged, np.zeros((0, 0, 3), np.uint8), BLUE[..., 0]], interface))
    with open_camera(0) as source:
        (seen,) = pictures(source, most=1)
    assert seen.pixels.shape == (6, 8, 3) and (seen.pixels == 200).all()


def test_a_camera_that_is_unplugged(plugged):
    plugged(lambda interface: FakeCamera([BLUE] * 5 + [None], interface))
    error = first_error(open_camera(3))
    assert error.code is ErrorCode.NO_CAMERA
    assert error.message == "Camera 3 gives no pictures any more."
    assert FakeCamera.opened[0].released


def test_a_camera_that_another_program_uses(plugged):
    plugged(lambda interface: FakeCamera([None], interface))
    error = first_error(open_camera(0))
    assert error.code is ErrorCode.NO_CAMERA and "another program" in error.message
    assert all(device.released for device in FakeCamera.opened)


def test_the_second_interface_may_do(plugged, monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    plugged(lambda interface: FakeCamera([BLUE], interface, opens=interface == cv2.CAP_MSMF))
    with open_camera(0) as source:
        assert source.newest(5.0) is not None
    assert [device.interface for device in FakeCamera.opened] == [cv2.CAP_DSHOW, cv2.CAP_MSMF]


@pytest.mark.parametrize(
    ("platform", "exists", "allowed", "code", "said"),
    [
        ("linux", False, False, ErrorCode.NO_CAMERA, "There is no camera 2"),
        ("linux", True, False, ErrorCode.NOT_PERMITTED, "group 'video'"),
        ("linux", True, True, ErrorCode.NO_CAMERA, "another program"),
        ("darwin", False, False, ErrorCode.NO_CAMERA, "System Settings > Privacy & Security > Camera"),
        ("win32", False, False, ErrorCode.NO_CAMERA, "Settings > Privacy & security > Camera"),
    ],
)
def test_why_a_camera_cannot_be_used(plugged, monkeypatch, platform, exists, allowed, code, said):
    plugged(lambda interface: FakeCamera([None], interface, opens=False))
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(camera.os.path, "exists", lambda path: exists)
    monkeypatch.setattr(camera.os, "access", lambda path, mode: allowed)
    error = first_error(open_camera(2))
    assert error.code is code
    assert said in str(error)


def test_opencv_says_nothing_about_a_camera_that_is_not_there(capfd):
    error = first_error(open_camera(99))
    assert error.code is ErrorCode.NO_CAMERA
    assert capfd.readouterr().err == ""
