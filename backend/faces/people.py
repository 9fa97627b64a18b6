# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tracks of a clip are one person: decided over the whole clip, through cuts, exits and returns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from backend.faces.appearance import canonical, similarity, weight
from backend.faces.face import Face, frontalness
from backend.faces.tracking import Sighting

# Points that expressions move little: eye corners, nose, temples, forehead, upper brows, cheekbones.
STABLE_LANDMARKS = np.array(
    [33, 133, 362, 263, 168, 6, 197, 195, 5, 4, 1, 2, 98, 327, 64, 294, 48, 278, 127, 356, 234, 454, 93, 323,
     10, 109, 338, 67, 297, 103, 332, 54, 284, 70, 300, 63, 293, 105, 334, 66, 296, 107, 336, 46, 276,
     116, 345, 117, 346, 118, 347, 50, 280]
)  # fmt: skip
SHAPE_WEIGHT = 0.2
"""What the cosine of two shapes is worth beside that of two textures."""
SAME_PERSON = 0.45
"""Likeness from which two tracks are one person."""
SAME_PERSON_NEARBY = 0.25
"""The same for a track that goes on, within `SHORT_GAP` and in one shot, about where the other ended."""
SURELY_SAME = 0.7
"""Likeness under which two tracks of one person may all the same be two people, who then look much alike."""
SHORT_GAP = 60
"""Frames."""
NEARBY = 1.5
"""Distance over the face's size, plus `DRIFT` for every frame in between."""
DRIFT = 0.05
DOUBLE = 2
"""Frames that two tracks of one person may share: one found again a moment before the other is given up."""
FLICKER = 5
"""Who is seen in fewer frames than this may be a false face, ..."""
FLICKER_PRESENCE = 0.6
"""... and is one with a mean presence under this, ..."""
FLICKER_SHARE = 0.1
"""... or with less than this share of the most seen person's frames."""


@dataclass(frozen=True)
class TrackSummary:
    """A track as a whole.

    Attributes:
        track: Its number.
        first: Index of its first frame.
        last: Index of its last frame; it was seen in all frames between.
        count: Frames in which it was seen.
        shot: Number of cuts before it; a track never lasts through one.
        weight: Sum over its frames of the face's share of the picture times its presence.
        presence: Mean presence, [0,1].
        appearance: (A,) mean look over its frames, the most frontal, large and sure ones counting most.
        shape: (S,) mean of `residual`, weighted in the same way.
        first_box: (4,) where it began.
        last_box: (4,) where it ended.
        best_frame: Index of the frame that shows it best: large, frontal, sharp and sure.
        best_box: (4,) where it is in that frame.
        best_score: How good that frame is, to compare with other tracks.
    """

    track: int
    first: int
    last: int
    count: int
    shot: int
    weight: float
    presence: float
    appearance: np.ndarray
    shape: np.ndarray
    first_box: np.ndarray
    last_box: np.ndarray
    best_frame: int
    best_box: np.ndarray
    best_score: float


@dataclass(frozen=True)
class Person:
    """One person of a clip.

    Attributes:
        number: From 1, the most prominent first: largest sum of picture share times presence.
        tracks: Numbers of the tracks, by their first frames.
        frames: In how many frames the person is seen.
        best_frame: Index of the frame that shows the person best.
        box: (4,) x0, y0, x1, y1 of the face in that frame.
    """

    number: int
    tracks: tuple[int, ...]
    frames: int
    best_frame: int
    box: np.ndarray


@dataclass
class _Running:
    """Sums over the sightings of one track."""

    first: int
    shot: int
    first_box: np.ndarray
    last: int = -1
    count: int = 0
    weight: float = 0.0
    presence: float = 0.0
    seen: float = 0.0
    looks: np.ndarray | float = 0.0
    shapes: np.ndarray | float = 0.0
    last_box: np.ndarray = field(default_factory=lambda: np.zeros(4))
    best: tuple[float, int, np.ndarray] = (-1.0, -1, np.zeros(4))


