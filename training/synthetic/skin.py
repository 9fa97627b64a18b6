# SPDX-License-Identifier: GPL-3.0-or-later
"""The looks of a random person: skin with blotches and freckles, lips, brows, hair and beard, eyes.

All is painted at the pixels, by where they lie on the mean face, so that it needs no UVs, has no seams, and sticks to
the skin under every identity and expression.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from backend.heads import load_head
from backend.heads.correspondence import OPEN, correspondence
from blender_addon.contract.head import HeadDescription
from training.rendering.face_region import face_region

_TONES = (
    np.array([[236, 202, 182], [220, 174, 146], [198, 146, 114], [164, 112, 82], [118, 78, 58], [84, 57, 46]]) / 255
)
"""Skin from light to dark, sRGB."""
_HAIR = np.array([[24, 20, 18], [58, 40, 30], [100, 70, 46], [158, 122, 80], [140, 74, 44], [150, 148, 146]]) / 255
_IRIS = np.array([[78, 52, 34], [54, 36, 26], [98, 118, 86], [96, 124, 148], [110, 90, 58]]) / 255
_RANGE = 0.13
"""Metres from the head's middle to the border of the noise."""
_OCTAVES = (6, 18, 56)
"""Cells of the noise a side: blotches, spots, freckles."""
_BROW = ((0.0135, 0.0390), (0.0238, 0.0422), (0.032, 0.0452), (0.040, 0.0436), (0.0475, 0.0400), (0.0530, 0.0350))
"""The left brow's middle line on the mean face seen from the front, metres, from the nose outwards."""


@dataclass(frozen=True, eq=False)
class Look:
    """What a person is painted with. Colours are sRGB, 0 to 1."""

    skin: np.ndarray
    lips: np.ndarray
    hair: np.ndarray
    iris: np.ndarray
    blotches: float
    freckles: float
    brow_width: float
    """metres, half of it"""
    brow_strength: float
    hairline: float
    """metres above the eyes at which the hair begins; large for a bald head"""
    beard: float
    """0 none to 1 full"""
    noise: tuple[Tensor, ...]
    """of `_OCTAVES`: (1, 1, N, N, N)"""


