# SPDX-License-Identifier: GPL-3.0-or-later
"""A head in FLAME's layout that looks like one: the open head in another mesh, other components, another mean face.

It has as many vertices and triangles as FLAME, so that everything that is made for FLAME's layout fits it, and since it
comes from the open head, what registration, the fit and conversions should find is known. Nothing of FLAME is in it.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy import sparse

from backend.heads import load_head
from blender_addon.contract.head import HeadDescription

VERTICES, FACES, IDENTITY, EXPRESSION = 5023, 9976, 300, 100
_MATERIALS = ("skin", "lips", "sclera", "iris", "pupil")
MEDIAPIPE_105 = (
    276, 282, 283, 285, 293, 295, 296, 300, 334, 336, 46, 52, 53, 55, 63, 65, 66, 70, 105, 107, 249, 263, 362, 373, 374,
    380, 381, 382, 384, 385, 386, 387, 388, 390, 398, 466, 7, 33, 133, 144, 145, 153, 154, 155, 157, 158, 159, 160, 161,
    163, 173, 246, 168, 6, 197, 195, 5, 4, 129, 98, 97, 2, 326, 327, 358, 0, 13, 14, 17, 37, 39, 40, 61, 78, 80, 81, 82,
    84, 87, 88, 91, 95, 146, 178, 181, 185, 191, 267, 269, 270, 291, 308, 310, 311, 312, 314, 317, 318, 321, 324, 375,
    402, 405, 409, 415,
)  # fmt: skip
"""The landmarks of MediaPipe that FLAME's embedding has, in its order."""


@dataclass(frozen=True)
class FaceFlame:
    """The head, and how it comes from the open one.

    Attributes:
        fields: What FLAME's file holds, by name.
        carry: (5023, V) sparse: vertices of the open head to this one's; every row sums to 1.
        identity_of_open: (300, 120): open identity coefficients to this head's.
        expression_of_open: (100, 51): the open head's 49 units and two eyelids to this head's expression coefficients.
        mean_identity: (120,) the open identity that is this head's mean face.
        uv, uv_faces: UV layout, as in head descriptions.
        eyelids: (5023, 3, 2) left, right.
    """

    fields: dict[str, np.ndarray]
    carry: sparse.csr_matrix
    identity_of_open: np.ndarray
    expression_of_open: np.ndarray
    mean_identity: np.ndarray
    uv: np.ndarray
    uv_faces: np.ndarray
    eyelids: np.ndarray


@lru_cache
def face_flame(seed: int = 0) -> FaceFlame:
    """The head of a seed; other seeds have other components and another mean face."""
    head, rng = load_head("open"), np.random.default_rng(seed)
    carry, faces, uv, uv_faces = _remeshed(head)

    def carried(values: np.ndarray) -> np.ndarray:
        return (carry @ values.reshape(len(values), -1)).reshape(VERTICES, *values.shape[1:])

    size = head.identity.shape[2]
    mean_identity = np.concatenate([rng.normal(0, 0.7, 40), np.zeros(size - 40)])
    template = carried(head.template + head.identity @ mean_identity)
    turn = np.linalg.qr(rng.standard_normal((size, size)))[0]
    identity = np.zeros((VERTICES, 3, IDENTITY))
    identity[..., :size] = carried(head.identity) @ turn
    identity[..., size:] = 0.02 * identity[..., :size] @ rng.standard_normal((size, IDENTITY - size)) / size**0.5
    units = carried(np.concatenate([head.expression, head.eyelids], axis=2))
    flat = units.reshape(-1, units.shape[2])
    left, sizes, right = np.linalg.svd(flat, full_matrices=False)
    spread = 0.25  # of a unit, over people and moments
    expression = np.zeros((VERTICES, 3, EXPRESSION))
    expression[..., : len(sizes)] = (left * sizes * spread).reshape(VERTICES, 3, -1)
    expression_of_open = np.zeros((EXPRESSION, len(sizes)))
    expression_of_open[: len(sizes)] = right / spread
    identity_of_open = np.zeros((IDENTITY, size))
    identity_of_open[:size] = turn.T
    correctives = carried(head.pose_correctives.reshape(36, -1, 3).transpose(1, 2, 0))
    fields = {
        "v_template": template,
        "shapedirs": np.concatenate([identity, expression], axis=2),
        "posedirs": correctives,
        "J_regressor": _regressor(head, carry),
        "weights": carried(head.skinning),
        "f": faces.astype(np.uint32),
        "kintree_table": np.array([[4294967295, 0, 1, 1, 1], [0, 1, 2, 3, 4]], np.uint32),
    }
    return FaceFlame(
        fields, carry, identity_of_open, expression_of_open, mean_identity, uv, uv_faces, carried(head.eyelids)
    )


