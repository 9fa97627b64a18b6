# SPDX-License-Identifier: GPL-3.0-or-later
"""Clips made of faces cut out of photos and moved over a background: who is where is known in every frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import skimage.data

SIZE = (640, 360)
"""Width and height of the clips."""


@dataclass(frozen=True)
class Place:
    """Where a face is: the middle and the width of its landmark box in pixels; how far it moves while it is exposed."""

    x: float
    y: float
    width: float
    blur: int = 0


Path = Callable[[int], Place | None]


class Sprite:
    """A face with soft edges, cut out of a photo.

    Args:
        pixels: (H,W,3) uint8.
        box: (4,) of the face's landmarks.
    """

    def __init__(self, pixels: np.ndarray, box: np.ndarray) -> None:
        self.width, height = box[2:] - box[:2]
        radii = np.array([0.85 * self.width, 0.8 * height])
        x, y = (box[:2] + box[2:]) / 2 - (0, 0.08 * height)
        self.half = int(radii.max()) + 2
        shift = np.array([[1.0, 0.0, self.half - x], [0.0, 1.0, self.half - y]])
        self.colours = cv2.warpAffine(pixels, shift, (2 * self.half, 2 * self.half)).astype(np.float32)
        down, right = np.mgrid[: 2 * self.half, : 2 * self.half] - self.half
        self.cover = np.clip((1 - np.hypot(right / radii[0], down / radii[1])) * 12, 0, 1).astype(np.float32)

    def paste(self, canvas: np.ndarray, place: Place) -> None:
        """Draw the face over an (H,W,3) float32 picture."""
        scale = place.width / self.width
        shift = np.array([[scale, 0.0, place.x - scale * self.half], [0.0, scale, place.y - scale * self.half]])
        smooth = cv2.GaussianBlur(self.colours, (0, 0), 0.4 / scale) if scale < 0.7 else self.colours
        size = canvas.shape[1::-1]
        colours, cover = cv2.warpAffine(smooth, shift, size), cv2.warpAffine(self.cover, shift, size)
        if place.blur > 1:
            exposure = np.full((1, place.blur), 1 / place.blur, np.float32)
            colours, cover = cv2.filter2D(colours, -1, exposure), cv2.filter2D(cover, -1, exposure)
        canvas[:] = canvas * (1 - cover[..., None]) + colours * cover[..., None]


def clip(count: int, actors: Sequence[tuple[Sprite, Path]]) -> Iterator[np.ndarray]:
    """Frames (360,640,3) uint8, a little noisy; later actors are before earlier ones."""
    background = cv2.GaussianBlur(cv2.resize(skimage.data.coffee(), SIZE), (0, 0), 2).astype(np.float32)
    noise = np.random.default_rng(0).normal(0, 2, background.shape).astype(np.float32)
    for index in range(count):
        canvas = background.copy()
        for sprite, path in actors:
            place = path(index)
            if place is not None:
                sprite.paste(canvas, place)
        canvas += np.roll(noise, (37 * index, 91 * index), axis=(0, 1))
        yield np.clip(canvas, 0, 255).astype(np.uint8)
