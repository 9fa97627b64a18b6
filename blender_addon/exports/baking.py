# SPDX-License-Identifier: GPL-3.0-or-later
"""Motion onto copies as plain curves: one key on each frame, no drivers, no constraints, identity in the mesh."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from mathutils import Matrix

from .. import compat
from ..animation.head import HeadParts
from ..animation.paths import bone_path, key_path
from ..contract import rotations
from ..rig import names
from ..rig.shape_keys import WIDE_RANGE
from .copies import Copies
from .sampling import HeadMotion, Motion
from .targets import Target, is_still, scales, sides

SCALES = "mien_shape_scales"
"""Custom property of an exported mesh: how much larger shapes are than the keys of the same name, as JSON."""


def bake(copies: Copies, motion: Motion, scale: float) -> None:
    """Let copies move as sampled, by nothing but keys.

    Args:
        copies: Not baked before.
        motion: What `sample` read of them.
        scale: Units to the metre.
    """
    for head, moved in zip(copies.heads, motion.heads, strict=True):
        _bake_keys(head, moved, motion.baked, scale)
        _bake_rig(head, moved, motion.baked, scale)
    if copies.camera is not None:
        copies.camera.animation_data_clear()
        _bake_object(copies.camera, motion.camera, motion.baked, scale)
    copies.scene.frame_start, copies.scene.frame_end = int(motion.baked[0]), int(motion.baked[-1])
    copies.scene.frame_set(copies.scene.frame_start)


def _bake_keys(head: HeadParts, moved: HeadMotion, frames: np.ndarray, scale: float) -> None:
    mesh = head.mesh
    basis, targets = _targets(head, moved)
    mesh.shape_key_clear()
    mesh.data.vertices.foreach_set("co", (basis * scale).astype(np.float32).ravel())
    _put_points(compat.new_shape_key(mesh, "Basis", 0.0, 1.0), basis * scale)
    for target in targets:
        _put_points(compat.new_shape_key(mesh, target.name, *WIDE_RANGE), (basis + target.offsets) * scale)
    keys = mesh.data.shape_keys
    keys.name = mesh.name
    if targets:
        curves = compat.channels(keys, compat.new_action(f"{mesh.name} Keys"))
        for target in targets:
            compat.put(curves, key_path(target.name), 0, frames, target.values)
    mesh[SCALES] = json.dumps(scales(targets))
    mesh.data.update()


def _targets(head: HeadParts, moved: HeadMotion) -> tuple[np.ndarray, list[Target]]:
    """The mesh (V, 3) with its identity, and all other keys."""
    blocks = head.keys.key_blocks
    points = {block.name: _points(block) for block in blocks}
    basis = points[blocks[0].name].copy()
    targets: list[Target] = []
    for block in blocks[1:]:
        values, offsets = moved.keys[block.name], points[block.name] - points[block.relative_key.name]
        if (group := head.mesh.vertex_groups.get(block.vertex_group)) is not None:
            offsets *= _weights(head.mesh, group.index)[:, None]
        if names.is_identity_key(block.name) and is_still(values):
            basis += values[0] * offsets
            continue
        targets += sides(Target(block.name, offsets, values), block.slider_min)
    return basis, targets


def _weights(mesh: Any, group: int) -> np.ndarray:
    """(V,) of a vertex group, which holds a key back."""
    weights = np.zeros(len(mesh.data.vertices))
    for vertex in mesh.data.vertices:
        weights[vertex.index] = next((entry.weight for entry in vertex.groups if entry.group == group), 0.0)
    return weights


def _points(block: Any) -> np.ndarray:
    points = np.empty(len(block.points) * 3, np.float32)
    block.points.foreach_get("co", points)
    return points.reshape(-1, 3).astype(np.float64)


def _put_points(block: Any, points: np.ndarray) -> None:
    block.points.foreach_set("co", np.ascontiguousarray(points, np.float32).ravel())


def _bake_rig(head: HeadParts, moved: HeadMotion, frames: np.ndarray, scale: float) -> None:
    rig, mesh = head.rig, head.mesh
    local = _local(rig, moved)
    rig.animation_data_clear()
    rig.data.animation_data_clear()
    rig.data.transform(Matrix.Scale(scale, 4))
    action = compat.new_action(rig.name)
    curves = compat.channels(rig, action)
    for bone in rig.pose.bones:
        for constraint in list(bone.constraints):
            bone.constraints.remove(constraint)
        bone.rotation_mode = "QUATERNION"
        _put_matrices(curves, bone_path(bone.name), bone.name, local[bone.name], frames, scale)
    _bake_object(rig, moved.rig, frames, scale, action)
    mesh.animation_data_clear()
    within = np.linalg.inv(moved.rig) @ moved.mesh
    within[:, :3, 3] *= scale
    mesh.parent, mesh.matrix_parent_inverse, mesh.matrix_basis = rig, Matrix(), Matrix(within[0].tolist())


def _local(rig: Any, moved: HeadMotion) -> dict[str, np.ndarray]:
    """Each bone's own part (T, 4, 4) of its pose, relative to rest and parent."""
    found = {}
    for bone in rig.data.bones:
        rest, posed = np.array(bone.matrix_local, np.float64), moved.bones[bone.name]
        if bone.parent is not None:
            rest = np.linalg.inv(np.array(bone.parent.matrix_local, np.float64)) @ rest
            posed = np.linalg.inv(moved.bones[bone.parent.name]) @ posed
        found[bone.name] = np.linalg.inv(rest) @ posed
    return found


def _bake_object(item: Any, world: np.ndarray, frames: np.ndarray, scale: float, action: Any = None) -> None:
    """Let an object stand or move in the world by itself, without a parent, by an action that may be there already."""
    for constraint in list(item.constraints):
        item.constraints.remove(constraint)
    item.parent, item.rotation_mode = None, "QUATERNION"
    placed = world[0].copy()
    placed[:3, 3] *= scale
    item.matrix_world = Matrix(placed.tolist())
    if not np.allclose(world, world[0], rtol=0.0, atol=1e-9):
        curves = compat.channels(item, action or compat.new_action(item.name))
        _put_matrices(curves, "", "Object Transforms", world, frames, scale)


def _put_matrices(curves: Any, prefix: str, group: str, matrices: np.ndarray, frames: np.ndarray, scale: float) -> None:
    parts = [Matrix(matrix.tolist()).decompose() for matrix in matrices]
    turns = np.array([tuple(rotation) for _, rotation, _ in parts])
    starts = np.arange(len(frames)) == 0
    values = {
        "location": np.array([tuple(place) for place, _, _ in parts]) * scale,
        "rotation_quaternion": rotations.same_side(turns, starts),
        "scale": np.array([tuple(size) for _, _, size in parts]),
    }
    for name, columns in values.items():
        for index in range(columns.shape[1]):
            compat.put(curves, prefix + name, index, frames, columns[:, index], group=group)
