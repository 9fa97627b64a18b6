# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies at the same place on the other side of a head, in UV space."""

from __future__ import annotations

import torch
from scipy.spatial import cKDTree
from torch import Tensor

from blender_addon.contract.head import HeadDescription
from training.rendering.uv import UVSpace


def mirrored_texels(head: HeadDescription, space: UVSpace) -> Tensor:
    """(S * S,) int64 for each texel the one on the other side; itself where no triangle lies.

    FLAME's layout is symmetric, and its maps are turned left to right, as DECA does. On other layouts it is the texel
    nearest to the mirrored place on the template.
    """
    size = space.covered.shape[-1]
    numbers = torch.arange(size * size)
    if head.id.startswith("flame"):
        return numbers.view(size, size).flip(1).flatten()
    covered = numbers[space.covered.flatten().cpu() > 0]
    places = space.carried(torch.from_numpy(head.template)[None].float().to(space.covered.device))
    points = places[0].flatten(1).T.cpu()[covered]
    _, nearest = cKDTree(points).query(points * torch.tensor([-1.0, 1.0, 1.0]))
    return numbers.index_copy(0, covered, covered[torch.from_numpy(nearest)])
