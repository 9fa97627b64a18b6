# SPDX-License-Identifier: GPL-3.0-or-later
"""Materials of a head's parts. Their colour is the mesh's colour attribute, so that Solid view and renders agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import bpy

from .. import compat


@dataclass(frozen=True)
class Surface:
    """How a part of the head reflects light.

    Attributes:
        colour: sRGB in 0..1 for Solid view by material; renders use the colour attribute.
        roughness: Of the Principled shader.
        subsurface: Weight of light scattered under the surface.
        coat: Weight of a clear wet layer.
    """

    colour: tuple[float, float, float]
    roughness: float
    subsurface: float = 0.0
    coat: float = 0.0


SURFACES: Mapping[str, Surface] = {
    "skin": Surface((0.78, 0.60, 0.51), 0.5, subsurface=0.12),
    "lips": Surface((0.70, 0.42, 0.40), 0.38, subsurface=0.12),
    "sclera": Surface((0.92, 0.90, 0.87), 0.25, subsurface=0.05, coat=0.6),
    "iris": Surface((0.32, 0.22, 0.14), 0.3, coat=1.0),
    "pupil": Surface((0.01, 0.01, 0.01), 0.1, coat=1.0),
    "teeth": Surface((0.90, 0.86, 0.76), 0.25, subsurface=0.1, coat=0.3),
    "tongue": Surface((0.66, 0.34, 0.33), 0.35, subsurface=0.1, coat=0.2),
    "mouth": Surface((0.45, 0.18, 0.18), 0.4, subsurface=0.1),
    "lashes": Surface((0.05, 0.04, 0.03), 0.6),
}
_SOLID_GAIN = 1.6  # Solid view's studio light is dim where a face looks at the camera
_SCATTER_DISTANCE = 0.006  # metres; about what skin does to red light
_SCATTER_RADIUS = (1.0, 0.35, 0.2)


def build(part: str, name: str, colour_attribute: str) -> Any:
    """Make the material of one part.

    Args:
        part: One of `SURFACES`.
        name: Name of the material.
        colour_attribute: Colour attribute of the mesh that gives the base colour.
    """
    surface = SURFACES[part]
    material = bpy.data.materials.new(name)
    material.diffuse_color = (*(min(1.0, _SOLID_GAIN * _linear(c)) for c in surface.colour), 1.0)
    material.roughness = surface.roughness
    nodes = compat.node_tree(material).nodes
    shader = next(node for node in nodes if node.bl_idname == "ShaderNodeBsdfPrincipled")
    colour = nodes.new("ShaderNodeVertexColor")
    colour.layer_name = colour_attribute
    colour.location = (shader.location.x - 220.0, shader.location.y)
    material.node_tree.links.new(colour.outputs["Color"], shader.inputs["Base Color"])
    compat.set_input(shader, ("Roughness",), surface.roughness)
    compat.set_input(shader, ("Subsurface Weight",), surface.subsurface)
    compat.set_input(shader, ("Subsurface Scale",), _SCATTER_DISTANCE)
    compat.set_input(shader, ("Subsurface Radius",), _SCATTER_RADIUS)
    compat.set_input(shader, ("Coat Weight",), surface.coat)
    return material


def _linear(value: float) -> float:
    """sRGB to linear light (IEC 61966-2-1)."""
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
