# SPDX-License-Identifier: GPL-3.0-or-later
"""Vertex normals, spherical-harmonics light and directional lights, differentiable."""

from __future__ import annotations

import math

import torch
from torch import Tensor

SH_CONSTANTS = (
    1 / math.sqrt(4 * math.pi),
    *(3 * [2 * math.pi / 3 * math.sqrt(3 / (4 * math.pi))]),
    *(3 * [3 * math.pi / 4 * math.sqrt(5 / (12 * math.pi))]),
    3 * math.pi / 8 * math.sqrt(5 / (12 * math.pi)),
    math.pi / 8 * math.sqrt(5 / (4 * math.pi)),
)
"""Of the nine basis functions: normalisation times the cosine lobe (Ramamoorthi and Hanrahan 2001), as in DECA."""

PREVIEW_DIRECTIONS = ((-1.0, 1.0, 1.0), (1.0, 1.0, 1.0), (-1.0, -1.0, 1.0), (1.0, -1.0, 1.0), (0.0, 0.0, 1.0))
PREVIEW_INTENSITY = 1.7
"""The five lights of DECA's grey shape preview."""


def vertex_normals(vertices: Tensor, faces: Tensor) -> Tensor:
    """Unit normals, each the area-weighted mean of its triangles' normals.

    Args:
        vertices: (B, V, 3).
        faces: (F, 3) counter-clockwise seen from outside.

    Returns:
        (B, V, 3); zero for a vertex without triangles.
    """
    index = faces.long().t()
    a, b, c = (vertices.index_select(1, corner) for corner in index)
    cross = torch.linalg.cross(b - a, c - a)
    total = torch.zeros_like(vertices)
    for corner in index:
        total = total.index_add(1, corner, cross)
    return torch.nn.functional.normalize(total, dim=-1, eps=1e-6)


def sh_basis(normals: Tensor) -> Tensor:
    """The nine basis functions times their constants: (..., 3) unit normals -> (..., 9).

    Order: 1, x, y, z, xy, xz, yz, x^2 - y^2, 3z^2 - 1.
    """
    x, y, z = normals.unbind(-1)
    basis = (torch.ones_like(x), x, y, z, x * y, x * z, y * z, x * x - y * y, 3 * z * z - 1)
    return torch.stack(basis, -1) * normals.new_tensor(SH_CONSTANTS)


def sh_shading(normals: Tensor, coefficients: Tensor) -> Tensor:
    """Irradiance of a spherical-harmonics light, not clamped; the image is albedo times this.

    Args:
        normals: (B, ..., 3) unit normals.
        coefficients: (B, 9, 3) bands by RGB.

    Returns:
        (B, ..., 3).
    """
    basis = sh_basis(normals)
    return (basis.flatten(1, -2) @ coefficients).view(*basis.shape[:-1], 3)


def directional_shading(
    normals: Tensor,
    directions: tuple[tuple[float, float, float], ...] = PREVIEW_DIRECTIONS,
    intensity: float = PREVIEW_INTENSITY,
) -> Tensor:
    """Mean of clamped directional lights; by default those of the grey shape preview.

    Args:
        normals: (..., 3) unit normals.
        directions: towards the lights, any length.
        intensity: of each light.

    Returns:
        (..., 1).
    """
    towards = torch.nn.functional.normalize(normals.new_tensor(directions), dim=-1)
    return intensity * (normals @ towards.t()).clamp(0, 1).mean(-1, keepdim=True)
