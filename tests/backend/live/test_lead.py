# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom a live capture follows, among faces whose looks are made up."""

from __future__ import annotations

import numpy as np

from backend.faces.appearance import flat_face, similarity
from backend.faces.face import Face
from backend.faces.tracking import SAME_AGAIN, Sighting
from backend.live.lead import AWAY_SECONDS, LARGER_SECONDS, Lead

STEP = 0.04


def looks(seed: int) -> np.ndarray:
    kept = flat_face()
    texture = np.random.default_rng(seed).normal(size=int(kept.texture_cells.sum()))
    colours = np.zeros(2 * int(kept.colour_cells.sum()))
    return np.concatenate([texture / np.linalg.norm(texture), colours, [1.0]]).astype(np.float32)


def sighting(track: int, size: float, seed: int) -> Sighting:
    box = np.array([10.0, 10.0, 10.0 + size, 10.0 + size])
    face = Face(box, np.zeros((478, 3), np.float32), np.zeros(52, np.float32), 1.0, 0.0)
    return Sighting(track, face, np.float32(1.0), looks(seed))


def follow(lead: Lead, start: float, seconds: float, *sightings: Sighting) -> list[tuple[int | None, bool]]:
    """Tracks that are followed while these faces are there, and whether each is new."""
    chosen = []
    for time in np.arange(start, start + seconds, STEP):
        followed = lead.follow(float(time), sightings)
        chosen.append((followed.sighting.track if followed.sighting else None, followed.new))
    return chosen


def test_made_up_looks_are_told_apart():
    assert similarity(looks(1), looks(1)) > 0.9 and similarity(looks(1), looks(2)) < SAME_AGAIN


def test_the_largest_face_first():
    lead = Lead()
    assert follow(lead, 0, 0.1, sighting(0, 50, 1), sighting(1, 80, 2)) == [(1, True), (1, False), (1, False)]


def test_two_faces_of_about_one_size_do_not_take_turns():
    lead = Lead()
    random = np.random.default_rng(0)
    for frame in range(200):
        sizes = 80 + random.normal(0, 8, 2)
        faces = [sighting(0, sizes[0], 1), sighting(1, sizes[1], 2)]
        followed = lead.follow(frame * STEP, faces)
        if frame == 0:
            first = followed.sighting.track
        assert followed.sighting.track == first and followed.new == (frame == 0)


def test_a_much_larger_face_takes_over_after_a_while_and_for_good():
    lead = Lead()
    follow(lead, 0, 1, sighting(0, 50, 1))
    both = (sighting(0, 50, 1), sighting(1, 90, 2))
    chosen = follow(lead, 1, LARGER_SECONDS + 0.5, *both)
    assert chosen[0] == (0, False) and chosen[-1] == (1, False)
    assert chosen.count((1, True)) == 1
    assert chosen.index((1, True)) * STEP >= LARGER_SECONDS - STEP


def test_somebody_who_only_passes_by_changes_nothing():
    lead = Lead()
    follow(lead, 0, 1, sighting(0, 50, 1))
    follow(lead, 1, 0.8, sighting(0, 50, 1), sighting(1, 90, 2))
    follow(lead, 1.8, 0.2, sighting(0, 50, 1))
    chosen = follow(lead, 2, 0.8, sighting(0, 50, 1), sighting(1, 90, 2))
    assert set(chosen) == {(0, False)}


def test_who_comes_back_is_recognised():
    lead = Lead()
    follow(lead, 0, 1, sighting(0, 50, 1))
    assert set(follow(lead, 1, 5)) == {(None, False)}
    chosen = follow(lead, 6, 0.2, sighting(7, 60, 1), sighting(8, 90, 2))
    assert set(chosen) == {(7, False)}


def test_somebody_else_is_followed_when_the_first_one_stays_away():
    lead = Lead()
    follow(lead, 0, 1, sighting(0, 50, 1))
    chosen = follow(lead, 1, AWAY_SECONDS + 0.5, sighting(1, 40, 2))
    assert chosen[0] == (None, False)
    assert chosen.count((1, True)) == 1 and chosen[-1] == (1, False)


def test_after_a_cut_nobody_waits():
    lead = Lead()
    follow(lead, 0, 1, sighting(0, 50, 1))
    followed = lead.follow(1.0, [sighting(1, 40, 2)], cut=True)
    assert followed.new and followed.sighting.track == 1
    assert lead.follow(1.04, [], cut=True).sighting is None
    followed = lead.follow(1.08, [sighting(2, 40, 3)])
    assert followed.new and followed.sighting.track == 2


def test_after_a_cut_to_the_same_person_all_goes_on():
    lead = Lead()
    follow(lead, 0, 1, sighting(0, 50, 1))
    followed = lead.follow(1.0, [sighting(1, 90, 2), sighting(2, 40, 1)], cut=True)
    assert not followed.new and followed.sighting.track == 2


def test_the_one_that_was_asked_for():
    lead = Lead(2)
    assert set(follow(lead, 0, 0.4, sighting(0, 80, 1))) == {(None, False)}
    chosen = follow(lead, 0.4, 3, sighting(0, 80, 1), sighting(1, 40, 2))
    assert chosen[0] == (1, True) and set(chosen[1:]) == {(1, False)}, "a larger face never takes over"
