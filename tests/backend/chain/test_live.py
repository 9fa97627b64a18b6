# SPDX-License-Identifier: GPL-3.0-or-later
"""Live captures through the whole chain: real faces in small footage, every frame of it in most tests."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, count

import cv2
import numpy as np
import pytest

from backend.chain import live
from backend.chain.live import capture_live
from backend.media.live import LivePicture
from backend.progress import NoProgress, cancelled
from backend.session import Session
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.messages import LiveAction
from blender_addon.contract.options import CaptureOptions
from tests.footage import RATE, SIZE, empty, panned, write

FACE = (60.0, 0.0)
"""Where a window over the astronaut's face begins."""
PATIENCE = 60.0
OVER = EOFError()
Plan = Iterator[list[LiveAction]]


@pytest.fixture(scope="module")
def session(model) -> Iterator[Session]:
    session = Session("cpu", threads=1)
    yield session
    session.close()


class Director(NoProgress):
    """Looks, and asks what its plan says: a generator of what to ask for at each look."""

    def __init__(self, plan: Callable[[Director], Plan] | None = None, slow: float = 0.0) -> None:
        self.previews, self.kept, self.phrases, self.counts = [], [], [], []
        self.cancelled = False
        self._plan = plan(self) if plan else iter(())
        self._slow = slow
        self._end = time.monotonic() + PATIENCE

    def __call__(self, stage, done, message=""):
        self.phrases.append(message)

    def check_cancelled(self):
        if self.cancelled:
            raise cancelled()

    def frames(self, count):
        self.counts.append(count)

    def wants_preview(self):
        return True

    def preview(self, takes):
        self.previews.append(takes[0])
        time.sleep(self._slow)

    def keep(self, take):
        self.kept.append(take)

    def actions(self):
        return next(self._plan, [])

    @property
    def looked_at(self) -> int:
        return self.counts[-1].done if self.counts else 0

    def until(self, wanted: Callable[[], bool]) -> Plan:
        """Ask nothing until something is so."""
        while not wanted():
            assert time.monotonic() < self._end, f"waited in vain; said: {self.phrases[-1:]}"
            yield []

    def after(self, frames: int) -> Plan:
        """Ask nothing for some frames."""
        until = self.looked_at + frames
        yield from self.until(lambda: self.looked_at >= until)

    def said(self, phrase: str) -> bool:
        return any(phrase in said for said in self.phrases)


class Stage:
    """A source that hands out every frame, however long each takes; silent after the last one, or ended, or failing."""

    def __init__(
        self, frames: Iterable[np.ndarray], times: Iterable[float], cuts: set[int], end: BaseException | None
    ) -> None:
        self.focal_px = None
        self._pictures = enumerate(zip(frames, times, strict=False))
        self._cuts = cuts
        self._end = end

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def newest(self, timeout):
        picture = next(self._pictures, None)
        if picture is not None:
            number, (pixels, moment) = picture
            return LivePicture(pixels, moment, time.perf_counter(), number in self._cuts)
        if self._end is not None:
            raise self._end
        time.sleep(0.001)
        return None


@pytest.fixture
def perform(session, monkeypatch):
    """Capture frames one by one."""

    def performed(frames, director, end=OVER, times=None, cuts=frozenset(), **more):
        moments = times if times is not None else (number / RATE for number in count())
        stage = Stage(frames, moments, {0, *cuts}, end)
        monkeypatch.setattr(live, "open_camera", lambda number: stage)
        options = CaptureOptions("camera:0", device="cpu", live=True, **more)
        return capture_live(session, options, director)

    return performed


def face(astronaut, frames: int, step=(0.5, 0.2)) -> list[np.ndarray]:
    return list(panned(astronaut, frames, FACE, step))


def swaying(astronaut) -> Iterator[np.ndarray]:
    """A face for ever."""
    there = face(astronaut, 20)
    while True:
        yield from there
        yield from there[::-1]


def recording(director: Director) -> Plan:
    yield [LiveAction.RECORD]


def test_a_clip_is_followed_in_real_time(session, astronaut, tmp_path):
    path = write(tmp_path / "plays é.mp4", panned(astronaut, 60, FACE, step=(0.5, 0.2)))
    director = Director(recording, slow=0.1)
    result = capture_live(session, CaptureOptions(str(path), device="cpu", live=True), director)
    assert 2 <= director.looked_at < 60, "frames that come too late are left out"
    times = [preview.time[0] for preview in director.previews]
    assert times == sorted(times)
    (take,) = result.takes
    assert len(take) < 60 and take.time[-1] > 1.0
    assert set(result.report["live"]["latency_ms"]) == {"median", "p95"}
    assert result.report["camera"]["origin"] == "assumed"
    assert not {"live source", "identity_0"} & {thread.name for thread in threading.enumerate()}


