# SPDX-License-Identifier: GPL-3.0-or-later
"""FLAME files of seeded random numbers with as many coefficients as the real ones, and takes on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from blender_addon.contract.head import HeadDescription
from blender_addon.contract.take import Take, TakeMeta
from tests.fake_heads import normalised

VERTICES, FACES = 40, 60


def write_flame(path: Path, seed: int = 0, identity: int = 300) -> Path:
    """A file with FLAME's fields: a head of about 20 cm of which each coefficient moves vertices by about 1 mm."""
    rng = np.random.default_rng(seed)
    fields = {
        "v_template": 0.06 * rng.standard_normal((VERTICES, 3)),
        "shapedirs": 0.001 * rng.standard_normal((VERTICES, 3, identity + 100)),
        "posedirs": 0.001 * rng.standard_normal((VERTICES, 3, 36)),
        "J_regressor": normalised(rng.uniform(0, 1, (5, VERTICES)) ** 4),
        "weights": normalised(rng.uniform(0, 1, (VERTICES, 5)) ** 4),
        "f": rng.permuted(np.tile(np.arange(VERTICES), (FACES, 1)), axis=1)[:, :3].astype(np.uint32),
        "kintree_table": np.array([[4294967295, 0, 1, 1, 1], [0, 1, 2, 3, 4]], np.uint32),
    }
    np.savez(path, **fields)
    return path


def flame_take(head: HeadDescription, frames: int = 12, rate: float = 24.0, seed: int = 0, **changes: object) -> Take:
    """A take of random poses on a FLAME head."""
    rng = np.random.default_rng(seed)

    def noise(scale: float, *shape: int) -> np.ndarray:
        return (scale * rng.standard_normal(shape)).astype(np.float32)

    valid = np.ones(frames, bool)
    valid[frames // 2 : frames // 2 + frames // 10] = False
    values: dict[str, object] = {
        "meta": TakeMeta(
            head_id=head.id,
            head_sha256=head.sha256,
            engine="fit",
            versions={"mien": "0.1.0"},
            source="clip.mp4",
            person=2,
            licences=(f"{head.licence} (head {head.id})",),
            commercial_use=head.commercial_use,
            channels=head.expression_names,
            rate=rate,
        ),
        "time": np.arange(frames) / rate,
        "valid": valid,
        "confidence": valid.astype(np.float32),
        "identity": noise(1, head.identity.shape[2]),
        "expression": noise(1, frames, head.expression.shape[2]),
        "eyelids": np.zeros((frames, 2), np.float32),
        "head_rotation": noise(0.4, frames, 3),
        "neck": noise(0.1, frames, 3),
        "jaw": noise(0.2, frames, 3),
        "eyes": noise(0.2, frames, 6),
        "translation": noise(0.05, frames, 3) + np.float32([0, 0, 0.9]),
        "camera_matrix": np.array([[1500.0, 0, 640], [0, 1500, 360], [0, 0, 1]]),
        "image_size": np.array([1280, 720], np.int32),
        "crop_camera": np.tile(np.float32([5, 0, 0]), (frames, 1)),
        "crop_transform": np.tile(np.eye(3), (frames, 1, 1)),
        "extra": {"frame": np.arange(1, frames + 1, dtype=np.int32)},
    }
    return Take(**(values | changes))
