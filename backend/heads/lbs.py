# SPDX-License-Identifier: GPL-3.0-or-later
"""Rotations and linear blend skinning of FLAME-like heads, in torch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_SERIES_BELOW = 1e-6
"""Squared angle under which the Taylor series is used; its error there is far below float32's rounding."""


def rodrigues(axis_angle: Tensor) -> Tensor:
    """Rotation matrices of axis-angle vectors; smooth at zero, so gradients are exact there too.

    Args:
        axis_angle: (..., 3) radians.

    Returns:
        (..., 3, 3) rotation matrices (Rodrigues' formula).
    """
    squared = (axis_angle * axis_angle).sum(-1)
    small = squared < _SERIES_BELOW
    safe = torch.where(small, torch.ones_like(squared), squared)
    angle = safe.sqrt()
    half = torch.sin(0.5 * angle)
    sine = torch.where(small, 1.0 - squared / 6.0, torch.sin(angle) / angle)[..., None, None]
    cosine = torch.where(small, 0.5 - squared / 24.0, 2.0 * half * half / safe)[..., None, None]
    cross = cross_matrix(axis_angle)
    identity = torch.eye(3, dtype=axis_angle.dtype, device=axis_angle.device)
    return identity + sine * cross + cosine * (cross @ cross)


def cross_matrix(vectors: Tensor) -> Tensor:
    """(..., 3) -> (..., 3, 3) with `cross @ a == vectors x a`."""
    x, y, z = vectors.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack((zero, -z, y, z, zero, -x, -y, x, zero), dim=-1).reshape(*vectors.shape[:-1], 3, 3)


def pose_feature(rotations: Tensor) -> Tensor:
    """FLAME's pose feature: (R[1:] - I) row-major, joint-major.

    Args:
        rotations: (B, J, 3, 3) local rotations, root first.

    Returns:
        (B, 9 * (J - 1)).
    """
    identity = torch.eye(3, dtype=rotations.dtype, device=rotations.device)
    return (rotations[:, 1:] - identity).flatten(1)


def chain(rotations: Tensor, joints: Tensor, parents: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Rotate each joint about its rest position, parents first.

    Args:
        rotations: (B, J, 3, 3) local rotations.
        joints: (B, J, 3) rest positions, metres.
        parents: parent of each joint, -1 for the root; parents come before their children.

    Returns:
        The rotations in head space (B, J, 3, 3) and the posed joints (B, J, 3).
    """
    turned: list[Tensor] = []
    placed: list[Tensor] = []
    for joint, parent in enumerate(parents):
        if parent < 0:
            turned.append(rotations[:, joint])
            placed.append(joints[:, joint])
            continue
        offset = (joints[:, joint] - joints[:, parent])[..., None]
        turned.append(turned[parent] @ rotations[:, joint])
        placed.append(placed[parent] + (turned[parent] @ offset)[..., 0])
    return torch.stack(turned, 1), torch.stack(placed, 1)


def skin(
    vertices: Tensor, joints: Tensor, rotations: Tensor, weights: Tensor, parents: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Linear blend skinning (SMPL, Loper et al. 2015, eq. 2-4).

    Args:
        vertices: (B, V, 3) rest vertices, metres.
        joints: (B, J, 3) rest joints, metres.
        rotations: (B, J, 3, 3) local rotations.
        weights: (V, J), rows sum to 1.
        parents: see `chain`.

    Returns:
        Posed vertices (B, V, 3) and posed joints (B, J, 3).
    """
    turned, placed = chain(rotations, joints, parents)
    shift = placed - (turned @ joints[..., None])[..., 0]
    transforms = torch.cat((turned, shift[..., None]), dim=-1)
    blended = (weights @ transforms.flatten(2)).unflatten(-1, (3, 4))
    posed = (blended[..., :3] * vertices[:, :, None, :]).sum(-1) + blended[..., 3]
    return posed, placed
