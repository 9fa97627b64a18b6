# SPDX-License-Identifier: GPL-3.0-or-later
"""From head space to the rasteriser's frame (NDC, x right, y down, smaller z nearer), differentiable."""

from __future__ import annotations

import torch
from torch import Tensor

from blender_addon.contract.projection import HEAD_TO_CAMERA

NEAREST = 0.01
"""Metres in front of the camera under which nothing is drawn."""


def project_perspective(vertices: Tensor, translation: Tensor, camera_matrix: Tensor, size: tuple[int, int]) -> Tensor:
    """Pinhole projection (`blender_addon.contract.projection`) into the rasteriser's frame.

    z becomes -1 / depth, which is linear over the image, so triangles hide each other exactly; depth in metres is
    -1 / zbuf. Points less than `NEAREST` in front of the camera become NaN, and triangles with them are not drawn.

    Args:
        vertices: (B, V, 3) posed vertices, metres, head space.
        translation: (3,) or (B, 3) metres, camera space.
        camera_matrix: (3, 3) or (B, 3, 3) in pixels of an image of `size`.
        size: height and width in pixels.

    Returns:
        (B, V, 3).
    """
    axes = torch.as_tensor(HEAD_TO_CAMERA.diagonal().copy(), dtype=vertices.dtype, device=vertices.device)
    points = vertices * axes + translation.reshape(-1, 1, 3)
    depth = points[..., 2:]
    visible = depth > NEAREST
    safe = torch.where(visible, depth, torch.ones_like(depth))
    pixels = (points / safe) @ camera_matrix.reshape(-1, 3, 3).transpose(1, 2)
    extent = torch.tensor((size[1], size[0]), dtype=vertices.dtype, device=vertices.device)
    ndc = torch.cat((2 * pixels[..., :2] / extent - 1, -1 / safe), -1)
    return torch.where(visible, ndc, torch.nan)


def project_weak(vertices: Tensor, crop_camera: Tensor) -> Tensor:
    """Weak perspective of a crop (DECA, Feng et al. 2021): s * (x + tx, y + ty, z), then y and z negated.

    Args:
        vertices: (B, V, 3) posed vertices, metres, head space.
        crop_camera: (B, 3) s, tx, ty.

    Returns:
        (B, V, 3); [-1, 1] spans the crop.
    """
    scale, offset = crop_camera[:, None, :1], crop_camera[:, None, 1:]
    moved = torch.cat((vertices[..., :2] + offset, vertices[..., 2:]), -1)
    axes = torch.as_tensor(HEAD_TO_CAMERA.diagonal().copy(), dtype=vertices.dtype, device=vertices.device)
    return scale * moved * axes
