# SPDX-License-Identifier: GPL-3.0-or-later
"""Tracks keep their numbers while a face is there, end when it is not, and never change over to somebody else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from backend.faces import topology
from backend.faces.face import Face
from backend.faces.landmarker import FaceFinder
from backend.faces.people import Person, TrackStatistics, merge
from backend.faces.tracking import Sighting, Tracker
from tests.sprites import SIZE, Place, Sprite, clip


def track(tracker: Tracker, frames: Iterable[np.ndarray], cuts: tuple[int, ...] = (0,)) -> list[list[Sighting]]:
    return [tracker.update(index, pixels, index in cuts) for index, pixels in enumerate(frames)]


def people(sightings: list[list[Sighting]], cuts: tuple[int, ...] = ()) -> tuple[Person, ...]:
    statistics = TrackStatistics(*SIZE)
    for index, seen in enumerate(sightings):
        statistics.add(index, seen, index in cuts)
    return merge(statistics.summaries())


def middle(face: Face) -> np.ndarray:
    return (face.box[:2] + face.box[2:]) / 2


def frames_near(sightings: list[list[Sighting]], person: Person, path) -> int:
    """In how many frames a person is where a path says."""
    return sum(
        sighting.track in person.tracks and (place := path(index)) is not None
        and bool(np.hypot(*(middle(sighting.face) - (place.x, place.y))) < place.width / 2)
        for index, seen in enumerate(sightings) for sighting in seen
    )  # fmt: skip


@pytest.fixture(scope="module")
def sprites(finder: FaceFinder, group: np.ndarray) -> list[Sprite]:
    """The six people of the group photo, from left to right."""
    return [Sprite(group, face.box) for face in sorted(finder.find(group), key=lambda face: face.box[0])]


def still(x: float, y: float = 180, width: float = 90) -> Place:
    return Place(x, y, width)


@pytest.fixture(scope="module")
def walk(finder: FaceFinder, sprites: list[Sprite]) -> tuple[list[np.ndarray], list[list[Sighting]]]:
    """Two people, one of whom walks about and comes nearer; 20 frames."""
    frames = list(
        clip(20, [(sprites[1], lambda i: still(150)), (sprites[3], lambda i: Place(350 + 5 * i, 170, 80 + 2 * i))])
    )
    return frames, track(Tracker(finder), frames)


def test_each_face_keeps_its_number(walk: tuple[list[np.ndarray], list[list[Sighting]]]) -> None:
    for seen in walk[1]:
        assert [sighting.track for sighting in seen] == [0, 1]
    for one, other in pairwise(walk[1]):
        for before, now in zip(one, other, strict=True):
            assert np.hypot(*(middle(now.face) - middle(before.face))) < 12


def test_what_is_kept_is_rounded_as_it_is_stored(walk: tuple[list[np.ndarray], list[list[Sighting]]]) -> None:
    for sighting in walk[1][-1]:
        assert sighting.face.landmarks.dtype == np.float32 and sighting.face.landmarks.shape == (478, 3)
        assert sighting.face.blendshapes.dtype == np.float32 and sighting.face.blendshapes.shape == (52,)
        assert sighting.appearance.dtype == np.float32
        assert isinstance(sighting.sharpness, np.float32)
        assert sighting.face.presence > 0.8


def test_the_landmarks_are_steady_and_where_a_refined_photo_has_them(
    finder: FaceFinder, walk: tuple[list[np.ndarray], list[list[Sighting]]]
) -> None:
    frames, sightings = walk
    resting = next(s.track for s in sightings[0] if middle(s.face)[0] < 250)
    landmarks = np.array([seen[resting].face.landmarks[:, :2] for seen in sightings[2:]])
    eyes = topology.outer_eye_distance(landmarks[0])
    assert landmarks.std(axis=0).mean() < 0.01 * eyes
    photo = finder.refine(frames[-1], sightings[-1][resting].face)
    assert np.linalg.norm(photo.landmarks[:, :2] - landmarks[-1], axis=1).mean() < 0.03 * eyes


@pytest.mark.parametrize("interrupted", [1, 7, 13])
def test_going_on_from_what_is_stored_changes_nothing(
    finder: FaceFinder, walk: tuple[list[np.ndarray], list[list[Sighting]]], interrupted: int
) -> None:
    frames, whole = walk
    stored = [
        replace(sighting, face=replace(sighting.face, box=np.array(sighting.face.box, np.float32), presence=0.1))
        for sighting in whole[interrupted - 1]
    ]
    tracker = Tracker(finder, stored, 2)
    for index in range(interrupted, len(frames)):
        resumed = tracker.update(index, frames[index], False)
        for one, other in zip(resumed, whole[index], strict=True):
            assert one.track == other.track
            np.testing.assert_array_equal(one.face.landmarks, other.face.landmarks)
            np.testing.assert_array_equal(one.face.blendshapes, other.face.blendshapes)
            np.testing.assert_array_equal(one.appearance, other.appearance)
            assert (one.sharpness, one.face.presence) == (other.sharpness, other.face.presence)


def test_the_mirrored_clip_gives_the_mirrored_landmarks(
    finder: FaceFinder, walk: tuple[list[np.ndarray], list[list[Sighting]]]
) -> None:
    frames, sightings = walk
    mirrored = track(Tracker(finder), [np.ascontiguousarray(pixels[:, ::-1]) for pixels in frames[:8]])
    for seen, twins in zip(sightings, mirrored, strict=False):
        for one in seen:
            expected = topology.mirror_landmarks(one.face.landmarks, SIZE[0])
            apart = [np.linalg.norm((twin.face.landmarks - expected)[:, :2], axis=1).mean() for twin in twins]
            twin = twins[int(np.argmin(apart))]
            assert min(apart) < 5e-3 * topology.outer_eye_distance(expected)
            assert np.abs(twin.face.blendshapes[topology.MIRROR_BLENDSHAPES] - one.face.blendshapes).max() < 0.03


def test_a_blurred_frame_is_less_sharp_than_its_neighbours(finder: FaceFinder, sprites: list[Sprite]) -> None:
    frames = clip(9, [(sprites[0], lambda i: Place(300, 180, 100, blur=9 if i == 5 else 0))])
    sharpness = [seen[0].sharpness for seen in track(Tracker(finder), frames)]
    rest = sharpness[:5] + sharpness[6:]
    assert sharpness[5] < 0.75 * min(rest)
    assert max(rest) < 1.1 * min(rest)


CROSSINGS = [(3, 1), (0, 5), (2, 0)]


@pytest.mark.parametrize(("behind", "before"), CROSSINGS)
def test_who_passes_behind_another_is_the_same_person_afterwards(
    finder: FaceFinder, sprites: list[Sprite], behind: int, before: int
) -> None:
    def leftwards(index: int) -> Place:
        return Place(540 - 14.5 * index, 178, 80)

    def rightwards(index: int) -> Place:
        return Place(100 + 14.5 * index, 182, 88)

    frames = clip(31, [(sprites[behind], leftwards), (sprites[before], rightwards)])
    sightings = track(Tracker(finder), frames)
    for seen in sightings:  # never two tracks on one face
        for number, one in enumerate(seen):
            for other in seen[number + 1 :]:
                assert np.hypot(*(middle(one.face) - middle(other.face))) > 25
    first, second = people(sightings)
    assert frames_near(sightings, first, rightwards) >= 29
    assert frames_near(sightings, second, leftwards) >= 16
    for apart in (0, 1, 2, 28, 29, 30):  # far from each other nobody is taken for the other
        for sighting in sightings[apart]:
            path = rightwards if sighting.track in first.tracks else leftwards
            assert np.hypot(*(middle(sighting.face) - (path(apart).x, path(apart).y))) < 40


@pytest.mark.parametrize("nearer", [0, 1])
def test_two_tracks_that_end_up_on_one_face(
    finder: FaceFinder, walk: tuple[list[np.ndarray], list[list[Sighting]]], nearer: int, monkeypatch
) -> None:
    """The network may look past a face that was just hidden to the next one: the nearer of the tracks has it."""
    frames, sightings = walk
    resting = min(sightings[5], key=lambda sighting: middle(sighting.face)[0])
    (seen,) = finder.follow(frames[6], [resting.face])
    beside = replace(resting.face, landmarks=resting.face.landmarks + np.float32([40, 0, 0]))
    beside = replace(beside, box=resting.face.box + np.float32([40, 0, 40, 0]))
    faces = [resting.face, beside] if nearer == 0 else [beside, resting.face]
    monkeypatch.setattr(finder, "follow", lambda _, faces: [seen] * len(faces))
    monkeypatch.setattr(finder, "discover", lambda *_: [])
    tracker = Tracker(finder, [replace(resting, track=track, face=face) for track, face in enumerate(faces)], 2)
    assert [sighting.track for sighting in tracker.update(7, frames[6], False)] == [nearer]


def test_what_the_detector_no_longer_takes_for_a_face_is_given_up(
    finder: FaceFinder, sprites: list[Sprite], monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = list(clip(14, [(sprites[1], lambda i: still(300))]))
    tracker = Tracker(finder)
    assert {seen[0].track for seen in track(tracker, frames)} == {0}
    monkeypatch.setattr(finder, "discover", lambda *_: [])
    monkeypatch.setattr(finder, "score", lambda *_: 0.3)
    assert [len(tracker.update(14 + index, pixels, False)) for index, pixels in enumerate(frames)][-1] == 0


def test_who_leaves_and_returns_elsewhere_is_the_same_person(finder: FaceFinder, sprites: list[Sprite]) -> None:
    def wanderer(index: int) -> Place | None:
        if 8 <= index < 14:
            return None
        return Place(150, 150, 84) if index < 8 else Place(480, 210, 95)

    sightings = track(Tracker(finder), clip(22, [(sprites[0], wanderer), (sprites[1], lambda i: still(310, 180, 80))]))
    both = people(sightings)
    assert len(both) == 2
    wandering = max(both, key=lambda person: len(person.tracks))
    assert len(wandering.tracks) == 2
    # Found again at the latest when the picture is next searched.
    assert frames_near(sightings, wandering, wanderer) >= 8 + 8 - 6


def test_nobody_is_followed_through_a_cut(finder: FaceFinder, sprites: list[Sprite]) -> None:
    """The other's face is in the very place where the first one's was; then the first one is back."""
    cuts = (0, 8, 16)
    frames = [pixels for sprite in (sprites[5], sprites[3], sprites[5])
              for pixels in clip(8, [(sprite, lambda i: still(320))])]  # fmt: skip
    sightings = track(Tracker(finder), frames, cuts)
    assert [seen[0].track for seen in sightings] == [0] * 8 + [1] * 8 + [2] * 8
    assert [person.tracks for person in people(sightings, cuts)] == [(0, 2), (1,)]


def test_a_cut_that_was_not_noticed_is_no_bridge_either(finder: FaceFinder, sprites: list[Sprite]) -> None:
    frames = [pixels for sprite in (sprites[5], sprites[3])
              for pixels in clip(8, [(sprite, lambda i: still(320))])]  # fmt: skip
    sightings = track(Tracker(finder), frames)
    before, after = ({s.track for seen in part for s in seen} for part in (sightings[:8], sightings[8:]))
    assert before and after and not before & after
    assert len(people(sightings)) == 2


def test_a_face_that_jumps_is_caught_up_with(finder: FaceFinder, sprites: list[Sprite]) -> None:
    sightings = track(Tracker(finder), clip(8, [(sprites[0], lambda i: still(250 if i < 4 else 360))]))
    assert [[s.track for s in seen] for seen in sightings] == [[0]] * 8
    assert middle(sightings[4][0].face)[0] == pytest.approx(360, abs=6)


def test_frames_without_a_face_are_empty_and_late_faces_are_found(finder: FaceFinder, sprites: list[Sprite]) -> None:
    frames = clip(10, [(sprites[1], lambda i: still(300) if 3 <= i < 7 else None)])
    sightings = track(Tracker(finder), frames)
    assert [len(seen) for seen in sightings] == [0, 0, 0, 1, 1, 1, 1, 0, 0, 0]


def test_a_small_face_is_found_at_the_start_of_a_shot(finder: FaceFinder, sprites: list[Sprite]) -> None:
    frames = clip(3, [(sprites[1], lambda i: still(200, 160, 110)), (sprites[0], lambda i: still(560, 80, 40))])
    assert [len(seen) for seen in track(Tracker(finder), frames)] == [2, 2, 2]
