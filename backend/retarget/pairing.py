# SPDX-License-Identifier: GPL-3.0-or-later
"""Which place of one head each vertex of another is, and how much each vertex of a face counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from backend.heads import load_head
from backend.progress import Progress, no_progress
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.head import HeadDescription

FAR = 0.006
"""Metres: beyond this the nearest place of the other head is no counterpart (teeth, tongue, a neck cut elsewhere)."""
LEAST_COVER = 0.5
"""Share of the face that has counterparts without which a head is no face."""
LEAST_VERTICES = 1000
"""Of a head that is a face; the open head has 6342, FLAME 5023."""
LIPS, LIDS, SKIN = 2.0, 2.5, 1.0
"""How much vertices count, for their area."""
_LID_MOTION = 0.001
_MOTION = 0.0002


class Counterparts(Protocol):
    """For each vertex of a target its place on a source; see `backend.heads.correspondence`."""

    distance: np.ndarray

    def carried(self, source: HeadDescription, values: np.ndarray) -> np.ndarray:
        """Values (Vs, ...) of the source's vertices at the target's (V, ...)."""
        ...


@dataclass(frozen=True, eq=False)
class SameMesh:
    """The counterparts of heads whose vertices are the same: releases of FLAME."""

    distance: np.ndarray

    def carried(self, source: HeadDescription, values: np.ndarray) -> np.ndarray:
        """The values."""
        return values


def same_mesh(one: HeadDescription, other: HeadDescription) -> bool:
    """Whether the vertices of two heads are the same ones."""
    return len(one.template) == len(other.template) and np.array_equal(one.faces, other.faces)


def counterparts(source: HeadDescription, target: HeadDescription, progress: Progress = no_progress) -> Counterparts:
    """The place on `source` of each vertex of `target`: itself on the same mesh, else by registration.

    Raises:
        MienError: BAD_HEAD for a head that is no face; what the registration raises.
    """
    if same_mesh(source, target):
        return SameMesh(np.zeros(len(target.template)))
    for head in (source, target):
        if len(head.template) < LEAST_VERTICES:
            raise _no_face(head)
    return registered(source, target, progress)


def registered(source: HeadDescription, target: HeadDescription, progress: Progress) -> Counterparts:
    """The place on `source` of each vertex of `target` by registration; kept once it is found.

    Raises:
        MienError: What the registration raises.
    """
    from backend.heads.correspondence import correspondence  # here: it loads a good deal

    return correspondence(source, target, progress)


def face_weights(head: HeadDescription, from_open: Counterparts) -> np.ndarray:
    """(V,) float64 how much each vertex counts: its area, more on lips and lids; 0 on the back of the head, the eyes,
    in the mouth and where the open head has no counterpart. They sum to 1.

    Args:
        head: The head.
        from_open: The place on the open head of each of its vertices.

    Raises:
        MienError: BAD_HEAD for a head most of whose face has no counterpart.
    """
    opened = load_head("open")
    region = _open_regions(opened)
    near = from_open.distance < FAR
    carried = from_open.carried(opened, region)
    weights = np.where(near, carried, 0.0) * vertex_areas(head)
    wanted, total = (region * vertex_areas(opened)).sum(), float(weights.sum())
    if not total > LEAST_COVER * wanted:
        raise _no_face(head)
    return weights / total


def skull_weights(head: HeadDescription, from_open: Counterparts) -> np.ndarray:
    """(V,) float64 the areas of all skin that the open head has a counterpart of. They sum to 1."""
    opened = load_head("open")
    skin = np.zeros(len(opened.template))
    skin[_vertices_of(opened, "skin", "lips")] = 1
    weights = np.where(from_open.distance < FAR, from_open.carried(opened, skin), 0.0) * vertex_areas(head)
    return weights / weights.sum()


def _open_regions(head: HeadDescription) -> np.ndarray:
    regions = np.zeros(len(head.template))
    regions[_vertices_of(head, "skin")] = SKIN
    lids = np.linalg.norm(head.eyelids, axis=1).max(axis=1) > _LID_MOTION
    regions[lids & (regions > 0)] = LIDS
    regions[_vertices_of(head, "lips")] = LIPS
    still = np.linalg.norm(head.expression, axis=1).max(axis=1) < _MOTION
    regions[still & ~lids] = 0
    return regions


def _vertices_of(head: HeadDescription, *materials: str) -> np.ndarray:
    wanted = np.isin(np.array(head.materials)[head.polygon_material[head.face_polygon]], materials)
    return np.unique(head.faces[wanted])


def vertex_areas(head: HeadDescription) -> np.ndarray:
    """(V,) m^2: a third of the triangles around each vertex."""
    corners = head.template[head.faces].astype(np.float64)
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 6
    return np.bincount(head.faces.ravel(), np.repeat(areas, 3), len(head.template))


def _no_face(head: HeadDescription) -> MienError:
    message = f"The head '{head.id}' does not look like a face that could be compared with the open head's."
    return MienError(ErrorCode.BAD_HEAD, message, "Use the file of a release of FLAME.", {"cause": "face"})
