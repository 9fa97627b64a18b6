# SPDX-License-Identifier: GPL-3.0-or-later
"""Random light as nine spherical-harmonics coefficients an RGB channel, as DECA's encoder gives it."""

from __future__ import annotations

import numpy as np

from backend.rendering.shading import SH_CONSTANTS


def directional(direction: np.ndarray) -> np.ndarray:
    """(9,) coefficients of a distant light: the clamped cosine up to its second band.

    max(0, c) is about 1/4 + c/2 + 5/32 (3 c^2 - 1), c the cosine with the normal (Ramamoorthi and Hanrahan 2001).

    Args:
        direction: (3,) towards the light, any length.
    """
    x, y, z = direction / np.linalg.norm(direction)
    second = (6 * x * y, 6 * x * z, 6 * y * z, 1.5 * (x * x - y * y), (3 * z * z - 1) / 2)
    return np.array([0.25, x / 2, y / 2, z / 2, *(5 / 32 * value for value in second)]) / SH_CONSTANTS


def ambient() -> np.ndarray:
    """(9,) coefficients of light from everywhere that shades all surfaces with 1."""
    return np.array([1 / SH_CONSTANTS[0], *8 * [0.0]])


def draw_light(random: np.random.Generator) -> np.ndarray:
    """(9, 3) float32: light from everywhere, a key light in front, often a second light; tinted, and well exposed."""
    total = np.outer(ambient(), random.uniform(0.25, 0.6) * _tint(random, 0.05))
    for strength in (random.uniform(0.4, 1.0), random.choice([0.0, 0.5]) * random.uniform()):
        towards = np.array([random.normal(0, 0.8), random.normal(0.4, 0.4), random.uniform(0.35, 1.0)])
        total += np.outer(directional(towards), strength * _tint(random, 0.08))
    grey = total.mean(1) * SH_CONSTANTS
    level = grey[0] + 0.7 * grey[3]  # about the mean over what of a face is seen
    return (total * random.uniform(0.65, 0.95) / level).astype(np.float32)


def _tint(random: np.random.Generator, amount: float) -> np.ndarray:
    """(3,) a colour near white, warm or cold."""
    warmth = random.normal(0, amount)
    return np.array([1 + warmth, 1.0, 1 - warmth])
