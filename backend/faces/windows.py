# SPDX-License-Identifier: GPL-3.0-or-later
"""Turned square windows of a picture, resampled so that mirroring the picture mirrors the sample."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from backend.faces.face import roll


@dataclass(frozen=True)
class Window:
    """A square of the full frame, turned about its centre. All in full-frame pixels, pixel centres at +0.5.

    Attributes:
        x: Centre.
        y: Centre.
        side: Length of a side.
        angle: Radians by which the window's x axis is turned from the frame's towards its y axis (clockwise on screen).
        mirrored: Whether the sample is flipped left to right.
    """

    x: float
    y: float
    side: float
    angle: float = 0.0
    mirrored: bool = False

    def moved(self, right: float, down: float, grown: float, turned: float) -> Window:
        """The window shifted along its own axes by fractions of its side, scaled by `grown` and turned by radians."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        return replace(
            self,
            x=self.x + self.side * (right * cos - down * sin),
            y=self.y + self.side * (right * sin + down * cos),
            side=self.side * grown,
            angle=self.angle + turned,
        )

    def to_sample(self, size: int) -> np.ndarray:
        """(3,3) transform of full-frame pixels to pixels of the `size` x `size` sample."""
        scale = size / self.side
        cos, sin = scale * math.cos(self.angle), scale * math.sin(self.angle)
        transform = np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])
        transform[:2, 2] = size / 2 - transform[:2, :2] @ (self.x, self.y)
        if self.mirrored:
            transform[0] = (0.0, 0.0, size) - transform[0]
        return transform


def upright(landmarks: np.ndarray, over: float) -> Window:
    """The upright window around a face.

    Args:
        landmarks: (478,3) full-frame pixels.
        over: Side of the window over the longer side of the landmarks' upright box.
    """
    angle = roll(landmarks)
    cos, sin = np.cos(angle), np.sin(angle)
    turned = landmarks[:, :2] @ np.array([[cos, -sin], [sin, cos]])
    low, high = turned.min(axis=0), turned.max(axis=0)
    x, y = (low + high) / 2
    return Window(x * cos - y * sin, x * sin + y * cos, over * float((high - low).max()), angle)


def pair(window: Window) -> list[Window]:
    """The window and its mirrored twin."""
    return [window, replace(window, mirrored=not window.mirrored)]


def sample(pixels: np.ndarray, window: Window, size: int, fast: bool = False) -> np.ndarray:
    """The window as a (size,size,3) uint8 picture, black outside the frame.

    Windows much larger than the sample are reduced by area first, so that nothing aliases. The part that is reduced is
    chosen symmetrically: the sample of the mirrored picture is the mirrored sample up to rounding.

    Args:
        pixels: (H,W,3) uint8.
        window: What to sample.
        size: Side of the sample in pixels.
        fast: Leave out the few outermost pixels that are no whole step of the reduction, which is then six times as
            fast.
    """
    height, width = pixels.shape[:2]
    reach = window.side / 2 * (abs(math.cos(window.angle)) + abs(math.sin(window.angle))) + 1
    left, right = _span(window.x - reach, window.x + reach, width)
    top, bottom = _span(window.y - reach, window.y + reach, height)
    if left >= right or top >= bottom:
        return np.zeros((size, size, 3), dtype=np.uint8)
    factor = max(1, int(window.side / size))
    if fast:
        left, right = _whole_steps(left, right, window.x, factor)
        top, bottom = _whole_steps(top, bottom, window.y, factor)
    part = pixels[top:bottom, left:right]
    reduced_width, reduced_height = (max(1, round(n / factor)) for n in (part.shape[1], part.shape[0]))
    if factor > 1:
        part = cv2.resize(part, (reduced_width, reduced_height), interpolation=cv2.INTER_AREA)
    to_frame = np.array(
        [
            [(right - left) / reduced_width, 0.0, left],
            [0.0, (bottom - top) / reduced_height, top],
            [0.0, 0.0, 1.0],
        ]
    )
    transform = window.to_sample(size) @ to_frame
    # OpenCV counts from pixel centres.
    transform[:2, 2] += transform[:2, :2].sum(axis=1) / 2 - 0.5
    return cv2.warpAffine(part, transform[:2], (size, size), flags=cv2.INTER_LINEAR, borderValue=(0, 0, 0))


def landmarks_to_frame(landmarks: np.ndarray, window: Window, size: int) -> np.ndarray:
    """Landmarks of a sample in full-frame pixels; a mirrored window's points keep their (swapped) order.

    Args:
        landmarks: (N,3) pixels of the sample, z in the same scale.
        window: The window that was sampled.
        size: Side of the sample.

    Returns:
        (N,3) full-frame pixels.
    """
    inverse = np.linalg.inv(window.to_sample(size))
    framed = np.empty_like(landmarks)
    framed[:, :2] = landmarks[:, :2] @ inverse[:2, :2].T + inverse[:2, 2]
    framed[:, 2] = landmarks[:, 2] * (window.side / size)
    return framed


def _span(low: float, high: float, length: int) -> tuple[int, int]:
    return max(0, math.floor(low)), min(length, math.ceil(high))


def _whole_steps(low: int, high: int, middle: float, step: int) -> tuple[int, int]:
    """The span shortened to a multiple of `step`, if it is longer, from the end that is farther from the middle."""
    while high - low > step and (high - low) % step:
        if high - middle > middle - low:
            high -= 1
        else:
            low += 1
    return low, high
