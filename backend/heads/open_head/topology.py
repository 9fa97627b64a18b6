# SPDX-License-Identifier: GPL-3.0-or-later
"""The open head's mesh: which parts of the base mesh it takes, where the neck is cut, how it mirrors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from .clipping import BEVEL, PolygonSoup, Row, boundary_loop, cap, clip, extend
from .dental import LOWER_ARCH, UPPER_ARCH, build_arch
from .eyes import EyeFit, eye_mesh, fit_eye, mirrored, polygon_materials
from .lashes import LOWER, UPPER, card_grid, grow
from .sources import BaseMesh, Sources, Target

ORIGIN = np.array([0.0, 0.712, 0.045])
"""The head's origin in the base mesh's space, metres."""

CUT_POINT = np.array([0.0, -0.1265, -0.02])
CUT_SLOPE = 0.41
"""The neck's cut: lower in front, through the pit of the neck and the root of the trapezius."""

_ARCHES = {"helper-upper-teeth": UPPER_ARCH, "helper-lower-teeth": LOWER_ARCH}
_LASH_CARDS = {"helper-l-eyelashes-1": LOWER, "helper-l-eyelashes-2": UPPER}


@dataclass(frozen=True)
class HeadTopology:
    """The head's mesh as a linear function of the base mesh.

    Vertices: skin, then teeth, tongue and lashes, then the left and the right eyeball.

    Attributes:
        matrix: sparse (V - eyeballs, N): every row a weighted mean of base vertices.
        eyes: left and right eyeball.
        template: (V,3) metres, mirror-symmetric.
        polygons: (P,4), -1 in the last column for a triangle.
        origin: (P,) base polygon a polygon came from, -1 for the neck's end, teeth, lashes and eyeballs.
        parts: (P,) "skin", "neck_cap", "teeth", "gums", "tongue", "lashes", "pupil", "iris" or "sclera".
        mirror: (V,) vertex permutation under x -> -x.
        eye_vertices: vertices of the left and of the right eyeball.
        lower_teeth: vertices of the lower teeth.
    """

    matrix: sparse.csr_matrix
    eyes: tuple[EyeFit, EyeFit]
    template: NDArray[np.float64]
    polygons: NDArray[np.int64]
    origin: NDArray[np.int64]
    parts: NDArray[np.str_]
    mirror: NDArray[np.int64]
    eye_vertices: tuple[NDArray[np.int64], NDArray[np.int64]]
    lower_teeth: NDArray[np.int64]

    def offsets(self, target: Target) -> NDArray[np.float64]:
        """Carry a morph target of the base mesh over to the head, (V,3) metres."""
        dense = np.zeros((self.matrix.shape[1], 3))
        dense[target.indices] = target.offsets
        return np.concatenate([self.matrix @ dense, *(eye.offsets(dense) for eye in self.eyes)])

    def polygon_mirror(self) -> NDArray[np.int64]:
        """(P,) the polygon that is the mirror image of each polygon."""
        return _polygon_twins(self.polygons, self.mirror)

    def mirrored(self, offsets: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mirror per-vertex offsets (V,3) in x."""
        return offsets[self.mirror] * np.array([-1.0, 1.0, 1.0])

    def vertices_of(self, *parts: str) -> NDArray[np.int64]:
        """Vertices used by the polygons of the given parts, sorted."""
        used = np.unique(self.polygons[np.isin(self.parts, parts)])
        return used[used >= 0]


def build_topology(sources: Sources, base: BaseMesh, average: NDArray[np.float64]) -> HeadTopology:
    """Cut the head out of the base mesh.

    Args:
        sources: the wheel.
        base: the base mesh.
        average: (N,3) its vertices for the average person, mirror-symmetric, in head space.
    """
    soup, parts = _head_skin(base, average)
    lower_teeth = _append_teeth(soup, parts, base, average, sources.mirror())
    _append_tongue(soup, parts, base)
    _append_lashes(soup, parts, base, average, sources)
    matrix = _as_matrix(soup.rows, len(average))
    plain = len(soup.rows)
    left = fit_eye(average, sources.vertex_group("helper-l-eye"), eye_mesh())
    right = fit_eye(average, sources.vertex_group("helper-r-eye"), mirrored(eye_mesh()))
    count = len(left.mesh.vertices)
    polygons = np.array([p if len(p) == 4 else [*p, -1] for p in soup.polygons])
    eye_vertices = (plain + np.arange(count), plain + count + np.arange(count))
    shifted = [
        np.where(eye.mesh.polygons < 0, -1, eye.mesh.polygons + vertices[0])
        for eye, vertices in zip((left, right), eye_vertices, strict=True)
    ]
    mirror = np.concatenate([_mirror_rows(soup.rows, sources.mirror()), eye_vertices[1], eye_vertices[0]])
    polygons = _mirror_consistent(np.concatenate([polygons, *shifted]), mirror)
    eye_parts = polygon_materials(left.mesh)
    template = np.concatenate([matrix @ average, left.positions(), right.positions()])
    template = 0.5 * (template + template[mirror] * np.array([-1.0, 1.0, 1.0]))
    return HeadTopology(
        matrix=matrix,
        eyes=(left, right),
        template=template,
        polygons=polygons,
        origin=np.concatenate([soup.origin, np.full(2 * len(eye_parts), -1)]).astype(np.int64),
        parts=np.concatenate([parts, eye_parts, eye_parts]),
        mirror=mirror,
        eye_vertices=eye_vertices,
        lower_teeth=lower_teeth,
    )


def _head_skin(base: BaseMesh, average: NDArray[np.float64]) -> tuple[PolygonSoup, list[str]]:
    """The body's surface above the cut, connected with the head, closed by a cap."""
    normal = np.array([0.0, 1.0, CUT_SLOPE]) / np.hypot(1.0, CUT_SLOPE)
    height = (average - CUT_POINT) @ normal - BEVEL
    body = np.flatnonzero(base.quad_groups == "body")
    head = body[_connected(base.quads[body], height, int(np.argmax(average[:, 1] * (base_body_mask(base)))))]
    soup, rim = clip(base.quads[head], height)
    soup.origin = [int(head[p]) for p in soup.origin]
    edge = extend(soup, boundary_loop(soup.polygons, rim), height, BEVEL)
    parts = ["skin"] * len(soup.polygons)
    cap(soup, edge)
    parts += ["neck_cap"] * (len(soup.polygons) - len(parts))
    return soup, parts


def base_body_mask(base: BaseMesh) -> NDArray[np.float64]:
    """(N,) 1 for the vertices of the body's surface, 0 for helpers."""
    mask = np.zeros(len(base.vertices))
    mask[np.unique(base.quads[base.quad_groups == "body"])] = 1.0
    return mask


def _connected(quads: NDArray[np.int64], height: NDArray[np.float64], seed: int) -> NDArray[np.int64]:
    """Indices of the quads that touch the part above the plane holding ``seed``."""
    above = height > 0
    pairs = np.concatenate([quads[:, [k, (k + 1) % 4]] for k in range(4)])
    pairs = pairs[above[pairs].all(axis=1)]
    graph = sparse.coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(height), len(height)))
    labels = sparse.csgraph.connected_components(graph, directed=False)[1]
    return np.flatnonzero((above[quads] & (labels[quads] == labels[seed])).any(axis=1))


