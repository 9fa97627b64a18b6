# SPDX-License-Identifier: GPL-3.0-or-later
"""What SMIRK's translator is shown of the photo: all but the face, and a few pixels of it (Retsinas et al. 2024,
section 3.2).

Points on the head are in the crop's NDC: x right, y down, [-1, 1] over the crop, smaller z nearer.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_FACING = 0.05
"""Largest z of a triangle's normal at which it counts as turned to the viewer."""


def triangle_weights(points: Tensor, normals: Tensor, faces: Tensor, importance: Tensor | None = None) -> Tensor:
    """How likely each triangle is to be sampled, not normalised: its area in the image where it faces the viewer.

    Args:
        points: (B, V, 3) projected vertices.
        normals: (B, V, 3) unit normals of the projected mesh.
        faces: (F, 3).
        importance: (F,) factors, 1 by default.

    Returns:
        (B, F).
    """
    a, b, c = (points[:, corner, :2] for corner in faces.long().t())
    u, v = b - a, c - a
    area = 0.5 * (u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]).abs()
    facing = normals[:, faces.long(), 2].mean(2) < _FACING
    weights = facing * area
    return weights if importance is None else weights * importance


def sample_surface(weights: Tensor, count: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """Random points on triangles, uniform in each: which (B, count), and where in it (B, count, 3)."""
    chosen = torch.multinomial(weights, count, replacement=True, generator=generator)
    u, v = torch.rand(2, *chosen.shape, device=weights.device, generator=generator)
    outside = u + v > 1
    u, v = torch.where(outside, 1 - u, u), torch.where(outside, 1 - v, v)
    return chosen, torch.stack((1 - u - v, u, v), -1)


def surface_pixels(points: Tensor, faces: Tensor, chosen: Tensor, barycentric: Tensor, size: int) -> Tensor:
    """Pixels of samples on the surface; the same samples of another mesh show where they have moved.

    Args:
        points: (B, V, 3) projected vertices.
        faces: (F, 3).
        chosen: (B, N) triangles.
        barycentric: (B, N, 3).
        size: of the crop.

    Returns:
        (B, N, 3) int64: column and row within the crop, and the depth in the same units.
    """
    batch = torch.arange(len(points), device=points.device)[:, None, None]
    samples = (points[batch, faces.long()[chosen]] * barycentric[..., None]).sum(2)
    pixels = (0.5 * (1 + samples) * size).trunc().long()
    return torch.cat((pixels[..., :2].clamp(0, size - 1), pixels[..., 2:]), -1)


def transferred(images: Tensor, source: Tensor, target: Tensor) -> Tensor:
    """Black images (B, C, H, W) with the pixels at `source` of others copied to `target`, (B, N, >=2) column, row.

    Where several go to one pixel, any of them stays.
    """
    moved = torch.zeros_like(images)
    batch = torch.arange(len(images), device=images.device)[:, None]
    moved[batch, :, target[..., 1], target[..., 0]] = images[batch, :, source[..., 1], source[..., 0]]
    return moved


def masked(images: Tensor, outside: Tensor, rendered: Tensor, kept: Tensor, radius: int = 10) -> Tensor:
    """Images without the face but for some of its pixels.

    Args:
        images: (B, 3, H, W).
        outside: (B, 1, H, W) 1 outside the face's hull, 0 in it; the face is grown by `radius` pixels.
        rendered: (B, 1, H, W) 1 where the head is drawn.
        kept: (B, 3, H, W) of `transferred`; values above 0 are put back.
        radius: pixels.
    """
    grown = 1 - functional.max_pool2d(1 - outside, 2 * radius + 1, 1, radius)
    hidden = images * grown * (1 - rendered)
    return torch.where(kept > 0, kept, hidden)
