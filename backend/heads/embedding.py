# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the detector's landmarks lie on a head: render it, detect, look up the surface under each landmark.

Works for any head with a face: the detector itself says what it takes for a lip corner or a lid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt

from backend.faces import topology
from backend.faces.landmarker import FaceFinder
from backend.heads.model import HeadModel
from backend.heads.surface import nearest_on_surface
from backend.rendering.plain import PlainView, faces_of, plain_view
from blender_addon.contract.head import JOINT_NAMES, HeadDescription, Landmarks
from blender_addon.contract.projection import HEAD_TO_CAMERA, camera_matrix

SKIN = ("skin", "lips")
EYE = ("sclera", "iris", "pupil")
VIEW_SIZE = 512
DISTANCE = 1.2
"""Metres from the camera to the middle of the head."""
MAX_YAW, MAX_PITCH = np.radians(35.0), np.radians(12.0)
OPEN_JAW = np.radians(16.0)
JAW = JOINT_NAMES.index("jaw")
MOVES_WITH_JAW = 0.4
"""Mean jaw skinning from which a triangle of the lips belongs to the lower one; in the corners it is about .33."""
REACH = 0.02
"""A landmark farther than this fraction of the picture from any allowed pixel says nothing."""


@dataclass(frozen=True)
class Sightings:
    """Landmarks seen on M renders, as points of the template's surface; lashes, which the detector would take for lid
    edges, are not rendered."""

    points: np.ndarray
    """(M,478,3) metres, not a number where a landmark was not seen"""
    open_mouth: np.ndarray
    """(M,) bool"""


def landmark_embedding(
    head: HeadDescription,
    finder: FaceFinder,
    views: int = 64,
    seed: int = 0,
    progress: Callable[[float], None] = lambda done: None,
) -> Landmarks:
    """Embed the 478 landmarks on a head from renders of it, mirror-symmetric.

    Inner-lip points are taken from views with the mouth open, where upper and lower lip part; every point is put on
    skin or lips, the irises on the eyes.

    Args:
        head: any head in FLAME's layout, facing +z, mirror-symmetric about x = 0.
        finder: the landmark detector.
        views: how many renders; half with the jaw open, all but the first with a random identity.
        seed: of the random views.

    Raises:
        ValueError: the detector saw no face on most of the renders.
    """
    sightings = _sight(head, finder, views, np.random.default_rng(seed), progress)
    points = _consensus(sightings)
    return snap(head, symmetrised(points))


def snap(head: HeadDescription, points: np.ndarray) -> Landmarks:
    """The embedding nearest to (478,3) points of the template: irises on the eyes, all else on skin and lips."""
    faces = np.zeros(len(points), np.int32)
    weights = np.zeros((len(points), 3), np.float32)
    for chosen, allowed in _places(head):
        faces[chosen], weights[chosen] = nearest_on_surface(
            points[chosen], head.template.astype(np.float64), head.faces, allowed
        )
    return Landmarks(faces, weights)


