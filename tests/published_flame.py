# SPDX-License-Identifier: GPL-3.0-or-later
"""The synthetic FLAME models on which the published layers' numbers were taken: seeded numbers in FLAME's layout."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

from backend.heads.contour import ContourTable
from blender_addon.contract.head import HeadDescription, Landmarks
from tests.fake_heads import make_head, named_rng, normalised

V, F = 5023, 9976


def softmax(values: np.ndarray) -> np.ndarray:
    return normalised(np.exp(values - values.max(-1, keepdims=True)))


def embedding(faces: np.ndarray, barycentric: np.ndarray) -> Landmarks:
    return Landmarks(faces.reshape(-1).astype(np.int32), barycentric.reshape(-1, 3).astype(np.float32))


@lru_cache
def emoca_flame() -> tuple[HeadDescription, ContourTable]:
    """parity/emoca/README.md, flame.npz."""

    def points(name: str, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        faces = named_rng(f"lmk.{name}_faces").integers(0, F, shape)
        return faces, normalised(named_rng(f"lmk.{name}_bary").uniform(0.05, 1, (*shape, 3)))

    shapes = 0.01 * named_rng("flame.shapedirs").standard_normal((V, 3, 400))
    correctives = 0.001 * named_rng("flame.posedirs").standard_normal((V, 3, 36))
    head = make_head(
        0.1 * named_rng("flame.v_template").standard_normal((V, 3)),
        named_rng("flame.f").integers(0, V, (F, 3)),
        identity=shapes[..., :300],
        expression=shapes[..., 300:],
        eyelids=np.zeros((V, 3, 0)),
        pose_correctives=correctives.reshape(-1, 36).T,
        joint_regressor=normalised(named_rng("flame.J_regressor").uniform(0, 1, (5, V)) ** 200),
        skinning=softmax(3 * named_rng("flame.weights").standard_normal((V, 5))),
        landmarks={
            "static51": embedding(*points("static", (51,))),
            "ibug68": embedding(*points("full", (1, 68))),
            "mediapipe105": embedding(*points("mp", (105,))),
        },
    )
    return head, contour_table(*points("dynamic", (79, 17)))


@lru_cache
def smirk_flame() -> tuple[HeadDescription, ContourTable]:
    """parity/smirk/README.md, FLAME recipe."""

    def points(faces: str, barycentric: str, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        weights = normalised(named_rng(barycentric).uniform(0, 1, (*shape, 3)))
        return named_rng(faces).integers(0, F, shape), weights

    def lmk(name: str, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        return points(f"lmk.{name}_lmk_faces_idx", f"lmk.{name}_lmk_bary_coords", shape)

    shapes = 0.002 * named_rng("flame.shapedirs").standard_normal((V, 3, 400))
    lids = [0.01 * named_rng(f"flame.{side}_eyelid").standard_normal((V, 3)) for side in "lr"]
    head = make_head(
        0.1 * named_rng("flame.v_template").standard_normal((V, 3)),
        named_rng("flame.f").integers(0, V, (F, 3)),
        identity=shapes[..., :300],
        expression=shapes[..., 300:],
        eyelids=np.stack(lids, -1),
        pose_correctives=(0.002 * named_rng("flame.posedirs").standard_normal((V, 3, 36))).reshape(-1, 36).T,
        joint_regressor=normalised(named_rng("flame.J_regressor").uniform(0, 1, (5, V))),
        skinning=normalised(named_rng("flame.weights").uniform(0, 1, (V, 5))),
        landmarks={
            "static51": embedding(*lmk("static", (51,))),
            "ibug68": embedding(*lmk("full", (1, 68))),
            "mediapipe105": embedding(*points("mp.lmk_face_idx", "mp.lmk_b_coords", (105,))),
        },
    )
    return head, contour_table(*lmk("dynamic", (79, 17)))


def contour_table(faces: np.ndarray, barycentric: np.ndarray) -> ContourTable:
    return ContourTable(torch.from_numpy(faces), torch.from_numpy(barycentric.astype(np.float32)))
