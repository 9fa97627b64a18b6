# SPDX-License-Identifier: GPL-3.0-or-later
"""Linear albedo spaces of FLAME (the one converted from the Basel Face Model, or FLAME's own), as DECA uses them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

MAP_SIZE = 256


class AlbedoSpace(nn.Module):
    """Codes (B, N) -> albedo maps (B, 3, 256, 256), RGB about [0, 1] and not clamped: mean + basis * code.

    Args:
        mean: array of S*S*3 values, rows from the top, channels blue, green, red as the files have them.
        basis: (S*S*3, M) or (S, S, 3, M).
        components: N <= M that are used; the others are not kept.
        white: value of full brightness in the file: 1 in `FLAME_albedo_from_BFM.npz` (`MU`, `PC`), 255 in FLAME's
            own (`mean`, `tex_dir`).
    """

    mean: Tensor
    basis: Tensor

    def __init__(self, mean: np.ndarray, basis: np.ndarray, components: int = 50, white: float = 1.0) -> None:
        super().__init__()
        size = round((mean.size / 3) ** 0.5)
        step = size // MAP_SIZE
        if step < 1 or size != step * MAP_SIZE or mean.size != 3 * size * size:
            raise ValueError(f"an albedo space has a multiple of {MAP_SIZE} texels a side, not {mean.size} values")
        kept = (slice(None, None, step), slice(None, None, step), slice(None, None, -1))
        middle = mean.reshape(size, size, 3)[kept].transpose(2, 0, 1) / white
        # Only the components in use are copied: the whole basis is 1.2 GB.
        used = basis.reshape(size, size, 3, -1)[(*kept, slice(0, components))].transpose(3, 2, 0, 1) / white
        self.register_buffer("mean", torch.from_numpy(middle.astype(np.float32)))
        self.register_buffer("basis", torch.from_numpy(used.astype(np.float32)))

    def forward(self, codes: Tensor) -> Tensor:
        return self.mean + (codes @ self.basis.flatten(1)).unflatten(1, self.mean.shape)
