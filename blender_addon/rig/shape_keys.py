# SPDX-License-Identifier: GPL-3.0-or-later
"""Shape keys of a head: identity on request, expression, eyelids, pose correctives.

Blender clamps a key's value, keyed or not, to its slider range; so ranges are set wide when a key is made.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import compat
from ..axes import to_blender
from ..contract.head import JOINT_NAMES, HeadDescription
from . import names

UNIT_RANGE = (-1.0, 2.0)
"""Range of named (ARKit) expressions and eyelids, whose ordinary values are 0..1."""
WIDE_RANGE = (-10.0, 10.0)
"""Range of statistical coefficients (identity, unnamed expression bases): Blender's hard limit."""
CORRECTIVE_RANGE = (-2.0, 2.0)
"""Entries of R - I lie in it."""
SMALLEST_OFFSET = 1e-9
"""Metres; a key that moves nothing farther is left out."""


def add_keys(mesh_object: Any, head: HeadDescription, basis: np.ndarray, identity: np.ndarray | None) -> None:
    """Add all keys to a head's mesh object.

    Args:
        mesh_object: Object with the mesh from `build_mesh`, without keys.
        head: The head's arrays.
        basis: (V, 3) metres, head space: what the mesh holds.
        identity: (S,) values of the identity keys; None when identity is part of `basis` and gets no keys.
    """
    basis_key = compat.new_shape_key(mesh_object, "Basis", 0.0, 1.0)
    _set_points(basis_key, basis)
    mesh_object.data.shape_keys.name = mesh_object.name
    if identity is not None:
        for index, value in enumerate(identity.tolist()):
            key = _add(mesh_object, names.IDENTITY_KEY.format(index + 1), basis, head.identity[:, :, index], WIDE_RANGE)
            key.value = value
    statistical = all(name.startswith(("exp", "Expression")) for name in head.expression_names)
    expression_range = WIDE_RANGE if statistical else UNIT_RANGE
    for index, name in enumerate(head.expression_names):
        _add(mesh_object, name, basis, head.expression[:, :, index], expression_range)
    for index in range(head.eyelids.shape[2]):
        _add(mesh_object, names.EYELID_KEYS[index], basis, head.eyelids[:, :, index], UNIT_RANGE)
    for feature, (joint, row, column) in corrective_features(head).items():
        offsets = head.pose_correctives[feature].reshape(-1, 3)
        key = _add(mesh_object, names.corrective_key(joint, row, column), basis, offsets, CORRECTIVE_RANGE)
        key.lock_shape = True
    mesh_object.active_shape_key_index = 0


def corrective_features(head: HeadDescription) -> dict[int, tuple[str, int, int]]:
    """The pose features whose correctives move anything: feature index -> joint, row, column of its R - I."""
    moving = np.abs(head.pose_correctives).max(axis=1, initial=0.0) > SMALLEST_OFFSET
    return {
        int(feature): (JOINT_NAMES[1 + feature // 9], int(feature % 9 // 3), int(feature % 3))
        for feature in np.flatnonzero(moving)
    }


def rest_vertices(mesh: Any) -> np.ndarray:
    """The vertices (V, 3) of Basis and the identity keys at their values, metres, Blender's axes."""
    count = len(mesh.vertices)
    basis = _points(mesh.shape_keys.key_blocks[0], count)
    rest = basis.astype(np.float64)
    for key in mesh.shape_keys.key_blocks[1:]:
        if names.is_identity_key(key.name) and not key.mute and key.value != 0.0:
            rest += key.value * (_points(key, count) - basis)
    return rest


def key_offsets(mesh: Any, name: str) -> np.ndarray:
    """How a key at 1 moves each vertex (V, 3) from Basis, metres, Blender's axes."""
    blocks, count = mesh.shape_keys.key_blocks, len(mesh.vertices)
    return _points(blocks[name], count).astype(np.float64) - _points(blocks[0], count)


def _add(mesh_object: Any, name: str, basis: np.ndarray, offsets: np.ndarray, limits: tuple[float, float]) -> Any:
    key = compat.new_shape_key(mesh_object, name, *limits)
    _set_points(key, basis + offsets)
    return key


def _set_points(key: Any, vertices: np.ndarray) -> None:
    key.points.foreach_set("co", np.ascontiguousarray(to_blender(vertices), dtype=np.float32).ravel())


def _points(key: Any, count: int) -> np.ndarray:
    points = np.empty(count * 3, dtype=np.float32)
    key.points.foreach_get("co", points)
    return points.reshape(count, 3)
