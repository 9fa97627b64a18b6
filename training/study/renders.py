# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures for a study from takes: each photo cut to the head, and each head in the same place, plainly grey."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from backend.detail.dense import dense_mesh
from backend.detail.exr import read_map
from backend.heads.model import HeadModel
from backend.media.images import read_image
from backend.outputs import TAKE, take_stem, write_png
from backend.rendering.camera import project_perspective
from backend.rendering.portrait import SUPERSAMPLING, shrunk, to_bytes
from backend.rendering.raster import interpolate, rasterize
from backend.rendering.shading import directional_shading, vertex_normals
from backend.rendering.tessellation import tessellated
from backend.retarget.heads_of_takes import head_of
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import make_folder
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.projection import project
from blender_addon.contract.take import Take

from .gathering import PHOTOS, RENDERS

SIZE = 512
"""Side of the pictures in pixels."""
_MARGIN = 0.08
"""Photo kept around the heads, as a part of the largest one's longer side."""
_SHOULDERS = 0.5
"""Part of the root joint from which a vertex is counted to the end of the neck."""
_GREY, _GROUND = 0.7, 0.17
"""Of the head and of what is behind it, sRGB."""
_LIGHTS = ((0.0, 0.0, 1.0), (0.0, 0.0, 1.0), (0.7, 0.45, 0.8), (-0.9, 0.25, 0.6))
_STRENGTH = 1.35
"""Mostly from the camera, else from either side: creases show, and no shadow under the brows looks like a frown."""


@dataclass(frozen=True, eq=False)
class PosedHead:
    """A head before the camera of its photo.

    Attributes:
        vertices: (V, 3) metres, head space.
        faces: (F, 3) triangles.
        translation: (3,) metres, camera space.
        camera_matrix: (3, 3) pixels of the photo.
        box: (2, 2) corners of the head without the end of the neck in the photo, pixels.
    """

    vertices: np.ndarray
    faces: np.ndarray
    translation: np.ndarray
    camera_matrix: np.ndarray
    box: np.ndarray


def render_takes(
    folder: Path,
    takes: Mapping[str, Path],
    photos: Path | None = None,
    head: str | None = None,
    detail: bool = False,
    progress: Callable[[float, str], None] = lambda done, name: None,
) -> list[str]:
    """Fill a study's `photos` and `renders` from takes of stills.

    Takes of several engines that have the same name are of the same face: all of them and the photo are shown through
    one square window, and each method's head stands where its engine put it.

    Args:
        folder: The study's.
        takes: Folder of the takes (`NAME.take.npz`) by the method's name.
        photos: Folder of the photos; by default where each take says that its photo is.
        head: The FLAME model that takes are on, where it is not among those that were added.
        detail: Draw the wrinkles of takes that have displacement maps.
        progress: Told the share that is done, and the face.

    Returns:
        What was left out, and why.

    Raises:
        MienError: MISSING_FILE where a folder has no takes; NO_SPACE, NOT_PERMITTED; WRONG_HEAD and the like for heads.
    """
    found = {method: _takes(place) for method, place in takes.items()}
    for place in (PHOTOS, *(f"{RENDERS}/{method}" for method in found)):
        make_folder(folder / place)
    problems: list[str] = []
    names = sorted({name for files in found.values() for name in files})
    for number, name in enumerate(names):
        progress(number / len(names), name)
        files = {method: paths[name] for method, paths in found.items() if name in paths}
        _render_face(folder, name, files, photos, head, detail, problems)
    return problems


def grey_head(posed: PosedHead, window: tuple[float, float, float], size: int = SIZE) -> np.ndarray:
    """Draw a head alone, without texture, under the same lights for all.

    Args:
        posed: The head.
        window: Left, top and side of the square of the photo that is shown, pixels.
        size: Side of the picture.

    Returns:
        (size, size, 3) uint8 sRGB.
    """
    left, top, side = window
    large = size * SUPERSAMPLING
    scale = large / side
    camera = np.array([[scale, 0, -left * scale], [0, scale, -top * scale], [0, 0, 1.0]]) @ posed.camera_matrix
    with torch.inference_mode():
        points, faces = _tensor(posed.vertices), torch.from_numpy(posed.faces).long()
        normals = vertex_normals(points[None], faces)[0]
        mesh = tessellated(points, normals, faces, points[:, :0])
        seen = project_perspective(mesh.vertices[None], _tensor(posed.translation), _tensor(camera), (large, large))
        fragments = rasterize(seen, mesh.faces, (large, large))
        normal = torch.nn.functional.normalize(interpolate(fragments, mesh.faces, mesh.normals)[0], dim=-1)
        colour = (_GREY * directional_shading(normal, _LIGHTS, _STRENGTH)).expand(-1, -1, 3)
        picture = torch.where(fragments.mask[0][..., None], colour, torch.tensor(_GROUND))
        return to_bytes(shrunk(picture, SUPERSAMPLING))


