# SPDX-License-Identifier: GPL-3.0-or-later
"""The head model in numpy: what Blender evaluates, for heads that are shown without shape keys and bones. No bpy."""

from __future__ import annotations

import numpy as np

from ..axes import matrices, quaternions
from ..contract.head import JOINT_NAMES, PARENTS, HeadDescription
from ..contract.take import Take


def posed_vertices(head: HeadDescription, take: Take, index: int = 0) -> np.ndarray:
    """Vertices (V, 3) float32 of one frame of a take, metres, head space, as FLAME's layout has them (Li et al. 2017).

    Args:
        head: The head of the take.
        take: The take.
        index: Which frame.
    """
    rest = head.template + head.identity[:, :, : len(take.identity)] @ take.identity
    moved = rest + head.expression[:, :, : take.expression.shape[1]] @ take.expression[index]
    joints = (head.joint_regressor @ (moved if head.joints_follow_expression else rest)).astype(np.float64)
    if head.eyelids.shape[2]:
        moved = moved + head.eyelids @ take.eyelids[index]
    parts = (take.head_rotation[index], take.neck[index], take.jaw[index], take.eyes[index, :3], take.eyes[index, 3:])
    turns = matrices(quaternions(np.stack(parts)))
    feature = (turns[1:] - np.eye(3)).reshape(-1).astype(np.float32)
    # einsum and not @: BLAS starts threads for this one product, and waits for them on a busy machine.
    posed = moved + np.einsum("f,fv->v", feature, head.pose_correctives).reshape(-1, 3)
    return _skinned(posed, joints, turns, head.skinning)


def _skinned(vertices: np.ndarray, joints: np.ndarray, turns: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Linear blend skinning."""
    placed = np.zeros((len(JOINT_NAMES), 3, 4))
    for index, parent in enumerate(PARENTS):
        own = np.concatenate((turns[index], (joints[index] - turns[index] @ joints[index])[:, None]), axis=1)
        if parent < 0:
            placed[index] = own
        else:
            placed[index] = placed[parent][:, :3] @ own
            placed[index, :, 3] += placed[parent][:, 3]
    blended = (weights @ placed.reshape(len(placed), 12).astype(np.float32)).reshape(-1, 3, 4)
    return (blended[:, :, :3] @ vertices[:, :, None])[:, :, 0] + blended[:, :, 3]