def write_model(path: Path, seed: int = 0) -> Path:
    """FLAME's pickle, with a sparse regressor as the published one has."""
    fields = dict(face_flame(seed).fields)
    fields["J_regressor"] = sparse.csc_matrix(fields["J_regressor"])
    path.write_bytes(pickle.dumps(fields, protocol=2))
    return path


def write_template(path: Path, seed: int = 0) -> Path:
    """`head_template.obj`."""
    made = face_flame(seed)
    lines = ["v {:.6f} {:.6f} {:.6f}".format(*point) for point in made.fields["v_template"]]
    lines += ["vt {:.6f} {:.6f}".format(*point) for point in made.uv]
    for corner, uv_corner in zip(made.fields["f"].astype(int) + 1, made.uv_faces + 1, strict=True):
        lines.append("f " + " ".join(f"{a}/{b}" for a, b in zip(corner, uv_corner, strict=True)))
    path.write_text("\n".join(lines) + "\n")
    return path


def write_eyelid(path: Path, side: str, seed: int = 0) -> Path:
    """`l_eyelid.npy` or `r_eyelid.npy`: side is left or right."""
    np.save(path, face_flame(seed).eyelids[..., ("left", "right").index(side)])
    return path


def write_landmarks(path: Path, seed: int = 0) -> Path:
    """`landmark_embedding.npy`: a pickled dictionary, with tensors of torch for the outline, which does not slide."""
    faces, weights = embedded(load_head("open").landmarks["ibug68"], seed)
    outline = np.tile(faces[:17], (79, 1)), np.tile(weights[:17], (79, 1, 1))
    content = {
        "static_lmk_faces_idx": faces[17:].astype(np.int64),
        "static_lmk_bary_coords": weights[17:],
        "dynamic_lmk_faces_idx": torch.from_numpy(outline[0].astype(np.int64)),
        "dynamic_lmk_bary_coords": torch.from_numpy(outline[1]),
        "full_lmk_faces_idx": faces[None].astype(np.int64),
        "full_lmk_bary_coords": weights[None].astype(np.float32),
    }
    np.save(path, np.array(content, dtype=object), allow_pickle=True)
    return path


def write_mediapipe(path: Path, seed: int = 0) -> Path:
    """`mediapipe_landmark_embedding.npz`."""
    faces, weights = embedded(load_head("open").landmarks["mediapipe478"], seed)
    chosen = np.array(MEDIAPIPE_105)
    np.savez(
        path,
        lmk_face_idx=faces[chosen].astype(np.uint32),
        lmk_b_coords=weights[chosen].astype(np.float64),
        landmark_indices=chosen,
    )
    return path


def write_mask(path: Path) -> Path:
    """`uv_face_eye_mask.png`: white where the face and the eyes are, RGBA."""
    mask = np.full((256, 256), 255, np.uint8)
    Image.fromarray(np.stack([mask] * 3 + [np.full_like(mask, 255)], axis=-1)).save(path)
    return path


