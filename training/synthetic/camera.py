# SPDX-License-Identifier: GPL-3.0-or-later
"""What a camera does to a picture: exposure, colour, blur, noise and JPEG."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageFilter


def photographed(picture: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A picture as a camera would keep it.

    Args:
        picture: (H, W, 3) float, sRGB 0 to 1.
        random: where the chances come from.

    Returns:
        (H, W, 3) uint8.
    """
    gain = random.normal(1, 0.06) * (1 + random.normal(0, 0.03, 3))
    seen = np.clip(picture * gain, 0, 1) ** random.uniform(0.85, 1.2)
    image = Image.fromarray((seen * 255).round().astype(np.uint8))
    if random.uniform() < 0.5:
        image = image.filter(ImageFilter.GaussianBlur(random.uniform(0.2, 1.2)))
    if random.uniform() < 0.2:  # a small face that was enlarged
        small = int(image.width * random.uniform(0.35, 0.8))
        image = image.resize((small, small), Image.Resampling.BOX).resize(image.size, Image.Resampling.BICUBIC)
    pixels = np.asarray(image, np.float32)
    grain = random.uniform(0, 0.025) * 255 * np.sqrt(0.2 + pixels.mean(-1, keepdims=True) / 255)
    pixels = pixels + grain * random.standard_normal(pixels.shape, dtype=np.float32)
    noisy = pixels.clip(0, 255).round().astype(np.uint8)
    return _through_jpeg(noisy, int(random.integers(45, 96))) if random.uniform() < 0.7 else noisy


def _through_jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    stored = io.BytesIO()
    Image.fromarray(pixels).save(stored, "JPEG", quality=quality)
    return np.asarray(Image.open(stored))
