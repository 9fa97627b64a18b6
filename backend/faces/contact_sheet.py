# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture of the people of a clip with their numbers, to choose one by."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from backend.faces.windows import Window, sample

AROUND_FACE = 1.7
"""Side of a thumbnail over the longer side of the face's box."""
GAP = 8
"""Pixels between the thumbnails and around them."""
COLUMNS = 6
BACKGROUND = (38, 38, 38)
LABEL_SHARE = 0.24
"""Height of the number's plate over the thumbnail's side."""
PLATE = (20, 20, 20)
INK = (255, 255, 255)


def thumbnail(pixels: np.ndarray, box: np.ndarray, size: int = 128) -> np.ndarray:
    """A square picture of one face.

    Args:
        pixels: (H,W,3) uint8 RGB.
        box: (4,) x0, y0, x1, y1 of the face.
        size: Side in pixels.

    Returns:
        (size,size,3) uint8 RGB, black outside the frame.
    """
    box = np.asarray(box, dtype=np.float64)
    x, y = (box[:2] + box[2:]) / 2
    return sample(pixels, Window(x, y, AROUND_FACE * float((box[2:] - box[:2]).max())), size)


def contact_sheet(faces: Sequence[tuple[int, np.ndarray]]) -> np.ndarray:
    """Thumbnails with their numbers, up to six in a row.

    Args:
        faces: Number and (S,S,3) uint8 RGB thumbnail of each person, all of one size, in the order to show them in.

    Returns:
        (H,W,3) uint8 RGB.

    Raises:
        ValueError: When there is none, or they differ in size.
    """
    if not faces or len({picture.shape for _, picture in faces}) > 1:
        raise ValueError("a contact sheet needs thumbnails, all of one size")
    side = faces[0][1].shape[0]
    columns = min(COLUMNS, len(faces))
    rows = math.ceil(len(faces) / columns)
    sheet = np.full((rows * (side + GAP) + GAP, columns * (side + GAP) + GAP, 3), BACKGROUND, dtype=np.uint8)
    for place, (number, picture) in enumerate(faces):
        top, left = (GAP + index * (side + GAP) for index in divmod(place, columns))
        sheet[top : top + side, left : left + side] = _numbered(picture, number)
    return sheet


def _numbered(picture: np.ndarray, number: int) -> np.ndarray:
    """The thumbnail with the number on a plate in its lower left corner."""
    picture = picture.copy()
    side = len(picture)
    height = max(12, round(LABEL_SHARE * side))
    font, text = cv2.FONT_HERSHEY_SIMPLEX, str(number)
    thickness = max(1, round(height / 14))
    scale = cv2.getFontScaleFromHeight(font, round(0.6 * height), thickness)
    (width, tall), _ = cv2.getTextSize(text, font, scale, thickness)
    margin = (height - tall) // 2
    picture[side - height :, : min(side, width + 2 * margin)] = PLATE
    cv2.putText(picture, text, (margin, side - margin), font, scale, INK, thickness, cv2.LINE_AA)
    return picture
