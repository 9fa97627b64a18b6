# SPDX-License-Identifier: GPL-3.0-or-later
"""A small synthetic head and random takes, with everything that a real one has. No bpy and no torch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from blender_addon.contract.head import HeadDescription
from blender_addon.contract.take import Take, TakeMeta

RINGS, SEGMENTS = 14, 24
JOINTS = np.array(
    [[0.0, -0.12, -0.03], [0.0, -0.02, 0.0], [0.0, -0.012, 0.013], [0.029, 0.02, 0.075], [-0.029, 0.02, 0.075]]
)
EXPRESSIONS = (
    "browInnerUp", "browDownLeft", "jawForward", "mouthSmileLeft", "mouthSmileRight", "mouthClose", "noseSneerLeft"
)  # fmt: skip


def arrays(seed: int = 0, identity: int = 6, correctives: bool = True, follow: bool = False) -> dict[str, Any]:
    """The fields of a HeadDescription: an egg of quads with triangles at its poles, random bases, smooth weights."""
    random = np.random.default_rng(seed)
    vertices, polygons, uv = _egg()
    count = len(vertices)

    def field(*shape: int, size: float) -> np.ndarray:
        return random.normal(0.0, size, shape).astype(np.float32)

    weights = np.exp(-np.linalg.norm(vertices[:, None] - JOINTS, axis=-1) / 0.03)
    weights[weights < 0.01] = 0.0
    weights[:, 0] += 1e-3
    pose = np.zeros((36, count * 3), dtype=np.float32)
    if correctives:
        pose[:18] = field(18, count * 3, size=1e-3)  # neck and jaw; the eyes have none, as in the open head
    material = (vertices[np.maximum(polygons, 0), 2].max(axis=1) > 0.08).astype(np.uint8)
    return {
        "id": "synthetic",
        "sha256": f"{seed:064x}",
        "licence": "CC0-1.0",
        "commercial_use": "yes",
        "template": vertices.astype(np.float32),
        "identity": field(count, 3, identity, size=2e-3),
        "expression": field(count, 3, len(EXPRESSIONS), size=2e-3),
        "eyelids": field(count, 3, 2, size=1e-3),
        "pose_correctives": pose,
        "joint_regressor": _regressor(vertices),
        "skinning": (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32),
        "polygons": polygons,
        "uv": uv,
        "polygon_uvs": polygons,
        "polygon_material": material,
        "materials": ("skin", "lips"),
        "albedo": random.integers(40, 220, (count, 3)).astype(np.uint8),
        "expression_names": EXPRESSIONS,
        "joints_follow_expression": follow,
        "landmarks": {},
    }


def synthetic_head(seed: int = 0, **options: Any) -> HeadDescription:
    """The synthetic head; options as of `arrays`."""
    return HeadDescription(**arrays(seed, **options))


def random_take(head: HeadDescription, seed: int = 0, frames: int = 1, size: tuple[int, int] = (640, 480)) -> Take:
    """A take with every channel random, before a camera whose centre is off the image's."""
    random = np.random.default_rng(seed)
    width, height = size
    focal = 1.3 * max(size)
    names = head.expression_names
    meta = TakeMeta(
        head_id=head.id,
        head_sha256=head.sha256,
        engine="fit",
        versions={"mien": "0"},
        source="alice.jpg" if frames == 1 else "shot_010.mp4",
        person=1,
        licences=(head.licence,),
        commercial_use=head.commercial_use,
        channels=names,
    )

    def turn(columns: int, size: float) -> np.ndarray:
        return random.uniform(-size, size, (frames, columns)).astype(np.float32)

    return Take(
        meta=meta,
        time=np.arange(frames) / 30.0,
        valid=np.ones(frames, bool),
        confidence=np.ones(frames, np.float32),
        identity=random.normal(0.0, 1.0, head.identity.shape[2]).astype(np.float32),
        expression=random.uniform(0.0, 1.0, (frames, len(names))).astype(np.float32),
        eyelids=random.uniform(0.0, 1.0, (frames, 2)).astype(np.float32),
        head_rotation=turn(3, 0.8),
        neck=turn(3, 0.4),
        jaw=turn(3, 0.5),
        eyes=turn(6, 0.4),
        translation=(np.array([0.05, -0.03, 0.8]) + turn(3, 0.1)).astype(np.float32),
        camera_matrix=np.array([[focal, 0.0, width / 2 + 13.0], [0.0, focal, height / 2 - 21.0], [0.0, 0.0, 1.0]]),
        image_size=np.array(size, np.int32),
        crop_camera=np.ones((frames, 3), np.float32),
        crop_transform=np.tile(np.eye(3), (frames, 1, 1)),
    )


