# SPDX-License-Identifier: GPL-3.0-or-later
"""Materials of the polygons and typical vertex colours (sRGB) of the open head."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from .eyes import IRIS_ANGLE, PUPIL_ANGLE
from .sources import BaseMesh, Sources
from .topology import HeadTopology

MATERIALS = ("skin", "lips", "sclera", "iris", "pupil", "teeth", "tongue", "mouth", "lashes")

SKIN = np.array([206.0, 160.0, 136.0])
RED = np.array([196.0, 122.0, 106.0])
LIPS = np.array([172.0, 92.0, 88.0])
GUMS = np.array([168.0, 92.0, 88.0])
BROW = np.array([84.0, 60.0, 48.0])
FLAT = {
    "teeth": (232, 222, 202), "tongue": (176, 92, 92), "mouth": (112, 48, 46), "lashes": (40, 30, 26),
    "sclera": (236, 232, 226), "iris": (84, 92, 98), "limbus": (44, 50, 56), "pupil": (10, 9, 9),
}

_BROW_LINE = np.array(
    [[0.0146, 0.0402], [0.0238, 0.0419], [0.032, 0.0452], [0.040, 0.0434], [0.0469, 0.0402], [0.0515, 0.036]]
)
"""Left eyebrow on the template seen from the front (x,y) in metres, from the nose outwards."""
_BROW_WIDTH = (0.0036, 0.0036, 0.0036, 0.0034, 0.0030, 0.0022)


def _sample(mask: NDArray[np.float64], uv: NDArray[np.float64]) -> NDArray[np.float64]:
    """Nearest sample of an atlas mask at (n,2) coordinates, v up."""
    height, width = mask.shape
    columns = np.clip((uv[:, 0] * width).astype(int), 0, width - 1)
    rows = np.clip(((1.0 - uv[:, 1]) * height).astype(int), 0, height - 1)
    return mask[rows, columns]


def _polygon_masks(sources: Sources, base: BaseMesh, topology: HeadTopology, name: str) -> NDArray[np.float64]:
    """(P,) mean of an atlas mask over the corners of the base polygons; 0 for polygons without an origin."""
    corners = base.uv[base.quad_uvs]
    values = _sample(sources.mask(name), corners.reshape(-1, 2)).reshape(-1, 4).mean(axis=1)
    values = np.where(topology.origin >= 0, values[topology.origin], 0.0)
    # The masks are painted by hand: make them symmetric.
    return 0.5 * (values + values[topology.polygon_mirror()])


def polygon_materials(sources: Sources, base: BaseMesh, topology: HeadTopology) -> NDArray[np.uint8]:
    """(P,) index into MATERIALS."""
    names = np.where(topology.parts == "neck_cap", "skin", topology.parts)
    names = np.where(names == "gums", "mouth", names)
    skin = names == "skin"
    names = np.where(skin & (_polygon_masks(sources, base, topology, "inside-mouth") > 0.5), "mouth", names)
    names = np.where((names == "skin") & (_polygon_masks(sources, base, topology, "lips") > 0.5), "lips", names)
    return np.array([MATERIALS.index(n) for n in names], dtype=np.uint8)


def albedo(topology: HeadTopology, materials: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(V,3) vertex colours: skin with redder cheeks, nose and ears, lips, brows, eyes, mouth."""
    colours = np.tile(SKIN, (len(topology.template), 1))
    points = topology.template.copy()
    points[:, 0] = np.abs(points[:, 0])
    for centre, radius, strength in (
        ((0.042, -0.015, 0.085), 0.026, 0.45), ((0.0, -0.010, 0.12), 0.020, 0.45),
        ((0.078, 0.012, 0.0), 0.026, 0.55), ((0.0, -0.085, 0.105), 0.016, 0.2),
    ):
        colours += _bump(points, np.array(centre), radius)[:, None] * strength * (RED - SKIN)
    brow = _brow_density(points)[:, None]
    colours = (1 - brow) * colours + brow * BROW
    share = _material_share(topology, materials, MATERIALS.index("lips"))[:, None]
    colours = (1 - share) * colours + share * LIPS
    for name in ("mouth", "teeth", "tongue", "lashes"):
        share = _material_share(topology, materials, MATERIALS.index(name))[:, None]
        colours = (1 - share) * colours + share * np.array(FLAT[name], dtype=float)
    gums = np.setdiff1d(topology.vertices_of("gums"), topology.vertices_of("teeth"))
    colours[gums] = GUMS
    for eye, fit in zip(topology.eye_vertices, topology.eyes, strict=True):
        colours[eye] = _eye_colours(fit.mesh.angles)
    return np.clip(np.round(colours), 0, 255).astype(np.uint8)


def _bump(points: NDArray[np.float64], centre: NDArray[np.float64], radius: float) -> NDArray[np.float64]:
    return np.exp(-0.5 * (np.linalg.norm(points - centre, axis=1) / (0.6 * radius)) ** 2)


def _brow_density(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """(V,) how much eyebrow covers a vertex, by its distance from the brow's line seen from the front."""
    best = np.full(len(points), np.inf)
    for (a, wa), (b, wb) in itertools.pairwise(zip(_BROW_LINE, _BROW_WIDTH, strict=True)):
        along = np.clip((points[:, :2] - a) @ (b - a) / np.dot(b - a, b - a), 0.0, 1.0)
        distance = np.linalg.norm(points[:, :2] - a - along[:, None] * (b - a), axis=1)
        best = np.minimum(best, distance / (wa + along * (wb - wa)))
    return np.where(points[:, 2] > 0.04, 0.85 * np.clip(1.6 - best, 0.0, 1.0), 0.0)


def _material_share(topology: HeadTopology, materials: NDArray[np.uint8], material: int) -> NDArray[np.float64]:
    """(V,) part of a vertex's polygons that have a material."""
    hits, total = np.zeros(len(topology.template)), np.zeros(len(topology.template))
    for column in range(4):
        valid = topology.polygons[:, column] >= 0
        np.add.at(total, topology.polygons[valid, column], 1.0)
        np.add.at(hits, topology.polygons[valid, column], (materials[valid] == material).astype(float))
    return hits / np.maximum(total, 1.0)


def _eye_colours(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    colours = np.tile(np.array(FLAT["sclera"], dtype=float), (len(angles), 1))
    colours[angles <= IRIS_ANGLE] = FLAT["iris"]
    colours[(angles > IRIS_ANGLE - 2) & (angles <= IRIS_ANGLE)] = FLAT["limbus"]
    colours[angles <= PUPIL_ANGLE + 0.01] = FLAT["pupil"]
    return colours
