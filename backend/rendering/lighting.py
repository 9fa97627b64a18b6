# SPDX-License-Identifier: GPL-3.0-or-later
"""A photo studio around the head: area lights and a dome, with the shadows that the head throws on itself.

Light arriving at each vertex is summed over some forty directions, each with a small depth map that says which
vertices it reaches. That gives soft shadows under nose, brow and chin, and dark nostrils and mouth corners, for the
price of a few rasterisations. The lights stand still relative to the head, so one solution serves every view.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from backend.rendering.raster import rasterize

_MAP_SIZE = 160
_OFFSET = 0.003
"""Metres that vertices are lifted off the surface for the shadow test."""
_WRAP = (0.26, 0.1, 0.07)
"""How far light creeps around skin, by colour: what scattering under the skin does."""
_GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))


@dataclass(frozen=True)
class _Light:
    """An area light: `samples` directions in a cone of `spread` radians."""

    direction: tuple[float, float, float]
    spread: float
    samples: int
    colour: tuple[float, float, float]


KEY = (0.62, 0.62, 0.72)
"""Towards the key light, head space: on the person's left, above, in front."""
_LIGHTS = (
    _Light(KEY, 0.22, 9, (1.22, 1.15, 1.06)),
    _Light((-0.85, 0.12, 0.65), 0.3, 5, (0.13, 0.15, 0.18)),
    _Light((-0.75, 0.45, -0.75), 0.2, 3, (0.95, 1.02, 1.15)),
    _Light((0.85, 0.3, -0.8), 0.2, 3, (0.50, 0.53, 0.58)),
)
_DOME_SAMPLES = 22
_SKY, _GROUND = (0.30, 0.32, 0.35), (0.10, 0.09, 0.08)


@dataclass(frozen=True)
class StudioLight:
    """Light at each vertex.

    Attributes:
        irradiance: (V, 3) linear RGB; a white matt surface has this colour.
        key: (V,) how much of the key light arrives, 0..1, for highlights.
    """

    irradiance: Tensor
    key: Tensor


def studio_light(vertices: Tensor, faces: Tensor, normals: Tensor) -> StudioLight:
    """Light a head.

    Args:
        vertices: (V, 3) metres, head space, the head unrotated.
        faces: (F, 3).
        normals: (V, 3) unit vertex normals.
    """
    directions, colours, is_key = _samples()
    seen = _smoothed(_visibility(vertices, faces, normals, directions), faces)
    cosine = normals @ directions.t()
    wrap = torch.tensor(_WRAP)
    lit = ((cosine[..., None] + wrap) / (1 + wrap)).clamp(min=0)
    irradiance = (lit * seen[..., None] * colours).sum(1)
    return StudioLight(irradiance, seen[:, is_key].mean(1))


@cache
def _samples() -> tuple[Tensor, Tensor, Tensor]:
    """Unit directions (L, 3), their colours (L, 3), and which belong to the key light (L,) bool."""
    directions, colours, key = [], [], []
    for light in _LIGHTS:
        directions.append(_cone(np.array(light.direction), light.spread, light.samples))
        colours += light.samples * [np.array(light.colour) / light.samples]
        key += light.samples * [light is _LIGHTS[0]]
    height = 1 - (2 * np.arange(_DOME_SAMPLES) + 1) / _DOME_SAMPLES
    turn, radius = _GOLDEN_ANGLE * np.arange(_DOME_SAMPLES), np.sqrt(1 - height**2)
    directions.append(np.stack((radius * np.cos(turn), height, radius * np.sin(turn)), 1))
    up = 0.5 + 0.5 * height[:, None]
    # Half the dome faces any surface, and a clamped cosine averages one half there: four times the mean.
    colours += list(4 / _DOME_SAMPLES * (up * np.array(_SKY) + (1 - up) * np.array(_GROUND)))
    key += _DOME_SAMPLES * [False]
    return (
        torch.from_numpy(np.concatenate(directions)).float(),
        torch.from_numpy(np.array(colours)).float(),
        torch.tensor(key),
    )


def _cone(axis: np.ndarray, spread: float, samples: int) -> np.ndarray:
    """Unit directions spread evenly (sunflower) over a cone."""
    axis = axis / np.linalg.norm(axis)
    side = np.cross(axis, (0.0, 1.0, 0.0))
    side /= np.linalg.norm(side)
    up = np.cross(side, axis)
    index = np.arange(samples)
    radius = np.tan(spread) * np.sqrt((index + 0.5) / samples)
    angle = _GOLDEN_ANGLE * index
    found = axis + radius[:, None] * (np.cos(angle)[:, None] * side + np.sin(angle)[:, None] * up)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def _visibility(vertices: Tensor, faces: Tensor, normals: Tensor, directions: Tensor) -> Tensor:
    """(V, L) 1 where light from the direction reaches the vertex, 0 where the head is in the way."""
    centre = 0.5 * (vertices.amin(0) + vertices.amax(0))
    radius = (vertices - centre).norm(dim=1).max() * 1.02
    frames = _light_frames(directions)
    maps = rasterize((vertices - centre) @ frames.transpose(1, 2) / radius, faces, (_MAP_SIZE, _MAP_SIZE))
    points = (vertices + _OFFSET * normals - centre) @ frames.transpose(1, 2) / radius
    depth = torch.where(maps.mask, maps.zbuf, torch.inf)
    nearest = torch.nn.functional.grid_sample(
        depth[:, None], points[:, None, :, :2], mode="nearest", padding_mode="border", align_corners=False
    )[:, 0, 0]
    return (points[..., 2] <= nearest + 0.3 * _OFFSET / radius).float().t()


def _light_frames(directions: Tensor) -> Tensor:
    """(L, 3, 3) rotations into the rasteriser's frame, looking along the light: z away from it."""
    forward = -directions
    helper = torch.where((forward[:, 1:2].abs() > 0.9), torch.tensor([1.0, 0, 0]), torch.tensor([0.0, 1, 0]))
    right = torch.nn.functional.normalize(torch.linalg.cross(forward, helper), dim=1)
    return torch.stack((right, torch.linalg.cross(forward, right), forward), 1)


def _smoothed(values: Tensor, faces: Tensor, rounds: int = 2) -> Tensor:
    """Average values (V, C) with their neighbours'."""
    corners = faces.t()
    ones = torch.ones(faces.shape[0], 1)
    degree = torch.ones(len(values), 1)
    for corner in corners:
        degree = degree.index_add(0, corner, 2 * ones)
    for _ in range(rounds):
        total = values.clone()
        for i in range(3):
            others = values[corners[(i + 1) % 3]] + values[corners[(i + 2) % 3]]
            total = total.index_add(0, corners[i], others)
        values = total / degree
    return values
