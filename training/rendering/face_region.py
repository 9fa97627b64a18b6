# SPDX-License-Identifier: GPL-3.0-or-later
"""Which part of a head is its face."""

from __future__ import annotations

import numpy as np

from backend.faces import topology
from backend.heads import load_head
from backend.heads.correspondence import OPEN, correspondence
from blender_addon.contract.head import HeadDescription


def face_region(head: HeadDescription) -> np.ndarray:
    """(V,) float32 1 on the face, its eyes and its mouth, 0 elsewhere.

    Inside the landmarks' outline seen from the front, in front of the ears, for the open head; carried over from it for
    others, which are registered for that the first time.

    Raises:
        MienError: BAD_HEAD for a head that looks like none; NO_SPACE, NOT_PERMITTED.
    """
    opened = load_head()
    inside = _inside_outline(opened).astype(np.float32)
    if head.id == OPEN:
        return inside
    return correspondence(opened, head).carried(opened, inside).astype(np.float32)


def _inside_outline(head: HeadDescription) -> np.ndarray:
    """(V,) bool: in front, and inside the landmarks' outline seen from the front (even-odd rule)."""
    marks = head.landmarks["mediapipe478"]
    corners = head.template[head.faces[marks.faces]]
    oval = np.einsum("nk,nkd->nd", marks.barycentric, corners)[topology.FACE_OVAL]
    x, y, z = head.template.T
    start, end = oval, np.roll(oval, -1, axis=0)
    across = (start[:, None, 1] > y) != (end[:, None, 1] > y)
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = (end[:, 0] - start[:, 0]) / (end[:, 1] - start[:, 1])
        left = x < start[:, None, 0] + slope[:, None] * (y - start[:, None, 1])
    return ((across & left).sum(0) % 2 == 1) & (z > 0.0)
