# SPDX-License-Identifier: GPL-3.0-or-later
"""ARKit's gaze units from the turns of the eyes."""

from __future__ import annotations

import numpy as np

from backend.solve.looking import FULL_TURN
from blender_addon.contract import rotations

NAMES = tuple(f"eyeLook{way}{side}" for side in ("Left", "Right") for way in ("Up", "Down", "In", "Out"))
_AHEAD = np.array([0.0, 0.0, 1.0])


def gaze_units(eyes: np.ndarray) -> np.ndarray:
    """(T,8) in the order of `NAMES`, 0 to 1.

    A turn of 30 degrees is a whole unit, sideways as in `solve.looking.sideways_units`, up and down alike.

    Args:
        eyes: (T,6) axis-angle, left then right.
    """
    units = []
    for eye, outwards in ((eyes[:, :3], 1.0), (eyes[:, 3:], -1.0)):
        x, y, z = rotations.rotate(rotations.to_quaternions(eye), _AHEAD).T
        up, out = np.arctan2(y, np.hypot(x, z)), outwards * np.arctan2(x, z)
        units += [up, -up, -out, out]
    return np.clip(np.stack(units, axis=1) / FULL_TURN, 0, 1)