def embedded(landmarks: object, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(N,) triangles and (N,3) weights on this head of landmarks of the open head."""
    from backend.heads.surface import nearest_on_surface

    head, made = load_head("open"), face_flame(seed)
    mean = head.template + head.identity @ made.mean_identity
    points = (mean[head.faces[landmarks.faces]] * landmarks.barycentric[..., None]).sum(axis=1)
    faces = made.fields["f"].astype(np.int64)
    return nearest_on_surface(points, made.fields["v_template"], faces, np.ones(len(faces), bool))


def _remeshed(head: HeadDescription) -> tuple[sparse.csr_matrix, np.ndarray, np.ndarray, np.ndarray]:
    """Skin, lips and eyes with some triangles split until the numbers are FLAME's."""
    names = np.array(head.materials)[head.polygon_material[head.face_polygon]]
    kept = np.isin(names, _MATERIALS)
    vertices, faces = np.unique(head.faces[kept], return_inverse=True)
    uvs, uv_faces = np.unique(head.uv_faces[kept], return_inverse=True)
    triangles, uv_triangles = faces.reshape(-1, 3).tolist(), uv_faces.reshape(-1, 3).tolist()
    rows = [{int(vertex): 1.0} for vertex in vertices]
    points, uv = list(head.template[vertices].astype(np.float64)), list(head.uv[uvs].astype(np.float64))

    def middle(corners: list[int], uv_corners: list[int]) -> tuple[int, int]:
        row: dict[int, float] = {}
        for corner in corners:
            for vertex, weight in rows[corner].items():
                row[vertex] = row.get(vertex, 0.0) + weight / len(corners)
        rows.append(row)
        points.append(np.mean([points[corner] for corner in corners], axis=0))
        uv.append(np.mean([uv[corner] for corner in uv_corners], axis=0))
        return len(rows) - 1, len(uv) - 1

    while len(triangles) - 2 * len(rows) > FACES - 2 * VERTICES:  # a split on the rim: one vertex, one triangle
        index, corner = _rim(triangles, points)
        a, b, c = (triangles[index][(corner + k) % 3] for k in range(3))
        d, e, f = (uv_triangles[index][(corner + k) % 3] for k in range(3))
        vertex, at = middle([a, b], [d, e])
        triangles[index], uv_triangles[index] = [a, vertex, c], [d, at, f]
        triangles.append([vertex, b, c])
        uv_triangles.append([at, e, f])
    while len(rows) < VERTICES:  # a split inside: one vertex, two triangles
        corners = np.array(points)[np.array(triangles)]
        area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
        for index in np.argsort(-area)[: min(20, VERTICES - len(rows))]:
            (a, b, c), (d, e, f) = triangles[index], uv_triangles[index]
            vertex, at = middle([a, b, c], [d, e, f])
            triangles[index], uv_triangles[index] = [a, b, vertex], [d, e, at]
            triangles += [[b, c, vertex], [c, a, vertex]]
            uv_triangles += [[e, f, at], [f, d, at]]
    entries = [(row, vertex, weight) for row, mix in enumerate(rows) for vertex, weight in mix.items()]
    at_rows, at_columns, weights = zip(*entries, strict=True)
    shape = (VERTICES, len(head.template))
    carry = sparse.csr_matrix((weights, (at_rows, at_columns)), shape=shape)
    return carry, np.array(triangles), np.array(uv, np.float32), np.array(uv_triangles, np.int32)


def _rim(triangles: list[list[int]], points: list[np.ndarray]) -> tuple[int, int]:
    """The longest edge that only one triangle has: that triangle, and the corner at which the edge begins."""
    seen: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for index, triangle in enumerate(triangles):
        for corner in range(3):
            edge = triangle[corner], triangle[(corner + 1) % 3]
            seen.setdefault((min(edge), max(edge)), []).append((index, corner))
    rim = [(edge, places[0]) for edge, places in seen.items() if len(places) == 1]
    return max(rim, key=lambda item: float(np.linalg.norm(points[item[0][0]] - points[item[0][1]])))[1]


def _regressor(head: HeadDescription, carry: sparse.csr_matrix) -> np.ndarray:
    """(5, 5023) rows that sum to 1 and find the open head's joints on this mesh, for its mean and all components."""
    wanted = np.concatenate([head.template[..., None], head.identity], axis=2).astype(np.float64)
    here = (carry @ wanted.reshape(len(wanted), -1)).T
    there = head.joint_regressor.astype(np.float64) @ wanted.reshape(len(wanted), -1)
    # The nearest to an even spread over the mesh that finds them.
    even = np.full((len(there), VERTICES), 1 / VERTICES)
    system = np.concatenate([here, np.ones((1, VERTICES))])
    right = np.concatenate([there - even @ here.T, np.zeros((len(there), 1))], axis=1)
    gram = system @ system.T
    return even + np.linalg.solve(gram + 1e-9 * np.trace(gram) / len(gram) * np.eye(len(gram)), right.T).T @ system