def test_a_recording_has_every_frame_and_one_head(perform, astronaut):
    def plan(director):
        yield from director.after(3)
        yield [LiveAction.RECORD]
        heads = director.previews
        yield from director.until(lambda: not np.array_equal(heads[0].identity, heads[-1].identity))
        yield from director.after(3)
        yield [LiveAction.END]

    director = Director(plan)
    result = perform(swaying(astronaut), director, smoothing=0.7)
    (take,) = result.takes
    assert director.kept == [take]
    assert take.meta.person == 1 and take.meta.smoothing == 0.7
    assert len(take) == director.looked_at - 3 and take.valid.all() and take.time[0] == 0
    assert take.meta.rate == pytest.approx(RATE)
    assert np.allclose(np.diff(take.time), 1 / RATE)
    assert take.extra["frame"].tolist() == list(range(1, len(take) + 1))
    assert {f"raw_{name}" for name in ("expression", "head_rotation", "translation", "eyes", "jaw")} <= set(take.extra)
    assert not np.array_equal(take.extra["raw_head_rotation"], take.head_rotation)
    # Learnt while it was recorded: the frames before are those of the new head too.
    assert np.array_equal(take.identity, director.previews[-1].identity)
    assert not np.array_equal(take.identity, director.previews[0].identity)
    depth = take.extra["raw_translation"][:, 2]
    assert np.abs(np.diff(depth)).max() < 0.01 * depth.mean()
    assert result.report["live"]["recordings"] == 1
    assert result.report["faces"][0]["landmark_error"] < 0.02


def test_the_resting_face_becomes_neutral(perform, astronaut):
    def plan(director):
        yield from director.after(5)
        yield [LiveAction.NEUTRAL]
        yield from director.until(lambda: director.said("Hold a neutral face"))
        yield from director.until(lambda: "Hold a neutral" not in director.phrases[-1])
        yield [LiveAction.RECORD]
        yield from director.after(20)
        yield [LiveAction.STOP_RECORDING]
        yield [LiveAction.FORGET_NEUTRAL]
        yield from director.after(15)
        yield [LiveAction.END]

    director = Director(plan)
    (take,) = perform(swaying(astronaut), director).takes
    smile = take.meta.channels.index("mouthSmileLeft")
    before = director.previews[3].expression[0, smile]
    assert before > 0.3, "she smiles"
    raw, smooth = take.extra["raw_expression"][:, smile], take.expression[:, smile]
    assert raw.mean() < 0.15 and smooth.mean() < 0.15
    assert director.previews[-1].expression[0, smile] > 0.3


def test_without_a_face_there_is_no_neutral_one_and_that_is_said(perform):
    def plan(director):
        yield [LiveAction.NEUTRAL]
        yield from director.until(lambda: director.said("No face was seen: look into the camera"))
        yield [LiveAction.END]

    director = Director(plan)
    result = perform(empty(3), director, end=None)
    assert result.takes == () and director.previews == []
    assert director.said("Hold a neutral face")


def test_frames_without_the_face_are_filled(perform, astronaut):
    there = face(astronaut, 40)
    result = perform(chain(there[:12], empty(10), there[22:]), Director(recording))
    (take,) = result.takes
    assert len(take) == 40
    assert take.valid[:11].all() and not take.valid[13:21].any() and take.valid[26:].all()
    assert np.isfinite(take.translation).all()
    gaps = result.report["faces"][0]["gaps"]
    filled = {frame for gap in gaps for frame in range(gap["first"], gap["last"] + 1)}
    assert filled == set((np.flatnonzero(~take.valid) + 1).tolist())


def test_a_recording_begins_with_the_first_face(perform, astronaut):
    director = Director(recording)
    (take,) = perform(chain(empty(6), face(astronaut, 60)), director).takes
    assert director.said("Recording begins with the first face")
    assert take.valid[0] and 20 <= len(take) <= 60


def test_recordings_one_after_the_other(perform, astronaut):
    def plan(director):
        yield from director.after(1)
        yield [LiveAction.RECORD]
        yield from director.after(5)
        yield [LiveAction.RECORD]  # changes nothing
        yield from director.after(5)
        yield [LiveAction.STOP_RECORDING, LiveAction.STOP_RECORDING]
        yield from director.after(5)
        yield [LiveAction.RECORD, LiveAction.STOP_RECORDING]  # nothing
        yield [LiveAction.RECORD]
        yield from director.after(8)
        yield [LiveAction.END]

    director = Director(plan)
    result = perform(swaying(astronaut), director)
    assert [take.meta.person for take in result.takes] == [1, 2]
    assert [len(take) for take in result.takes] == [12, 9]
    assert director.kept == list(result.takes)


