# SPDX-License-Identifier: GPL-3.0-or-later
"""What is visible, found by pytorch3d (Ravi et al. 2020), called as DECA and EMOCA call it.

Optional: `rasterisers` imports this where pytorch3d imports. Its frame has x to the left and y up, [-1, 1] over the
shorter side of the picture, and draws what lies at positive z. It leaves out triangles of less than 1e-8 (twice the
area), and settles ties by the lowest face on a CPU.
"""

from __future__ import annotations

import torch
from pytorch3d.renderer.mesh import rasterize_meshes
from pytorch3d.structures import Meshes
from torch import Tensor

_NEAREST = 1.0
"""Depth of the nearest vertex in its frame."""


def visible_faces(vertices: Tensor, faces: Tensor, size: tuple[int, int]) -> Tensor:
    """The nearest face of each pixel, as `raster.visible_faces`."""
    finite = vertices.detach().isfinite().all(-1)
    points = vertices.detach().nan_to_num(0, 0, 0)
    height, width = size
    scale = points.new_tensor([-width / min(size), -height / min(size), 1.0])
    nearest = points[..., 2].amin(1)[:, None, None] * points.new_tensor([0.0, 0.0, 1.0])
    moved = (points - nearest) * scale + points.new_tensor([0.0, 0.0, _NEAREST])
    faces = faces.long()
    drawn = finite[:, faces].all(-1, keepdim=True)
    meshes = Meshes(moved.float(), torch.where(drawn, faces, faces[:, :1]))  # a point where it is not drawn
    pix_to_face, *_ = rasterize_meshes(
        meshes,
        image_size=size,
        blur_radius=0,
        faces_per_pixel=1,
        bin_size=None,
        perspective_correct=False,
        cull_backfaces=False,
    )
    found = pix_to_face[..., 0].long()
    first = torch.arange(len(vertices), device=vertices.device)[:, None, None] * len(faces)  # they count on
    return torch.where(found < 0, -1, found - first)
