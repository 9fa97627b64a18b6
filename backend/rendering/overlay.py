# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture by which a user judges a capture: the mesh over the photo, and the head from the front and the side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from backend.rendering.camera import NEAREST, project_perspective
from backend.rendering.portrait import (
    FRONT,
    SIDE,
    SUPERSAMPLING,
    head_light,
    linear,
    render_head,
    shrunk,
    to_bytes,
    unrotated,
)
from backend.rendering.raster import interpolate, rasterize
from backend.rendering.shading import vertex_normals
from backend.rendering.wireframe import drawn_edges, edge_lines
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.projection import HEAD_TO_CAMERA, project, to_camera

MAX_WIDTH = 1600
MAX_HEIGHT = 720
MAX_PORTRAITS = 4
"""Faces shown from front and side beside the photo; all are drawn on it."""

_FRONT_ASPECT, _SIDE_ASPECT = 0.62, 0.72
_MARGIN = 0.3
"""Photo kept around the heads when it is cropped, as a fraction of the largest head's height."""
_LARGE_ENOUGH = 0.6
"""Heads that take this part of the photo's height need no crop."""

_CLAY = (0.70, 0.80, 0.96)
_LINE = (0.97, 0.99, 1.0)
_ALPHA, _LINE_ALPHA, _OWN_COLOUR = 0.38, 0.36, 0.4
_LINE_HALF_WIDTH = 0.45
"""Pixels of the finished picture."""


@dataclass(frozen=True)
class OverlayFace:
    """One captured face.

    Attributes:
        head: its head model.
        vertices: (V, 3) posed, metres, head space.
        translation: (3,) metres, camera space.
        camera_matrix: (3, 3) pixels of the photo.
    """

    head: HeadDescription
    vertices: np.ndarray
    translation: np.ndarray
    camera_matrix: np.ndarray


@dataclass(frozen=True)
class _Window:
    """Part of the photo that is shown: left, top, right, bottom in its pixels."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top


def overlay_picture(pixels: np.ndarray, faces: Sequence[OverlayFace]) -> np.ndarray:
    """Draw the fitted meshes over the photo, and beside it each head from the front and from the side.

    Args:
        pixels: (H, W, 3) uint8 RGB, the photo.
        faces: what was captured in it.

    Returns:
        (H', W', 3) uint8 RGB, at most `MAX_WIDTH` x `MAX_HEIGHT`. A photo in which the heads are small is cropped.
    """
    window = _window(pixels.shape[:2], faces)
    shown = faces[:MAX_PORTRAITS]
    beside = (_FRONT_ASPECT + _SIDE_ASPECT) / len(shown) if shown else 0.0
    height = min(MAX_HEIGHT, int(MAX_WIDTH / (window.width / window.height + beside)))
    height -= height % max(len(shown), 1)
    width = max(1, min(round(height * window.width / window.height), MAX_WIDTH))
    photo = _resized(pixels, window, (height, width))
    columns = [_over_photo(photo, window, faces)]
    if shown:
        columns.append(np.concatenate([_portraits(face, height // len(shown)) for face in shown]))
    return np.concatenate(columns, axis=1)


def _portraits(face: OverlayFace, height: int) -> np.ndarray:
    vertices = unrotated(face.vertices, face.head)
    light = head_light(vertices, face.head)
    pictures = [
        render_head(vertices, face.head, view, (height, int(height * aspect)), "studio", light)
        for view, aspect in ((FRONT, _FRONT_ASPECT), (SIDE, _SIDE_ASPECT))
    ]
    return np.concatenate(pictures, axis=1)


def _window(size: tuple[int, int], faces: Sequence[OverlayFace]) -> _Window:
    """The whole photo, or the part around the heads where the largest is small in it."""
    height, width = size
    boxes = [box for face in faces if (box := _box(face)) is not None]
    whole = _Window(0, 0, width, height)
    if not boxes:
        return whole
    low, high = np.min([box[0] for box in boxes], axis=0), np.max([box[1] for box in boxes], axis=0)
    tallest = max(box[1][1] - box[0][1] for box in boxes)
    if tallest >= _LARGE_ENOUGH * height:
        return whole
    margin = _MARGIN * tallest
    left, top = np.clip((low - margin).astype(int), 0, (width - 1, height - 1))
    right, bottom = np.clip((high + margin).astype(int), (left + 1, top + 1), (width, height))
    return _Window(int(left), int(top), int(right), int(bottom))


def _box(face: OverlayFace) -> tuple[np.ndarray, np.ndarray] | None:
    """Corners of the head's box in the photo's pixels; none where it lies behind the camera."""
    in_front = to_camera(face.vertices, face.translation)[:, 2] > NEAREST
    if not in_front.any():
        return None
    points = project(face.vertices[in_front], face.translation, face.camera_matrix)
    return points.min(0), points.max(0)


def _resized(pixels: np.ndarray, window: _Window, size: tuple[int, int]) -> np.ndarray:
    image = Image.fromarray(pixels[window.top : window.bottom, window.left : window.right])
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling.LANCZOS))


def _over_photo(photo: np.ndarray, window: _Window, faces: Sequence[OverlayFace]) -> np.ndarray:
    """The shaded, see-through meshes with their polygons' edges over the shown part of the photo."""
    if not faces:
        return photo
    size = (photo.shape[0] * SUPERSAMPLING, photo.shape[1] * SUPERSAMPLING)
    with torch.inference_mode():
        vertices = torch.cat([_in_window(face, window, size) for face in faces], 1)
        triangles, drawn = _joined([face.head for face in faces])
        fragments = rasterize(vertices, triangles, size)
        attributes = torch.cat([_attributes(face) for face in faces])
        shade, alpha, own = interpolate(fragments, triangles, attributes)[0].split((1, 1, 3), -1)
        on_picture = (vertices[0, :, :2] + 1) * torch.tensor([size[1], size[0]]) / 2
        lines = edge_lines(fragments, on_picture, triangles, drawn, _LINE_HALF_WIDTH * SUPERSAMPLING)[..., None]
        surface = shade * ((1 - _OWN_COLOUR) * torch.tensor(_CLAY) + _OWN_COLOUR * own)
        line = _LINE_ALPHA * lines * alpha
        cover = _ALPHA * alpha
        coloured = torch.cat(
            (surface * cover * (1 - line) + torch.tensor(_LINE) * line, 1 - (1 - cover) * (1 - line)), -1
        )
        colour, covered = shrunk(coloured, SUPERSAMPLING).split((3, 1), -1)
        return to_bytes(torch.from_numpy(photo.astype(np.float32)) / 255 * (1 - covered) + colour)


