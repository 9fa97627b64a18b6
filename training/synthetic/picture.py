# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking a picture of a person in a moment, with everything that is true of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import binary_fill_holes
from torch import Tensor
from torch.nn import functional

from backend.heads.model import HeadModel
from backend.rendering.camera import project_weak
from backend.rendering.raster import Fragments, interpolate, rasterize
from backend.rendering.rasterisers import choose_rasteriser
from backend.rendering.shading import SH_CONSTANTS, sh_shading, vertex_normals
from training.synthetic.camera import photographed
from training.synthetic.scene import Moment, Person
from training.synthetic.skin import painted, surface
from training.synthetic.surroundings import draw_background, draw_occluder

SIZE = 224
_SAMPLES = 2
"""Rays a pixel along each axis."""
_OCCLUDED = 0.25
"""Chance that something is before the face."""
_FACING = -0.1
"""Least z of the normal of a landmark that is seen."""
_BEHIND = 0.012
"""Metres a landmark may lie behind what is seen at its pixel: landmarks of lids and lips lie in creases."""
_MOUTH = "mouth"
"""Material of the mouth's inside. FLAME has none: through its open mouth the back of its head is seen from inside."""
_UNLIT = 0.12
"""Share of the light that gets there."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture and its truth beside what `Person` and `Moment` say.

    Attributes:
        pixels: (224, 224, 3) uint8 sRGB.
        mask: (224, 224) float32, how much of the pixel shows the face: skin, lips, eyes and mouth inside the outline,
            with nothing before them.
        crop_camera: (3,) s, tx, ty, as DECA has it.
        landmarks68: (68, 3) crop NDC x, y, and 1 where it is seen.
        landmarks478: (478, 3) the same.
    """

    pixels: np.ndarray
    mask: np.ndarray
    crop_camera: np.ndarray
    landmarks68: np.ndarray
    landmarks478: np.ndarray


@torch.inference_mode()
def take_picture(model: HeadModel, person: Person, moment: Moment, random: np.random.Generator) -> Picture:
    """Render one picture; `random` gives background, what is before the face, and the camera."""
    vertices = _posed(model, person, moment)
    normals = vertex_normals(vertices, model.faces)
    camera = _camera(model, vertices, moment)
    side = SIZE * _SAMPLES
    projected = project_weak(vertices, camera)
    fragments = rasterize(projected, model.faces, (side, side), choose_rasteriser("auto", "cpu").visible_faces)
    colour, face = _shaded(model, fragments, normals, person, moment)
    if _MOUTH not in model.head.materials:
        inner = _seen_from_inside(model, projected, fragments)
        colour = torch.where(inner, _UNLIT * colour, colour)
        face = torch.where(inner, torch.from_numpy(binary_fill_holes(face[..., 0]))[..., None].float(), face)
    behind = torch.from_numpy(draw_background(random, side))
    shown = fragments.mask[0][..., None].float()
    picture, face = behind + shown * (colour - behind), face * shown
    cover = torch.zeros(side, side, 1)
    if random.uniform() < _OCCLUDED:
        before, cover = (torch.from_numpy(part) for part in draw_occluder(random, side))
        picture, face = picture + cover * (before - picture), face * (1 - cover)
    marks = [
        _landmarks(model, name, projected, normals, fragments, cover, float(camera[0, 0]))
        for name in ("ibug68", "mediapipe478")
    ]
    return Picture(
        photographed(_shrunk(picture).numpy(), random), _shrunk(face)[..., 0].numpy(), camera[0].numpy(), *marks
    )


def _posed(model: HeadModel, person: Person, moment: Moment) -> Tensor:
    """Vertices (1, V, 3)."""
    given = {name: getattr(moment, name) for name in ("expression", "head_rotation", "jaw", "eyes", "eyelids")}
    given["identity"] = person.identity
    return model(**{name: torch.from_numpy(values)[None] for name, values in given.items()}).vertices


def _camera(model: HeadModel, vertices: Tensor, moment: Moment) -> Tensor:
    """(1, 3) the crop around the box of the 68 landmarks, zoomed and shifted as the moment says."""
    points = model.landmarks(vertices, "ibug68")[..., :2]
    low, high = points.amin(1), points.amax(1)
    extent = (high - low).mean(1, keepdim=True)
    middle = (low + high) / 2 + extent * torch.from_numpy(moment.shift)
    return torch.cat((2 / (extent * moment.zoom), -middle), 1)


