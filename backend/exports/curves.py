# SPDX-License-Identifier: GPL-3.0-or-later
"""What programs get of a take's weights: nothing outside 0 to 1."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from blender_addon.contract.arkit import ArkitCurves, arkit_curves
from blender_addon.contract.take import Take


def bounded_curves(take: Take) -> ArkitCurves:
    """A take in ARKit's terms, with weights cut to 0 to 1, which is all that programs expect.

    Raises:
        MienError: CANNOT_EXPORT for a head with other channels.
    """
    curves = arkit_curves(take)
    return replace(curves, weights=np.clip(curves.weights, 0.0, 1.0))