def _in_window(face: OverlayFace, window: _Window, size: tuple[int, int]) -> Tensor:
    """Vertices (1, V, 3) in the rasteriser's frame of a picture of the window."""
    moved = np.array([[1.0, 0, -window.left], [0, 1, -window.top], [0, 0, 1]]) @ face.camera_matrix
    camera = np.diag([size[1] / window.width, size[0] / window.height, 1.0]) @ moved
    parts = (np.asarray(part, np.float32) for part in (face.vertices[None], face.translation, camera))
    return project_perspective(*(torch.from_numpy(part) for part in parts), size)


def _joined(heads: Sequence[HeadDescription]) -> tuple[Tensor, Tensor]:
    """Triangles of all heads as one mesh, and which of their sides are drawn."""
    starts = np.cumsum([0] + [len(head.template) for head in heads])
    triangles = [torch.from_numpy(head.faces).long() + int(start) for head, start in zip(heads, starts, strict=False)]
    return torch.cat(triangles), torch.cat([drawn_edges(head) for head in heads])


def _attributes(face: OverlayFace) -> Tensor:
    """Shade, opacity and own colour of each vertex (V, 5)."""
    points = torch.from_numpy(np.asarray(face.vertices, np.float32))
    normals = vertex_normals(points[None], torch.from_numpy(face.head.faces))[0]
    away = torch.from_numpy(HEAD_TO_CAMERA.astype(np.float32) @ np.asarray(face.translation, np.float32))
    to_eye = torch.nn.functional.normalize(-away - points, dim=1)
    facing = (normals * to_eye).sum(1, keepdim=True).clamp(min=0)
    key = (normals @ torch.nn.functional.normalize(torch.tensor([0.35, 0.6, 0.75]), dim=0))[:, None].clamp(min=0)
    shade = 0.22 + 0.45 * facing + 0.45 * key
    own = linear(torch.from_numpy(face.head.albedo).float() / 255) ** (1 / 2.2)
    return torch.cat((shade, _opacity(face.head), own), 1)


def _opacity(head: HeadDescription) -> Tensor:
    """Full on the face, fading at the neck's end and over the hair (V, 1)."""
    height = torch.from_numpy(head.template[:, 1].copy())
    relative = ((height - height.min()) / (height.max() - height.min()))[:, None]
    return _step(relative, 0.0, 0.22) * (1 - 0.55 * _step(relative, 0.72, 0.95))


def _step(values: Tensor, low: float, high: float) -> Tensor:
    t = ((values - low) / (high - low)).clamp(0, 1)
    return t * t * (3 - 2 * t)
