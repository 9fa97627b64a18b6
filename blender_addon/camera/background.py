# SPDX-License-Identifier: GPL-3.0-or-later
"""The photo behind the head, as the camera's background image."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ..contract.errors import ErrorCode, MienError
from ..contract.files import file_error
from .orientation import UPRIGHT, read_orientation, turn_upright


def load_photo(path: str | os.PathLike[str], *, pack: bool = False) -> Any:
    """Load a photo upright.

    Args:
        path: The image file.
        pack: Put the image into the .blend.

    Returns:
        The image; one that had to be turned is a packed copy, since Blender shows files as they are stored.

    Raises:
        MienError: MISSING_FILE or NOT_PERMITTED; BAD_IMAGE for a file that Blender cannot show.
    """
    absolute = os.path.abspath(path)
    try:
        orientation = read_orientation(absolute)
    except OSError as error:
        raise file_error(path, error, "read") from error
    image = bpy.data.images.load(absolute, check_existing=orientation == UPRIGHT)
    if not image.size[0]:
        bpy.data.images.remove(image)
        raise MienError(
            ErrorCode.BAD_IMAGE,
            f"{path} is not an image that Blender can show.",
            "Save the photo as JPEG or PNG to see it behind the head.",
            {"path": str(path)},
        )
    if orientation != UPRIGHT:
        return _turned_copy(image, orientation, Path(absolute).name)
    if pack and not image.packed_file:
        image.pack()
    return image


def show_behind(camera_object: Any, image: Any) -> None:
    """Show an image behind everything that the camera sees."""
    camera = camera_object.data
    camera.show_background_images = True
    background = camera.background_images.new()
    background.image = image
    background.frame_method = "FIT"
    background.display_depth = "BACK"
    background.alpha = 1.0


def _turned_copy(image: Any, orientation: int, name: str) -> Any:
    width, height = image.size
    pixels = np.empty(width * height * 4, dtype=np.float32)
    image.pixels.foreach_get(pixels)
    colour_space = image.colorspace_settings.name
    bpy.data.images.remove(image)
    stored = pixels.reshape(height, width, 4)[::-1]  # Blender's first row is at the bottom
    upright = np.ascontiguousarray(turn_upright(stored, orientation)[::-1])
    turned = bpy.data.images.new(name, upright.shape[1], upright.shape[0])
    turned.colorspace_settings.name = colour_space
    turned.pixels.foreach_set(upright.ravel())
    turned.file_format = "PNG"
    turned.pack()
    return turned
