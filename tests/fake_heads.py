# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads made of seeded random numbers, for tests that need the layout and not the looks."""

from __future__ import annotations

import zlib

import numpy as np

from blender_addon.contract.head import HeadDescription, Landmarks


def named_rng(name: str) -> np.random.Generator:
    """The generator of the parity recipes: PCG64 seeded with the crc32 of a name."""
    return np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))


def normalised(array: np.ndarray) -> np.ndarray:
    """Rows that sum to 1."""
    return array / array.sum(-1, keepdims=True)


def make_head(
    template: np.ndarray,
    triangles: np.ndarray,
    *,
    identity: np.ndarray,
    expression: np.ndarray,
    eyelids: np.ndarray,
    pose_correctives: np.ndarray,
    joint_regressor: np.ndarray,
    skinning: np.ndarray,
    joints_follow_expression: bool = True,
    landmarks: dict[str, Landmarks] | None = None,
) -> HeadDescription:
    """A triangle head with grey albedo from its essential arrays (any float type)."""
    count = len(triangles)
    polygons = np.concatenate((triangles, np.full((count, 1), -1)), axis=1).astype(np.int32)
    f32 = np.float32
    return HeadDescription(
        id="flame2020",
        sha256="0" * 64,
        licence="test",
        commercial_use="no",
        template=template.astype(f32),
        identity=identity.astype(f32),
        expression=expression.astype(f32),
        eyelids=eyelids.astype(f32),
        pose_correctives=pose_correctives.astype(f32),
        joint_regressor=joint_regressor.astype(f32),
        skinning=skinning.astype(f32),
        polygons=polygons,
        uv=np.zeros((1, 2), f32),
        polygon_uvs=np.tile(np.array([0, 0, 0, -1], np.int32), (count, 1)),
        polygon_material=np.zeros(count, np.uint8),
        materials=("skin",),
        albedo=np.full((len(template), 3), 180, np.uint8),
        expression_names=tuple(f"e{i}" for i in range(expression.shape[2])),
        joints_follow_expression=joints_follow_expression,
        landmarks=landmarks or {},
    )


def small_head(
    seed: int = 0, vertices: int = 40, *, follow: bool = True, identity: int = 7, expression: int = 5
) -> HeadDescription:
    """A random head of a few vertices with two landmark embeddings."""
    rng = np.random.default_rng(seed)
    faces = rng.permuted(np.tile(np.arange(vertices), (60, 1)), axis=1)[:, :3]

    def embedding(points: int) -> Landmarks:
        return Landmarks(
            rng.integers(0, len(faces), points).astype(np.int32),
            normalised(rng.uniform(0.05, 1, (points, 3))).astype(np.float32),
        )

    return make_head(
        0.1 * rng.standard_normal((vertices, 3)),
        faces,
        identity=0.01 * rng.standard_normal((vertices, 3, identity)),
        expression=0.01 * rng.standard_normal((vertices, 3, expression)),
        eyelids=0.01 * rng.standard_normal((vertices, 3, 2)),
        pose_correctives=0.005 * rng.standard_normal((36, vertices * 3)),
        joint_regressor=normalised(rng.uniform(0, 1, (5, vertices))),
        skinning=normalised(rng.uniform(0, 1, (vertices, 5))),
        joints_follow_expression=follow,
        landmarks={"mediapipe478": embedding(6), "ibug68": embedding(4)},
    )
