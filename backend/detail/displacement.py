# SPDX-License-Identifier: GPL-3.0-or-later
"""What DECA's and EMOCA's displacement does to the surface (Feng et al. 2021, eq. 9-10).

Maps are (B, C, S, S) in UV space, positions and displacements in metres, head space.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from backend.rendering.shading import vertex_normals

Convention = Literal["deca", "emoca"]
"""How the published code treats the rest of the head: DECA leaves the map's border out and puts the coarse normals back
outside the face, EMOCA does neither."""

_BORDER: dict[Convention, tuple[int, int]] = {"deca": (2, 5), "emoca": (0, 0)}
"""Columns and rows of cells that are left out at each side."""


def displacement_map(predicted: Tensor, fixed: Tensor) -> Tensor:
    """(B, 1, S, S) displacement along the normals that the head is exported with.

    Args:
        predicted: (B, 1, S, S) of the detail decoder.
        fixed: (S, S) the part that all heads share.
    """
    return predicted + fixed


def detail_normals(
    positions: Tensor, normals: Tensor, predicted: Tensor, fixed: Tensor, mask: Tensor, convention: Convention
) -> Tensor:
    """Unit normals of the displaced surface, seen as a grid of 256x256 vertices.

    Args:
        positions: (B, 3, S, S) of the posed head.
        normals: (B, 3, S, S) unit.
        predicted: (B, 1, S, S).
        fixed: (S, S).
        mask: (1, 1, S, S) 1 on the face and the eyes, where the prediction counts.
        convention: see `Convention`.

    Returns:
        (B, 3, S, S); 0 where no triangle of the grid lies.
    """
    displaced = positions + (predicted * mask + fixed) * normals
    size = displaced.shape[-1]
    vertices = displaced.flatten(2).transpose(1, 2)
    faces = _grid(size, *_BORDER[convention]).to(vertices.device)
    detailed = vertex_normals(vertices, faces).transpose(1, 2).view_as(displaced)
    if convention == "deca":
        detailed = detailed * mask + normals * (1 - mask)
    return detailed


@lru_cache
def _grid(size: int, columns: int, rows: int) -> Tensor:
    """(F, 3) two triangles for each cell of a grid, without some cells at each side."""
    x = torch.arange(columns, size - 1 - columns)
    y = torch.arange(rows, size - 1 - rows)
    a = (y * size + x[:, None]).flatten()
    b, c, d = a + 1, a + size, a + size + 1
    return torch.cat((torch.stack((a, c, b), 1), torch.stack((b, c, d), 1)))


def dense_vertices(
    vertices: Tensor, normals: Tensor, displacement: Tensor, pixels: Tensor, corners: Tensor, barycentric: Tensor
) -> Tensor:
    """Vertices of DECA's dense mesh: a texel each, lifted along the coarse normal.

    Args:
        vertices: (B, V, 3) of the posed head.
        normals: (B, V, 3) unit.
        displacement: (B, 1, S, S).
        pixels: (N,) texels, row * S + column.
        corners: (N, 3) vertices of the triangle that each lies in.
        barycentric: (N, 3) where in it.

    Returns:
        (B, N, 3).
    """
    weights = barycentric[..., None]
    base = (vertices[:, corners] * weights).sum(2)
    along = functional.normalize((normals[:, corners] * weights).sum(2), dim=-1)
    return base + displacement.flatten(1)[:, pixels, None] * along


def texel_uvs(pixels: Tensor, size: int = 256) -> Tensor:
    """(N, 2) float UVs, v up, of texels row * size + column."""
    rows, columns = torch.div(pixels, size, rounding_mode="floor"), pixels % size
    return torch.stack(((columns + 0.5) / size, 1 - (rows + 0.5) / size), 1)
