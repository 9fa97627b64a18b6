# SPDX-License-Identifier: GPL-3.0-or-later
"""Rounder outlines for pictures: every triangle split in four, bulging to its vertex normals."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_BULGE = 0.5
"""Exact for the middle of an arc."""


@dataclass(frozen=True)
class FineMesh:
    """A split mesh.

    Attributes:
        vertices: (V', 3); the first V are the coarse ones.
        normals: (V', 3) unit.
        values: (V', C) whatever the coarse vertices carried.
        faces: (4F, 3).
        coarse_face: (4F,) the triangle each came from.
    """

    vertices: Tensor
    normals: Tensor
    values: Tensor
    faces: Tensor
    coarse_face: Tensor


def tessellated(vertices: Tensor, normals: Tensor, faces: Tensor, values: Tensor) -> FineMesh:
    """Split each triangle at its edges' middles, lifted towards the tangent planes of the edge's ends.

    Phong Tessellation (Boubekeur and Alexa 2008) of one level.

    Args:
        vertices: (V, 3).
        normals: (V, 3) unit.
        faces: (F, 3).
        values: (V, C) carried along, averaged at the new vertices.
    """
    ends, middle = _edges(faces, len(vertices))
    a, b = vertices[ends[:, 0]], vertices[ends[:, 1]]
    na, nb = normals[ends[:, 0]], normals[ends[:, 1]]
    halfway = 0.5 * (a + b)
    lift = -0.5 * (((halfway - a) * na).sum(1, keepdim=True) * na + ((halfway - b) * nb).sum(1, keepdim=True) * nb)
    count = torch.arange(len(faces), device=faces.device)
    i, j, k = faces.unbind(1)
    ij, jk, ki = middle.unbind(1)
    parts = ((i, ij, ki), (ij, j, jk), (ki, jk, k), (ij, jk, ki))
    return FineMesh(
        torch.cat((vertices, halfway + _BULGE * lift)),
        torch.cat((normals, torch.nn.functional.normalize(na + nb, dim=1))),
        torch.cat((values, values[ends].mean(1))),
        torch.cat([torch.stack(part, 1) for part in parts]),
        count.repeat(4),
    )


def _edges(faces: Tensor, vertices: int) -> tuple[Tensor, Tensor]:
    """Ends (E, 2) of the edges, and the new vertex in the middle of each side (F, 3): 01, 12, 20."""
    sides = torch.stack((faces, faces.roll(-1, 1)), -1).sort(-1).values
    keys, index = (sides[..., 0] * vertices + sides[..., 1]).unique(return_inverse=True)
    ends = torch.stack((torch.div(keys, vertices, rounding_mode="floor"), keys % vertices), 1)
    return ends, vertices + index
