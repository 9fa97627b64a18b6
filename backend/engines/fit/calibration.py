# SPDX-License-Identifier: GPL-3.0-or-later
"""Calibrating a landmark embedding on photos: what every fit misses in the same way is the embedding's fault."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from backend.faces import topology
from backend.faces.face import Face
from backend.faces.landmarker import FaceFinder
from backend.heads.embedding import detected_views, ibug68, snap, surface_points, symmetrised
from blender_addon.contract.head import HeadDescription, Landmarks
from blender_addon.contract.projection import HEAD_TO_CAMERA, camera_matrix, focal_pixels, project

from .fit import EMBEDDING, LandmarkFit

ROUNDS = 3
PORTRAIT_FOCAL_MM = 50.0
"""35 mm equivalent focal length assumed for the pictures."""
SOFT = 0.35
"""Share of the mean residual by which lids and lips move: there a common expression would pass for an offset."""


@dataclass(frozen=True)
class CalibrationFace:
    """A face to calibrate on; `weight` keeps a person of many pictures from counting more than one of few."""

    face: Face
    image_size: tuple[int, int]
    weight: float = 1.0


def calibrated(head: HeadDescription, faces: Sequence[CalibrationFace], rounds: int = ROUNDS) -> HeadDescription:
    """The head with its 478 landmarks moved along the surface by the mean residual of fits to faces.

    Irises stay: the eyes' own rotation explains their residuals. The result is mirror-symmetric.

    Args:
        head: a head with the embedding, as `landmark_embedding` made it.
        faces: detected faces, several people, as frontal as not.
    """
    gain = np.ones(topology.LANDMARK_COUNT)
    gain[np.concatenate([topology.LIDS, topology.LIPS])] = SOFT
    gain[list(topology.IRISES)] = 0
    weights = np.array([item.weight for item in faces])
    for _ in range(rounds):
        engine = LandmarkFit(head)
        moves = np.stack([_residual(engine, item) for item in faces])
        mean = np.einsum("f,fnd->nd", weights / weights.sum(), moves)
        points = surface_points(head, head.landmarks[EMBEDDING]) + gain[:, None] * mean
        head = with_embedding(head, snap(head, symmetrised(points)))
    return head


def with_embedding(head: HeadDescription, landmarks: Landmarks) -> HeadDescription:
    """The head with these 478 landmarks and the iBUG-68 selection of them."""
    return replace(head, landmarks={**head.landmarks, EMBEDDING: landmarks, "ibug68": ibug68(landmarks)})


def depth_bias(head: HeadDescription, finder: FaceFinder, views: int = 64, seed: int = 1) -> np.ndarray:
    """How far the detector's depth is from the truth on renders of the head.

    Returns:
        (478,) metres along the head's z, positive where the detector says nearer; see `evidence.depth_bias`.
    """
    marks = head.landmarks[EMBEDDING]
    corners = head.faces[marks.faces]
    left, right = topology.OUTER_EYE_CORNERS
    biases = []
    for view in detected_views(head, finder, views, np.random.default_rng(seed)):
        if view is None:
            continue
        truth = np.einsum("nk,nkd->nd", marks.barycentric, view.posed[corners])
        seen = view.landmarks.astype(np.float64)
        metres = np.linalg.norm(truth[left, :2] - truth[right, :2]) / np.linalg.norm(seen[left, :2] - seen[right, :2])
        nearer = -seen[:, 2] * metres - truth[:, 2]
        biases.append(nearer - nearer.mean())
    return symmetrised_values(np.mean(biases, axis=0)).astype(np.float32)


def symmetrised_values(values: np.ndarray) -> np.ndarray:
    """(478,) averaged with its mirror image."""
    return (values + values[topology.MIRROR_478]) / 2


def _residual(engine: LandmarkFit, item: CalibrationFace) -> np.ndarray:
    """(478,3) from the fitted to the seen landmarks, metres in the head's own axes, nothing along the view."""
    width, height = item.image_size
    matrix = camera_matrix(focal_pixels(PORTRAIT_FOCAL_MM, width, height), width, height)
    landmarks, scores = item.face.landmarks[None].astype(np.float64), item.face.blendshapes[None]
    params, translation = engine.refine(engine.estimate(landmarks, scores), landmarks, scores, matrix)
    pixels = project(engine.posed_landmarks(params)[0], translation[0], matrix)
    seen = np.zeros((len(pixels), 3))
    seen[:, :2] = (landmarks[0, :, :2] - pixels) * translation[0, 2] / matrix[0, 0]
    return seen @ HEAD_TO_CAMERA @ Rotation.from_rotvec(params.head_rotation[0]).as_matrix()
