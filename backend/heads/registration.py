# SPDX-License-Identifier: GPL-3.0-or-later
"""The open head laid onto another head of FLAME's layout: where on it each vertex of the open head belongs.

By joints and common landmarks, then by the open head's own shapes, then freely with less and less stiffness
(after Amberg, Romdhani and Vetter, "Optimal step nonrigid ICP algorithms for surface registration", 2007, with the
displacements of `deforming`).
"""

from __future__ import annotations

import hashlib

import numpy as np
from scipy.spatial import cKDTree

from backend.heads.counterparts import Surface
from backend.heads.deforming import deformed
from backend.heads.shaping import EYES, JAW, Skin, look
from backend.progress import Progress, no_progress
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.head import HeadDescription

VERSION = 2
"""Of the method; what another one found is not used."""
SKIN = ("skin", "lips")
COMMON = ("static51", "ibug68")
"""Landmarks of other heads that tell where their faces are."""
LARGEST_EDGE = 0.08
"""Mean edge of a triangle over the diagonal of the head, from which on triangles do not make a surface."""
EYES_APART = (0.03, 0.12)
"""Metres between the eyes of a head."""
LARGEST_MISS = 0.004
"""Metres, median over the skin, from which on the heads are not alike."""


def register(source: HeadDescription, target: HeadDescription, progress: Progress = no_progress) -> np.ndarray:
    """The open head's vertices in the shape and place of another head.

    Args:
        source: The open head.
        target: The other one; its iBUG landmarks help where it has them.
        progress: Told of the steps; asked whether to go on.

    Returns:
        (V,3) float64 metres, in the target's own space at rest. What only the open head has (teeth, tongue, lashes, the
        inside of the mouth) goes along with the skin beside it.

    Raises:
        MienError: BAD_HEAD for a head that is no face; CANCELLED.
    """
    _check(target)
    progress("register", 0.0, f"Registering the head {target.id}")
    surface = Surface(target.template.astype(np.float64), target.faces[skin_faces(target)], jaw_weights(target))
    skin = Skin.of(source, skin_faces(source))
    whole = look(source, skin, target, surface, progress).shape(source)
    laid = deformed(whole[skin.vertices], skin, surface, progress)
    triangles, weights = surface.nearest(skin.points(laid))
    miss = np.median(np.linalg.norm(surface.at(triangles, weights) - laid, axis=1)[~surface.rim()[triangles]])
    if not miss < LARGEST_MISS:
        raise no_face(target, f"half of its skin is farther than {miss * 1e3:.1f} mm from where a face has it")
    return _with_the_rest(source, target, skin, whole, laid)


def skin_faces(head: HeadDescription) -> np.ndarray:
    """(F,) bool: triangles of the skin, the lips included, eyes and what is inside the mouth not."""
    inner = [row for row, name in enumerate(head.materials) if name not in SKIN]
    return ~np.isin(head.polygon_material[head.face_polygon], inner) & ~eye_faces(head)


def eye_faces(head: HeadDescription) -> np.ndarray:
    """(F,) bool: triangles that turn with an eye."""
    return (head.skinning[:, EYES].sum(axis=1) > 0.5)[head.faces].all(axis=1)


def jaw_weights(head: HeadDescription) -> np.ndarray:
    """(V,) float64 how much each vertex turns with the jaw."""
    return head.skinning[:, JAW].astype(np.float64)


def digest(head: HeadDescription) -> str:
    """Hash of all of a head that its registration depends on."""
    found = hashlib.sha256(str(VERSION).encode())
    for array in (head.template, head.faces, head.skinning, head.joint_regressor):
        found.update(np.ascontiguousarray(array).tobytes())
    for name, marks in sorted(head.landmarks.items()):
        if name in COMMON:
            found.update(name.encode() + marks.faces.tobytes() + marks.barycentric.tobytes())
    return found.hexdigest()


def _check(head: HeadDescription) -> None:
    """Refuse what is no face before time is spent on it."""
    corners = head.template[head.faces].astype(np.float64)
    edges = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=-1).mean()
    if not edges < LARGEST_EDGE * np.linalg.norm(np.ptp(head.template, axis=0)):
        raise no_face(head, "its triangles do not make a surface")
    left, right = (head.joint_regressor[EYES] @ head.template).astype(np.float64)
    if not (EYES_APART[0] < left[0] - right[0] < EYES_APART[1] and abs(left[1] - right[1]) < 0.01):
        raise no_face(head, "its eyes are not where a face has them")
    if not eye_faces(head).any() or not skin_faces(head).any():
        raise no_face(head, "it has no eyes or no skin")


def no_face(head: HeadDescription, reason: str) -> MienError:
    """The refusal of a head."""
    message = f"The head {head.id} cannot be brought together with the open head: {reason}."
    return MienError(ErrorCode.BAD_HEAD, message, "Use a head with a face in FLAME's layout.", {"cause": "no face"})


def _with_the_rest(
    open_head: HeadDescription, head: HeadDescription, skin: Skin, whole: np.ndarray, laid: np.ndarray
) -> np.ndarray:
    """(V,3) all vertices: eyes onto the eyes, all else moved as the skin nearest to it."""
    _, nearest = cKDTree(whole[skin.vertices]).query(whole)
    result = whole + (laid - whole[skin.vertices])[nearest]
    result[skin.vertices] = laid
    for joint in EYES:
        mine, theirs = (np.flatnonzero(each.skinning[:, joint] > 0.5) for each in (open_head, head))
        (middle, radius), (goal, size) = ball(open_head.template[mine]), ball(head.template[theirs])
        result[mine] = goal + (open_head.template[mine] - middle) * (size / radius)
    return result


def ball(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Centre (3,) and radius of the sphere nearest to points (N,3)."""
    points = points.astype(np.float64)
    system = np.concatenate([2 * points, np.ones((len(points), 1))], axis=1)
    solution, *_ = np.linalg.lstsq(system, (points**2).sum(axis=1), rcond=None)
    centre = solution[:3]
    return centre, float(np.sqrt(max(solution[3] + centre @ centre, 1e-12)))
