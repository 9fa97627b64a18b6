# SPDX-License-Identifier: GPL-3.0-or-later
"""The open head as much like another head as its own shapes allow: turn, size, place and identity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from backend.heads.counterparts import Surface, SurfacePoints
from backend.heads.surface import vertex_normals
from backend.progress import Progress
from blender_addon.contract.head import JOINT_NAMES, HeadDescription

EYES = [JOINT_NAMES.index("eye.L"), JOINT_NAMES.index("eye.R")]
JAW = JOINT_NAMES.index("jaw")
SCHEDULE = ((0.02, 0, 6), (0.012, 20, 4), (0.007, 60, 4), (0.004, 120, 6))
"""Metres from which on a counterpart is doubted, identity components, steps."""
POINT_SIGMA, POINTS = 0.001, 400.0
"""Metres; and as how many independent points all of the skin counts, since neighbours are wrong alike."""
SLIDE = 0.1
"""What a distance along the surface counts beside one across it."""
EYE_SIGMA, LANDMARK_SIGMA = 0.0015, 0.004
"""Metres; of landmarks the heads' makers have ideas of their own."""


@dataclass(frozen=True, eq=False)
class Skin:
    """A head's skin by itself.

    Attributes:
        vertices: (N,) index into the head.
        faces: (F,3) index into `vertices`.
        jaw: (N,) the jaw's skinning weight.
    """

    vertices: np.ndarray
    faces: np.ndarray
    jaw: np.ndarray

    @classmethod
    def of(cls, head: HeadDescription, chosen: np.ndarray) -> Skin:
        """Of the chosen triangles (F,) bool."""
        vertices, faces = np.unique(head.faces[chosen], return_inverse=True)
        return cls(vertices, faces.reshape(-1, 3), head.skinning[vertices, JAW].astype(np.float64))

    def points(self, places: np.ndarray) -> SurfacePoints:
        """The vertices at places (N,3)."""
        return SurfacePoints(places, vertex_normals(places, self.faces), self.jaw)


@dataclass(frozen=True, eq=False)
class Look:
    """A similarity and an identity."""

    turn: Rotation
    size: float
    move: np.ndarray
    identity: np.ndarray

    def placed(self, points: np.ndarray) -> np.ndarray:
        """Points (...,3) of the open head, in its own space, on the other head."""
        return self.turn.apply(self.size * points.reshape(-1, 3)).reshape(points.shape) + self.move

    def shape(self, head: HeadDescription) -> np.ndarray:
        """(V,3) the whole head, placed."""
        return self.placed(head.template.astype(np.float64) + head.identity @ self.identity)


@dataclass(frozen=True, eq=False)
class _Linear:
    """Points as functions of the identity, with where they are wanted and how surely."""

    mean: np.ndarray
    shapes: np.ndarray
    goal: np.ndarray
    sigma: float


def look(open_head: HeadDescription, skin: Skin, head: HeadDescription, target: Surface, progress: Progress) -> Look:
    """Find the look: least squares across the other head's surface, robust, with the identity's own prior.

    Args:
        open_head: The open head.
        skin: Its skin.
        head: The other head.
        target: Its skin.
        progress: Told of the steps; asked whether to go on.
    """
    anchors = [_eyes(open_head, head), *_landmarks(open_head, head)]
    found = _begin(anchors, open_head.identity.shape[2])
    mean, shapes = open_head.template[skin.vertices].astype(np.float64), open_head.identity[skin.vertices]
    shapes = shapes.astype(np.float64)
    rim = target.rim()
    steps = [(doubt, width) for doubt, width, count in SCHEDULE for _ in range(count)]
    for step, (doubt, width) in enumerate(steps):
        progress("register", 0.5 * step / len(steps), "Registering the head")
        progress.check_cancelled()
        here = found.placed(mean + shapes @ found.identity)
        triangles, weights = target.nearest(skin.points(here))
        goal = target.at(triangles, weights)
        apart = np.linalg.norm(goal - here, axis=1)
        trust = np.where(rim[triangles], 0.0, 1 / (1 + (apart / doubt) ** 2) ** 2)
        found = _improved(found, mean, shapes, goal, target.normals[triangles], trust, anchors, width)
    return found


def _eyes(open_head: HeadDescription, head: HeadDescription) -> _Linear:
    """The eyes' joints."""
    rows = open_head.joint_regressor[EYES].astype(np.float64)
    goal = head.joint_regressor[EYES].astype(np.float64) @ head.template
    return _Linear(rows @ open_head.template, np.einsum("jv,vcs->jcs", rows, open_head.identity), goal, EYE_SIGMA)


