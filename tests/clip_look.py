# SPDX-License-Identifier: GPL-3.0-or-later
"""What a synthetic clip is painted with: skin with hair and brows, a room behind, light and a shirt."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import torch

from backend.rendering.portrait import linear
from backend.rendering.raster import interpolate, rasterize
from blender_addon.contract.head import HeadDescription
from tests.clip_marks import ALA, NOSTRIL, folded, jaw_shade, left_marks, lower_lid, stroke, upper_lid

TEXTURE_SIZE = 1024
_HAIR_TONES = ((38, 28, 22), (70, 46, 30), (24, 22, 22), (112, 84, 56))
_IRIS_TONES = ((96, 112, 128), (92, 68, 44), (70, 92, 78), (62, 44, 32))
_BROW = np.array(
    [
        [0.0125, 0.0376, 0.0034],
        [0.0200, 0.0401, 0.0042],
        [0.0300, 0.0421, 0.0040],
        [0.0400, 0.0421, 0.0034],
        [0.0475, 0.0391, 0.0026],
        [0.0535, 0.0351, 0.0014],
    ]
)
"""Left eyebrow on the template: x, y and half width in metres, from the nose outwards."""
_SHIRTS = ((52, 66, 96), (110, 56, 52), (66, 84, 66), (120, 116, 108))


@dataclass(frozen=True, eq=False)
class Look:
    """Colours of one person and one room.

    Attributes:
        texture: (N, N, 3) linear RGB albedo in the head's UV layout, row 0 at v = 1.
        light: (9, 3) spherical harmonics of the room's light, camera-aligned head space (y up, z to the camera).
        shine: towards the brightest light, unit, the same frame.
        shirt: (3,) linear RGB.
    """

    texture: np.ndarray
    light: np.ndarray
    shine: np.ndarray
    shirt: np.ndarray


def make_look(head: HeadDescription, seed: int) -> Look:
    """A random person in random light; both are mirror-symmetric but for the light's direction."""
    random = np.random.default_rng([seed, 77])
    sideways = random.uniform(-0.5, 0.5)
    shine = np.array([sideways, random.uniform(0.4, 0.8), 1.0])
    shine /= np.linalg.norm(shine)
    texture = _texture(head, random)
    return Look(texture, _light(shine, random), shine, _to_linear(_SHIRTS[random.integers(len(_SHIRTS))]))


