# SPDX-License-Identifier: GPL-3.0-or-later
"""What animation, drivers and constraints make of heads and camera on each frame, as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np

from .copies import Copies


@dataclass(frozen=True, eq=False)
class HeadMotion:
    """One head over T frames.

    Attributes:
        keys: (T,) values by shape key, as they act: driven, clamped, 0 where muted.
        bones: (T, 4, 4) by bone, from the bone's to the rig's space.
        rig: (T, 4, 4) from the rig's space to the world, metres.
        mesh: (T, 4, 4) from the mesh's space to the world, metres.
    """

    keys: Mapping[str, np.ndarray]
    bones: Mapping[str, np.ndarray]
    rig: np.ndarray
    mesh: np.ndarray


@dataclass(frozen=True, eq=False)
class Motion:
    """Heads and camera over T frames.

    Attributes:
        frames: (T,) whole frames of the artist's scene.
        heads: In the order of the copies.
        camera: (T, 4, 4) from the camera's space to the world; None without a camera.
    """

    frames: np.ndarray
    heads: tuple[HeadMotion, ...]
    camera: np.ndarray | None

    @property
    def baked(self) -> np.ndarray:
        """(T,) frames of the copies' keys: the same, but from 0 on where they begin earlier, since exporters write a
        scene's range, which has no frames before 0.
        """
        return self.frames - min(0, int(self.frames[0]))


def sample(copies: Copies, first: int, last: int) -> Motion:
    """Walk through the frames `first` to `last` of the copies' scene."""
    frames = np.arange(first, last + 1)
    heads = [_empty(head, len(frames)) for head in copies.heads]
    camera = np.empty((len(frames), 4, 4)) if copies.camera else None
    for row, frame in enumerate(frames.tolist()):
        copies.scene.frame_set(frame)
        graph = bpy.context.evaluated_depsgraph_get()
        for head, store in zip(copies.heads, heads, strict=True):
            _read(head, store, row, graph)
        if camera is not None:
            camera[row] = np.array(copies.camera.evaluated_get(graph).matrix_world)
    return Motion(frames, tuple(_motion(*pair) for pair in zip(copies.heads, heads, strict=True)), camera)


def _empty(head: Any, count: int) -> dict[str, np.ndarray]:
    return {
        "keys": np.empty((count, len(head.keys.key_blocks)), np.float32),
        "bones": np.empty((count, len(head.rig.pose.bones), 4, 4)),
        "rig": np.empty((count, 4, 4)),
        "mesh": np.empty((count, 4, 4)),
    }


def _read(head: Any, store: dict[str, np.ndarray], row: int, graph: Any) -> None:
    head.keys.evaluated_get(graph).key_blocks.foreach_get("value", store["keys"][row])
    rig = head.rig.evaluated_get(graph)
    for index, bone in enumerate(rig.pose.bones):
        store["bones"][row, index] = np.array(bone.matrix)
    store["rig"][row] = np.array(rig.matrix_world)
    store["mesh"][row] = np.array(head.mesh.evaluated_get(graph).matrix_world)


def _motion(head: Any, store: dict[str, np.ndarray]) -> HeadMotion:
    blocks = head.keys.key_blocks
    keys = {
        block.name: np.zeros(len(store["keys"])) if block.mute else store["keys"][:, index].astype(np.float64)
        for index, block in enumerate(blocks)
        if index
    }
    bones = {bone.name: store["bones"][:, index] for index, bone in enumerate(head.rig.pose.bones)}
    return HeadMotion(keys, bones, store["rig"], store["mesh"])
