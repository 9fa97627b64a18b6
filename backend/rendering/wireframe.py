# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines along the polygons' edges in a rasterised picture."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from backend.rendering.raster import Fragments
from blender_addon.contract.head import HeadDescription


def drawn_edges(head: HeadDescription) -> Tensor:
    """(F, 3) bool: whether the side opposite each corner is an edge of the polygon, not a quad's diagonal."""
    first = np.ones(len(head.face_polygon), bool)
    first[1:] = head.face_polygon[1:] != head.face_polygon[:-1]
    quad = head.polygons[head.face_polygon, 3] >= 0
    drawn = np.ones((len(first), 3), bool)
    drawn[first & quad, 1] = False
    drawn[~first, 2] = False
    return torch.from_numpy(drawn)


def edge_lines(fragments: Fragments, pixels: Tensor, faces: Tensor, drawn: Tensor, half_width: float) -> Tensor:
    """How much of each pixel is line.

    Lines thin out where triangles are not much larger than they, so dense parts do not fill up.

    Args:
        fragments: of one image.
        pixels: (V, 2) vertices in pixels of that image.
        faces: (F, 3).
        drawn: (F, 3) bool, see `drawn_edges`.
        half_width: of a line, pixels.

    Returns:
        (H, W) in 0..1.
    """
    face = fragments.pix_to_face[0]
    seen = face >= 0
    corners = pixels[faces]
    sides = corners.roll(-1, 1) - corners.roll(-2, 1)
    doubled = (sides[:, 0, 0] * sides[:, 1, 1] - sides[:, 0, 1] * sides[:, 1, 0]).abs()
    height = doubled[:, None] / sides.norm(dim=2).clamp(min=1e-6)
    room = ((height.amin(1) / half_width - 1.5) / 5).clamp(0, 1)
    distance = torch.where(drawn, height, torch.inf)[face[seen]] * fragments.bary[0][seen]
    distance = torch.where(drawn[face[seen]], distance, torch.inf)
    lines = torch.zeros(face.shape)
    lines[seen] = ((half_width + 0.5 - distance.amin(1)).clamp(0, 1)) * room[face[seen]]
    return lines