def _landmarks(open_head: HeadDescription, head: HeadDescription) -> list[_Linear]:
    """The 51 inner points of the iBUG markup, where the other head has them."""
    for name, first in (("static51", 0), ("ibug68", 17)):
        if name not in head.landmarks:
            continue
        mine, theirs = open_head.landmarks["ibug68"], head.landmarks[name]
        corners, weights = open_head.faces[mine.faces[17:]], mine.barycentric[17:].astype(np.float64)
        places = head.template[head.faces[theirs.faces[first:]]].astype(np.float64)
        goal = np.einsum("nc,ncd->nd", theirs.barycentric[first:], places)
        mean = np.einsum("nc,ncd->nd", weights, open_head.template[corners])
        shapes = np.einsum("nc,ncds->nds", weights, open_head.identity[corners])
        return [_Linear(mean, shapes, goal, LANDMARK_SIGMA)]
    return []


def _begin(anchors: list[_Linear], width: int) -> Look:
    """The eyes on the eyes, upright; where there are landmarks, by these."""
    best = anchors[-1]
    middle, goal = best.mean.mean(axis=0), best.goal.mean(axis=0)
    spread = np.linalg.norm(best.goal - goal) / np.linalg.norm(best.mean - middle)
    turn = Rotation.identity()
    if len(best.mean) > 2:
        turn, _ = Rotation.align_vectors(best.goal - goal, best.mean - middle)
    size = float(np.clip(spread, 0.8, 1.25))
    return Look(turn, size, goal - turn.apply(size * middle), np.zeros(width))


def _improved(
    found: Look,
    mean: np.ndarray,
    shapes: np.ndarray,
    goal: np.ndarray,
    normals: np.ndarray,
    trust: np.ndarray,
    anchors: list[_Linear],
    width: int,
) -> Look:
    """One Gauss-Newton step, in `width` components of the identity."""
    residual, jacobian = _linearised(found, mean, shapes[..., :width], goal, found.identity)
    weight = trust * POINTS / max(trust.sum(), 1e-9) / POINT_SIGMA**2
    across = np.einsum("nd,ndp->np", normals, jacobian)
    offset = np.einsum("nd,nd->n", normals, residual)
    along = SLIDE * weight[:, None, None] * jacobian
    matrix = (across * (weight * (1 - SLIDE))[:, None]).T @ across
    matrix += along.reshape(-1, along.shape[2]).T @ jacobian.reshape(-1, along.shape[2])
    right = (across * (weight * (1 - SLIDE))[:, None]).T @ offset + np.einsum("ndp,nd->p", along, residual)
    for anchor in anchors:
        residual, jacobian = _linearised(found, anchor.mean, anchor.shapes[..., :width], anchor.goal, found.identity)
        size = np.linalg.norm(residual, axis=1) / anchor.sigma
        share = (1 / np.maximum(size, 1) / anchor.sigma**2)[:, None]
        matrix += np.einsum("ndp,ndq->pq", share[..., None] * jacobian, jacobian, optimize=True)
        right += np.einsum("ndp,nd->p", jacobian, share * residual)
    matrix[7:, 7:] += np.eye(width)
    right[7:] -= found.identity[:width]
    step = np.linalg.solve(matrix + 1e-9 * np.eye(len(matrix)), right)
    identity = found.identity.copy()
    identity[:width] += step[7:]
    turn = Rotation.from_rotvec(step[:3])
    return Look(turn * found.turn, found.size * float(np.exp(step[6])), found.move + step[3:6], identity)


def _linearised(
    found: Look, mean: np.ndarray, shapes: np.ndarray, goal: np.ndarray, identity: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What is missing to the goal (N,3), and the derivative (N,3,7+K) of the points by turn, move, size, identity."""
    width = shapes.shape[2]
    arm = found.placed(mean + shapes @ identity[:width]) - found.move
    jacobian = np.zeros((len(mean), 3, 7 + width))
    jacobian[:, 0, 1], jacobian[:, 0, 2] = arm[:, 2], -arm[:, 1]
    jacobian[:, 1, 0], jacobian[:, 1, 2] = -arm[:, 2], arm[:, 0]
    jacobian[:, 2, 0], jacobian[:, 2, 1] = arm[:, 1], -arm[:, 0]
    jacobian[:, :, 3:6] = np.eye(3)
    jacobian[:, :, 6] = arm
    jacobian[:, :, 7:] = found.size * np.einsum("de,nes->nds", found.turn.as_matrix(), shapes)
    return goal - found.move - arm, jacobian
