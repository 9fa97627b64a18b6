# SPDX-License-Identifier: GPL-3.0-or-later
"""Synthetic clips: known motion, and frames that show it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backend.faces import topology
from backend.heads import load_head
from backend.heads.model import HeadModel
from backend.media.clip import open_clip
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.projection import camera_matrix, focal_pixels, project
from blender_addon.contract.take import Take
from tests.clip_look import Look, make_look
from tests.make_clip import make_clip, people
from tests.motion import (
    ALL_GESTURES,
    Motion,
    cut,
    five_frames,
    leaving,
    make_motion,
    mirrored,
    picked,
    visible_between,
)
from tests.synthetic_clip import Painter, posed, render_clip, truth_take

SIZE = (288, 288)
MATRIX = camera_matrix(focal_pixels(60, SIZE[1], SIZE[0]), SIZE[1], SIZE[0])
RATE = 30.0


@pytest.fixture(scope="module")
def head() -> HeadDescription:
    return load_head("open")


@pytest.fixture(scope="module")
def model(head: HeadDescription) -> HeadModel:
    return HeadModel(head)


@pytest.fixture(scope="module")
def motion(head: HeadDescription) -> Motion:
    return make_motion(head, 5, 8.0, RATE, ALL_GESTURES)


def resting(head: HeadDescription, **changes: np.ndarray) -> Motion:
    """One frame of the average head."""
    motion = picked(make_motion(head, 0, 1.0, gestures=("still",)), [0], RATE)
    return replace(motion, identity=np.zeros_like(motion.identity), **changes)


def frames(
    head: HeadDescription, model: HeadModel, motion: Motion | list[Motion], **options: float
) -> list[np.ndarray]:
    return list(render_clip(head, model, motion, SIZE, MATRIX, **options))


def landmarks(model: HeadModel, motion: Motion, frame: int = 0) -> np.ndarray:
    points = model.landmarks(posed(model, motion, frame)[None], "mediapipe478")[0].double().numpy()
    return project(points, motion.translation[frame], MATRIX)


def colour_at(picture: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(3,) mean colour under points (N, 2) in pixels."""
    column, row = np.floor(points).astype(int).T
    return picture[row, column].astype(float).mean(0)


def test_nothing_moves_while_the_person_sits_still(motion: Motion) -> None:
    still, arrays = motion.during("still"), ("expression", "eyelids", "jaw", "eyes", "head_rotation", "translation")
    assert still.sum() >= RATE
    for name in arrays:
        values = getattr(motion, name)
        assert np.ptp(values[still], axis=0).max() == 0
        assert np.ptp(values[~still], axis=0).max() > 0.02


def test_every_gesture_moves_something_of_its_own(head: HeadDescription) -> None:
    rest = make_motion(head, 5, 4.0, RATE, ("still",))
    seen = set()
    for name in set(ALL_GESTURES) - {"still"}:
        alone = make_motion(head, 5, 4.0, RATE, (name,))
        assert alone.during(name).any()
        arrays = ("expression", "eyelids", "jaw", "eyes", "head_rotation", "translation")
        moved = np.concatenate([np.ptp(getattr(alone, array), axis=0) for array in arrays])
        seen.add(tuple(np.flatnonzero(moved > 0.02)))
        assert np.ptp(rest.expression) == 0
    assert () not in seen
    assert len(seen) == len(ALL_GESTURES) - 1


def test_a_blink_closes_the_lids_for_as_long_as_people_do(motion: Motion) -> None:
    blinks = [span for span in motion.spans if span.name == "blink"]
    assert len(blinks) >= 3
    for span in blinks:
        lids = motion.eyelids[span.first : span.last + 1, 0]
        assert lids.max() == 1
        assert 4 <= (lids > 0.5).sum() <= 6
        assert lids[0] < 0.2 and lids[-1] < 0.2


def test_motion_is_smooth(motion: Motion) -> None:
    assert np.degrees(np.abs(np.diff(motion.head_rotation, axis=0))).max() < 6
    assert np.abs(np.diff(motion.translation, axis=0)).max() < 0.03
    assert np.abs(np.diff(motion.expression, n=2, axis=0)).max() < 0.35


