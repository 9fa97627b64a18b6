# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of a head on its own: plain ones to look at and to detect landmarks in, and studio portraits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from backend.rendering.camera import project_perspective
from backend.rendering.lighting import KEY, StudioLight, studio_light
from backend.rendering.raster import Fragments, interpolate, rasterize
from backend.rendering.shading import vertex_normals
from backend.rendering.tessellation import FineMesh, tessellated
from blender_addon.contract.head import HeadDescription

Style = Literal["plain", "studio"]

SUPERSAMPLING = 2
_DISTANCE = 1.1
"""Metres from the camera to the head's middle; a portrait lens's view."""
_FILL = 0.88
"""Part of the picture's height (or width) that the head takes."""
_PLAIN_BACKGROUND = 0.87
_MOUTH_LIGHT = {"teeth": 0.42, "tongue": 0.28}
_SHINE = {"skin": (0.045, 22.0), "lips": (0.09, 45.0), "sclera": (0.35, 160.0), "iris": (0.35, 160.0)}
_SHINE |= {"pupil": (0.35, 160.0), "teeth": (0.2, 70.0), "tongue": (0.1, 40.0)}
"""Strength and sharpness of the highlight by material."""


@dataclass(frozen=True)
class View:
    """Where the head looks, in degrees: yaw to the picture's right, pitch down."""

    yaw: float = 0.0
    pitch: float = 0.0

    def rotation(self) -> np.ndarray:
        """(3, 3) rotation of the head, radians inside."""
        y, p = math.radians(self.yaw), math.radians(self.pitch)
        about_y = np.array([[math.cos(y), 0, math.sin(y)], [0, 1, 0], [-math.sin(y), 0, math.cos(y)]])
        about_x = np.array([[1, 0, 0], [0, math.cos(p), -math.sin(p)], [0, math.sin(p), math.cos(p)]])
        return about_x @ about_y


FRONT = View()
SIDE = View(yaw=-90.0)
THREE_QUARTER = View(yaw=-38.0, pitch=4.0)


def render_head(
    vertices: np.ndarray,
    head: HeadDescription,
    view: View = FRONT,
    size: tuple[int, int] = (512, 512),
    style: Style = "plain",
    light: StudioLight | None = None,
) -> np.ndarray:
    """Render a head by itself, framed, in its own colours.

    Args:
        vertices: (V, 3) metres, head space, the head unrotated (see `unrotated`).
        head: its description.
        view: where it is seen from.
        size: height and width of the picture in pixels.
        style: "plain" is frontal light on a light neutral ground; "studio" is a portrait on dark grey.
        light: of `head_light`, to share it between views; worked out when left out.

    Returns:
        (H, W, 3) uint8 sRGB, anti-aliased.
    """
    with torch.inference_mode():
        large = (size[0] * SUPERSAMPLING, size[1] * SUPERSAMPLING)
        points, faces = torch.from_numpy(np.asarray(vertices, np.float32)), torch.from_numpy(head.faces).long()
        rotation = torch.from_numpy(view.rotation().astype(np.float32))
        normals = vertex_normals(points[None], faces)[0]
        albedo = linear(torch.from_numpy(head.albedo).float() / 255)
        if style == "plain":
            mesh = tessellated(points, normals, faces, albedo)
        else:
            light = light or studio_light(points, faces, normals)
            irradiance = torch.maximum(light.irradiance, _mouth_light(head))
            mesh = tessellated(points, normals, faces, torch.cat((albedo, irradiance, light.key[:, None]), 1))
        fragments = rasterize(_framed(mesh.vertices, rotation, large), mesh.faces, large)
        if style == "plain":
            facing = interpolate(fragments, mesh.faces, mesh.normals @ rotation.t())[0][..., 2:].clamp(min=0)
            colour = encoded((0.25 + 0.75 * facing) * interpolate(fragments, mesh.faces, mesh.values)[0])
            ground = torch.full((*large, 3), _PLAIN_BACKGROUND)
        else:
            colour = encoded(_filmic(_studio_colour(fragments, head, mesh, rotation)))
            ground = _studio_ground(large)
        picture = torch.where(fragments.mask[0][..., None], colour, ground)
        return to_bytes(shrunk(picture, SUPERSAMPLING))


def head_light(vertices: np.ndarray, head: HeadDescription) -> StudioLight:
    """Studio light of a head (V, 3), for several `render_head` calls."""
    with torch.inference_mode():
        points, faces = torch.from_numpy(np.asarray(vertices, np.float32)), torch.from_numpy(head.faces).long()
        return studio_light(points, faces, vertex_normals(points[None], faces)[0])


