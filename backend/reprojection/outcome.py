# SPDX-License-Identifier: GPL-3.0-or-later
"""From a solved state to the parameters of faces, gaze included."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from backend.engines.params import FaceParams
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.projection import HEAD_TO_CAMERA

from .basis import LandmarkBasis
from .gaze import eye_rotations
from .placing import to_array
from .problem import State, posed_eyes
from .roles import MEDIAPIPE

IRIS_HIDDEN_FROM = 0.6
"""Closure of an eyelid beyond which the iris is hidden."""
IRIS_CENTRES = list(MEDIAPIPE.irises)


def pinhole_gaze(basis: LandmarkBasis, state: State, landmarks: np.ndarray, camera_matrix: np.ndarray) -> np.ndarray:
    """(B,6) eye rotations of faces solved under a full-frame camera K (3,3), from landmarks (B,N,>=2) in pixels."""
    irises = landmarks[:, list(basis.roles.irises), :2]
    pixels = np.concatenate([irises, np.ones((len(landmarks), 2, 1))], axis=-1)
    rays = pixels @ np.linalg.inv(camera_matrix).T
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    return iris_gaze(basis, state, np.zeros_like(rays) - to_array(state.camera)[:, None], rays)


def iris_gaze(basis: LandmarkBasis, state: State, origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """(B,6) eye rotations from iris rays (B,2,3) given in camera space less the head's translation."""
    eye_joints, rest_iris = (to_array(part) for part in posed_eyes(basis, state, list(basis.roles.irises)))
    head_to_camera = HEAD_TO_CAMERA @ to_array(state.rotation)
    closure = to_array(state.coefficients)[:, basis.eyelid_slice]
    seen = np.ones((len(closure), 2), bool)
    seen[:, : closure.shape[1]] = closure < IRIS_HIDDEN_FROM
    return eye_rotations(origins, directions, eye_joints @ HEAD_TO_CAMERA, rest_iris, head_to_camera, seen)


def face_params(
    head: HeadDescription,
    basis: LandmarkBasis,
    state: State,
    crop_transform: np.ndarray,
    crop_camera: np.ndarray,
    eyes: np.ndarray,
) -> FaceParams:
    """The parameters of B faces; identity components that the basis lacks are zero."""
    count, coefficients = len(crop_transform), to_array(state.coefficients)
    identity = np.zeros((count, head.identity.shape[-1]))
    identity[:, : basis.shape_size] = coefficients[:, : basis.shape_size]
    expression = coefficients[:, basis.expression_slice]
    if basis.expression_turn is not None:
        expression = expression @ to_array(basis.expression_turn).T
    jaw = np.zeros((count, 3))
    jaw[:, 0] = to_array(state.jaw)
    eyelids = np.zeros((count, 2))
    eyelids[:, : basis.eyelid_size] = coefficients[:, basis.eyelid_slice]
    return FaceParams(
        identity=identity,
        expression=expression,
        eyelids=eyelids,
        head_rotation=Rotation.from_matrix(to_array(state.rotation)).as_rotvec(),
        neck=np.zeros((count, 3)),
        jaw=jaw,
        eyes=eyes,
        crop_camera=crop_camera,
        crop_transform=crop_transform,
    )
