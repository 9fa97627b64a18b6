# SPDX-License-Identifier: GPL-3.0-or-later
"""The texture layout of the open head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .topology import HeadTopology


@dataclass(frozen=True)
class UvLayout:
    """Texture coordinates: uv (T,2) in [0,1], v up, and polygon_uvs (P,4) with -1 like the polygons."""

    uv: NDArray[np.float64]
    polygon_uvs: NDArray[np.int64]


def unwrap(topology: HeadTopology, materials: NDArray[np.uint8]) -> UvLayout:
    """Project onto a cylinder about y."""
    p = topology.template
    u = 0.5 + np.arctan2(p[:, 0], p[:, 2]) / (2 * np.pi)
    v = (p[:, 1] - p[:, 1].min()) / np.ptp(p[:, 1])
    return UvLayout(np.clip(np.stack([u, v], axis=1), 0, 1), topology.polygons.copy())
