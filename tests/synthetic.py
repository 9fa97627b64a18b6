# SPDX-License-Identifier: GPL-3.0-or-later
"""Random heads before a camera with known truth, and how far a fit is from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from backend.engines.fit.evidence import JAW_OPEN, depth_bias
from backend.engines.fit.fit import LandmarkFit
from backend.engines.params import FaceParams
from backend.faces import topology
from backend.heads.model import HeadModel
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.projection import camera_matrix, project

SIZE = 1024
MATRIX = camera_matrix(1422.0, SIZE, SIZE)


@dataclass(frozen=True)
class Truth:
    """A random head before the camera, and what a perfect detector would say of it."""

    vertices: np.ndarray
    expression: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray
    eyes: np.ndarray
    landmarks: np.ndarray
    scores: np.ndarray


def make_truth(head: HeadDescription, model: HeadModel, seed: int, noise: float = 0.0) -> Truth:
    """A random head, expression, pose and gaze; `noise` is that of the landmarks over the outer-eye distance."""
    random = np.random.default_rng(seed)
    identity = random.normal(size=head.identity.shape[-1])
    expression = np.zeros(len(head.expression_names))
    scored = [i for i, name in enumerate(head.expression_names) if name in topology.BLENDSHAPE_NAMES]
    expression[random.choice(scored, 6, replace=False)] = random.uniform(0, 0.7, 6)
    jaw, lids = random.uniform(0, 0.2), random.uniform(0, 0.3, 2)
    rotation = np.radians(random.uniform([-8, -10, -5], [8, 10, 5]))
    gaze = np.radians([random.uniform(-10, 10), random.uniform(-15, 15), 0])
    translation = np.array([0.01, 0.02, 1.1])

    def batch(values) -> torch.Tensor:
        return torch.as_tensor(np.asarray(values)[None], dtype=torch.float32)

    vertices = model(
        identity=batch(identity),
        expression=batch(expression),
        head_rotation=batch(rotation),
        jaw=batch([jaw, 0, 0]),
        eyes=batch([*gaze, *gaze]),
        eyelids=batch(lids),
    ).vertices
    points = model.landmarks(vertices, "mediapipe478")[0].double().numpy()
    pixels = project(points, translation, MATRIX)
    nearer = depth_bias() * Rotation.from_rotvec(rotation).as_matrix()[2, 2]
    depth = -(points[:, 2] + nearer) * MATRIX[0, 0] / (translation[2] - points[:, 2].mean())
    eye_distance = np.linalg.norm(np.subtract(*pixels[list(topology.OUTER_EYE_CORNERS)]))
    seen = np.concatenate([pixels, depth[:, None]], axis=1)
    seen += random.normal(size=seen.shape) * noise * eye_distance
    scores = dict.fromkeys(topology.BLENDSHAPE_NAMES, 0.0)
    scores |= {name: value for name, value in zip(head.expression_names, expression, strict=True) if name in scores}
    scores |= {"jawOpen": jaw / JAW_OPEN, "eyeBlinkLeft": lids[0], "eyeBlinkRight": lids[1]}
    values = np.array(list(scores.values()), np.float32)
    return Truth(vertices[0].numpy(), expression, rotation, translation, gaze, seen, values)


def solve(engine: LandmarkFit, truth: Truth) -> tuple[FaceParams, np.ndarray]:
    """Fit it under the true camera."""
    landmarks, scores = truth.landmarks[None], truth.scores[None]
    return engine.refine(engine.estimate(landmarks, scores), landmarks, scores, MATRIX)


def fitted_vertices(model: HeadModel, params: FaceParams) -> np.ndarray:
    """(B,V,3) of fitted faces."""
    names = ("identity", "expression", "head_rotation", "jaw", "eyes", "eyelids")
    tensors = {name: torch.as_tensor(getattr(params, name), dtype=torch.float32) for name in names}
    return model(**tensors).vertices.numpy()


def surface_error(head: HeadDescription, model: HeadModel, params: FaceParams, truth: Truth) -> float:
    """Median distance over the skin of the face after a similarity, metres."""
    skin = np.unique(head.faces[head.polygon_material[head.face_polygon] == head.materials.index("skin")])
    front = skin[(head.template[skin, 2] > 0.02) & (head.template[skin, 1] > -0.11)]
    aligned = similarity_aligned(fitted_vertices(model, params)[0][front], truth.vertices[front])
    return float(np.median(np.linalg.norm(aligned - truth.vertices[front], axis=1)))


def similarity_aligned(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(N,3) points moved, turned and scaled onto (N,3) target points (Umeyama 1991)."""
    centred, goal = points - points.mean(axis=0), target - target.mean(axis=0)
    u, singular, vt = np.linalg.svd(goal.T @ centred)
    sign = np.diag([1, 1, np.linalg.det(u @ vt)])
    scale = (singular * np.diag(sign)).sum() / (centred**2).sum()
    return scale * centred @ (u @ sign @ vt).T + target.mean(axis=0)