def _append_teeth(
    soup: PolygonSoup, parts: list[str], base: BaseMesh, average: NDArray[np.float64], mirror: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Upper and lower arch; returns the vertices of the lower one."""
    first = len(soup.rows)
    for name, style in _ARCHES.items():
        rows, polygons, names = build_arch(base.quads[base.quad_groups == name], average, mirror, style)
        first = len(soup.rows)
        soup.rows += rows
        soup.polygons += [[v + first for v in polygon] for polygon in polygons]
        soup.origin += [-1] * len(polygons)
        parts += names
    return np.arange(first, len(soup.rows))


def _append_tongue(soup: PolygonSoup, parts: list[str], base: BaseMesh) -> None:
    chosen = np.flatnonzero(base.quad_groups == "helper-tongue")
    number = {int(v): len(soup.rows) + k for k, v in enumerate(np.unique(base.quads[chosen]))}
    soup.rows.extend({v: 1.0} for v in number)
    for p in chosen:
        soup.polygons.append([number[int(v)] for v in base.quads[p]])
        soup.origin.append(int(p))
        parts.append("tongue")


def _append_lashes(
    soup: PolygonSoup, parts: list[str], base: BaseMesh, average: NDArray[np.float64], sources: Sources
) -> None:
    """Hairs on the left lids, then their mirror images."""
    eye = average[sources.vertex_group("helper-l-eye")].mean(axis=0)
    mirror = sources.mirror()
    rows: list[Row] = []
    polygons: list[list[int]] = []
    for name, style in _LASH_CARDS.items():
        hairs, faces = grow(card_grid(base.quads[base.quad_groups == name], average, eye), style)
        polygons += [[v + len(rows) for v in face] for face in faces]
        rows += hairs
    other_rows = [{int(mirror[v]): w for v, w in row.items()} for row in rows]
    other_polygons = [[v + len(rows) for v in (face[0], *face[:0:-1])] for face in polygons]
    first = len(soup.rows)
    soup.rows += rows + other_rows
    for face in polygons + other_polygons:
        soup.polygons.append([v + first for v in face])
        soup.origin.append(-1)
        parts.append("lashes")


def _as_matrix(rows: list[Row], columns: int) -> sparse.csr_matrix:
    entries = [(k, vertex, weight) for k, row in enumerate(rows) for vertex, weight in row.items()]
    index = np.array([e[:2] for e in entries])
    weights = np.array([e[2] for e in entries])
    return sparse.csr_matrix((weights, (index[:, 0], index[:, 1])), shape=(len(rows), columns))


def _mirror_rows(rows: list[Row], base_mirror: NDArray[np.int64]) -> NDArray[np.int64]:
    """Mirror permutation of the rows, found through the base mesh's own."""
    key = lambda items: tuple(sorted((v, round(w, 7)) for v, w in items))  # noqa: E731
    number = {key(row.items()): k for k, row in enumerate(rows)}
    return np.array([number[key((int(base_mirror[v]), w) for v, w in row.items())] for row in rows])


def _mirror_consistent(polygons: NDArray[np.int64], mirror: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rotate the corners of polygons so that mirrored polygons are cut into mirrored triangles."""
    result = polygons.copy()
    twins = _polygon_twins(polygons, mirror)
    for k, polygon in enumerate(polygons):
        corners = polygon[polygon >= 0]
        twin = twins[k]
        if twin > k:
            # Keeping corner 0 first and reversing the rest mirrors the diagonal (0,2) and the orientation.
            result[twin, : len(corners)] = mirror[corners[[0, *range(len(corners) - 1, 0, -1)]]]
    return result


def _polygon_twins(polygons: NDArray[np.int64], mirror: NDArray[np.int64]) -> NDArray[np.int64]:
    number = {tuple(sorted(p[p >= 0].tolist())): k for k, p in enumerate(polygons)}
    return np.array([number[tuple(sorted(mirror[p[p >= 0]].tolist()))] for p in polygons])
