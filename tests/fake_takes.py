# SPDX-License-Identifier: GPL-3.0-or-later
"""A small head and takes for it, for tests of files, messages and the service."""

from __future__ import annotations

import numpy as np

from blender_addon.contract.head import HeadDescription, Landmarks
from blender_addon.contract.take import Take, TakeMeta

HEAD_SHA256 = "5a" * 32
CHANNELS = ("smile", "frown", "squint")


def small_head(**changes: object) -> HeadDescription:
    """Six vertices, a quad and a triangle."""
    rng = np.random.default_rng(0)

    def noise(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    vertices, identity = 6, 4
    values: dict[str, object] = {
        "id": "open",
        "sha256": HEAD_SHA256,
        "licence": "CC0-1.0",
        "commercial_use": "yes",
        "template": noise(vertices, 3),
        "identity": noise(vertices, 3, identity),
        "expression": noise(vertices, 3, len(CHANNELS)),
        "eyelids": noise(vertices, 3, 2),
        "pose_correctives": noise(36, vertices * 3),
        "joint_regressor": noise(5, vertices),
        "skinning": np.eye(5, dtype=np.float32)[[0, 0, 1, 2, 3, 4]],
        "polygons": np.array([[0, 1, 2, 3], [0, 4, 5, -1]], np.int32),
        "uv": np.linspace(0, 1, 12, dtype=np.float32).reshape(6, 2),
        "polygon_uvs": np.array([[5, 4, 3, 2], [1, 0, 5, -1]], np.int32),
        "polygon_material": np.array([0, 1], np.uint8),
        "materials": ("skin", "iris"),
        "albedo": np.full((vertices, 3), 200, np.uint8),
        "expression_names": CHANNELS,
        "joints_follow_expression": False,
        "landmarks": {"ibug68": Landmarks(np.array([0, 2], np.int32), np.array([[1, 0, 0], [0.5, 0.25, 0.25]], "f4"))},
    }
    return HeadDescription(**(values | changes))


def small_meta(person: int = 1, source: str = "photo.jpg", **changes: object) -> TakeMeta:
    """Meta of a take for `small_head`."""
    values: dict[str, object] = {
        "head_id": "open",
        "head_sha256": HEAD_SHA256,
        "engine": "fit",
        "versions": {"mien": "0.1.0"},
        "source": source,
        "person": person,
        "licences": ("CC0-1.0",),
        "commercial_use": "yes",
        "channels": CHANNELS,
    }
    return TakeMeta(**(values | changes))


def small_take(person: int = 1, source: str = "photo.jpg", frames: int = 1, **changes: object) -> Take:
    """A take for `small_head` with numbers that depend on the person."""
    rng = np.random.default_rng(person)

    def noise(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    values: dict[str, object] = {
        "meta": small_meta(person, source),
        "time": np.arange(frames) / 24,
        "valid": np.ones(frames, bool),
        "confidence": np.full(frames, 0.5, np.float32),
        "identity": noise(4),
        "expression": noise(frames, len(CHANNELS)),
        "eyelids": noise(frames, 2),
        "head_rotation": noise(frames, 3),
        "neck": noise(frames, 3),
        "jaw": noise(frames, 3),
        "eyes": noise(frames, 6),
        "translation": noise(frames, 3),
        "camera_matrix": np.array([[900.0, 0, 320], [0, 900, 240], [0, 0, 1]]),
        "image_size": np.array([640, 480], np.int32),
        "crop_camera": noise(frames, 3),
        "crop_transform": np.tile(np.eye(3), (frames, 1, 1)),
        "extra": {"raw_jaw": noise(frames, 3), "emotion_valence": noise(frames)},
    }
    return Take(**(values | changes))


def same_arrays(one: Take | HeadDescription, other: Take | HeadDescription) -> bool:
    """Whether two takes or heads are equal in every value, type and shape."""
    (meta, arrays), (other_meta, other_arrays) = one.to_arrays(), other.to_arrays()
    return (
        meta == other_meta
        and arrays.keys() == other_arrays.keys()
        and all(
            array.dtype == other_arrays[name].dtype and np.array_equal(array, other_arrays[name])
            for name, array in arrays.items()
        )
    )
