# SPDX-License-Identifier: GPL-3.0-or-later
"""The maps as Blender's images, and which one is shown on which frame.

Each user of a sequence is retimed by keys on its frame offset, as the footage is (`camera.footage`): modifier and
material follow them from 4.2 to 5.2, before, in and after the take, and no file is there twice.
"""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from .. import compat
from ..animation.scene_time import FOOTAGE
from ..animation.timing import retiming
from ..contract.errors import ErrorCode, MienError
from .maps import Maps


def load_maps(maps: Maps, relative: bool) -> Any:
    """An image of the maps: one map, which becomes part of the .blend, or a sequence.

    Args:
        maps: Where they are.
        relative: Name the files relative to the .blend.

    Raises:
        MienError: BAD_IMAGE for a file that Blender cannot read.
    """
    image = bpy.data.images.load(str(maps.first), check_existing=False)
    if not image.size[0] or not image.is_float:
        bpy.data.images.remove(image)
        message = f"{maps.first} is no displacement map that Blender can read."
        raise MienError(ErrorCode.BAD_IMAGE, message, "Capture the source again.")
    image.colorspace_settings.name = "Non-Color"
    if len(np.unique(maps.numbers)) == 1:
        image.pack()
        return image
    image.source = "SEQUENCE"
    if relative:
        image.filepath = bpy.path.relpath(str(maps.first))
    return image


def retime(owner: Any, path: str, user: Any, maps: Maps, frames: np.ndarray) -> None:
    """Show on each scene frame the map of the nearest frame of the take; before and after it the first and the last.

    Args:
        owner: Data-block that the image user belongs to (a texture, a tree of nodes).
        path: Data path of the image user in it, with a dot at its end.
        user: The image user.
        maps: The maps.
        frames: (T,) scene frame of each frame of the take.
    """
    shown = retiming(frames, maps.numbers)
    count = shown.last - shown.first + 1
    user.use_auto_refresh, user.use_cyclic = True, False
    user.frame_start, user.frame_duration = shown.first, count
    # Blender counts 1, 2, ... from the start on, 0 before it and the last number after the end.
    position = np.concatenate(([shown.first - 1], np.arange(shown.first, shown.last + 1)))
    offsets = np.concatenate(([shown.numbers[0]], shown.numbers - np.arange(1, count + 1)))
    kept = np.flatnonzero(np.diff(offsets, prepend=offsets[0] - 1))
    action = compat.new_action(f"{owner.name} Maps")
    action[FOOTAGE] = True
    holds = np.ones(len(kept), dtype=bool)
    compat.put(compat.channels(owner, action), f"{path}frame_offset", 0, position[kept], offsets[kept], holds)
