# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes on the open head with lively values, for tests of what other programs get of them."""

from __future__ import annotations

import numpy as np

from backend.heads import load_head
from blender_addon.contract.arkit import JAW_OPEN
from blender_addon.contract.take import Take, TakeMeta


def arkit_take(
    frames: int = 24, rate: float = 24.0, seed: int = 0, source: str = "clip.mp4", **changes: object
) -> Take:
    """A take of smooth random motion: weights in 0 to 1, moderate turns, a few frames without a face."""
    head = load_head("open")
    rng = np.random.default_rng(seed)
    time = np.arange(frames) / rate

    def wave(columns: int, low: float, high: float) -> np.ndarray:
        speed, phase = rng.uniform(0.2, 2.0, columns), rng.uniform(0, 2 * np.pi, columns)
        unit = 0.5 + 0.5 * np.sin(time[:, None] * speed * 2 * np.pi + phase)
        return (low + (high - low) * unit).astype(np.float32)

    jaw = np.zeros((frames, 3), np.float32)
    jaw[:, 0] = wave(1, 0.0, 0.9 * JAW_OPEN)[:, 0]
    valid = np.ones(frames, bool)
    valid[frames // 2 : frames // 2 + frames // 10] = False
    values: dict[str, object] = {
        "meta": TakeMeta(
            head_id=head.id,
            head_sha256=head.sha256,
            engine="fit",
            versions={"mien": "0.1.0", "torch": "2.13.0"},
            source=source,
            person=1,
            licences=("Apache-2.0 (MediaPipe face landmarker)", "CC0-1.0 (head open)"),
            commercial_use="yes",
            channels=head.expression_names,
            rate=rate if frames > 1 else 0.0,
        ),
        "time": time,
        "valid": valid,
        "confidence": np.where(valid, 0.9, 0.0).astype(np.float32),
        "identity": rng.normal(size=head.identity.shape[2]).astype(np.float32),
        "expression": wave(len(head.expression_names), 0.0, 1.0),
        "eyelids": wave(2, 0.0, 1.0),
        "head_rotation": wave(3, -0.5, 0.5),
        "neck": wave(3, -0.1, 0.1),
        "jaw": jaw,
        "eyes": wave(6, -0.3, 0.3),
        "translation": wave(3, -0.05, 0.05) + np.float32([0, 0, 0.8]),
        "camera_matrix": np.array([[1780.0, 0, 640], [0, 1780, 360], [0, 0, 1]]),
        "image_size": np.array([1280, 720], np.int32),
        "crop_camera": np.tile(np.float32([5, 0, 0]), (frames, 1)),
        "crop_transform": np.tile(np.eye(3), (frames, 1, 1)),
        "extra": {"frame": np.arange(1, frames + 1, dtype=np.int32), "segment": np.zeros(frames, np.int32)},
    }
    return Take(**(values | changes))
