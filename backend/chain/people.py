# SPDX-License-Identifier: GPL-3.0-or-later
"""Who was seen: all sightings in brief, and the people they are of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from backend.faces.crops import crop_transforms
from backend.faces.face import frontalness
from backend.faces.people import Person, TrackStatistics, TrackSummary, merge
from backend.reprojection.basis import LandmarkBasis
from backend.reprojection.evidence import Evidence
from backend.reprojection.placing import in_crop, to_array
from backend.reprojection.start import align
from backend.store.observations import Observations, sighting


@dataclass(frozen=True)
class Sightings:
    """What is needed of each of N sightings to choose among them; the rest stays on disk.

    Attributes:
        frame: (N,) index into the clip.
        track: (N,)
        presence: (N,) in [0, 1].
        sharpness: (N,)
        frontal: (N,) in [0, 1].
        rotation: (N,3) axis-angle of the head, roughly.
        blendshapes: (N,52) scores.
    """

    frame: np.ndarray
    track: np.ndarray
    presence: np.ndarray
    sharpness: np.ndarray
    frontal: np.ndarray
    rotation: np.ndarray
    blendshapes: np.ndarray

    def of(self, person: Person) -> np.ndarray:
        """Places of a person's sightings, one a frame: of two in one frame the surer one."""
        places = np.flatnonzero(np.isin(self.track, person.tracks))
        order = np.lexsort((-self.presence[places], self.frame[places]))
        _, first = np.unique(self.frame[places][order], return_index=True)
        return np.sort(places[order][first])


@dataclass(frozen=True)
class Seen:
    """All that was seen of a clip.

    Attributes:
        observations: Every sighting, on disk.
        sightings: The same in brief.
        tracks: By their numbers.
        people: The most prominent first.
    """

    observations: Observations
    sightings: Sightings
    tracks: Mapping[int, TrackSummary]
    people: tuple[Person, ...]

    def tracks_of(self, person: Person) -> list[TrackSummary]:
        """A person's tracks."""
        return [self.tracks[track] for track in person.tracks]


def gather(observations: Observations, evidence: Evidence, size: tuple[int, int]) -> Seen:
    """Go once through all that was seen.

    Args:
        observations: What was seen.
        evidence: Tells the rough direction of a head.
        size: Width and height of the pictures.
    """
    frames = observations.frames()
    index, cut = frames["index"], frames["cut"]
    statistics = TrackStatistics(*size)
    parts: list[tuple[np.ndarray, ...]] = []
    cuts_told = 0
    for batch in observations.batches():
        for record in batch:
            row = int(record["frame"])
            # A track never lasts through a cut, so the cuts of frames without faces may be told with the next face.
            for _ in range(int(cut[cuts_told : row + 1].sum()) - 1):
                statistics.add(int(index[row]), (), cut=True)
            new_shot = bool(cut[cuts_told : row + 1].any())
            statistics.add(int(index[row]), [sighting(record)], cut=new_shot)
            cuts_told = row + 1
        parts.append(
            (
                index[batch["frame"]],
                batch["track"],
                batch["presence"],
                batch["sharpness"],
                np.array([frontalness(landmarks) for landmarks in batch["landmarks"]]),
                rough_rotations(evidence.basis, batch["landmarks"]),
                batch["blendshapes"],
            )
        )
    joined = [np.concatenate(column) for column in zip(*parts, strict=True)] if parts else [np.zeros(0, int)] * 7
    tracks = statistics.summaries()
    return Seen(observations, Sightings(*joined), {track.track: track for track in tracks}, merge(tracks))


def rough_rotations(basis: LandmarkBasis, landmarks: np.ndarray) -> np.ndarray:
    """(N,3) axis-angle: how the mean head is turned that lies best on landmarks (N,478,3)."""
    seen = in_crop(landmarks, crop_transforms(landmarks))
    rotation, _ = align(to_array(basis.mean), seen, to_array(basis.root_joint[:, 0]))
    return Rotation.from_matrix(rotation).as_rotvec()