class TrackStatistics:
    """Sums up tracks frame by frame, in memory that grows with the number of tracks only.

    It needs nothing but what is stored: feeding it the stored sightings again gives the same sums.

    Args:
        width: Width of the pictures in pixels.
        height: Height.
    """

    def __init__(self, width: int, height: int) -> None:
        self._area = float(width * height)
        self._shot = 0
        self._running: dict[int, _Running] = {}

    def add(self, index: int, sightings: Iterable[Sighting], cut: bool = False) -> None:
        """Take in the sightings of one frame; frames come in order.

        Args:
            index: The frame's index in the clip.
            sightings: What `Tracker.update` gave for it.
            cut: Whether a new shot begins with it.
        """
        self._shot += int(cut)
        for sighting in sightings:
            face = sighting.face
            box = face.box.astype(np.float64)
            sums = self._running.setdefault(sighting.track, _Running(index, self._shot, box))
            share = float(np.prod(box[2:] - box[:2])) / self._area
            worth = weight(face) + 1e-6  # so that a track of nothing but doubtful sightings has a mean too
            sums.last, sums.last_box = index, box
            sums.count += 1
            sums.weight += share * face.presence
            sums.presence += face.presence
            sums.seen += worth
            sums.looks = sums.looks + worth * sighting.appearance.astype(np.float64)
            sums.shapes = sums.shapes + worth * residual(face.landmarks)
            score = clarity(face, float(sighting.sharpness), share)
            if score > sums.best[0]:
                sums.best = (score, index, box)

    def summaries(self) -> tuple[TrackSummary, ...]:
        """All tracks so far, by their numbers."""
        return tuple(
            TrackSummary(
                track=track, first=sums.first, last=sums.last, count=sums.count, shot=sums.shot, weight=sums.weight,
                presence=sums.presence / sums.count, appearance=sums.looks / sums.seen, shape=sums.shapes / sums.seen,
                first_box=sums.first_box, last_box=sums.last_box,
                best_frame=sums.best[1], best_box=sums.best[2], best_score=sums.best[0],
            )
            for track, sums in sorted(self._running.items())
        )  # fmt: skip


def clarity(face: Face, sharp: float, share: float) -> float:
    """How well a sighting shows the person: presence, frontalness, sharpness and the root of the picture's share."""
    return face.presence * frontalness(face.landmarks) ** 2 * sharp * share**0.25


def residual(landmarks: np.ndarray) -> np.ndarray:
    """(S,) float64 shape of a face: how its stable landmarks differ from the canonical ones.

    Similarity-aligned in space (Umeyama 1991, equations 40 to 42), so pose and size are taken out; expression mostly,
    by the choice of the landmarks. In units of the canonical outer-eye distance.

    Args:
        landmarks: (478,3).
    """
    own = landmarks[STABLE_LANDMARKS].astype(np.float64)
    model = canonical()[0][STABLE_LANDMARKS].astype(np.float64)
    own, model = own - own.mean(axis=0), model - model.mean(axis=0)
    left, sizes, right = np.linalg.svd(own.T @ model)
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    scale = float(sizes @ signs) / max(float((own**2).sum()), 1e-12)
    return (scale * own @ (left * signs) @ right - model).ravel()


def likeness(one: TrackSummary, other: TrackSummary) -> float:
    """How alike two tracks look: texture and colours (`appearance.similarity`), and a little of the shape."""
    common = canonical()[2]
    shapes = one.shape - common, other.shape - common
    lengths = np.linalg.norm(shapes[0]) * np.linalg.norm(shapes[1])
    return similarity(one.appearance, other.appearance) + SHAPE_WEIGHT * float(
        shapes[0] @ shapes[1] / max(float(lengths), 1e-9)
    )


def merge(tracks: Sequence[TrackSummary]) -> tuple[Person, ...]:
    """Tracks joined to persons.

    The two groups of tracks that are most alike are joined first (average linkage, weighted with the frames), as long
    as they are alike enough. Groups that are seen at the same time, for more than two frames, are never joined.
    Who is seen in fewer than five frames is left out as a false face when its presence is low or when the most seen
    person is seen in ten times as many frames.

    Args:
        tracks: See `TrackStatistics.summaries`; in any order.

    Returns:
        Persons, numbered by prominence; the same for the same tracks.
    """
    tracks = sorted(tracks, key=lambda track: (track.first, track.track))
    margins = {(i, j): _margin(tracks[i], tracks[j]) for i in range(len(tracks)) for j in range(i + 1, len(tracks))}
    groups = [[place] for place in range(len(tracks))]
    while True:
        best = max(
            ((margin, -a, -b) for a in range(len(groups)) for b in range(a + 1, len(groups))
             if (margin := _linkage(groups[a], groups[b], tracks, margins)) is not None),
            default=(-1.0, 0, 0),
        )  # fmt: skip
        if best[0] < 0:
            break
        joined = groups.pop(-best[2])
        groups[-best[1]] += joined
    return _numbered([[tracks[place] for place in sorted(group)] for group in groups])


