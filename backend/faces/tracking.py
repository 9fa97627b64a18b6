# SPDX-License-Identifier: GPL-3.0-or-later
"""Faces followed from frame to frame under one number each.

Everything a track remembers lies in its last sighting, and when to search depends on the frame's index alone, so a
tracker made from the last frame's stored sightings goes on exactly as the one that was interrupted. A track ends when
its face is lost for a single frame, when somebody else takes its place, and at every cut; which tracks are one person
is decided afterwards, over the whole clip (`people.merge`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backend.faces.appearance import look, remembered, sharpness, similarity
from backend.faces.face import Face
from backend.faces.following import Followed
from backend.faces.landmarker import FaceFinder

SEARCH_EVERY = 8
"""Frames between searches of the whole picture while every face is where it should be."""
SEARCH_TILES_EVERY = 120
"""Frames between searches for small faces, which take ten times as long."""
SEARCH_TILES_ALONE_EVERY = 24
"""The same while there is no face at all."""
CHECK_EVERY = 12
"""Frames after which the detector is asked whether a followed face is one."""
LEAST_DETECTED = 0.5
"""Mean detector score under which it is not. New faces need more; a hand before the face costs up to 0.1."""
SOMEBODY_ELSE = 0.25
"""Likeness (`appearance.similarity`) of a face to its own track under which it is taken for somebody else's. Measured:
0.57 and more on real clips, hands before the face included; under 0.1 where one face has come before the other."""
SAME_AGAIN = 0.3
"""Likeness from which a face found where one was lost in the same frame goes on with its track."""
SAME_PLACE = 0.25
"""Mean distance of the landmarks of two faces, over their size, under which they are one and the same."""
REACH = 2.0
"""How far, in its own size, a face may have jumped between two frames."""
GROWTH = 1.6
"""How much larger or smaller it may have become."""
MOVEMENT_WEIGHT = 0.5
"""Likeness that a movement by the face's own size is worth when two tracks claim one face."""


@dataclass(frozen=True)
class Sighting:
    """A tracked face in one frame.

    Attributes:
        track: Number of the track, counted from 0 in the order of appearance.
        face: The face; `landmarks` (478,3) float32.
        sharpness: See `appearance.sharpness`; float32.
        appearance: (A,) float32 what the track has looked like up to here, see `appearance.remembered`.
    """

    track: int
    face: Face
    sharpness: np.float32
    appearance: np.ndarray


