# SPDX-License-Identifier: GPL-3.0-or-later
"""Clips through the whole chain: real faces in small footage, with nothing stood in for."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backend.chain import observing, solving
from backend.pipeline import capture
from backend.progress import NoProgress, cancelled
from backend.session import Session
from backend.store.clip_folder import clips_dir
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.options import CaptureOptions
from tests.fake_takes import same_arrays
from tests.footage import RATE, empty, panned, write

FACE = (60.0, 0.0)
"""Where a window over the astronaut's face begins."""


@pytest.fixture(scope="module")
def session(model) -> Session:
    session = Session("cpu", threads=1)
    yield session
    session.close()


@pytest.fixture
def home(mien_home, model) -> Path:
    """A data folder of the test's own that has the landmark model."""
    models = mien_home / "models"
    models.mkdir(parents=True)
    (models / model.name).write_bytes(model.read_bytes())
    return mien_home


@pytest.fixture(scope="module")
def someone(tmp_path_factory, astronaut) -> Path:
    """One face for 30 frames."""
    path = tmp_path_factory.mktemp("clips") / "some one é.mp4"
    return write(path, panned(astronaut, 30, FACE, step=(1.0, 0.3)))


class Watcher(NoProgress):
    """Remembers everything it is told; stops the work after some frames of a stage."""

    def __init__(self, stop_after: int | None = None, stage: str = "faces", looks: bool = False) -> None:
        self.counts, self.previews, self.kept, self.stages = [], [], [], []
        self._stop_after, self._stage, self._looks = stop_after, stage, looks

    def __call__(self, stage, done, message=""):
        self.stages.append((stage, done))
        if stage == self._stage and self._stop_after is not None:
            self._stop_after -= 1

    def check_cancelled(self):
        if self._stop_after is not None and self._stop_after <= 0:
            raise cancelled()

    def frames(self, count):
        self.counts.append(count)

    def wants_preview(self):
        return self._looks

    def preview(self, takes):
        self.previews.append(takes)

    def keep(self, take):
        self.kept.append(take)


def options(path: Path, **more) -> CaptureOptions:
    return CaptureOptions(str(path), device="cpu", **more)


def test_every_frame_is_in_the_take(session, home, someone):
    watcher = Watcher()
    result = capture(session, options(someone), watcher)
    (take,) = result.takes
    assert len(take) == 30 and take.valid.all()
    assert take.extra["frame"].tolist() == list(range(1, 31))
    assert np.allclose(np.diff(take.time), 1 / RATE)
    assert take.meta.rate == RATE
    assert take.extra["segment"].tolist() == [0] * 30
    assert {f"raw_{name}" for name in ("expression", "head_rotation", "translation", "eyes")} <= set(take.extra)
    assert watcher.kept == [take]
    assert [count.done for count in watcher.counts] == list(range(1, 31))
    assert watcher.counts[-1].total == 30
    assert [done for _, done in watcher.stages] == sorted(done for _, done in watcher.stages)
    face = result.report["faces"][0]
    assert face["landmark_error"] < 0.02 and face["gaps"] == []
    assert result.report["clip"]["cuts"] == []
    assert result.contact_sheet is None


def test_the_head_moves_as_the_picture_does(session, home, someone):
    (take,) = capture(session, options(someone, focal_mm=50.0)).takes
    moved = take.translation[-1] - take.translation[0]
    pixels = moved[:2] * take.camera_matrix[0, 0] / take.translation[:, 2].mean()
    assert np.abs(pixels - [-29.0, -8.7]).max() < 1.5
    assert abs(moved[2]) < 0.02 * take.translation[0, 2]


def test_a_range_by_the_clips_own_numbers(session, home, someone):
    (take,) = capture(session, options(someone, first_frame=11, last_frame=20)).takes
    assert take.extra["frame"].tolist() == list(range(11, 21))
    assert take.time[0] == pytest.approx(10 / RATE)


@pytest.mark.parametrize("stage", ["faces", "solve"])
def test_a_capture_that_was_ended_goes_on(session, home, someone, stage, monkeypatch):
    looked_at = []
    monkeypatch.setattr(solving, "BATCH", 8)

    class Counting(observing.Tracker):
        def update(self, index, pixels, cut):
            looked_at.append(index)
            return super().update(index, pixels, cut)

    monkeypatch.setattr(observing, "Tracker", Counting)
    with pytest.raises(MienError) as caught:
        capture(session, options(someone), Watcher(stop_after=12 if stage == "faces" else 1, stage=stage))
    assert caught.value.code is ErrorCode.CANCELLED
    first = len(looked_at)
    assert first == (12 if stage == "faces" else 30)
    resumed = capture(session, options(someone))
    assert looked_at == list(range(30))  # none twice, none left out
    for folder in clips_dir().iterdir():
        folder.rename(home / "away")
    whole = capture(session, options(someone))
    assert same_arrays(resumed.takes[0], whole.takes[0])


def test_another_person_or_focal_length_needs_no_second_look(session, home, someone, monkeypatch):
    capture(session, options(someone))

    def never(*_):
        raise AssertionError("the frames were looked at again")

    monkeypatch.setattr(observing.Tracker, "update", never)
    result = capture(session, options(someone, focal_mm=85.0))
    assert result.report["camera"]["origin"] == "given"
    assert result.report["camera"]["focal_uncertainty"] is None