def draw_look(random: np.random.Generator) -> Look:
    """A random person's look."""
    tone = random.uniform(0, len(_TONES) - 1)
    low = min(int(tone), len(_TONES) - 2)
    skin = _TONES[low] + (tone - low) * (_TONES[low + 1] - _TONES[low]) + random.normal(0, 0.012, 3)
    dark = tone > 2.2
    hair = _HAIR[random.integers(2 if dark else len(_HAIR))] * random.uniform(0.85, 1.15)
    lips = skin * np.array([0.88, 0.64, 0.65]) + np.array([random.uniform(-0.04, 0.05), 0, random.uniform(0, 0.03)])
    noise = tuple(
        torch.from_numpy(random.standard_normal((1, 1, n, n, n), dtype=np.float32)) for n in _OCTAVES
    )
    return Look(
        skin.clip(0.05, 1), lips.clip(0.05, 1), hair.clip(0.03, 1), _IRIS[random.integers(2 if dark else len(_IRIS))],
        blotches=random.uniform(0.01, 0.035), freckles=0.0 if random.uniform() < 0.7 else random.uniform(0.1, 0.5),
        brow_width=random.uniform(0.0022, 0.0042), brow_strength=random.uniform(0.55, 0.95),
        hairline=random.choice([random.uniform(0.068, 0.082), 1.0], p=[0.85, 0.15]),
        beard=random.choice([0.0, random.uniform(0.15, 0.9)], p=[0.7, 0.3]), noise=noise,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Surface:
    """What of a head the painter needs at the vertices.

    Attributes:
        points: (V, 3) of the mean face.
        shares: (V, M) how much of each of `materials` a vertex has.
        colours: (V, 3) the head's own, sRGB 0 to 1.
        face: (V, 1) 1 inside the outline of the face, seen from the front.
    """

    points: Tensor
    shares: Tensor
    colours: Tensor
    face: Tensor


_PAINTED = ("skin", "lips", "iris")


@cache
def surface(head: HeadDescription) -> Surface:
    """The painter's view of a head: of the open head from its materials, of others carried over from it.

    Raises:
        MienError: as `backend.heads.correspondence.correspondence` for a head that cannot be registered.
    """
    opened = load_head()
    values = np.concatenate(
        (opened.template, _material_shares(opened), opened.albedo / np.float32(255), face_region(opened)[:, None]), 1
    )
    if head.id != OPEN:
        values = correspondence(opened, head).carried(opened, values)
    return Surface(*torch.from_numpy(values.astype(np.float32)).split((3, len(_PAINTED), 3, 1), 1))


def _material_shares(head: HeadDescription) -> np.ndarray:
    """(V, M) how much of each painted material is around each vertex."""
    materials = head.polygon_material[head.face_polygon]
    shares = np.zeros((len(head.template), len(_PAINTED)), np.float32)
    total = np.zeros(len(head.template), np.float32)
    for corner in head.faces.T:
        np.add.at(total, corner, 1)
        for column, name in enumerate(_PAINTED):
            if name in head.materials:
                np.add.at(shares[:, column], corner, materials == head.materials.index(name))
    return shares / np.maximum(total, 1)[:, None]


def painted(look: Look, points: Tensor, shares: Tensor, colours: Tensor) -> Tensor:
    """Albedo (N, 3) at pixels.

    Args:
        look: the person's.
        points: (N, 3) where the pixels lie on the mean face, metres.
        shares: (N, 3) of skin, lips, iris.
        colours: (N, 3) the head's own.
    """
    blotch, spot, freckle = _noise(look, points)
    skin, lips, hair, iris = (
        torch.tensor(colour, dtype=torch.float32) for colour in (look.skin, look.lips, look.hair, look.iris)
    )
    flush = _flush(points)[:, None] * torch.tensor([0.0, -0.05, -0.04])
    tint = torch.tensor([0.6, 1.0, 1.0])
    albedo = skin * (1 + (look.blotches * (blotch + 0.6 * spot) + 0.02 * freckle)[:, None] * tint) + flush
    spots = look.freckles * (freckle - 1.1).clamp(0, 1) * (points[:, 1] > -0.06)
    albedo = albedo * (1 - spots[:, None] * torch.tensor([0.35, 0.5, 0.55]))
    lip = shares[:, 1:2]
    albedo = albedo * (1 - lip) + lip * lips * (1 + 0.06 * spot[:, None])
    cover = _hair(look, points, 0.5 * spot + freckle) * (1 - lip[:, 0])
    albedo = albedo + cover[:, None] * (hair * (1 + 0.18 * freckle[:, None]) - albedo)
    own = (1 - shares[:, :2].sum(1, keepdim=True)).clamp(0, 1)  # eyes, teeth, tongue, lashes
    coloured = colours + shares[:, 2:3] * (iris - colours)
    return (albedo * (1 - own) + own * coloured).clamp(0.01, 1)


def _noise(look: Look, points: Tensor) -> list[Tensor]:
    """(N,) of each octave."""
    place = (points / _RANGE)[None, None, None]
    return [
        functional.grid_sample(volume, place, padding_mode="border", align_corners=False)[0, 0, 0, 0]
        for volume in look.noise
    ]


def _flush(points: Tensor) -> Tensor:
    """(N,) how red cheeks and nose are."""
    folded = torch.cat((points[:, :1].abs(), points[:, 1:]), 1)
    total = torch.zeros(len(points))
    for x, y, z, radius in ((0.042, -0.015, 0.085, 0.017), (0.0, -0.010, 0.12, 0.013)):
        total = total + torch.exp(-(folded - torch.tensor([x, y, z])).square().sum(1) / (2 * radius**2))
    return total


def _hair(look: Look, points: Tensor, grain: Tensor) -> Tensor:
    """(N,) how much hair covers a pixel: brows, a cap above the hairline, a beard."""
    x, y, z = points[:, 0].abs(), points[:, 1], points[:, 2]
    brow = _brow(torch.stack((x, y), 1), look.brow_width) * (z > 0.04)
    cover = look.brow_strength * brow * (1 + 0.15 * grain)
    # The hairline comes down at the temples, before the ear, and to the nape behind it.
    behind = ((0.045 - z) / 0.04).clamp(0, 1)
    line = look.hairline - 0.075 * behind - 0.05 * (-z / 0.05).clamp(0, 1) + 0.003 * grain
    ear = (x > 0.0735) & (y < 0.05) & (z.abs() < 0.03)
    cap = ((y - line) / 0.004).clamp(0, 1) * ~ear
    chin = torch.maximum((-0.055 - y) / 0.012 - 0.5 * ((0.085 - z) / 0.03).clamp(0, 1), 3 * _moustache(x, y))
    beard = look.beard * (chin.clamp(0, 1) * (y > -0.118) * (z > 0.005)) * (0.75 + 0.25 * grain).clamp(0, 1)
    return torch.stack((cover, 0.95 * cap, beard)).amax(0).clamp(0, 1)


def _moustache(x: Tensor, y: Tensor) -> Tensor:
    return ((0.024 - x) / 0.008).clamp(0, 1) * ((0.006 - (y + 0.035).abs()) / 0.004).clamp(0, 1)


def _brow(points: Tensor, width: float) -> Tensor:
    """(N,) density of the brows at (N, 2) points of one half of the face."""
    line = torch.tensor(_BROW)
    near = torch.full((len(points),), torch.inf)
    for start, end, taper in zip(line[:-1], line[1:], (0.9, 1.0, 0.95, 0.8, 0.55), strict=True):
        along = ((points - start) @ (end - start) / (end - start).square().sum()).clamp(0, 1)
        near = torch.minimum(near, (points - start - along[:, None] * (end - start)).norm(dim=1) / taper)
    return (1.6 - near / width).clamp(0, 1)
