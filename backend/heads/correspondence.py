# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the vertices of one head lie on the surface of another, found once for each pair and kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from backend.progress import Progress, no_progress
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import load_arrays, make_folder, save_arrays
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.places import data_dir

from .counterparts import Surface, SurfacePoints
from .registration import VERSION, digest, eye_faces, jaw_weights, register, skin_faces
from .surface import vertex_normals

OPEN = "open"


@dataclass(frozen=True)
class Correspondence:
    """For each of the V vertices of a target the point of a source's surface that is the same place of a head.

    Attributes:
        faces: (V,) int32 triangle of the source.
        barycentric: (V,3) float32 weights of its corners.
        distance: (V,) float32 metres between the two surfaces there after registration.
    """

    faces: np.ndarray
    barycentric: np.ndarray
    distance: np.ndarray

    def carried(self, source: HeadDescription, values: np.ndarray) -> np.ndarray:
        """Values (Vs,...) at the source's vertices, at the target's (V,...)."""
        corners = source.faces[self.faces]
        return np.einsum("vk,vk...->v...", self.barycentric, values[corners])


def correspondence(
    source: HeadDescription, target: HeadDescription, progress: Progress = no_progress
) -> Correspondence:
    """The correspondence of a pair of heads, from the data folder where it was found before.

    One of the two is the open head, which is registered onto the other, or both have the same triangles.

    Args:
        source: the head whose values are carried.
        target: the head that gets them.
        progress: told of the registration.

    Raises:
        MienError: BAD_HEAD for a head that looks like none; USAGE for two heads of different meshes of which none is
            the open head; NO_SPACE, NOT_PERMITTED.
    """
    if source.faces.shape == target.faces.shape and np.array_equal(source.faces, target.faces):
        return _same_mesh(target)
    path = _path(source, target)
    if (kept := _read(path, len(target.template))) is not None:
        return kept
    if OPEN not in (source.id, target.id):
        message = f"The heads {source.id} and {target.id} have different meshes."
        raise MienError(ErrorCode.USAGE, message, "Go by way of the open head.")
    open_head, other = (source, target) if source.id == OPEN else (target, source)
    laid, shape = register(open_head, other, progress), other.template.astype(np.float64)
    both = {
        _path(open_head, other): _nearest(open_head, laid, other, shape),
        _path(other, open_head): _nearest(other, shape, open_head, laid),
    }
    make_folder(path.parent, private=True)
    for place, found in both.items():
        save_arrays(place, {"version": VERSION}, dict(vars(found)))
    return both[path]


def _nearest(
    source: HeadDescription, here: np.ndarray, target: HeadDescription, there: np.ndarray
) -> Correspondence:
    """Eyes on eyes, all else on skin and lips that face the same way and move alike with the jaw."""
    points = SurfacePoints(there, vertex_normals(there, target.faces), jaw_weights(target))
    eyes = np.zeros(len(there), bool)
    eyes[target.faces[eye_faces(target)]] = True
    faces, weights = np.zeros(len(there), np.int32), np.zeros((len(there), 3), np.float32)
    for chosen, allowed in ((eyes, eye_faces(source)), (~eyes, skin_faces(source))):
        surface = Surface(here, source.faces[allowed], jaw_weights(source))
        found, weights[chosen] = surface.nearest(points.some(chosen))
        faces[chosen] = np.flatnonzero(allowed)[found]
    places = np.einsum("vk,vkd->vd", weights, here[source.faces[faces]])
    return Correspondence(faces, weights, np.linalg.norm(places - there, axis=1).astype(np.float32))


def _same_mesh(head: HeadDescription) -> Correspondence:
    """Every vertex at a corner of one of its triangles; vertices without any count as the first corner of all."""
    count = len(head.template)
    faces, weights = np.zeros(count, np.int32), np.zeros((count, 3), np.float32)
    for corner in range(3):
        faces[head.faces[:, corner]] = np.arange(len(head.faces))
    own = head.faces[faces] == np.arange(count)[:, None]
    weights[np.arange(count), own.argmax(axis=1)] = 1
    return Correspondence(faces, weights, np.zeros(count, np.float32))


def _path(source: HeadDescription, target: HeadDescription) -> Path:
    return data_dir() / "registrations" / f"{digest(source)[:32]}-{digest(target)[:32]}.npz"


def _read(path: Path, count: int) -> Correspondence | None:
    """What was kept; None where there is nothing, or nothing of use."""
    try:
        meta, arrays = load_arrays(path)
    except MienError:
        return None
    if meta.get("version") != VERSION or set(arrays) != {"faces", "barycentric", "distance"}:
        return None
    return Correspondence(**arrays) if len(arrays["faces"]) == count else None