def _places(head: HeadDescription) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Which landmarks (478,) bool may lie on which triangles (F,) bool: irises on the eyes where the head has any.

    The lower lip's inner points lie on what moves with the jaw, for at rest the upper lip's inside is as near.
    """
    eye, skin = faces_of(head, EYE), faces_of(head, SKIN)
    numbers = np.arange(topology.LANDMARK_COUNT)
    iris, lower_lip = np.isin(numbers, topology.IRISES), np.isin(numbers, topology.LOWER_LIP_INNER)
    with_jaw = skin & (head.skinning[head.faces, JAW].mean(axis=1) > MOVES_WITH_JAW)
    yield iris, eye if eye.any() else skin
    yield lower_lip, with_jaw if with_jaw.any() else skin
    yield ~iris & ~lower_lip, skin


def symmetrised(points: np.ndarray) -> np.ndarray:
    """(478,3) averaged with its mirror image."""
    return (points + points[topology.MIRROR_478] * [-1, 1, 1]) / 2


def surface_points(head: HeadDescription, landmarks: Landmarks) -> np.ndarray:
    """(N,3) positions of an embedding on the template."""
    corners = head.template[head.faces[landmarks.faces]].astype(np.float64)
    return np.einsum("nk,nkd->nd", landmarks.barycentric.astype(np.float64), corners)


def ibug68(landmarks: Landmarks) -> Landmarks:
    """The iBUG-68 points as a selection of the 478."""
    return Landmarks(
        landmarks.faces[topology.IBUG68_FROM_478], landmarks.barycentric[topology.IBUG68_FROM_478]
    )


def _sight(
    head: HeadDescription,
    finder: FaceFinder,
    views: int,
    random: np.random.Generator,
    progress: Callable[[float], None],
) -> Sightings:
    points, opened = [], []
    for number, view in enumerate(detected_views(head, finder, views, random)):
        if view is not None:
            points.append(_look_up(head, view.picture, view.landmarks[:, :2]))
            opened.append(view.jaw > 0)
        progress((number + 1) / views)
    if len(points) < views / 2:
        raise ValueError(f"the detector found a face on {len(points)} of {views} renders of the head {head.id}")
    return Sightings(np.stack(points), np.array(opened))


@dataclass(frozen=True)
class DetectedView:
    """A random head, its render, and what the detector saw on it."""

    posed: np.ndarray
    """(V,3) metres, head space"""
    jaw: float
    picture: PlainView
    landmarks: np.ndarray
    """(478,3) pixels"""


def detected_views(
    head: HeadDescription, finder: FaceFinder, views: int, random: np.random.Generator
) -> Iterator[DetectedView | None]:
    """Renders of random heads turned at random, every other one with the jaw open; None where no face was detected."""
    model = HeadModel(head)
    for view in range(views):
        jaw = OPEN_JAW * random.uniform(0.6, 1.2) if view % 2 else 0.0
        identity = random.normal(size=head.identity.shape[-1]) * (0.8 if view else 0.0)
        turn = [random.uniform(-MAX_PITCH, MAX_PITCH), random.uniform(-MAX_YAW, MAX_YAW), random.normal() * 0.05]
        with torch.inference_mode():
            posed = model(
                identity=torch.as_tensor(identity[None], dtype=torch.float32),
                head_rotation=torch.tensor([turn], dtype=torch.float32) if view else None,
                jaw=torch.tensor([[jaw, 0, 0]], dtype=torch.float32),
            ).vertices[0].numpy()
        picture = _render(posed, head)
        found = finder.find(picture.pixels)
        if found:
            yield DetectedView(posed, jaw, picture, finder.refine(picture.pixels, found[0]).landmarks)
        else:
            yield None


def _render(posed: np.ndarray, head: HeadDescription) -> PlainView:
    """The posed head (V,3) filling the middle of the picture."""
    low, high = posed.min(axis=0), posed.max(axis=0)
    focal = VIEW_SIZE * DISTANCE / ((high - low).max() * 1.2)
    centre = HEAD_TO_CAMERA @ ((low + high) / 2)
    matrix = camera_matrix(focal, VIEW_SIZE, VIEW_SIZE)
    return plain_view(posed, head, [0, 0, DISTANCE] - centre, matrix, (VIEW_SIZE, VIEW_SIZE), without=("lashes",))


def _look_up(head: HeadDescription, picture: PlainView, landmarks: np.ndarray) -> np.ndarray:
    """(478,3) points of the template under landmarks (478,2) in pixels: the nearest allowed pixel of the render."""
    size = picture.face_ids.shape[0]
    points = np.full((len(landmarks), 3), np.nan)
    pixel = np.clip(np.floor(landmarks).astype(int), 0, size - 1)
    for chosen, allowed in _places(head):
        shown = np.append(allowed, False)[picture.face_ids]
        distance, (row, column) = distance_transform_edt(~shown, return_indices=True)
        at = pixel[chosen][:, 1], pixel[chosen][:, 0]
        near = row[at], column[at]
        corners = head.template[head.faces[picture.face_ids[near]]]
        found = np.einsum("nk,nkd->nd", picture.barycentric[near], corners)
        found[distance[at] > REACH * size] = np.nan
        points[chosen] = found
    return points


def _consensus(sightings: Sightings) -> np.ndarray:
    """(478,3) robust mean of the sightings: the mean of the half nearest to the median."""
    inner_lip = np.isin(np.arange(sightings.points.shape[1]), topology.LIPS_INNER)
    points = sightings.points.copy()
    points[np.ix_(~sightings.open_mouth, inner_lip)] = np.nan
    median = np.nanmedian(points, axis=0)
    distance = np.linalg.norm(points - median, axis=-1)
    near = distance <= np.nanmedian(distance, axis=0)
    return np.nanmean(np.where(near[..., None], points, np.nan), axis=0)