def window_of(heads: Sequence[PosedHead]) -> tuple[float, float, float]:
    """Left, top and side of the square around some heads in their photo, pixels; it may reach beyond the photo."""
    low, high = np.min([head.box[0] for head in heads], axis=0), np.max([head.box[1] for head in heads], axis=0)
    side = float((high - low).max() * (1 + 2 * _MARGIN))
    left, top = (low + high) / 2 - side / 2
    return float(left), float(top), side


def cut_photo(pixels: np.ndarray, window: tuple[float, float, float], size: int = SIZE) -> np.ndarray:
    """The square of a photo (H, W, 3) as (size, size, 3) uint8; dark grey beyond its borders."""
    left, top, side = window
    box = (round(left), round(top), round(left + side), round(top + side))
    square = Image.new("RGB", (box[2] - box[0], box[3] - box[1]), (round(255 * _GROUND),) * 3)
    square.paste(Image.fromarray(pixels), (-box[0], -box[1]))
    return np.asarray(square.resize((size, size), Image.Resampling.LANCZOS))


def _render_face(
    folder: Path,
    name: str,
    files: Mapping[str, Path],
    photos: Path | None,
    head: str | None,
    detail: bool,
    problems: list[str],
) -> None:
    heads: dict[str, PosedHead] = {}
    photo = None
    for method, path in files.items():
        try:
            take = Take.load(path)
            if len(take) != 1 or not take.valid[0]:
                problems.append(f"{path}: not of a photo with a face")
                continue
            if photo is None:
                photo = _read(_photo(name, take, photos), folder / PHOTOS)
            if photo.shape[1::-1] != tuple(take.image_size):
                problems.append(f"{path}: its photo is not as large as when it was captured")
                continue
            heads[method] = _posed(take, path, head_of(take, head), detail)
        except MienError as error:
            if error.code not in _SKIPPED:
                raise
            problems.append(error.message.rstrip("."))
    if heads and photo is not None:
        window = window_of(list(heads.values()))
        write_png(folder / PHOTOS / f"{name}.png", cut_photo(photo, window))
        for method, posed in heads.items():
            write_png(folder / RENDERS / method / f"{name}.png", grey_head(posed, window))


def _read(path: Path, kept: Path) -> np.ndarray:
    """Pixels of a photo, which must not be one of those that are made of it."""
    if path.parent.resolve() == kept.resolve():
        message = f"{path} lies where the photos go that are cut to the heads."
        raise MienError(ErrorCode.USAGE, message, "Keep the whole photos in another folder, and name it with --photos.")
    return read_image(path).pixels


_SKIPPED = (ErrorCode.BAD_TAKE, ErrorCode.UNKNOWN_SCHEMA, ErrorCode.BAD_IMAGE, ErrorCode.TOO_LARGE,
            ErrorCode.MISSING_FILE)  # fmt: skip
"""Errors of single files, by which the others are not stopped."""


def _posed(take: Take, path: Path, head: HeadDescription, detail: bool) -> PosedHead:
    take.require_head(head)
    names = ("expression", "head_rotation", "neck", "jaw", "eyes", "eyelids")
    with torch.inference_mode():
        parameters = {name: _tensor(getattr(take, name)) for name in names}
        vertices = HeadModel(head)(_tensor(take.identity)[None], **parameters).vertices[0].numpy()
    place, camera = take.translation[0], take.camera_matrix
    on_photo = project(vertices[head.skinning[:, 0] < _SHOULDERS], place, camera)
    box, faces = np.stack((on_photo.min(0), on_photo.max(0))), head.faces
    if detail and take.meta.displacement:
        mesh = dense_mesh(head)
        vertices = mesh.vertices(head, vertices, read_map(path.parent / take.meta.displacement[0]))
        faces = mesh.faces.numpy()
    return PosedHead(np.asarray(vertices), np.asarray(faces), place, camera, box)


def _takes(folder: Path) -> dict[str, Path]:
    """Takes of a folder and the folders in it, by their names."""
    found = {take_stem(path): path for path in sorted(folder.rglob(f"*{TAKE}"))}
    if not found:
        message = f"{folder} holds no takes (*{TAKE})."
        raise MienError(ErrorCode.MISSING_FILE, message, "Capture the photos first: 'mien capture' or 'mien batch'.")
    return found


def _photo(name: str, take: Take, photos: Path | None) -> Path:
    """The photo of a take: named as it is (of further faces without their number), or where the take says."""
    if photos is None:
        return Path(take.meta.source)
    try:
        files = sorted(path for path in map(photos.joinpath, os.listdir(photos)) if path.is_file())
    except OSError:
        files = []
    for stem in (name, name.rpartition(".face")[0]):
        if found := [path for path in files if stem and path.stem == stem]:
            return found[0]
    message = f"{photos} holds no photo of the name {name}."
    raise MienError(ErrorCode.MISSING_FILE, message, "Name the photos as the takes.", {"path": str(photos)})


def _tensor(values: np.ndarray) -> Tensor:
    return torch.as_tensor(np.asarray(values), dtype=torch.float32)
