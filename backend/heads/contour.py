# SPDX-License-Identifier: GPL-3.0-or-later
"""The face outline that slides over the cheeks as the head turns: FLAME's dynamic contour landmarks."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from backend.heads.lbs import rodrigues

_LAST_DEGREE = 39
_ROWS = 2 * _LAST_DEGREE + 1


@dataclass(frozen=True)
class ContourTable:
    """17 contour points for each whole degree of yaw: rows 0..39 are 0..39 degrees, rows 40..78 are -1..-39.

    Attributes:
        faces: (79, 17) int64 triangle of each point.
        barycentric: (79, 17, 3) weights of its corners.
    """

    faces: Tensor
    barycentric: Tensor

    def __post_init__(self) -> None:
        if self.faces.shape != (_ROWS, 17) or self.barycentric.shape != (_ROWS, 17, 3):
            raise ValueError(f"a contour table is (79, 17) and (79, 17, 3), not {tuple(self.faces.shape)}")


def contour_row(head_rotation: Tensor, neck: Tensor | None = None) -> Tensor:
    """Row of the contour table for the head's yaw; beyond 39 degrees the contour stays where it is.

    Args:
        head_rotation: (B, 3) axis-angle, radians.
        neck: (B, 3) axis-angle.

    Returns:
        (B,) int64.
    """
    rotation = rodrigues(head_rotation.detach())
    if neck is not None:
        rotation = rotation @ rodrigues(neck.detach())
    yaw = torch.atan2(-rotation[:, 2, 0], torch.hypot(rotation[:, 0, 0], rotation[:, 1, 0]))
    degree = torch.rad2deg(yaw).clamp(-_LAST_DEGREE, _LAST_DEGREE).round().long()
    return torch.where(degree < 0, _LAST_DEGREE - degree, degree)


def contour_landmarks(
    vertices: Tensor, faces: Tensor, table: ContourTable, head_rotation: Tensor, neck: Tensor | None = None
) -> Tensor:
    """The 17 outline points of iBUG-68 (its first 17) for the current yaw.

    Args:
        vertices: (B, V, 3).
        faces: (F, 3) triangles of the head.
        table: the head's contour table.
        head_rotation: (B, 3) axis-angle, radians.
        neck: (B, 3) axis-angle.

    Returns:
        (B, 17, 3).
    """
    row = contour_row(head_rotation, neck)
    corners = faces[table.faces[row]]
    batch = torch.arange(len(vertices), device=vertices.device)[:, None, None]
    return (vertices[batch, corners] * table.barycentric[row][..., None]).sum(2)
