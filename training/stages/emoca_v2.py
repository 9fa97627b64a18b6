# SPDX-License-Identifier: GPL-3.0-or-later
"""The terms that EMOCA v2 adds to the coarse stage: MediaPipe's landmarks, and what a lip reader sees."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from torch import Tensor

from training.losses import mediapipe
from training.losses.lip_reading import LipFeatures, LipMetric, lip_reading_loss
from training.losses.mediapipe import LidPairs, embedded
from training.model.face import MESH_POINTS, Face, FaceModel
from training.model.layout import FaceCode
from training.rendering.renderer import Render
from training.stages.stage import Batch

LIP_READING = "lip_reading"
_PUBLISHED_POINTS = "mediapipe105"
_MOUTH = slice(48, 68)
_TERMS: Mapping[str, Callable[..., Tensor]] = {
    "mediapipe_landmarks": mediapipe.landmark_loss,
    "mediapipe_eyes": mediapipe.eye_closure_loss,
    "mediapipe_lips": mediapipe.lip_closure_loss,
    "mediapipe_corners": mediapipe.mouth_corner_loss,
}


def wants_mediapipe(weights: Mapping[str, float]) -> bool:
    """Whether terms of MediaPipe's landmarks are weighed, or named with 0, to be logged."""
    return any(name in weights for name in _TERMS)


def mediapipe_points(model: FaceModel, face: Face, code: FaceCode) -> Tensor:
    """(B, 105, 2) crop NDC: where FLAME's published embedding has them, or else out of all 478 that a head carries.

    Raises:
        KeyError: the head has neither.
    """
    if _PUBLISHED_POINTS in model.head.head.landmarks:
        return model.points(face.vertices, code, _PUBLISHED_POINTS)
    return embedded(model.points(face.vertices, code, MESH_POINTS))


def mediapipe_terms(found: Tensor, truth: Tensor, lids: LidPairs = "published") -> dict[str, Tensor]:
    """Terms by name, over the faces of which MediaPipe found the landmarks; 0 where it found none.

    Args:
        found: (B, 105, 2) crop NDC of the head.
        truth: (B, 478, 3) crop NDC of the photo, and visibility.
        lids: see `LidPairs`.
    """
    known = truth[..., 2].amax(1) > 0
    losses = _TERMS | {"mediapipe_eyes": partial(mediapipe.eye_closure_loss, pairs=lids)}
    if not known.any():
        return dict.fromkeys(losses, 0 * found.sum())
    return {name: loss(found[known], truth[known]) for name, loss in losses.items()}


def lip_reading_term(lips: LipFeatures, batch: Batch, face: Face, render: Render, metric: LipMetric) -> Tensor:
    """See `lip_reading_loss`, over the faces whose mouth was found in the photo; 0 where none was."""
    points, shown = batch["landmarks"], (render.image * render.mask).clamp(0, 1)
    known = points[:, _MOUTH, 2].amax(1) > 0
    if not known.any():
        return 0 * shown.sum()
    photo = batch["image"][known], points[known]
    return lip_reading_loss(lips, shown[known], face.landmarks[known], *photo, metric)
