# SPDX-License-Identifier: GPL-3.0-or-later
"""Non-rigid registration: the open head takes on the shape of another head, vertex for vertex.

Joints and landmarks that both have give the place and the size; the open head's own identities the rough shape; then
every vertex moves by itself, ever more freely (optimal step non-rigid ICP, Amberg et al. 2007, with displacements in
place of affine maps).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from backend.progress import Progress, no_progress
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.head import HeadDescription

from .surface import face_normals, nearest_on_surface, vertex_normals

OPEN = "open"
COMMON_LANDMARKS = "ibug68"
JOINTS = slice(1, 5)
"""Neck, jaw and eyes; the root lies at different heights in different heads."""
EYES = slice(3, 5)
MOST_MISPLACED = 0.02
"""Metres, root mean square, that the joints of a head may lie off after the alignment."""
MOST_LARGER = 1.6
"""How many times as large as the open head another one is at most, or as small."""
MOST_APART = 0.012
"""Metres, median, between the surfaces after the rough fit of a head that is one."""
IDENTITY_ROUNDS = 12
IDENTITY_SIGMA = 0.004
"""Metres that a surface point may lie off in the rough fit."""
LANDMARK_SIGMA = 0.002
STIFFNESS = (40.0, 20.0, 10.0, 5.0, 2.5, 1.2, 0.6)
"""How much neighbours must move alike, against the pull of the surface; first stiff, then soft."""
ROUNDS = 3
ALONG = 0.15
"""How much of the pull along the surface is heeded; across it all is."""
LANDMARK_PULL = 3.0
REACH = 0.015
"""Metres beyond which the surface does not pull."""


def register(source: HeadDescription, target: HeadDescription, progress: Progress = no_progress) -> np.ndarray:
    """The open head's vertices in the shape and place of another head.

    Args:
        source: the open head.
        target: the other head.
        progress: told of each step.

    Returns:
        (V,3) metres, for every vertex of the source; what the target has not (teeth, tongue) goes along with the jaw.

    Raises:
        MienError: BAD_HEAD where the target does not look like a head.
    """
    surface = _Surface.of(target)
    progress("register", 0.0, f"Registering the head {target.id}")
    marks = _marks(source, target)
    start = _aligned(source, target, marks)
    rough = _rough(source, target, surface, start, marks)
    free = _freely(source, surface, rough, marks, progress)
    return _with_insides(source, target, rough, free)


@dataclass(frozen=True)
class _Surface:
    """The target without its eyes."""

    vertices: np.ndarray
    faces: np.ndarray
    allowed: np.ndarray
    normals: np.ndarray
    rim: np.ndarray
    """(F,) bool: triangles at a border, beyond which nothing is known"""

    @classmethod
    def of(cls, head: HeadDescription) -> _Surface:
        vertices, faces = head.template.astype(np.float64), head.faces
        allowed = ~(_eyes(head)[faces].any(axis=1))
        edges = np.sort(faces[allowed][:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
        unique, counts = np.unique(edges, axis=0, return_counts=True)
        border = np.zeros(len(vertices), bool)
        border[unique[counts == 1]] = True
        return cls(vertices, faces, allowed, face_normals(vertices, faces), border[faces].any(axis=1))

    def nearest(self, points: np.ndarray, normals: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Nearest points (N,3), their normals (N,3), and how much each is to be relied on (N,)."""
        faces, weights = nearest_on_surface(points, self.vertices, self.faces, self.allowed, normals)
        found = np.einsum("nk,nkd->nd", weights, self.vertices[self.faces[faces]])
        facing = self.normals[faces]
        agree = np.einsum("nd,nd->n", facing, normals).clip(0, 1) ** 2
        far = np.linalg.norm(found - points, axis=1)
        return found, facing, np.where(self.rim[faces] | (far > REACH), 0.0, agree)


@dataclass(frozen=True)
class _Marks:
    """Points that both heads have: as rows of weights over the source's vertices, and where they lie on the target."""

    rows: sparse.csr_matrix
    points: np.ndarray


def _marks(source: HeadDescription, target: HeadDescription) -> _Marks:
    ours, theirs = (head.landmarks.get(COMMON_LANDMARKS) for head in (source, target))
    if ours is None or theirs is None or len(ours.faces) != len(theirs.faces):
        return _Marks(sparse.csr_matrix((0, len(source.template))), np.zeros((0, 3)))
    count = len(ours.faces)
    columns = source.faces[ours.faces].ravel()
    rows = sparse.csr_matrix(
        (ours.barycentric.ravel(), (np.repeat(np.arange(count), 3), columns)), shape=(count, len(source.template))
    )
    points = np.einsum("nk,nkd->nd", theirs.barycentric, target.template[target.faces[theirs.faces]])
    return _Marks(rows, points.astype(np.float64))


