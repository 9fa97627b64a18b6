# SPDX-License-Identifier: GPL-3.0-or-later
"""A face from one frame of a video to the next: the landmark network on a crop laid around the last landmarks.

One crop is taken plain and one mirrored, so that mirroring the clip mirrors the result; their disagreement, which is
large wherever there is no face, and the network's own belief replace the detector.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from backend.faces import topology
from backend.faces.face import Face, bounds, frontalness, presence
from backend.faces.windows import Window, landmarks_to_frame, pair, sample, upright

if TYPE_CHECKING:
    from backend.faces.runtime import FaceModels

SIDE = 256
"""Side in pixels of the crops: the landmark network's input."""
WINDOW_OVER_FACE = 1.5
"""Side of a crop over the longer side of the landmark box, as in MediaPipe's own tracking."""
PRESENCE_THRESHOLD = 0.5
"""Belief of the network under which there is no face; MediaPipe's own threshold."""
DISAGREEMENT = 0.06
"""Largest root mean square difference of the plain and the mirrored crop's landmarks, over the face's size."""


@dataclass(frozen=True)
class Half:
    """What one crop tells, its mirroring undone.

    Attributes:
        crop: (256,256,3) uint8, as the network saw it.
        landmarks: (478,3) full-frame pixels.
        blendshapes: (52,) float32.
        presence: The network's belief in [0,1] that there is a face.
    """

    crop: np.ndarray
    landmarks: np.ndarray
    blendshapes: np.ndarray
    presence: float


@dataclass(frozen=True)
class Followed:
    """A face that was followed.

    Attributes:
        face: What is known about it now; its landmarks are rounded to float32, as they are stored.
        crop: (256,256,3) uint8 picture around it.
        window: Where in the frame `crop` lies.
    """

    face: Face
    crop: np.ndarray
    window: Window


def window(landmarks: np.ndarray) -> Window:
    """The window in which a face with these (478,3) landmarks is looked for in the next frame."""
    return upright(np.asarray(landmarks, dtype=np.float64), WINDOW_OVER_FACE)


def pairs(windows: Iterable[Window]) -> list[Window]:
    """Each window followed by its mirrored twin."""
    return [part for one in windows for part in pair(one)]


def run(model: FaceModels, pixels: np.ndarray, part: Window) -> Half:
    """One crop through the landmark network."""
    crop = sample(pixels, part, SIDE, fast=True)
    found = model.aligned(crop)
    landmarks, scores = landmarks_to_frame(found.mesh.landmarks, part, SIDE), found.mesh.blendshapes
    if part.mirrored:
        landmarks, scores = landmarks[topology.MIRROR_478], scores[topology.MIRROR_BLENDSHAPES]
    return Half(crop, landmarks, scores, found.presence)


def joined(plain: Half, mirrored: Half, around: Window) -> Followed | None:
    """The mean of both crops; None when there is no face or they disagree on it."""
    belief = (plain.presence + mirrored.presence) / 2
    both = np.array([plain.landmarks, mirrored.landmarks])
    mean = both.mean(axis=0).astype(np.float32)
    box = bounds(mean)
    deviation = np.sqrt(((both[0] - both[1])[:, :2] ** 2).sum(axis=-1).mean()) / 2
    if belief < PRESENCE_THRESHOLD or deviation > DISAGREEMENT * float((box[2:] - box[:2]).mean()):
        return None
    # As over several crops: the standard deviation of one coordinate.
    spread = float(deviation / np.sqrt(2) / max(float(topology.outer_eye_distance(mean)), 1e-6))
    face = Face(
        box=box,
        landmarks=mean,
        blendshapes=(plain.blendshapes + mirrored.blendshapes) / 2,
        presence=presence(belief, 1.0, spread, frontalness(mean)),
        spread=spread,
    )
    return Followed(face, plain.crop, around)
