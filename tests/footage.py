# SPDX-License-Identifier: GPL-3.0-or-later
"""Small clips made from real photos: faces that move, leave, come back and give way to others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np

from backend.media.writer import VideoWriter

SIZE = (320, 240)
RATE = 25.0


Pair = tuple[float, float]


def panned(photo: np.ndarray, frames: int, start: Pair, step: Pair, zoom: float = 1.0) -> Iterator[np.ndarray]:
    """A window of `SIZE` that moves over a photo: (H,W,3) frames. Starts and steps in the photo's pixels."""
    width, height = SIZE
    for frame in range(frames):
        left, top = (start[axis] + frame * step[axis] for axis in (0, 1))
        matrix = np.array([[zoom, 0, -left * zoom], [0, zoom, -top * zoom]])
        yield cv2.warpAffine(photo, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)


def empty(frames: int, seed: int = 0) -> Iterator[np.ndarray]:
    """Frames of smooth noise without a face."""
    random = np.random.default_rng(seed)
    coarse = random.uniform(60, 160, (6, 8, 3)).astype(np.float32)
    picture = cv2.resize(coarse, SIZE, interpolation=cv2.INTER_CUBIC)
    for _ in range(frames):
        yield np.clip(picture + random.normal(0, 2, picture.shape), 0, 255).astype(np.uint8)


def write(path: Path, frames: Iterable[np.ndarray], rate: float = RATE) -> Path:
    """Write frames as a video."""
    with VideoWriter(path, SIZE, rate) as writer:
        for number, frame in enumerate(frames):
            writer.add(frame, number / rate)
    return path