def _aligned(source: HeadDescription, target: HeadDescription, marks: _Marks) -> tuple[float, np.ndarray, np.ndarray]:
    """Scale, rotation and translation by joints and landmarks (Umeyama 1991)."""
    joints = [head.joint_regressor[JOINTS].astype(np.float64) @ head.template for head in (source, target)]
    scale, turn, shift = _similarity(*joints)
    off = joints[1] - (scale * joints[0] @ turn.T + shift)
    if np.sqrt((off**2).sum(axis=1).mean()) > MOST_MISPLACED or not 1 / MOST_LARGER < scale < MOST_LARGER:
        raise _no_head(target, "its joints do not lie as in a head")
    if len(marks.points):
        here = np.concatenate([joints[0], marks.rows @ source.template.astype(np.float64)])
        scale, turn, shift = _similarity(here, np.concatenate([joints[1], marks.points]))
    return scale, turn, shift


def _similarity(here: np.ndarray, there: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    a, b = here - here.mean(axis=0), there - there.mean(axis=0)
    left, sizes, right = np.linalg.svd(b.T @ a)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    turn = (left * sign) @ right
    scale = float((sizes * sign).sum() / (a**2).sum())
    return scale, turn, there.mean(axis=0) - scale * turn @ here.mean(axis=0)


def _rough(
    source: HeadDescription,
    target: HeadDescription,
    surface: _Surface,
    start: tuple[float, np.ndarray, np.ndarray],
    marks: _Marks,
) -> np.ndarray:
    """The open head's identity that comes nearest, placed: (V,3)."""
    scale, turn, shift = start
    moves = source.identity.astype(np.float64)
    size = moves.shape[2]
    identity = np.zeros(size)
    sample = _face(source)[::2]
    for _ in range(IDENTITY_ROUNDS):
        shaped = source.template + moves @ identity
        placed = scale * shaped @ turn.T + shift
        found, facing, sure = surface.nearest(placed[sample], vertex_normals(placed, source.faces)[sample])
        # Only what lies across the surface counts: along it the head may slide.
        ours = scale * np.einsum("de,nes->nds", turn, moves[sample])
        across = np.einsum("nd,nds->ns", facing, ours)
        rest = np.einsum("nd,nd->n", facing, found - placed[sample])
        weight = sure * _huber(rest, IDENTITY_SIGMA) / IDENTITY_SIGMA**2 * 0.1
        matrix = (across * weight[:, None]).T @ across
        right = across.T @ (weight * rest)
        if len(marks.points):
            marked = (marks.rows @ moves.reshape(len(moves), -1)).reshape(-1, 3, size)
            marked = scale * np.einsum("de,nes->nds", turn, marked).reshape(-1, size)
            apart = (marks.points - marks.rows @ placed).ravel()
            pull = _huber(apart, LANDMARK_SIGMA) / LANDMARK_SIGMA**2 * 0.1
            matrix += (marked * pull[:, None]).T @ marked
            right += marked.T @ (pull * apart)
        identity = identity + np.linalg.solve(matrix + np.eye(size), right - identity)
        shaped = source.template + moves @ identity
        placed = scale * shaped @ turn.T + shift
        found, facing, sure = surface.nearest(placed[sample], vertex_normals(placed, source.faces)[sample])
        good = sure > 0.25
        if good.sum() < len(sample) // 4:
            break
        step = _similarity(
            np.concatenate([placed[sample][good], np.repeat(marks.rows @ placed, 10, axis=0)]),
            np.concatenate([found[good], np.repeat(marks.points, 10, axis=0)]),
        )
        scale, turn, shift = step[0] * scale, step[1] @ turn, step[0] * step[1] @ shift + step[2]
    placed = scale * (source.template + moves @ identity) @ turn.T + shift
    faces, weights = nearest_on_surface(placed[sample], surface.vertices, surface.faces, surface.allowed)
    found = np.einsum("nk,nkd->nd", weights, surface.vertices[surface.faces[faces]])
    apart = np.linalg.norm(found - placed[sample], axis=1)
    if np.median(apart) > MOST_APART:
        raise _no_head(target, f"the open head stays {np.median(apart) * 1e3:.0f} mm away from it")
    return placed


def _freely(
    source: HeadDescription, surface: _Surface, rough: np.ndarray, marks: _Marks, progress: Progress
) -> np.ndarray:
    """Every vertex of the skin by itself, neighbours alike: (V,3)."""
    smooth = _springs(source)
    skin = _skin(source)
    current = rough
    pulls = marks.rows.T @ marks.rows * LANDMARK_PULL
    for step, stiffness in enumerate(STIFFNESS):
        progress("register", step / len(STIFFNESS), "Registering the head")
        progress.check_cancelled()
        for _ in range(ROUNDS):
            normals = vertex_normals(current, source.faces)[skin]
            found, facing, sure = surface.nearest(current[skin], normals)
            apart = found - current[skin]
            across = facing * np.einsum("nd,nd->n", facing, apart)[:, None]
            wanted = current[skin] + across + ALONG * (apart - across)
            weight = np.zeros(len(current))
            weight[skin] = sure * _huber(np.linalg.norm(apart, axis=1), 0.003) + 1e-6
            goal = np.zeros(current.shape)
            goal[skin] = wanted - rough[skin]
            right = weight[:, None] * goal + LANDMARK_PULL * (marks.rows.T @ (marks.points - marks.rows @ rough))
            matrix = sparse.diags(weight + 1e-9) + stiffness * smooth + pulls
            current = rough + splu(sparse.csc_matrix(matrix)).solve(right)
    return current


def _with_insides(source: HeadDescription, target: HeadDescription, rough: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Eyeballs at the target's eyes and as large; teeth and tongue as the rough fit has them."""
    result = np.where(_skin_mask(source)[:, None], free, rough)
    joints = target.joint_regressor.astype(np.float64) @ target.template
    for joint in range(EYES.start, EYES.stop):
        ours, theirs = (head.skinning[:, joint] > 0.5 for head in (source, target))
        if not theirs.any() or not ours.any():
            continue
        centre = source.joint_regressor[joint].astype(np.float64) @ source.template
        radius = np.median(np.linalg.norm(source.template[ours] - centre, axis=1))
        wanted = np.median(np.linalg.norm(target.template[theirs] - joints[joint], axis=1))
        result[ours] = joints[joint] + (source.template[ours] - centre) * wanted / radius
    return result


def _huber(values: np.ndarray, sigma: float) -> np.ndarray:
    """Weights of Huber's loss."""
    return np.minimum(1.0, sigma / np.maximum(np.abs(values), 1e-12))


def _eyes(head: HeadDescription) -> np.ndarray:
    return head.skinning[:, EYES].sum(axis=1) > 0.5


def _skin_mask(head: HeadDescription) -> np.ndarray:
    """(V,) bool: vertices of skin and lips."""
    wanted = [row for row, name in enumerate(head.materials) if name in ("skin", "lips")]
    faces = head.faces[np.isin(head.polygon_material[head.face_polygon], wanted)]
    mask = np.zeros(len(head.template), bool)
    mask[faces] = True
    return mask & ~_eyes(head)


def _skin(head: HeadDescription) -> np.ndarray:
    return np.flatnonzero(_skin_mask(head))


def _face(head: HeadDescription) -> np.ndarray:
    """Skin above the collar: what all heads have."""
    skin = _skin(head)
    neck = float(head.joint_regressor[1] @ head.template[:, 1])
    return skin[head.template[skin, 1] > neck - 0.03]


def _springs(head: HeadDescription) -> sparse.csr_matrix:
    """(V,V) how much the moves of neighbours differ: the graph's Laplacian, short edges count more."""
    edges = np.unique(np.sort(head.faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1), axis=0)
    length = np.linalg.norm(head.template[edges[:, 0]] - head.template[edges[:, 1]], axis=1)
    weight = np.minimum(np.median(length) / np.maximum(length, 1e-6), 4.0)
    rows, columns = np.concatenate([edges, edges[:, ::-1]]).T
    links = sparse.csr_matrix((np.tile(weight, 2), (rows, columns)), shape=(len(head.template),) * 2)
    return sparse.diags(np.asarray(links.sum(axis=1)).ravel()) - links


def _no_head(head: HeadDescription, reason: str) -> MienError:
    message = f"The head {head.id} cannot be registered: {reason}."
    return MienError(ErrorCode.BAD_HEAD, message, "Use the model file as its publisher made it.")