def test_a_recording_without_a_face_is_none(perform):
    def plan(director):
        yield [LiveAction.RECORD]
        yield from director.after(3)
        yield [LiveAction.STOP_RECORDING]
        yield from director.until(lambda: director.said("Nothing was recorded"))
        yield [LiveAction.END]

    director = Director(plan)
    assert perform(empty(5), director, end=None).takes == ()


def test_a_recording_of_one_frame_is_none(perform, astronaut):
    director = Director(recording)
    assert perform(face(astronaut, 1), director).takes == ()
    assert director.kept == []


def test_what_was_recorded_survives_cancelling(perform, astronaut):
    def plan(director):
        yield [LiveAction.RECORD]
        yield from director.after(10)
        director.cancelled = True

    director = Director(plan)
    with pytest.raises(MienError) as caught:
        perform(swaying(astronaut), director)
    assert caught.value.code is ErrorCode.CANCELLED
    assert [len(take) for take in director.kept] == [11]


@pytest.mark.parametrize("recorded", [False, True])
def test_a_camera_that_is_unplugged(perform, astronaut, recorded):
    gone = MienError(ErrorCode.NO_CAMERA, "Camera 0 gives no pictures any more.", "Check its cable.")
    director = Director(recording if recorded else None)
    if recorded:
        result = perform(face(astronaut, 8), director, end=gone)
        assert [len(take) for take in result.takes] == [8]
        assert "gives no pictures any more" in result.report["live"]["problem"]
    else:
        with pytest.raises(MienError) as caught:
            perform(face(astronaut, 8), director, end=gone)
        assert caught.value is gone


def test_it_ends_while_the_camera_gives_nothing(perform):
    def plan(director):
        yield from director.until(lambda: director.said("Waiting for the first picture"))
        yield [LiveAction.END]

    result = perform([], Director(plan), end=None)
    assert result.takes == () and result.report["live"]["frames"] == 0


def test_somebody_else_is_learnt_anew(perform, astronaut, group):
    other = list(panned(group[200:560, 330:810], 20, (60.0, 20.0), step=(1.0, 0.0)))

    def plan(director):
        yield [LiveAction.RECORD]
        yield from director.until(lambda: len(director.kept) == 1)
        yield from director.after(8)
        yield [LiveAction.END]

    director = Director(plan)
    result = perform(chain(face(astronaut, 20), other), director, cuts={20})
    first, second = result.takes
    assert len(first) == 20 and first.valid.all()
    assert second.valid.all()
    assert not np.array_equal(first.identity, second.identity)
    # The filter does not glide from one to the other.
    seen = director.previews[20]
    assert np.allclose(seen.translation[0], second.extra["raw_translation"][0], rtol=0.05, atol=0.02)


def test_a_cut_to_the_same_person_is_not_smoothed_across(perform, astronaut):
    frames = [*face(astronaut, 15), *panned(astronaut, 15, (110.0, 20.0), (0.5, 0.2))]
    (take,) = perform(frames, Director(recording), cuts={15}).takes
    assert take.extra["segment"].tolist() == [0] * 15 + [1] * 15


def test_another_size_of_pictures_begins_a_new_take(perform, astronaut):
    small = face(astronaut, 12)
    large = [cv2.resize(picture, (SIZE[0] * 2, SIZE[1] * 2)) for picture in small]
    result = perform(chain(small, large), Director(recording))
    sizes = [tuple(take.image_size) for take in result.takes]
    assert sizes == [SIZE, (SIZE[0] * 2, SIZE[1] * 2)]
    assert [len(take) for take in result.takes] == [12, 12]
    depths = [take.translation[:, 2].mean() for take in result.takes]
    assert depths[0] == pytest.approx(depths[1], rel=0.05)


def test_times_that_do_not_rise(perform, astronaut):
    times = [0.0, 0.04, 0.04, 0.02, 0.08, 0.12]
    (take,) = perform(face(astronaut, 6), Director(recording), times=times).takes
    assert np.allclose(take.time, [0.0, 0.04, 0.08, 0.12])


@pytest.mark.parametrize("more", [{"all_faces": True}, {"references": ("still.png",)}])
def test_options_that_only_clips_have(session, more):
    with pytest.raises(MienError) as caught:
        capture_live(session, CaptureOptions("camera:0", device="cpu", live=True, **more), Director())
    assert caught.value.code is ErrorCode.USAGE


def test_a_file_that_is_not_there(session, tmp_path):
    with pytest.raises(MienError) as caught:
        capture_live(session, CaptureOptions(str(tmp_path / "no.mp4"), device="cpu", live=True), Director())
    assert caught.value.code is ErrorCode.MISSING_FILE
