# SPDX-License-Identifier: GPL-3.0-or-later
"""The mesh of a head: quads, UVs, materials, colours, joint regressor."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from ..axes import to_blender
from ..contract.errors import ErrorCode, MienError
from ..contract.head import JOINT_NAMES, HeadDescription
from . import materials, names

COLOUR_ATTRIBUTE = "Albedo"


def build_mesh(head: HeadDescription, vertices: np.ndarray, name: str) -> Any:
    """Make the mesh data-block of a head at rest.

    Args:
        head: The head's arrays.
        vertices: (V, 3) metres, head space; what the Basis key will hold.
        name: Name of the mesh, and prefix of its materials.

    Returns:
        The new mesh.

    Raises:
        MienError: BAD_HEAD when Blender would have to change the faces.
    """
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(to_blender(vertices).tolist(), [], _polygons(head.polygons))
    if mesh.validate(verbose=False):
        bpy.data.meshes.remove(mesh)
        raise MienError(
            ErrorCode.BAD_HEAD, f"The head '{head.id}' has faces that Blender cannot hold.", "Rebuild the head file."
        )
    mesh.vertices.foreach_set("co", to_blender(vertices).astype(np.float32).ravel())
    mesh.shade_smooth()
    _set_uvs(mesh, head)
    _set_colours(mesh, head.albedo)
    for material in head.materials:
        mesh.materials.append(materials.build(material, f"{name} {material.capitalize()}", COLOUR_ATTRIBUTE))
    mesh.polygons.foreach_set("material_index", head.polygon_material.astype(np.int32))
    _store_joint_regressor(mesh, head.joint_regressor)
    mesh.update()
    return mesh


def joints_at_rest(mesh: Any, vertices: np.ndarray) -> dict[str, np.ndarray]:
    """Where a head's joints are for given rest vertices.

    Args:
        mesh: A mesh made by `build_mesh` (also one that was saved and opened again).
        vertices: (V, 3) metres, in the axes wanted for the joints.

    Returns:
        (3,) by joint name.

    Raises:
        MienError: BAD_HEAD when the mesh was edited so that it is no longer a head of Mien.
    """
    return dict(zip(JOINT_NAMES, joint_regressor(mesh) @ vertices.astype(np.float64), strict=True))


def joint_regressor(mesh: Any) -> np.ndarray:
    """The joint regressor (5, V) float64 of a mesh made by `build_mesh`.

    Raises:
        MienError: BAD_HEAD when the mesh was edited so that it is no longer a head of Mien.
    """
    count = len(mesh.vertices)
    rows = np.empty((len(JOINT_NAMES), count), dtype=np.float32)
    for row, joint in zip(rows, JOINT_NAMES, strict=True):
        attribute = mesh.attributes.get(names.JOINT_ATTRIBUTE.format(joint))
        if attribute is None or len(attribute.data) != count:
            raise MienError(
                ErrorCode.BAD_HEAD,
                f"The mesh '{mesh.name}' has lost the attribute that places its joints.",
                "Capture the face again, or undo the change to the mesh.",
            )
        attribute.data.foreach_get("value", row)
    return rows.astype(np.float64)


def _polygons(polygons: np.ndarray) -> list[list[int]]:
    return [polygon[: 3 if polygon[3] < 0 else 4] for polygon in polygons.tolist()]


def _set_uvs(mesh: Any, head: HeadDescription) -> None:
    corners = head.polygon_uvs.ravel()
    layer = mesh.uv_layers.new(name="UVMap", do_init=False)
    layer.uv.foreach_set("vector", np.ascontiguousarray(head.uv[corners[corners >= 0]], dtype=np.float32).ravel())


def _set_colours(mesh: Any, albedo: np.ndarray) -> None:
    colours = np.ones((len(albedo), 4), dtype=np.float32)
    colours[:, :3] = albedo.astype(np.float32) / 255.0
    attribute = mesh.color_attributes.new(COLOUR_ATTRIBUTE, "BYTE_COLOR", "POINT")
    attribute.data.foreach_set("color_srgb", colours.ravel())
    mesh.color_attributes.active_color = attribute
    mesh.color_attributes.render_color_index = mesh.color_attributes.active_color_index


def _store_joint_regressor(mesh: Any, regressor: np.ndarray) -> None:
    for joint, row in zip(JOINT_NAMES, regressor, strict=True):
        attribute = mesh.attributes.new(names.JOINT_ATTRIBUTE.format(joint), "FLOAT", "POINT")
        attribute.data.foreach_set("value", np.ascontiguousarray(row, dtype=np.float32))
