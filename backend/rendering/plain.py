# SPDX-License-Identifier: GPL-3.0-or-later
"""The head as a camera sees it, plainly lit, with the surface under each pixel: pictures for the landmark detector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from backend.rendering.camera import project_perspective
from backend.rendering.raster import interpolate, rasterize
from backend.rendering.shading import vertex_normals
from blender_addon.contract.head import HeadDescription

GROUND = 150.0
LIGHT = (0.2, 0.4, 1.0)
AMBIENT, DIFFUSE = 0.45, 0.6


@dataclass(frozen=True)
class PlainView:
    """A render and what it shows."""

    pixels: np.ndarray
    """(H,W,3) uint8"""
    face_ids: np.ndarray
    """(H,W) visible triangle of the head, -1 where empty"""
    barycentric: np.ndarray
    """(H,W,3) where on it"""


def faces_of(head: HeadDescription, materials: tuple[str, ...]) -> np.ndarray:
    """(F,) bool: triangles with one of these materials."""
    wanted = [index for index, name in enumerate(head.materials) if name in materials]
    return np.isin(head.polygon_material[head.face_polygon], wanted)


def plain_view(
    posed: np.ndarray,
    head: HeadDescription,
    translation: np.ndarray,
    camera_matrix: np.ndarray,
    size: tuple[int, int],
    without: tuple[str, ...] = (),
) -> PlainView:
    """Render a posed head under a camera.

    Args:
        posed: (V,3) metres, head space.
        translation: (3,) metres, camera space.
        camera_matrix: (3,3) K, pixels.
        size: height and width.
        without: materials that are left out.
    """
    drawn = np.flatnonzero(~faces_of(head, without))
    with torch.inference_mode():
        vertices = torch.as_tensor(posed, dtype=torch.float32)
        faces = torch.from_numpy(head.faces[drawn]).long()
        place, matrix = (torch.as_tensor(array, dtype=torch.float32) for array in (translation, camera_matrix))
        fragments = rasterize(project_perspective(vertices[None], place, matrix, size), faces, size)
        light = vertex_normals(vertices[None], faces)[0] @ torch.nn.functional.normalize(torch.tensor(LIGHT), dim=0)
        albedo = torch.from_numpy(head.albedo.astype(np.float32))
        colours = albedo * (AMBIENT + DIFFUSE * light.clamp(0, 1))[:, None]
        picture = interpolate(fragments, faces, colours)[0]
        picture = torch.where(fragments.mask[0][..., None], picture, torch.tensor(GROUND)).clamp(0, 255)
    face_ids = np.append(drawn, -1)[fragments.pix_to_face[0].numpy()]
    return PlainView(picture.numpy().astype(np.uint8), face_ids, fragments.bary[0].numpy().astype(np.float64))
