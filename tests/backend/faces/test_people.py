# SPDX-License-Identifier: GPL-3.0-or-later
"""Tracks are joined to persons by likeness, never against time, and the result does not depend on their order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.faces import appearance
from backend.faces.appearance import canonical
from backend.faces.face import Face, bounds
from backend.faces.people import (
    DOUBLE,
    STABLE_LANDMARKS,
    TrackStatistics,
    TrackSummary,
    doubtful,
    likeness,
    merge,
    residual,
)
from backend.faces.topology import MIRROR_478
from backend.faces.tracking import Sighting

TEXTURES = np.linalg.qr(np.random.default_rng(1).normal(size=(182, 12)))[0].T
"""Looks of twelve people, none like another."""
COLOURS = len(appearance.flat_face().colour_cells[appearance.flat_face().colour_cells]) * 2


def looks(person: int, other: float = 0.0) -> np.ndarray:
    """The look of a person; `other` mixes in somebody's who is nobody else here."""
    texture = np.sqrt(1 - other**2) * TEXTURES[person] + other * TEXTURES[11]
    return np.concatenate([texture, np.full(COLOURS, 15.0), [40.0]]).astype(np.float32)


def summary(track: int, first: int, last: int, person: int, **changes: object) -> TrackSummary:
    count = last - first + 1
    box = np.array([100.0, 100, 180, 190])
    plain = TrackSummary(
        track=track, first=first, last=last, count=count, shot=track, weight=0.05 * count, presence=0.95,
        appearance=looks(person), shape=canonical()[2].astype(np.float64), first_box=box, last_box=box,
        best_frame=first, best_box=box, best_score=1.0,
    )  # fmt: skip
    return replace(plain, **changes)


def test_nobody_is_seen() -> None:
    assert merge([]) == ()


def test_one_person_through_cuts_and_another_between() -> None:
    first, second = merge([summary(0, 0, 59, 1), summary(1, 60, 99, 2), summary(2, 100, 139, 1)])
    assert (first.number, first.tracks, first.frames) == (1, (0, 2), 100)
    assert (second.number, second.tracks, second.frames) == (2, (1,), 40)


def test_who_only_looks_much_alike_after_a_cut_is_doubted() -> None:
    alike = summary(1, 60, 99, 1, appearance=looks(1, 0.8))  # likeness 0.6
    tracks = [summary(0, 0, 59, 1), alike, summary(2, 100, 139, 1)]
    (person,) = merge(tracks)
    assert person.tracks == (0, 1, 2)
    assert doubtful(tracks) == (alike,)
    assert doubtful([tracks[0], tracks[2]]) == doubtful([alike]) == doubtful([]) == ()


def test_who_goes_on_in_the_same_place_is_not_doubted() -> None:
    alike = summary(1, 62, 99, 1, appearance=looks(1, 0.8))
    assert doubtful([summary(0, 0, 59, 1, shot=0), replace(alike, shot=0)]) == ()


def test_the_most_prominent_comes_first_not_the_most_frequent() -> None:
    far, near = summary(0, 0, 99, 1, weight=1.0), summary(1, 0, 49, 2, weight=5.0)
    assert [person.tracks for person in merge([far, near])] == [(1,), (0,)]


def test_twins_seen_together_are_two() -> None:
    assert len(merge([summary(0, 0, 50, 1), summary(1, 50 - DOUBLE, 90, 1)])) == 2


def test_a_track_that_ends_a_moment_after_the_next_began_is_no_second_person() -> None:
    (person,) = merge([summary(0, 0, 50, 1), summary(1, 51 - DOUBLE, 90, 1)])
    assert person.frames == 91


def test_likeness_to_one_does_not_join_two_who_were_seen_together() -> None:
    """Two tracks of one look at the same time, a third one before: it goes with one of them."""
    groups = {person.tracks for person in merge([summary(0, 0, 9, 1), summary(1, 20, 39, 1), summary(2, 20, 39, 1)])}
    assert groups in ({(0, 1), (2,)}, {(0, 2), (1,)})


def test_a_doubtful_likeness_is_enough_only_where_the_face_was_before() -> None:
    alike = looks(1, other=0.93)
    assert 0.25 < likeness(summary(0, 0, 1, 1), summary(0, 0, 1, 1, appearance=alike)) < 0.45
    before = summary(0, 0, 20, 1, shot=0)
    there = np.array([110.0, 105, 190, 195])
    after = summary(1, 30, 60, 1, shot=0, appearance=alike, first_box=there, last_box=there)
    assert len(merge([before, after])) == 1
    assert len(merge([before, replace(after, shot=1)])) == 2
    assert len(merge([before, replace(after, first_box=there + 400)])) == 2
    assert len(merge([before, replace(after, first=400, last=430)])) == 2


def test_flickers_are_false_faces_but_a_short_clip_is_not() -> None:
    flicker = summary(1, 3, 5, 2)
    assert [person.tracks for person in merge([summary(0, 0, 99, 1), flicker])] == [(0,)]
    assert len(merge([summary(0, 0, 9, 1), flicker])) == 2
    assert len(merge([summary(0, 0, 9, 1), replace(flicker, presence=0.4)])) == 1
    assert len(merge([flicker])) == 1


