# SPDX-License-Identifier: GPL-3.0-or-later
"""Exported files read back by Blender's own importers, in an empty scene."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

SUFFIXES = {"fbx": ".fbx", "glb": ".glb", "usd": ".usdc", "abc": ".abc", "mdd": ".mdd"}


class Reimported:
    """A file's content in the open scene.

    Attributes:
        meshes: The mesh objects, by name.
        times: Whether the importer places by seconds (from 0) and not by frames.
    """

    def __init__(self, name: str, path: Path, first: int, rate: float) -> None:
        import bpy

        bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
        self._first, self._rate, self._name = first, rate, name
        if name == "abc":  # which tells seconds, and is read at the rate of the scene that it comes into
            render = bpy.context.scene.render
            render.fps, render.fps_base = round(rate), round(rate) / rate
        _READERS[name](path)
        self.meshes = sorted((item for item in bpy.data.objects if _is_head(item)), key=lambda item: item.name)
        self.cameras = [item for item in bpy.data.objects if item.type == "CAMERA"]

    def show(self, frame: float) -> None:
        """Go to where a frame of the exported scene is."""
        import bpy

        scene = bpy.context.scene
        seconds = (frame - self._first) / self._rate
        where = frame
        if self._name == "glb":
            where = seconds * scene.render.fps * scene.render.fps_base
        elif self._name == "fbx":
            where = 1.0 + max(0, frame) / self._rate * scene.render.fps
        elif self._name == "mdd":
            where = frame - self._first  # as set below
        whole = int(np.floor(where + 1e-4))
        scene.frame_set(whole, subframe=float(np.clip(where - whole, 0.0, 0.999)))


def _is_head(item: Any) -> bool:
    return item.type == "MESH" and len(item.data.vertices) != 42  # the importer's shape for bones


def _fbx(path: Path) -> None:
    import bpy

    bpy.ops.import_scene.fbx(filepath=str(path))


def _glb(path: Path) -> None:
    import bpy

    bpy.ops.import_scene.gltf(filepath=str(path))


def _usd(path: Path) -> None:
    import bpy

    bpy.ops.wm.usd_import(filepath=str(path))


def _abc(path: Path) -> None:
    import bpy

    bpy.ops.wm.alembic_import(filepath=str(path), as_background_job=False)


def _mdd(path: Path) -> None:
    import bpy

    bpy.ops.wm.obj_import(filepath=str(path.with_suffix(".obj")))
    modifier = bpy.context.selected_objects[0].modifiers.new("Cache", "MESH_CACHE")
    modifier.cache_format, modifier.filepath, modifier.frame_start = "MDD", str(path), 0
    modifier.forward_axis, modifier.up_axis = "POS_Y", "POS_Z"  # as the OBJ beside, which the importer turned


_READERS: dict[str, Callable[[Path], None]] = {"fbx": _fbx, "glb": _glb, "usd": _usd, "abc": _abc, "mdd": _mdd}


def farthest(found: Sequence[np.ndarray], wanted: Sequence[np.ndarray]) -> float:
    """Largest distance (metres) over frames of re-imported vertices (N, 3) from the original ones (V, 3).

    Formats that part vertices at seams have more of them: each must move as one and the same original does.
    """
    if len(found[0]) == len(wanted[0]):
        return max(float(np.linalg.norm(f - w, axis=1).max()) for f, w in zip(found, wanted, strict=True))
    from mathutils.kdtree import KDTree

    tree = KDTree(len(wanted[0]))
    for index, point in enumerate(wanted[0]):
        tree.insert(point, index)
    tree.balance()
    paths, originals = np.stack(found, axis=1), np.stack(wanted, axis=1)
    worst = 0.0
    for path in paths:
        near = [index for _, index, _ in tree.find_range(path[0], 2e-5)] or [tree.find(path[0])[1]]
        worst = max(worst, float(np.linalg.norm(originals[near] - path, axis=2).max(axis=1).min()))
    return worst
