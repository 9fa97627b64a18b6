# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads with performances in a scene, for tests of what becomes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np


class Stage:
    """One head that performs one take."""

    def __init__(
        self, mien: Any, head: Any, take: Any, folder: Path, source: str | None = None, **options: Any
    ) -> None:
        """Build it; options as of SceneOptions, and those of BuildOptions as `build`."""
        import bpy

        self.mien = mien
        self.head, self.take = in_package(mien, head, take, folder)
        scene = mien("scene")
        options["build"] = mien("rig.build").BuildOptions(**options.pop("build", {}))
        choices = scene.SceneOptions(**options)
        self.captured = scene.add_captures(self.head, [self.take], source, bpy.context.scene, choices)
        self.names = self.captured.heads[0].head

    @property
    def mesh(self) -> Any:
        """The mesh object."""
        import bpy

        return bpy.data.objects[self.names.mesh]

    @property
    def rig(self) -> Any:
        """The armature object."""
        import bpy

        return bpy.data.objects[self.names.rig]

    @property
    def action(self) -> Any:
        """The rig's action."""
        return self.rig.animation_data.action

    @property
    def camera(self) -> Any:
        """The camera object."""
        import bpy

        return bpy.data.objects[self.captured.heads[0].camera]

    def curve(self, path: str, index: int = 0) -> Any:
        """One F-curve by the end of its data path."""
        fcurves = self.mien("compat").fcurves_of
        curves = [*fcurves(self.rig), *fcurves(self.mesh.data.shape_keys)]
        return next(item for item in curves if item.data_path.endswith(path) and item.array_index == index)


def in_package(mien: Any, head: Any, take: Any, folder: Path) -> tuple[Any, Any]:
    """The same head and take as the add-on's own classes."""
    head.save(folder / "head.npz")
    take.save(folder / "take.npz")
    contract = mien("contract.head").HeadDescription, mien("contract.take").Take
    return contract[0].load(folder / "head.npz"), contract[1].load(folder / "take.npz")


def points(curve: Any) -> np.ndarray:
    """Frames and values (T, 2) of an F-curve's keys."""
    flat = np.empty(2 * len(curve.keyframe_points), np.float32)
    curve.keyframe_points.foreach_get("co", flat)
    return flat.reshape(-1, 2)


def blender_pixels(scene: Any, camera: Any, world: np.ndarray) -> np.ndarray:
    """Where the matrices of Blender's camera put world points (N, 3), in pixels from the top left."""
    import bpy

    render = scene.render
    size = np.array([render.resolution_x, render.resolution_y])
    projection = np.array(
        camera.calc_matrix_camera(
            bpy.context.evaluated_depsgraph_get(),
            x=render.resolution_x,
            y=render.resolution_y,
            scale_x=render.pixel_aspect_x,
            scale_y=render.pixel_aspect_y,
        ),
        np.float64,
    )
    view = np.linalg.inv(np.array(camera.matrix_world, np.float64))
    clip = np.c_[world, np.ones(len(world))] @ (projection @ view).T
    return (clip[:, :2] / clip[:, 3:] * [0.5, -0.5] + 0.5) * size
