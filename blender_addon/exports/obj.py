# SPDX-License-Identifier: GPL-3.0-or-later
"""Meshes to one Wavefront OBJ whose vertices keep their order, for the point cache beside it. No bpy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np


class ObjMesh(NamedTuple):
    """One mesh.

    Attributes:
        name: Of its group.
        vertices: (V, 3).
        corners: (C,) vertex of each corner of each polygon.
        sizes: (P,) corners of each polygon.
        uvs: (C, 2).
    """

    name: str
    vertices: np.ndarray
    corners: np.ndarray
    sizes: np.ndarray
    uvs: np.ndarray


def write_obj(path: Path, meshes: Sequence[ObjMesh]) -> None:
    """Write meshes as groups of one object: an importer that parts objects would lose the order of the cache."""
    with open(path, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
        file.write(f"o {_word(path.stem)}\n")
        for mesh in meshes:
            file.writelines(f"v {x:.9g} {y:.9g} {z:.9g}\n" for x, y, z in mesh.vertices.tolist())
        for mesh in meshes:
            file.writelines(f"vt {u:.9g} {v:.9g}\n" for u, v in mesh.uvs.tolist())
        vertex = corner = 0
        for mesh in meshes:
            file.write(f"g {_word(mesh.name)}\n")
            file.writelines(_faces(mesh, vertex, corner))
            vertex, corner = vertex + len(mesh.vertices), corner + len(mesh.corners)


def _faces(mesh: ObjMesh, vertex: int, corner: int) -> Iterator[str]:
    ends = np.cumsum(mesh.sizes)
    for first, last in zip((ends - mesh.sizes).tolist(), ends.tolist(), strict=True):
        names = mesh.corners[first:last].tolist()
        points = (f"{vertex + name + 1}/{corner + first + index + 1}" for index, name in enumerate(names))
        yield f"f {' '.join(points)}\n"


def _word(name: str) -> str:
    return "_".join(name.split())