def _light(towards: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A dome, brighter above, and one broad light; a surface that faces the latter has an irradiance near 1."""
    x, y, z = towards
    broad = np.array([1.0, x, y, z, 3 * x * y, 3 * x * z, 3 * y * z, 0.75 * (x * x - y * y), 0.5 * (3 * z * z - 1)])
    dome = np.array([1.0, 0, 0.35, 0.1, 0, 0, 0, 0, 0])
    constants = np.array([1.0, *3 * [1.0], *5 * [0.5]])
    warm = np.array([1.04, 1.0, 0.95]) ** random.uniform(-1, 1.5)
    return np.outer(0.62 * broad * constants, warm) + np.outer(0.18 * dome, 1 / warm)


def irradiance(normals: np.ndarray, light: np.ndarray) -> np.ndarray:
    """(N, 3) RGB at unit normals (N, 3), see `Look.light`; polynomials without further constants."""
    x, y, z = normals.T
    basis = np.stack([np.ones_like(x), x, y, z, x * y, x * z, y * z, x * x - y * y, 3 * z * z - 1], axis=1)
    return np.maximum(basis @ light, 0.02).astype(np.float32)


def _to_linear(colour: np.ndarray | tuple[int, ...]) -> np.ndarray:
    return linear(torch.as_tensor(np.asarray(colour), dtype=torch.float32) / 255).numpy()


def _texture(head: HeadDescription, random: np.random.Generator) -> np.ndarray:
    """The person's albedo: the head's own colours, with a tone, blotches, pores, features, hairs in the brows, hair."""
    points, _, shares = _in_uv(head)
    skin, iris = shares["skin"][..., None], shares["iris"][..., None]
    hair_tone = np.array(_HAIR_TONES[random.integers(len(_HAIR_TONES))], np.float32)
    tone = np.array([1.0, 0.97, 0.94]) ** random.uniform(-1.5, 4.0) * random.uniform(0.8, 1.05)
    base, shade, brow, hair = _painted(head)
    grain = _strands(points, random)[..., None]
    painted = base * (1 - skin + skin * tone) * (1 + skin * _blotches(points, random)[..., None])
    painted *= 1 + skin * random.normal(size=(*points.shape[:2], 1)) * 0.02
    cover = brow * (0.72 + 0.28 * grain)
    painted = painted * (1 - cover) + hair_tone * 0.9 * cover
    painted *= shade
    painted = painted * (1 - hair) + hair_tone * (1.1 + 0.5 * grain) * hair
    eye = np.array(_IRIS_TONES[random.integers(len(_IRIS_TONES))], np.float32) / 90
    painted = np.where(iris > 0.5, painted * eye, painted)
    return np.ascontiguousarray(_to_linear(painted.clip(0, 255)), np.float32)


@lru_cache(maxsize=2)
def _painted(head: HeadDescription) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What all people have: colours and shade (N, N, 3), cover of the brows and of the hair (N, N, 1)."""
    points, colours, shares = _in_uv(head)
    skin = shares["skin"][..., None]
    base = skin * _unpainted(head, colours, points) + (1 - skin) * colours
    brow, hair = _brow(points)[..., None] * skin, _hair(points)[..., None] * skin
    return base, _shade(head, points, skin), brow, hair


def _shade(head: HeadDescription, points: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """(N, N, 3) factor: what soft light and few pixels leave of creases, holes and lines."""
    at, marks, total = folded(points), left_marks(head), np.ones((*points.shape[:2], 1))
    strokes = (
        (np.array(NOSTRIL) * 1e-3, 0.0022, 0.8),
        (marks[list(ALA)], 0.0014, 0.4),
        (upper_lid(head), 0.0009, 0.75),
        (upper_lid(head) + [0, 0.0045, 0], 0.0011, 0.3),
        (lower_lid(head) - [0, 0.0006, 0], 0.0007, 0.3),
    )
    for path, width, depth in strokes:
        total *= 1 - depth * skin * stroke(at, path, width)[..., None]
    total *= 1 - 0.45 * skin * jaw_shade(at, head)[..., None]
    return total ** np.array([0.8, 1.05, 1.15])


def _vertices_of(head: HeadDescription, material: str) -> np.ndarray:
    return np.unique(head.faces[head.polygon_material[head.face_polygon] == head.materials.index(material)])


@lru_cache(maxsize=2)
def _in_uv(head: HeadDescription) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Template positions and colours (N, N, 3), and the cover of materials (N, N), as images in the UV layout."""
    size = (TEXTURE_SIZE, TEXTURE_SIZE)
    flat = np.concatenate([head.uv * [2, -2] + [-1, 1], np.zeros((len(head.uv), 1))], axis=1)
    triangles = torch.from_numpy(head.uv_faces).long()
    fragments = rasterize(torch.as_tensor(flat[None], dtype=torch.float32), triangles, size)
    values = np.concatenate([head.template, head.albedo.astype(np.float32)], axis=1)
    image = interpolate(fragments, torch.from_numpy(head.faces).long(), torch.from_numpy(values))[0].numpy()
    seen = fragments.mask[0].numpy()
    material = head.polygon_material[head.face_polygon][fragments.pix_to_face[0].clamp(min=0).numpy()]
    nearest = _nearest(seen)
    image, material = image[nearest], material[nearest]
    shares = {name: (material == number).astype(np.float32) for number, name in enumerate(head.materials)}
    return image[..., :3], image[..., 3:], shares


def _nearest(seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the nearest seen pixel, so that seams do not show."""
    _, labels = cv2.distanceTransformWithLabels(
        (~seen).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    rows, columns = np.nonzero(seen)
    lookup = np.zeros((labels.max() + 1, 2), np.int64)
    lookup[labels[rows, columns]] = np.stack([rows, columns], axis=1)
    return lookup[labels][..., 0], lookup[labels][..., 1]


def _brow(points: np.ndarray) -> np.ndarray:
    """Cover of the brows: strokes along a line on the template seen from the front."""
    place = np.stack([np.abs(points[..., 0]), points[..., 1]], axis=-1)
    nearest = np.full(place.shape[:-1], np.inf)
    for a, b in itertools.pairwise(_BROW):
        span = b[:2] - a[:2]
        along = ((place - a[:2]) @ span / (span @ span)).clip(0, 1)
        away = np.linalg.norm(place - a[:2] - along[..., None] * span, axis=-1)
        nearest = np.minimum(nearest, away / (a[2] + along * (b[2] - a[2])))
    return np.where(points[..., 2] > 0.03, (1.5 - nearest).clip(0, 1), 0)


def _unpainted(head: HeadDescription, colours: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Colours (N, N, 3) without the brows that the head itself wears."""
    skin = np.median(head.albedo[_vertices_of(head, "skin")].astype(np.float32), axis=0)
    around = (points[..., 2] > 0.035) & (points[..., 1] > 0.029) & (points[..., 1] < 0.06)
    return np.where(around[..., None], skin, colours)


def _hair(points: np.ndarray) -> np.ndarray:
    """Short hair: over the crown, behind the temples and above the ears."""
    x, y, z = np.abs(points[..., 0]), points[..., 1], points[..., 2]
    line = 0.094 - 1.2 * np.maximum(0.055 - z, 0) - 6 * np.maximum(x - 0.045, 0) ** 2
    line = np.where(z < -0.005, -0.03 - 0.2 * (z + 0.005), np.maximum(line, 0.03))
    line = np.where((x > 0.069) & (y < 0.06), 1.0, line)  # ears
    return ((y - line) / 0.006 + 0.5).clip(0, 1)


def _strands(points: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Fine streaks in -1..1, slanted as brow hairs are."""
    across = np.abs(points[..., 0]) * 0.8 - points[..., 1] * 0.6
    waves = [np.sin(across * 2 * np.pi / pitch + random.uniform(0, 6)) for pitch in (0.0009, 0.0013, 0.0021)]
    return (np.sum(waves, axis=0) / 2).clip(-1, 1)


def _blotches(points: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Uneven tone: waves of 4 to 30 mm through the template, the same on both sides."""
    at = points * [0, 1, 1]
    at[..., 0] = np.abs(points[..., 0])
    total = np.zeros(points.shape[:2])
    for pitch in (0.03, 0.018, 0.011, 0.007, 0.004):
        for _ in range(4):
            direction = random.normal(size=3)
            direction *= 2 * np.pi / pitch / np.linalg.norm(direction)
            total += np.sin(at @ direction + random.uniform(0, 6)) * pitch**0.3
    return 0.016 * total / 0.75


def make_room(size: tuple[int, int], seed: int) -> np.ndarray:
    """(H, W, 3) linear RGB: a wall with things on it, out of focus."""
    random = np.random.default_rng([seed, 78])
    height, width = size
    down, across = np.linspace(0, 1, height)[:, None], np.linspace(-1, 1, width)[None]
    shade = 0.62 - 0.2 * down + 0.08 * across * random.uniform(-1, 1)
    room = shade[..., None] * random.uniform(0.75, 1.0, 3)
    for _ in range(7):
        x, y = random.uniform(-0.1, 1.0) * width, random.uniform(-0.1, 0.9) * height
        w, h = random.uniform(0.06, 0.3) * width, random.uniform(0.1, 0.5) * height
        corner, other = (int(x), int(y)), (int(x + w), int(y + h))
        cv2.rectangle(room, corner, other, random.uniform(0.08, 0.6, 3).tolist(), -1)
    return cv2.GaussianBlur(room, (0, 0), 0.012 * width).astype(np.float32)
