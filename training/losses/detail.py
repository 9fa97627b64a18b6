# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps DECA's displacement plausible (Feng et al. 2021, section 4.2)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

_ERODED = 5
"""Side of the square by which visibility is eroded, texels."""


def displacement_loss(displacement: Tensor) -> Tensor:
    """Mean |displacement| of maps (B, 1, S, S)."""
    return displacement.abs().mean()


def smoothness_loss(maps: Tensor) -> Tensor:
    """Mean squared step along the inner rows plus mean squared step along the inner columns.

    DECA asks it of the shading under the light, not of the displacement.

    Args:
        maps: (B, C, H, W), at least 3 by 3.
    """
    across = maps[..., 1:-1, 1:] - maps[..., 1:-1, :-1]
    down = maps[..., 1:, 1:-1] - maps[..., :-1, 1:-1]
    return across.square().mean() + down.square().mean()


def symmetry_loss(displacement: Tensor, visible: Tensor, mirrored: Tensor | None = None) -> Tensor:
    """Where the photo does not show the face, the displacement should be that of the other side.

    Sum, not mean, of (1 - eroded visibility) |displacement - mirrored|, where the mirrored side has no gradient.

    Args:
        displacement: (B, 1, S, S).
        visible: (B, 1, S, S) 1 where the texel is seen.
        mirrored: (B, 1, S, S) the displacement of the other side, for UV layouts that are not symmetric; by default the
            map turned left to right.
    """
    other = displacement.flip(-1) if mirrored is None else mirrored
    return ((1 - eroded(visible)) * (displacement - other.detach()).abs()).sum()


def eroded(mask: Tensor, size: int = _ERODED) -> Tensor:
    """Binary masks (B, 1, H, W) shrunk by a square; outside the map counts as 0."""
    border = size // 2
    padded = functional.pad(mask, (border, border, border, border), value=0.0)
    return -functional.max_pool2d(-padded, size, 1)