def _shaded(
    model: HeadModel, fragments: Fragments, normals: Tensor, person: Person, moment: Moment
) -> tuple[Tensor, Tensor]:
    """Colour (H, W, 3) and how much of the face (H, W, 1) each ray shows, before anything covers it."""
    paint = surface(model.head)
    carried = torch.cat((normals[0], paint.points, paint.shares, paint.colours, paint.face), 1)
    pixels = interpolate(fragments, model.faces, carried)[0]
    seen = fragments.mask[0]
    normal, point, shares, colours, face = pixels[seen].split((3, 3, 3, 3, 1), 1)
    normal = functional.normalize(normal, dim=1)
    light = torch.from_numpy(moment.light)[None]
    albedo = painted(person.look, point, shares, colours)
    lit = albedo * sh_shading(normal[None], light)[0].clamp(min=0.02)
    lit = lit * _enclosed(point) + _shine(normal, light[0], shares)
    picture = torch.zeros(*seen.shape, 3)
    picture[seen] = lit
    inside = torch.zeros(*seen.shape, 1)
    inside[seen] = (face > 0.5).float()
    return picture.clamp(0, 1), inside


def _seen_from_inside(model: HeadModel, projected: Tensor, fragments: Fragments) -> Tensor:
    """(H, W, 1) bool: rays that meet the back of a surface."""
    a, b, c = projected[0, :, :2][model.faces].unbind(1)
    along, across = b - a, c - a
    turned = along[:, 0] * across[:, 1] > along[:, 1] * across[:, 0]  # y points down
    seen = fragments.pix_to_face[0]
    return (turned[seen.clamp(min=0)] & (seen >= 0))[..., None]


def _enclosed(point: Tensor) -> Tensor:
    """(N, 1) how much light gets to a place: less into the mouth, behind the lips."""
    x, y, z = point.unbind(1)
    mouth = (x.abs() < 0.03) & ((y + 0.047).abs() < 0.02)
    return torch.where(mouth, ((z - 0.05) / 0.04).clamp(0.15, 1), 1.0)[:, None]


def _shine(normal: Tensor, light: Tensor, shares: Tensor) -> Tensor:
    """(N, 1) highlight of the light's main direction; strong on eyes, faint on skin and lips."""
    towards = light.mean(1)[1:4] * light.new_tensor(SH_CONSTANTS[1:4])
    strength = towards.norm()
    half = functional.normalize(functional.normalize(towards, dim=0) + towards.new_tensor([0.0, 0.0, 1.0]), dim=0)
    facing = (normal @ half).clamp(min=0)[:, None]
    skin, lips, iris = shares.split(1, 1)
    return strength * (0.10 * skin * facing**18 + 0.18 * lips * facing**30 + 0.9 * iris * facing**150)


def _landmarks(
    model: HeadModel, name: str, projected: Tensor, normals: Tensor, fragments: Fragments, cover: Tensor, scale: float
) -> np.ndarray:
    """(N, 3) x, y in crop NDC and whether the landmark is seen."""
    points = model.landmarks(projected, name)[0]
    facing = model.landmarks(normals, name)[0][:, 2] > _FACING
    place = points[None, None, :, :2]
    depth = torch.where(fragments.mask, fragments.zbuf, torch.inf)
    nearest = functional.grid_sample(depth[:, None], place, mode="nearest", align_corners=False)[0, 0, 0]
    covered = functional.grid_sample(cover.movedim(-1, 0)[None], place, align_corners=False)[0, 0, 0]
    inside = (points[:, :2].abs() < 1).all(1)
    seen = facing & (points[:, 2] < nearest + _BEHIND * scale) & (covered < 0.5) & inside
    return torch.cat((points[:, :2], seen[:, None].float()), 1).numpy()


def _shrunk(picture: Tensor) -> Tensor:
    """Averaged over the rays of each pixel."""
    return functional.avg_pool2d(picture.movedim(-1, 0)[None], _SAMPLES)[0].movedim(0, -1)
