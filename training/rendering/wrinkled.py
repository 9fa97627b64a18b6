# SPDX-License-Identifier: GPL-3.0-or-later
"""Where on a head wrinkles are looked for."""

from __future__ import annotations

import numpy as np
import torch

from blender_addon.contract.head import HeadDescription
from training.rendering.uv import UVSpace

_SKIN = ("skin", "lips")


def wrinkled(head: HeadDescription) -> UVSpace:
    """The UV space of a head whose mask is on the skin of its face.

    FLAME's mask stays as it is. Other heads also have eyes, teeth and a tongue, which skin mostly hides: no photo shows
    what texels there are.
    """
    space = UVSpace(head)
    if head.id.startswith("flame"):
        return space
    skin = np.isin(np.array(head.materials)[head.polygon_material[head.face_polygon]], _SKIN)
    triangles = space.pix_to_face
    on_skin = torch.from_numpy(skin)[triangles.clamp(min=0)] & (triangles >= 0)
    return UVSpace(head, mask=space.mask * on_skin.view_as(space.mask))