def moving_take(
    head: HeadDescription,
    frames: int = 48,
    rate: float = 24.0,
    seed: int = 0,
    cut: int | None = None,
    gap: tuple[int, int] | None = None,
    size: tuple[int, int] = (640, 480),
) -> Take:
    """A take of a clip in which everything moves smoothly, with unsmoothed twins that tremble.

    Args:
        head: The head.
        frames: How many.
        rate: Frames per second.
        seed: Of the motion.
        cut: First frame of a second shot, where everything jumps.
        gap: First and last frame in which the face was not seen.
        size: Width, height of the picture.
    """
    ends = [random_take(head, 3 * seed + number, 3, size) for number in (1, 2)]
    where = np.linspace(0.0, 2 * np.pi, frames)
    segment = (np.arange(frames) >= (frames if cut is None else cut)).astype(np.int32)
    random = np.random.default_rng(seed)
    arrays: dict[str, Any] = {}
    extra: dict[str, Any] = {"segment": segment, "frame": np.arange(1, frames + 1, dtype=np.int32)}
    for name in ("expression", "eyelids", "head_rotation", "neck", "jaw", "eyes", "translation"):
        low, middle, high = getattr(ends[0], name).astype(np.float64)
        other = getattr(ends[1], name)[0].astype(np.float64)
        path = middle + np.outer(np.sin(where), high - middle) / 2 + np.outer(1 - np.cos(where), low - middle) / 4
        arrays[name] = (path + np.outer(segment, other - middle)).astype(np.float32)
        extra[f"raw_{name}"] = arrays[name] + random.normal(0.0, 0.004, path.shape).astype(np.float32)
    valid = np.ones(frames, bool)
    if gap is not None:
        valid[gap[0] : gap[1] + 1] = False
    still = ends[0]
    return replace(
        still,
        meta=replace(still.meta, rate=rate, smoothing=0.5),
        time=np.arange(frames) / rate,
        valid=valid,
        confidence=valid.astype(np.float32),
        crop_camera=np.ones((frames, 3), np.float32),
        crop_transform=np.tile(np.eye(3), (frames, 1, 1)),
        extra=extra,
        **arrays,
    )


def _egg() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices (V, 3), polygons (P, 4) counter-clockwise from outside, UVs (V, 2)."""
    polar = np.linspace(0.15, np.pi - 0.15, RINGS)
    around = np.linspace(0.0, 2 * np.pi, SEGMENTS, endpoint=False)
    ring = [
        (0.075 * np.sin(a) * np.sin(p), 0.12 * np.cos(p), 0.09 * np.cos(a) * np.sin(p)) for p in polar for a in around
    ]
    vertices = np.array([*ring, (0.0, 0.12, 0.0), (0.0, -0.12, 0.0)])
    top, bottom = RINGS * SEGMENTS, RINGS * SEGMENTS + 1
    polygons = []
    for row in range(RINGS - 1):
        for segment in range(SEGMENTS):
            after = (segment + 1) % SEGMENTS
            upper, lower = row * SEGMENTS, (row + 1) * SEGMENTS
            polygons.append((upper + segment, lower + segment, lower + after, upper + after))
    last = (RINGS - 1) * SEGMENTS
    for segment in range(SEGMENTS):
        after = (segment + 1) % SEGMENTS
        polygons.append((top, segment, after, -1))
        polygons.append((bottom, last + after, last + segment, -1))
    u = np.arctan2(vertices[:, 0], vertices[:, 2]) / (2 * np.pi) + 0.5
    v = vertices[:, 1] / 0.24 + 0.5
    return vertices, np.array(polygons, np.int32), np.stack((u, v), axis=-1).astype(np.float32)


def _regressor(vertices: np.ndarray) -> np.ndarray:
    """Rows that sum to 1 and give the joints exactly on the template, with negative weights as in a fitted one."""
    system = np.concatenate((vertices.T, np.ones((1, len(vertices)))))
    targets = np.concatenate((JOINTS, np.ones((len(JOINTS), 1))), axis=1)
    return (np.linalg.pinv(system) @ targets.T).T.astype(np.float32)
