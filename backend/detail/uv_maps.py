# SPDX-License-Identifier: GPL-3.0-or-later
"""Values at the vertices as maps in UV space. Row 0 is the top, v = 1; pixel centres at +0.5."""

from __future__ import annotations

import torch
from torch import Tensor

from backend.rendering.raster import Fragments, interpolate, rasterize


def uv_fragments(uv: Tensor, uv_faces: Tensor, size: int = 256) -> Fragments:
    """Which triangle each texel lies in, and where.

    Args:
        uv: (T, 2) float in [0, 1], v up.
        uv_faces: (F, 3) rows of `uv`.
        size: of the map in pixels.
    """
    flipped = uv * uv.new_tensor((2.0, -2.0)) + uv.new_tensor((-1.0, 1.0))
    corners = torch.cat((flipped, torch.ones_like(uv[:, :1])), 1)
    return rasterize(corners[None], uv_faces, (size, size))


def uv_maps(fragments: Fragments, faces: Tensor, values: Tensor) -> Tensor:
    """Maps (B, C, S, S) of vertex values, 0 where no triangle lies.

    Args:
        fragments: of `uv_fragments`.
        faces: (F, 3) vertices of the triangles, in the order of the UV triangles.
        values: (B, V, C).
    """
    side_by_side = values.permute(1, 0, 2).flatten(1)
    maps = interpolate(fragments, faces, side_by_side)[0]
    return maps.unflatten(2, (len(values), -1)).permute(2, 3, 0, 1)
