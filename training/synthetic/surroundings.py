# SPDX-License-Identifier: GPL-3.0-or-later
"""What is behind a face and what is in front of it."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFilter


def draw_background(random: np.random.Generator, size: int) -> np.ndarray:
    """(size, size, 3) float32 sRGB 0 to 1: out-of-focus colours, sometimes with the edges of a room."""
    coarse = random.uniform(0.05, 0.9, (random.integers(2, 6), random.integers(2, 6), 3))
    grey = coarse.mean(-1, keepdims=True)
    coarse = grey + random.uniform(0.1, 0.4) * (coarse - grey)
    picture = _picture(coarse).resize((size, size), Image.Resampling.BICUBIC)
    if random.uniform() < 0.6:
        pen = ImageDraw.Draw(picture)
        for _ in range(random.integers(1, 9)):
            corner, extent = random.uniform(-0.2, 1, 2) * size, random.uniform(0.05, 0.6, 2) * size
            colour = tuple(int(value) for value in random.integers(20, 220) + random.integers(-30, 30, 3))
            shape = pen.rectangle if random.uniform() < 0.7 else pen.ellipse
            shape((*corner, *(corner + extent)), fill=colour)
        picture = picture.filter(ImageFilter.GaussianBlur(random.uniform(0.5, 8)))
    return np.asarray(picture, np.float32) / 255


def draw_occluder(random: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Something before the face: fingers, an edge of something, or a strand.

    Returns:
        Colours (size, size, 3) float32 sRGB 0 to 1, and how much they cover (size, size, 1), 0 to 1.
    """
    cover = Image.new("L", (size, size))
    pen = ImageDraw.Draw(cover)
    kind = random.choice(["hand", "block", "strand"])
    colour = random.uniform(0.05, 0.9, 3)
    if kind == "hand":
        _fingers(random, pen, size)
        colour = np.array([0.8, 0.6, 0.5]) * random.uniform(0.3, 1.1)
    elif kind == "block":
        _block(random, pen, size)
    else:
        start, end = random.uniform(-0.1, 1.1, (2, 2)) * size
        pen.line((*start, *end), fill=255, width=int(random.uniform(0.01, 0.06) * size))
        colour = colour * 0.4
    cover = cover.filter(ImageFilter.GaussianBlur(random.uniform(0.5, 2.0)))
    shade = random.uniform(0.55, 1.1, (3, 3, 1)) * colour
    colours = np.asarray(_picture(shade.clip(0, 1)).resize((size, size), Image.Resampling.BICUBIC), np.float32)
    return colours / 255, np.asarray(cover, np.float32)[..., None] / 255


def _picture(colours: np.ndarray) -> Image.Image:
    return Image.fromarray((colours * 255).round().astype(np.uint8))


def _fingers(random: np.random.Generator, pen: ImageDraw.ImageDraw, size: int) -> None:
    """Three or four fingers that come in from below or from a side and end on the face."""
    angle = random.choice([math.pi / 2, 0.2, math.pi - 0.2]) + random.normal(0, 0.25)
    along, aside = np.array([math.cos(angle), math.sin(angle)]), np.array([-math.sin(angle), math.cos(angle)])
    tip = (np.array([0.5, 0.5]) + along * random.uniform(0.12, 0.35)) * size
    width = random.uniform(0.06, 0.085) * size
    for finger in range(random.integers(3, 5)):
        start = tip + (finger - 1.5) * width * 1.05 * aside - along * random.uniform(0, 0.06) * size
        pen.line((*start, *(start + along * size)), fill=255, width=int(width))
        pen.ellipse((*(start - width / 2), *(start + width / 2)), fill=255)


def _block(random: np.random.Generator, pen: ImageDraw.ImageDraw, size: int) -> None:
    """A cup, a phone or someone's shoulder: a turned rectangle that reaches in from a side or from below."""
    angle, middle = random.uniform(0, 2 * math.pi), random.uniform(0.0, 1.0, 2)
    middle[random.integers(2)] = random.choice([0.05, 0.95])
    half = random.uniform(0.08, 0.25, 2)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    corners = (np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * half) @ turn + middle
    pen.polygon([tuple(corner) for corner in corners * size], fill=255)