def test_motion_and_frames_depend_on_the_seed_alone(head: HeadDescription, model: HeadModel) -> None:
    clips = [picked(make_motion(head, seed, 4.0), [0, 80], RATE) for seed in (3, 3, 4)]
    one, again, other = (frames(head, model, clip, seed=seed) for clip, seed in zip(clips, (3, 3, 4), strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(one, again, strict=True))
    assert np.abs(one[1].astype(int) - other[1]).mean() > 3
    assert one[0].shape == (*SIZE, 3) and one[0].dtype == np.uint8


def test_mirrored_motion_gives_mirrored_frames(head: HeadDescription, model: HeadModel, motion: Motion) -> None:
    look = _symmetric(make_look(head, 1))
    room = np.full((*SIZE, 3), 0.4, np.float32)
    painter = Painter(head, model, [look], SIZE, MATRIX)
    plain = replace(
        motion, identity=np.zeros_like(motion.identity), translation=motion.translation + [0.03, 0, 0]
    )
    frame = int(np.abs(plain.head_rotation[:, 1]).argmax())
    seen = painter.frame([plain], frame, room).astype(int)
    flipped = painter.frame([mirrored(plain, head)], frame, room)[:, ::-1].astype(int)
    assert np.abs(seen - flipped).mean() < 0.6
    assert np.abs(seen - seen[:, ::-1]).mean() > 5


def _symmetric(look: Look) -> Look:
    odd = [1, 4, 5]
    light = look.light.copy()
    light[odd] = 0
    return replace(look, light=light, shine=np.array([0, 0.6, 0.8]))


def test_mirroring_twice_changes_nothing(head: HeadDescription, motion: Motion) -> None:
    again = mirrored(mirrored(motion, head), head)
    for name in ("expression", "eyelids", "jaw", "eyes", "head_rotation", "translation"):
        assert np.array_equal(getattr(again, name), getattr(motion, name))
    assert not np.array_equal(mirrored(motion, head).expression, motion.expression)


def test_the_truth_falls_on_what_is_rendered(head: HeadDescription, model: HeadModel) -> None:
    turned = resting(head, head_rotation=np.radians([[5.0, 14.0, 6.0]]), eyes=np.radians([[0, 8.0, 0] * 2]))
    (picture,) = frames(head, model, turned, noise=0)
    points = landmarks(model, turned)
    lips = colour_at(picture, points[list(topology.LIPS_INNER)])
    cheeks = colour_at(picture, points[[50, 280]])
    pupils = colour_at(picture, points[[topology.LEFT_IRIS_CENTRE, topology.RIGHT_IRIS_CENTRE]])
    assert lips[0] / lips[1] > 1.15 * cheeks[0] / cheeks[1]
    assert pupils.mean() < 0.5 * cheeks.mean()


def test_closed_lids_hide_the_eyes(head: HeadDescription, model: HeadModel) -> None:
    shut = resting(head, eyelids=np.ones((1, 2)))
    (picture,) = frames(head, model, shut, noise=0)
    points = landmarks(model, shut)
    lids = colour_at(picture, points[[topology.LEFT_IRIS_CENTRE, topology.RIGHT_IRIS_CENTRE]])
    cheeks = colour_at(picture, points[[50, 280]])
    assert lids.mean() > 0.6 * cheeks.mean()


def test_who_left_is_not_in_the_picture(head: HeadDescription, model: HeadModel) -> None:
    one, other = people(head, 2, 2, 3.0, RATE)
    gone = leaving(other, 1.0)
    rows = [0, 80]
    both = frames(head, model, [picked(one, rows, RATE), picked(gone, rows, RATE)], noise=0)
    alone = frames(head, model, [picked(one, rows, RATE)], noise=0)
    assert gone.present[0] and not gone.present[80]
    assert not np.array_equal(both[0], alone[0])
    assert np.array_equal(both[1], alone[1])
    assert not visible_between(one, 10, 20).present[21]


def test_a_cut_changes_room_and_place(head: HeadDescription, model: HeadModel, motion: Motion) -> None:
    shots = cut(motion, 2, (0.1, 0, 0.2))
    pictures = frames(head, model, picked(shots, [0, 1, 2], RATE), noise=0)
    assert np.array_equal(pictures[0], pictures[1])
    assert np.abs(pictures[1][:20].astype(int) - pictures[2][:20]).mean() > 5
    assert shots.segment.tolist()[:4] == [0, 0, 1, 1]
    assert np.allclose(shots.translation[2] - shots.translation[1], [0.1, 0, 0.2])


def test_a_usual_face_is_as_large_as_the_average_one(head: HeadDescription, model: HeadModel) -> None:
    def spread(identity: np.ndarray) -> float:
        rest = replace(resting(head), identity=identity)
        points = model.landmarks(posed(model, rest, 0)[None], "mediapipe478")[0].numpy()
        return float(np.linalg.norm(points - points.mean(0)))

    average, sizes = spread(np.zeros(head.identity.shape[2])), {True: [], False: []}
    for usual, found in sizes.items():
        for seed in range(8):
            motion = make_motion(head, seed, 1.0, gestures=("still",), usual_size=usual)
            found.append(spread(motion.identity) / average)
    assert np.std(sizes[False]) > 0.02
    assert np.abs(np.array(sizes[True]) - 1).max() < 0.02


def test_five_frames_show_different_sides_of_one_person(head: HeadDescription) -> None:
    five = five_frames(head, 1)
    yaw = np.degrees(five.head_rotation[:, 1])
    assert len(five) == 5
    assert np.ptp(yaw) > 25
    assert five.jaw[4, 0] > 0.1 and five.expression[3].max() > 0.4


def test_the_truth_is_a_take_of_the_head(head: HeadDescription, motion: Motion, tmp_path: Path) -> None:
    gone = visible_between(motion, 0, 99)
    truth_take(head, gone, SIZE, MATRIX).save(tmp_path / "truth.npz")
    take = Take.load(tmp_path / "truth.npz")
    take.require_head(head)
    assert take.meta.rate == pytest.approx(RATE)
    assert take.valid.sum() == 100 and len(take) == len(motion)
    assert np.allclose(take.head_rotation, motion.head_rotation, atol=1e-6)
    assert take.extra["frame"].tolist()[:2] == [1, 2]


def test_the_video_shows_the_frames(head: HeadDescription, model: HeadModel, motion: Motion, tmp_path: Path) -> None:
    short = picked(motion, range(60, 66), RATE)
    path = tmp_path / "clip.mp4"
    (truth,) = make_clip(path, head, model, [short], (288, 216), RATE, seed=2)
    matrix = truth.camera_matrix
    with open_clip(path) as clip:
        assert np.allclose(clip.info.times, truth.time, atol=1e-4)
        decoded = [frame.pixels for frame in clip.frames()]
    rendered = list(render_clip(head, model, short, (216, 288), matrix, seed=2))
    assert len(decoded) == len(rendered) == 6
    for one, other in zip(decoded, rendered, strict=True):
        assert np.abs(one.astype(int) - other).mean() < 4