def test_the_best_frame_is_that_of_the_best_track() -> None:
    tracks = [summary(0, 0, 9, 1, best_score=0.2), summary(1, 20, 29, 1, best_score=0.6, best_box=np.arange(4.0))]
    (person,) = merge(tracks)
    assert person.best_frame == 20
    np.testing.assert_array_equal(person.box, np.arange(4))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_clip_of_clearly_different_people(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 12))
    starts = data.draw(st.lists(st.integers(0, 200), min_size=count, max_size=count))
    lengths = data.draw(st.lists(st.integers(5, 60), min_size=count, max_size=count))
    cast = data.draw(st.lists(st.integers(0, 4), min_size=count, max_size=count))
    tracks = [
        summary(track, start, start + length - 1, person)
        for track, (start, length, person) in enumerate(zip(starts, lengths, cast, strict=True))
    ]
    people = merge(tracks)
    shuffled = merge(data.draw(st.permutations(tracks)))
    assert [(p.number, p.tracks, p.frames) for p in people] == [(p.number, p.tracks, p.frames) for p in shuffled]
    assert sorted(track for person in people for track in person.tracks) == list(range(count))
    assert [person.number for person in people] == list(range(1, len(people) + 1))
    for person in people:
        assert len({cast[track] for track in person.tracks}) == 1
        spans = sorted((tracks[track].first, tracks[track].last) for track in person.tracks)
        for one in range(len(spans)):
            for other in spans[one + 1 :]:
                assert min(spans[one][1], other[1]) - other[0] + 1 <= DOUBLE
        assert person.frames == len({frame for first, last in spans for frame in range(first, last + 1)})


def turned(points: np.ndarray, yaw: float, scale: float) -> np.ndarray:
    rotation = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    return scale * points @ rotation.T + (300.0, 200.0, 10.0)


@given(st.floats(-1, 1), st.floats(20, 300))
def test_shape_does_not_depend_on_pose_or_size(yaw: float, scale: float) -> None:
    points = canonical()[0].astype(np.float64)
    own = points + 0.05 * np.sin(9 * points)
    np.testing.assert_allclose(residual(turned(points, yaw, scale)), 0, atol=1e-6)
    np.testing.assert_allclose(residual(turned(own, yaw, scale)), residual(own), atol=1e-6)
    assert np.abs(residual(own)).max() > 0.02


def test_the_canonical_face_is_symmetric() -> None:
    points, texture, shape = canonical()
    np.testing.assert_allclose(points[MIRROR_478] * (-1, 1, 1), points, atol=1e-5)
    grid = np.zeros((16, 16), np.float32)
    cells = appearance.flat_face().texture_cells
    grid[cells] = texture
    np.testing.assert_array_equal(grid, grid[:, ::-1])
    places = {landmark: place for place, landmark in enumerate(STABLE_LANDMARKS)}
    mirror = [places[landmark] for landmark in MIRROR_478[STABLE_LANDMARKS]]
    np.testing.assert_allclose(shape.reshape(-1, 3)[mirror] * (-1, 1, 1), shape.reshape(-1, 3), atol=1e-6)


def sighting(track: int, presence: float = 0.9, sharpness: float = 0.1, width: float = 80, person: int = 0) -> Sighting:
    landmarks = (canonical()[0] * width / 1.64 + (200, 150, 0)).astype(np.float32)
    face = Face(bounds(landmarks), landmarks, np.zeros(52, np.float32), presence, 0.01)
    return Sighting(track, face, np.float32(sharpness), looks(person))


def test_statistics_of_a_track() -> None:
    statistics = TrackStatistics(640, 360)
    for index in range(10, 20):
        seen = [sighting(4, sharpness=0.3 if index == 13 else 0.1, presence=0.8 if index == 15 else 0.9)]
        statistics.add(index, seen + ([sighting(5, person=3)] if index > 16 else []), cut=index == 17)
    one, other = statistics.summaries()
    assert (one.track, one.first, one.last, one.count, one.shot) == (4, 10, 19, 10, 0)
    assert (other.track, other.first, other.last, other.count, other.shot) == (5, 17, 19, 3, 1)
    assert one.best_frame == 13
    assert one.presence == pytest.approx(0.89)
    box = one.best_box
    assert one.weight == pytest.approx(8.9 * (box[2] - box[0]) * (box[3] - box[1]) / (640 * 360), rel=1e-6)
    assert likeness(one, other) < 0.3 < 0.9 < appearance.similarity(one.appearance, looks(0))


def test_larger_surer_and_sharper_sightings_are_better() -> None:
    for better in ({"width": 160}, {"presence": 0.99}, {"sharpness": 0.2}):
        statistics = TrackStatistics(640, 360)
        for index in range(3):
            statistics.add(index, [sighting(0, **(better if index == 1 else {}))])
        assert statistics.summaries()[0].best_frame == 1


def test_memory_does_not_grow_with_the_frames() -> None:
    def held(value: object) -> int:
        if isinstance(value, dict | list | tuple):
            return sum(map(held, value.values() if isinstance(value, dict) else value))
        return held(vars(value)) if hasattr(value, "__dict__") else np.asarray(value).size

    statistics = TrackStatistics(640, 360)
    for index in range(50):
        statistics.add(index, [sighting(0)])
    before = held(statistics)
    for index in range(50, 200):
        statistics.add(index, [sighting(0)])
    assert held(statistics) == before > 300