def doubtful(tracks: Sequence[TrackSummary]) -> tuple[TrackSummary, ...]:
    """Which tracks of one person may be somebody else's, by time.

    Those that are not tied to the most seen one, be it through others, by a sure likeness or by going on in its place.

    Args:
        tracks: All of one person; in any order.
    """
    left = sorted(tracks, key=lambda track: (track.first, track.track))
    sure = [max(left, key=lambda track: track.count)] if left else []
    left = [track for track in left if track is not sure[0]]
    for known in sure:  # grows while it is walked through
        ties = [_surely_same(known, track) for track in left]
        sure += [track for track, tied in zip(left, ties, strict=True) if tied]
        left = [track for track, tied in zip(left, ties, strict=True) if not tied]
    return tuple(left)


def _surely_same(one: TrackSummary, other: TrackSummary) -> bool:
    earlier, later = sorted((one, other), key=lambda track: track.first)
    return _continues(earlier, later) or likeness(one, other) >= SURELY_SAME


def _linkage(
    one: Sequence[int],
    other: Sequence[int],
    tracks: Sequence[TrackSummary],
    margins: Mapping[tuple[int, int], float | None],
) -> float | None:
    """Mean margin between the tracks of two groups, None when two of them exclude each other."""
    total = weights = 0.0
    for a in one:
        for b in other:
            margin = margins[min(a, b), max(a, b)]
            if margin is None:
                return None
            count = float(tracks[a].count * tracks[b].count)
            total, weights = total + margin * count, weights + count
    return total / weights


def _margin(one: TrackSummary, other: TrackSummary) -> float | None:
    """By how much two tracks, the earlier one first, are alike enough to be one person; None when they cannot be."""
    if min(one.last, other.last) - other.first + 1 > DOUBLE:
        return None
    threshold = SAME_PERSON_NEARBY if _continues(one, other) else SAME_PERSON
    return likeness(one, other) - threshold


def _continues(one: TrackSummary, other: TrackSummary) -> bool:
    gap = other.first - one.last
    if one.shot != other.shot or gap > SHORT_GAP:
        return False
    sizes = [float((box[2:] - box[:2]).mean()) for box in (one.last_box, other.first_box)]
    middles = [(box[:2] + box[2:]) / 2 for box in (one.last_box, other.first_box)]
    apart = float(np.linalg.norm(middles[0] - middles[1]))
    return apart < (NEARBY + DRIFT * max(gap, 0)) * max(sizes) and max(sizes) < 2 * min(sizes)


def _numbered(groups: Sequence[Sequence[TrackSummary]]) -> tuple[Person, ...]:
    def prominence(group: Sequence[TrackSummary]) -> tuple[float, int]:
        return -sum(track.weight for track in group), group[0].track

    people = []
    most = max((sum(track.count for track in group) for group in groups), default=0)
    for group in sorted((group for group in groups if _is_real(group, most)), key=prominence):
        best = max(group, key=lambda track: track.best_score)
        people.append(
            Person(
                number=len(people) + 1,
                tracks=tuple(track.track for track in group),
                frames=_frames(group),
                best_frame=best.best_frame,
                box=best.best_box,
            )
        )
    return tuple(people)


def _is_real(group: Sequence[TrackSummary], most: int) -> bool:
    count = sum(track.count for track in group)
    presence = sum(track.presence * track.count for track in group) / count
    return count >= FLICKER or (presence >= FLICKER_PRESENCE and count >= FLICKER_SHARE * most)


def _frames(group: Sequence[TrackSummary]) -> int:
    """In how many frames a person is seen; `group` by first frames."""
    frames, end = 0, -1
    for track in group:
        frames += max(0, track.count - max(0, min(end, track.last) - track.first + 1))
        end = max(end, track.last)
    return frames
