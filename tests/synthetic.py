# SPDX-License-Identifier: GPL-3.0-or-later
"""Random heads before a camera with known truth, and how far a fit is from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from backend.engines.fit.evidence import depth_bias
from backend.engines.fit.fit import LandmarkFit
from backend.engines.params import FaceParams
from backend.faces import topology
from backend.heads.model import HeadModel
from blender_addon.contract.arkit import JAW_OPEN
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.projection import camera_matrix, focal_pixels, project

SIZE = 1024
MATRIX = camera_matrix(1422.0, SIZE, SIZE)
CLIP = (1280, 720)
"""Width and height of the frames of `make_person`."""


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


def make_truth(
    head: HeadDescription,
    model: HeadModel,
    seed: int,
    noise: float = 0.0,
    units: tuple[str, ...] = (),
    channels: np.ndarray | None = None,
) -> Truth:
    """A random head, expression, pose and gaze.

    Args:
        noise: of the landmarks, over the outer-eye distance.
        units: names of the truth's expression, where they are not the head's own channels.
        channels: (E,U) the head's channels of these units.
    """
    random = np.random.default_rng(seed)
    identity = random.normal(size=head.identity.shape[-1])
    names = units or head.expression_names
    expression = np.zeros(len(names))
    scored = [i for i, name in enumerate(names) if name in topology.BLENDSHAPE_NAMES]
    expression[random.choice(scored, 6, replace=False)] = random.uniform(0, 0.7, 6)
    jaw, lids = random.uniform(0, 0.2), random.uniform(0, 0.3, 2)
    rotation = np.radians(random.uniform([-8, -10, -5], [8, 10, 5]))
    gaze = np.radians([random.uniform(-10, 10), random.uniform(-15, 15), 0])
    translation = np.array([0.01, 0.02, 1.1])

    def batch(values) -> torch.Tensor:
        return torch.as_tensor(np.asarray(values)[None], dtype=torch.float32)

    vertices = model(
        identity=batch(identity),
        expression=batch(expression if channels is None else channels @ expression),
        head_rotation=batch(rotation),
        jaw=batch([jaw, 0, 0]),
        eyes=batch([*gaze, *gaze]),
        eyelids=batch(lids),
    ).vertices
    points = model.landmarks(vertices, "mediapipe478")[0].double().numpy()
    seen = _seen(points, rotation, translation, MATRIX)
    seen += random.normal(size=seen.shape) * noise * _eye_distance(seen)
    values = _scores(names, expression, jaw, lids)
    return Truth(vertices[0].numpy(), expression, rotation, translation, gaze, seen, values)


@dataclass(frozen=True)
class PersonTruth:
    """K views of one random person by one camera."""

    identity: np.ndarray
    expression: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray
    landmarks: np.ndarray
    scores: np.ndarray
    matrix: np.ndarray
    focal_mm: float


def make_person(
    head: HeadDescription,
    model: HeadModel,
    seed: int,
    views: int,
    *,
    focal_mm: float = 50.0,
    distance: float = 1.0,
    turn: float = 20.0,
    noise: float = 0.01,
    bias: float = 0.0,
) -> PersonTruth:
    """A random person who turns and talks before a `CLIP` camera.

    Args:
        turn: largest yaw, degrees; the pitch goes half as far.
        noise: of the landmarks, independent, over the outer-eye distance.
        bias: the same of an error that goes smoothly over the face and is the same in all views.
    """
    random = np.random.default_rng(seed)
    matrix = camera_matrix(focal_pixels(focal_mm, *CLIP), *CLIP)
    scored = [i for i, name in enumerate(head.expression_names) if name in topology.BLENDSHAPE_NAMES]
    identity, expression = random.normal(size=head.identity.shape[-1]), np.zeros((views, len(head.expression_names)))
    for row in expression:
        row[random.choice(scored, 6, replace=False)] = random.uniform(0, 0.7, 6)
    jaw, lids = np.zeros((views, 3)), random.uniform(0, 0.3, (views, 2))
    jaw[:, 0] = random.uniform(0, 0.2, views)
    rotation = np.radians(random.uniform(-1, 1, (views, 3)) * [turn / 2, turn, 6])
    translation = random.uniform([-0.1, 0.0, 0.95], [0.1, 0.04, 1.05], (views, 3)) * distance
    offsets = _smooth_offsets(head, random) * bias
    given = {"expression": expression, "head_rotation": rotation, "jaw": jaw, "eyelids": lids}
    given["identity"] = np.repeat(identity[None], views, axis=0)
    vertices = model(**{name: torch.as_tensor(values, dtype=torch.float32) for name, values in given.items()}).vertices
    landmarks, scores = [], []
    for view, points in enumerate(model.landmarks(vertices, "mediapipe478").double().numpy()):
        seen = _seen(points, rotation[view], translation[view], matrix)
        scale = _eye_distance(seen) / np.cos(rotation[view, 1])
        seen += random.normal(size=seen.shape) * noise * scale
        seen[:, :2] += offsets * scale
        landmarks.append(seen)
        scores.append(_scores(head.expression_names, expression[view], jaw[view, 0], lids[view]))
    return PersonTruth(
        identity, expression, rotation, translation, np.stack(landmarks), np.stack(scores), matrix, focal_mm
    )


def _seen(points: np.ndarray, rotation: np.ndarray, translation: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """(478,3) what a perfect detector says of posed landmarks: pixels, and a depth with the usual bias."""
    pixels = project(points, translation, matrix)
    nearer = depth_bias() * Rotation.from_rotvec(rotation).as_matrix()[2, 2]
    depth = -(points[:, 2] + nearer) * matrix[0, 0] / (translation[2] - points[:, 2].mean())
    return np.concatenate([pixels, depth[:, None]], axis=1)


def _eye_distance(seen: np.ndarray) -> float:
    return float(np.linalg.norm(np.subtract(*seen[list(topology.OUTER_EYE_CORNERS), :2])))


def _scores(names: tuple[str, ...], expression: np.ndarray, jaw: float, lids: np.ndarray) -> np.ndarray:
    """(52,) what a perfect network says."""
    scores = dict.fromkeys(topology.BLENDSHAPE_NAMES, 0.0)
    scores |= {name: value for name, value in zip(names, expression, strict=True) if name in scores}
    scores |= {"jawOpen": jaw / JAW_OPEN, "eyeBlinkLeft": lids[0], "eyeBlinkRight": lids[1]}
    return np.array(list(scores.values()), np.float32)


def _smooth_offsets(head: HeadDescription, random: np.random.Generator) -> np.ndarray:
    """(478,2) a random field over the landmarks of unit variance, alike within three centimetres."""
    marks = head.landmarks["mediapipe478"]
    points = np.einsum("nk,nkd->nd", marks.barycentric, head.template[head.faces[marks.faces]])
    squared = ((points[:, None] - points) ** 2).sum(axis=-1)
    covariance = np.exp(-squared / (2 * 0.03**2)) + 1e-6 * np.eye(len(points))
    return np.linalg.cholesky(covariance) @ random.normal(size=(len(points), 2))


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
    front = _front(head)
    aligned = similarity_aligned(fitted_vertices(model, params)[0][front], truth.vertices[front])
    return float(np.median(np.linalg.norm(aligned - truth.vertices[front], axis=1)))


def identity_error(head: HeadDescription, identity: np.ndarray, truth: np.ndarray) -> float:
    """Median distance over the skin of the face of two identities (S,) at rest, after a similarity, metres."""
    front = _front(head)
    mine, theirs = (head.template[front] + head.identity[front] @ values for values in (identity, truth))
    return float(np.median(np.linalg.norm(similarity_aligned(mine, theirs) - theirs, axis=1)))


def _front(head: HeadDescription) -> np.ndarray:
    """Vertices of the face's skin."""
    skin = np.unique(head.faces[head.polygon_material[head.face_polygon] == head.materials.index("skin")])
    return skin[(head.template[skin, 2] > 0.02) & (head.template[skin, 1] > -0.11)]


def similarity_aligned(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(N,3) points moved, turned and scaled onto (N,3) target points (Umeyama 1991)."""
    centred, goal = points - points.mean(axis=0), target - target.mean(axis=0)
    u, singular, vt = np.linalg.svd(goal.T @ centred)
    sign = np.diag([1, 1, np.linalg.det(u @ vt)])
    scale = (singular * np.diag(sign)).sum() / (centred**2).sum()
    return scale * centred @ (u @ sign @ vt).T + target.mean(axis=0)
