# SPDX-License-Identifier: GPL-3.0-or-later
"""The faces of a photo by a published engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backend.engines.choice import Networks
from backend.engines.crops import CropStyle, FanLandmarks, on_device, transforms
from backend.engines.interface import as_codes, padded
from backend.engines.params import FaceParams
from backend.faces.engine_crops import Squares
from backend.faces.face import Face
from backend.session import Session
from backend.solve.camera import Focal
from backend.solve.shot import Shot
from blender_addon.contract.options import CaptureOptions

from .coding import CodePlacer, coded_confidence


@dataclass(frozen=True)
class PhotoFaces:
    """B faces of a photo.

    Attributes:
        params: Where they stand and what they show.
        translation: (B,3) metres, camera space.
        errors: (B,) landmark errors over the outer-eye distance.
        confidence: (B,) in [0, 1].
        detail: (B,D) codes of the wrinkles; None of engines that see none.
        emotion: (B,10) raw outputs of an emotion network; None without one.
    """

    params: FaceParams
    translation: np.ndarray
    errors: np.ndarray
    confidence: np.ndarray
    detail: np.ndarray | None = None
    emotion: np.ndarray | None = None


def coded_faces(
    session: Session,
    options: CaptureOptions,
    networks: Networks,
    pixels: np.ndarray,
    faces: Sequence[Face],
    focal: Focal,
) -> PhotoFaces:
    """Let an engine look at faces, and place each before the camera; all are different people.

    Args:
        session: The loaded models.
        options: What was asked for.
        networks: With an engine.
        pixels: (H,W,3) uint8.
        faces: B faces.
        focal: The camera's focal length.
    """
    engine = networks.engine
    assert engine is not None
    around = _around(session, options, engine.style, pixels, faces)
    picture = on_device(pixels, session.device)
    codes = as_codes(engine.read(engine.style.crops(picture, around)))
    landmarks = np.stack([face.landmarks for face in faces]).astype(np.float64)
    scores = np.stack([face.blendshapes for face in faces])
    identity = padded(codes.identity.astype(np.float64), engine.head.identity.shape[2])
    if networks.mica is not None:
        embeddings = networks.mica.embed(pixels, landmarks)
        own = np.stack([networks.mica.identity(embedding[None]) for embedding in embeddings])
        identity = padded(own.astype(np.float64), engine.head.identity.shape[2])
    size, crops = (pixels.shape[1], pixels.shape[0]), transforms(around)
    placed = [
        CodePlacer(networks, Shot(identity[row], (focal,), size, ()), batch=1).place(
            codes[row : row + 1], crops[row : row + 1], landmarks[row : row + 1], scores[row : row + 1]
        )
        for row in range(len(faces))
    ]
    names = vars(placed[0].params)
    errors = np.concatenate([one.landmark_error for one in placed])
    emotion = photo_emotion(session, options, networks, pixels, faces)
    if networks.emotion_of_codes is not None:
        emotion = networks.emotion_of_codes.outputs(codes)
    return PhotoFaces(
        params=FaceParams(**{name: np.concatenate([getattr(one.params, name) for one in placed]) for name in names}),
        translation=np.concatenate([one.translation for one in placed]),
        errors=errors,
        confidence=coded_confidence(codes, np.array([face.presence for face in faces]), errors),
        detail=codes.detail if codes.detail.shape[1] else None,
        emotion=emotion,
    )


def photo_emotion(
    session: Session, options: CaptureOptions, networks: Networks, pixels: np.ndarray, faces: Sequence[Face]
) -> np.ndarray | None:
    """(B,10) raw outputs of the emotion network for faces of a photo; None without it."""
    if networks.emotion is None:
        return None
    around = _around(session, options, networks.emotion.style, pixels, faces)
    crops = networks.emotion.style.crops(on_device(pixels, session.device), around)
    return networks.emotion.read(crops)["outputs"]


def _around(
    session: Session, options: CaptureOptions, style: CropStyle, pixels: np.ndarray, faces: Sequence[Face]
) -> Squares:
    if options.boxes == "fan":
        fan: FanLandmarks = session.fan()
        return style.around_fan(pixels, np.stack([face.box for face in faces]), fan)
    return style.squares(np.stack([face.landmarks for face in faces]))
