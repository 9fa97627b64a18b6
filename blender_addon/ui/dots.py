# SPDX-License-Identifier: GPL-3.0-or-later
"""Coloured dots: Blender has none that are in all versions."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

Colour = Literal["green", "amber", "red", "grey"]

_COLOURS: dict[Colour, tuple[float, float, float]] = {
    "green": (0.25, 0.75, 0.30),
    "amber": (0.95, 0.70, 0.15),
    "red": (0.90, 0.25, 0.22),
    "grey": (0.50, 0.50, 0.50),
}
_SIZE = 32
_RADIUS = 9.0

_icons: Any = None


def dot(colour: Colour) -> int:
    """Icon of a dot, for `icon_value`."""
    global _icons
    if _icons is None:
        import bpy.utils.previews

        _icons = bpy.utils.previews.new()
        for name in _COLOURS:
            preview = _icons.new(name)
            preview.icon_size = (_SIZE, _SIZE)
            preview.icon_pixels_float = picture(name).ravel().tolist()
    return int(_icons[colour].icon_id)


def picture(colour: Colour) -> np.ndarray:
    """The dot as RGBA (32, 32, 4) in 0..1, alpha multiplied in, with a soft edge."""
    across = np.arange(_SIZE) - (_SIZE - 1) / 2
    distance = np.hypot(across, across[:, None])
    cover = np.clip(_RADIUS + 0.5 - distance, 0.0, 1.0)[..., None]
    return (cover * np.array([*_COLOURS[colour], 1.0])).astype(np.float32)


def forget() -> None:
    """Release the icons."""
    global _icons
    if _icons is not None:
        import bpy.utils.previews

        bpy.utils.previews.remove(_icons)
        _icons = None