class Tracker:
    """Follows faces through the frames of a clip, given in order.

    Args:
        finder: Finds and follows faces; with two threads one face takes half the time.
        tracks: Sightings of the frame before the first one that will be given, to go on from; none at the start.
        next_track: Number of the next new track; to go on, one more than the highest that was given.
    """

    def __init__(self, finder: FaceFinder, tracks: Sequence[Sighting] = (), next_track: int = 0) -> None:
        self._finder = finder
        self._tracks = list(tracks)
        self._next = next_track

    def update(self, index: int, pixels: np.ndarray, cut: bool) -> list[Sighting]:
        """The faces of the next frame.

        Args:
            index: The frame's index in the clip, counted on by one from call to call.
            pixels: (H,W,3) uint8 RGB.
            cut: Whether a new shot begins with this frame. Say so for the clip's first frame too: then even its small
                faces are found at once.

        Returns:
            One sighting a face, in the order of the track numbers; empty when there is none.
        """
        before = [] if cut else self._tracks
        kept = self._kept(index, pixels, before)
        lost = [track for track in before if track.track not in {sighting.track for sighting in kept}]
        self._tracks = sorted(kept + self._searched(index, pixels, cut, kept, lost), key=lambda one: one.track)
        return list(self._tracks)

    def _kept(self, index: int, pixels: np.ndarray, before: Sequence[Sighting]) -> list[Sighting]:
        """The tracks that go on."""
        followed = self._finder.follow(pixels, [track.face for track in before])
        claims = []
        for track, seen in zip(before, followed, strict=True):
            if seen is None or not self._is_face(index, track, seen, pixels):
                continue
            current = look(seen)
            likeness = similarity(track.appearance, current)
            if likeness >= SOMEBODY_ELSE:
                worth = likeness - MOVEMENT_WEIGHT * _movement(track.face, seen.face)
                claims.append((worth, track, seen, current))
        kept: list[Sighting] = []
        for _, track, seen, current in sorted(claims, key=lambda claim: (-claim[0], claim[1].track)):
            if not any(_is_same_place(seen.face, other.face) for other in kept):
                kept.append(_sighting(track.track, seen, remembered(track.appearance, current)))
        return kept

    def _is_face(self, index: int, track: Sighting, seen: Followed, pixels: np.ndarray) -> bool:
        if (index + track.track) % CHECK_EVERY:
            return True
        return self._finder.score(pixels, seen.face) >= LEAST_DETECTED

    def _searched(
        self, index: int, pixels: np.ndarray, cut: bool, kept: Sequence[Sighting], lost: Sequence[Sighting]
    ) -> list[Sighting]:
        """Tracks of the faces that were not followed: lost ones found again, and new ones."""
        every = SEARCH_TILES_EVERY if kept else SEARCH_TILES_ALONE_EVERY
        tiles = cut or index % every == every // 2
        if kept and not (tiles or lost or index % SEARCH_EVERY == 0):
            return []
        known = [sighting.face for sighting in kept]
        places = [track.face.box for track in lost]
        faces = self._finder.discover(pixels, known, places, tiles)
        # Followed once in their own frame, so that the first landmarks come about like all the others.
        fresh: list[Followed] = []
        for seen in self._finder.follow(pixels, faces):
            others = [*known, *(other.face for other in fresh)]
            if seen is not None and not any(_is_same_place(seen.face, other) for other in others):
                fresh.append(seen)
        return self._named(fresh, list(lost))

    def _named(self, fresh: Sequence[Followed], lost: Sequence[Sighting]) -> list[Sighting]:
        """Found faces under the numbers of the lost tracks they resemble most, or under new ones."""
        looks = [look(seen) for seen in fresh]
        pairs = sorted(
            (-similarity(track.appearance, current), track.track, place)
            for track in lost
            for place, (seen, current) in enumerate(zip(fresh, looks, strict=True))
            if _is_within_reach(track.face, seen.face)
        )
        tracks: dict[int, Sighting] = {}
        for unlikeness, number, place in pairs:
            if -unlikeness >= SAME_AGAIN and place not in tracks and number not in {t.track for t in tracks.values()}:
                tracks[place] = next(track for track in lost if track.track == number)
        sightings = []
        for place, (seen, current) in enumerate(zip(fresh, looks, strict=True)):
            if place in tracks:
                track = tracks[place]
                sightings.append(_sighting(track.track, seen, remembered(track.appearance, current)))
            else:
                sightings.append(_sighting(self._next, seen, current))
                self._next += 1
        return sightings


def _sighting(track: int, seen: Followed, appearance: np.ndarray) -> Sighting:
    return Sighting(track, seen.face, sharpness(seen), appearance)


def _movement(before: Face, now: Face) -> float:
    """Distance of the boxes' middles over the face's size."""
    shift = (now.box[:2] + now.box[2:] - before.box[:2] - before.box[2:]) / 2
    return float(np.linalg.norm(shift)) / _size(before)


def _is_same_place(one: Face, other: Face) -> bool:
    apart = np.linalg.norm(one.landmarks[:, :2] - other.landmarks[:, :2], axis=1).mean()
    return float(apart) < SAME_PLACE * min(_size(one), _size(other))


def _is_within_reach(before: Face, now: Face) -> bool:
    growth = _size(now) / _size(before)
    return _movement(before, now) < REACH and 1 / GROWTH < growth < GROWTH


def _size(face: Face) -> float:
    return float(max((face.box[2:] - face.box[:2]).mean(), 1e-6))