def unrotated(vertices: np.ndarray, head: HeadDescription) -> np.ndarray:
    """Turn a posed head (V, 3) back onto its template, keeping expression, jaw and eyes (Kabsch, on the skull)."""
    skull = head.skinning[:, :2].sum(1) ** 4
    weights = (skull / skull.sum())[:, None].astype(np.float64)
    here, there = (weights * vertices).sum(0), (weights * head.template).sum(0)
    left, _, right = np.linalg.svd((weights * (vertices - here)).T @ (head.template - there))
    flip = np.diag([1, 1, np.sign(np.linalg.det(left @ right))])
    return ((vertices - here) @ (left @ flip @ right) + there).astype(np.float32)


def linear(srgb: Tensor) -> Tensor:
    """sRGB in 0..1 to linear light."""
    return torch.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def encoded(light: Tensor) -> Tensor:
    """Linear light to sRGB in 0..1."""
    light = light.clamp(0, 1)
    return torch.where(light <= 0.0031308, 12.92 * light, 1.055 * light.clamp(min=1e-4) ** (1 / 2.4) - 0.055)


def shrunk(picture: Tensor, factor: int) -> Tensor:
    """Average blocks of pixels: (H * factor, W * factor, C) to (H, W, C)."""
    return torch.nn.functional.avg_pool2d(picture.movedim(-1, 0)[None], factor)[0].movedim(0, -1)


def to_bytes(picture: Tensor) -> np.ndarray:
    """0..1 to uint8."""
    return (picture.clamp(0, 1) * 255).round().to(torch.uint8).numpy()


def _framed(points: Tensor, rotation: Tensor, size: tuple[int, int]) -> Tensor:
    """Vertices (1, V, 3) in the rasteriser's frame, the head filling the picture."""
    turned = points @ rotation.t()
    low, high = turned.aminmax(dim=0)
    middle = 0.5 * (low + high)
    extent = high - low
    focal = _FILL * _DISTANCE * min(size[0] / float(extent[1]), size[1] / float(extent[0]))
    camera = torch.tensor([[focal, 0, size[1] / 2], [0, focal, size[0] / 2], [0, 0, 1]])
    return project_perspective((turned - middle)[None], torch.tensor([0.0, 0.0, _DISTANCE]), camera, size)


def _studio_colour(fragments: Fragments, head: HeadDescription, mesh: FineMesh, rotation: Tensor) -> Tensor:
    """Linear colour (H, W, 3) of the pixels that see the head; the mesh carries albedo, irradiance and key."""
    pixels = interpolate(fragments, mesh.faces, torch.cat((mesh.values, mesh.normals), 1))[0]
    colour, irradiance, key, normal = pixels.split((3, 3, 1, 3), -1)
    normal = torch.nn.functional.normalize(normal, dim=-1)
    towards_camera = rotation.t() @ torch.tensor([0.0, 0.0, 1.0])
    towards_key = torch.nn.functional.normalize(torch.tensor(KEY), dim=0)
    half = torch.nn.functional.normalize(towards_camera + towards_key, dim=0)
    strength, sharpness = _shine(head)
    polygon = torch.from_numpy(head.polygon_material)[torch.from_numpy(head.face_polygon).long()].long()
    material = polygon[mesh.coarse_face[fragments.pix_to_face[0].clamp(min=0)]]
    sharp = sharpness[material][..., None]
    lobe = (normal @ half).clamp(min=0)[..., None] ** sharp * (sharp + 8) / 60
    fresnel = 1 + 4 * (1 - (normal @ towards_camera).clamp(0, 1))[..., None] ** 4
    return colour * irradiance + strength[material][..., None] * fresnel * lobe * key


def _mouth_light(head: HeadDescription) -> Tensor:
    """Least light (V, 1) on teeth and tongue, where no light finds its way past lips that are one polygon thick."""
    least = torch.zeros(len(head.template), 1)
    for name, amount in _MOUTH_LIGHT.items():
        if name in head.materials:
            polygons = head.polygons[head.polygon_material == head.materials.index(name)]
            least[torch.from_numpy(polygons[polygons >= 0]).long()] = amount
    return least


def _shine(head: HeadDescription) -> tuple[Tensor, Tensor]:
    values = torch.tensor([_SHINE.get(name, (0.0, 10.0)) for name in head.materials])
    return values[:, 0], values[:, 1]


def _filmic(light: Tensor) -> Tensor:
    """Roll highlights off towards 1 and leave the rest nearly linear."""
    return light * (1 + 0.25 * light) / (1 + 0.55 * light)


def _studio_ground(size: tuple[int, int]) -> Tensor:
    """A dark grey backdrop, lighter at the height of the face; the same across, so that pictures join."""
    y = torch.linspace(-1, 1, size[0])
    glow = torch.exp(-1.3 * (y + 0.1) ** 2)[:, None, None]
    ground = torch.tensor([0.115, 0.118, 0.125]) + glow * torch.tensor([0.085, 0.087, 0.092])
    grain = torch.rand((*size, 1), generator=torch.Generator().manual_seed(0)) - 0.5
    return ground + grain * (4 / 255)  # or the gradient shows as bands