def test_previews_only_for_those_who_look(session, home, someone):
    blind, looking = Watcher(), Watcher(looks=True)
    capture(session, options(someone, last_frame=15), blind)
    capture(session, options(someone, last_frame=16), looking)
    assert blind.previews == []
    assert looking.previews
    (take,) = looking.previews[-1]
    assert len(take) == 1 and take.confidence[0] > 0.5


def test_somebody_leaves_and_comes_back(session, home, astronaut, tmp_path):
    face = list(panned(astronaut, 40, FACE, step=(0.5, 0.0)))
    path = write(tmp_path / "leaves.mp4", chain(face[:12], empty(14), face[26:]))
    result = capture(session, options(path))
    (take,) = result.takes
    assert len(result.report["people"]) == 1
    assert not take.valid[13:25].any() and take.valid[:11].all() and take.valid[28:].all()
    assert np.isfinite(take.translation).all()
    gaps = result.report["faces"][0]["gaps"]
    assert all(gap["reason"] == "no face" for gap in gaps)
    filled = {frame for gap in gaps for frame in range(gap["first"], gap["last"] + 1)}
    assert filled == set((np.flatnonzero(~take.valid) + 1).tolist())


def test_a_cut_to_somebody_else(session, home, astronaut, group, tmp_path):
    others = list(panned(group, 16, (800.0, 20.0), step=(1.0, 0.0)))  # a window with one face in it
    path = write(tmp_path / "cut.mp4", chain(panned(astronaut, 20, FACE, step=(0.5, 0)), others))
    result = capture(session, options(path, all_faces=True))
    assert result.report["clip"]["cuts"] == [21]
    assert len(result.takes) == len(result.report["people"]) >= 2
    assert result.contact_sheet is not None
    first = result.takes[0]
    assert first.extra["segment"].tolist() == [0] * 20 + [1] * 16
    assert first.valid[:20].all() and not first.valid[20:].any()
    matrices = [take.camera_matrix for take in result.takes]
    assert all(np.array_equal(matrix, matrices[0]) for matrix in matrices)  # one camera for all


def test_somebody_who_may_be_another_is_told(session, home, astronaut, tmp_path, monkeypatch):
    face = list(panned(astronaut, 30, FACE, step=(0.5, 0.0)))
    path = write(tmp_path / "back.mp4", chain(face[:14], empty(8), face[20:]))
    plain = capture(session, options(path)).report["clip"]
    assert plain["cuts"] == [15, 23] and plain["problems"] == []
    monkeypatch.setattr("backend.faces.people.SURELY_SAME", 9.0)
    (said,) = capture(session, options(path)).report["clip"]["problems"]
    assert said.startswith("Person 1 looks different in frames 23 to 32: ")


def test_a_reference_of_somebody_else_is_told(session, home, someone, astronaut, group, tmp_path):
    same, other = tmp_path / "same.png", tmp_path / "other.png"
    Image.fromarray(astronaut).save(same)
    Image.fromarray(next(panned(group, 1, (800.0, 20.0), (0, 0)))).save(other)
    result = capture(session, options(someone, last_frame=5, references=(str(same), str(other))))
    (said,) = result.report["clip"]["problems"]
    assert str(other) in said and str(same) not in said


def test_a_bad_reference_is_refused_before_the_work(session, home, someone, tmp_path):
    notes = tmp_path / "notes.mp4"
    notes.write_text("nothing to see")
    watcher = Watcher()
    with pytest.raises(MienError) as caught:
        capture(session, options(someone, references=(str(notes),)), watcher)
    assert caught.value.code is ErrorCode.BAD_CLIP and str(notes) in caught.value.message
    assert {stage for stage, _ in watcher.stages} == {"open"}


def test_a_reference_changes_the_head(session, home, someone, astronaut, tmp_path):
    still = tmp_path / "still.png"
    Image.fromarray(astronaut[:, ::-1]).save(still)
    plain = capture(session, options(someone, first_frame=1, last_frame=8)).takes[0]
    more = capture(session, options(someone, first_frame=1, last_frame=8, references=(str(still),))).takes[0]
    assert not np.array_equal(plain.identity, more.identity)
    assert np.abs(plain.identity - more.identity).mean() < 0.5


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        ({"face": 2}, ErrorCode.NO_FACE, "Person 2 was asked for, but only one is"),
        ({"first_frame": 20, "last_frame": 99}, ErrorCode.USAGE, "1 to 30"),
    ],
)
def test_what_is_not_there(session, home, someone, more, code, said):
    with pytest.raises(MienError) as caught:
        capture(session, options(someone, **more))
    assert caught.value.code is code
    assert said in str(caught.value)


def test_a_clip_without_a_face(session, home, tmp_path):
    with pytest.raises(MienError) as caught:
        capture(session, options(write(tmp_path / "empty.mp4", empty(12))))
    assert caught.value.code is ErrorCode.NO_FACE
    assert "12 frames" in caught.value.message


def test_a_reference_without_a_face(session, home, someone, tmp_path):
    still = tmp_path / "nobody.png"
    Image.fromarray(next(empty(1))).save(still)
    with pytest.raises(MienError) as caught:
        capture(session, options(someone, last_frame=5, references=(str(still),)))
    assert caught.value.code is ErrorCode.NO_FACE
    assert "nobody.png" in caught.value.message
