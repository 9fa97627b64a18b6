# SPDX-License-Identifier: GPL-3.0-or-later
"""The maps in the materials of a head: a group with the image and a Displacement node, for Cycles and EEVEE."""

from __future__ import annotations

from typing import Any

import bpy

from .. import compat
from . import names


def add_group(mesh_object: Any, image: Any) -> Any:
    """A tree of nodes that gives the displacement, scaled by the strength of the object it is on."""
    tree = bpy.data.node_groups.new(f"{mesh_object.name} Wrinkles", "ShaderNodeTree")
    tree.interface.new_socket("Displacement", in_out="OUTPUT", socket_type="NodeSocketVector")
    nodes = tree.nodes
    place, picture = nodes.new("ShaderNodeUVMap"), nodes.new("ShaderNodeTexImage")
    strength, lift = nodes.new("ShaderNodeAttribute"), nodes.new("ShaderNodeDisplacement")
    out = nodes.new("NodeGroupOutput")
    place.uv_map = mesh_object.data.uv_layers[0].name
    picture.name, picture.image, picture.extension, picture.interpolation = names.NODE, image, "EXTEND", "Linear"
    strength.attribute_type, strength.attribute_name = "OBJECT", names.STRENGTH
    lift.inputs["Midlevel"].default_value = 0.0
    for node, x, y in ((place, -600, 0), (picture, -400, 0), (strength, -400, -300), (lift, -100, 0), (out, 100, 0)):
        node.location = (x, y)
    tree.links.new(place.outputs["UV"], picture.inputs["Vector"])
    tree.links.new(picture.outputs["Color"], lift.inputs["Height"])
    tree.links.new(strength.outputs["Fac"], lift.inputs["Scale"])
    tree.links.new(lift.outputs["Displacement"], out.inputs["Displacement"])
    return tree


def image_user_path() -> str:
    """Data path of the image user in the group, with a dot at its end."""
    return f'nodes["{names.NODE}"].image_user.'


def link(mesh_object: Any, tree: Any) -> None:
    """Let all materials of a head displace: what the mesh's own vertices cannot show becomes bump."""
    for material in _materials(mesh_object):
        nodes = compat.node_tree(material)
        out = nodes.get_output_node("ALL") or nodes.nodes.new("ShaderNodeOutputMaterial")
        group = nodes.nodes.new("ShaderNodeGroup")
        group.name, group.node_tree = names.NODE, tree
        group.location = (out.location.x - 220.0, out.location.y - 200.0)
        nodes.links.new(group.outputs["Displacement"], out.inputs["Displacement"])
        material.displacement_method = "BOTH"


def unlink(mesh_object: Any) -> None:
    """Undo `link`."""
    for material in _materials(mesh_object):
        nodes = compat.node_tree(material).nodes
        if (group := nodes.get(names.NODE)) is not None:
            nodes.remove(group)
            material.displacement_method = "BUMP"


def linked(mesh_object: Any) -> bool:
    """Whether the materials of a head displace by its maps."""
    return any(names.NODE in compat.node_tree(material).nodes for material in _materials(mesh_object))


def _materials(mesh_object: Any) -> list[Any]:
    return [item for item in mesh_object.data.materials if item is not None and item.library is None]
