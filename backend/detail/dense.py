# SPDX-License-Identifier: GPL-3.0-or-later
"""The dense mesh of a head: a vertex for each texel of its UV layout, lifted by the displacement map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from backend.detail.displacement import dense_vertices, texel_uvs
from backend.detail.uv_maps import uv_fragments
from backend.networks.detail_decoder import MAP_SIZE
from backend.rendering.shading import vertex_normals
from backend.weights.parts import find
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.head import HeadDescription

TEMPLATE_REMEDY = "Add FLAME's head_template.obj with 'mien models add' and load the head again."


@dataclass(frozen=True, eq=False)
class DenseMesh:
    """Where each vertex lies on the head.

    Attributes:
        pixels: (N,) int64 texels, row * 256 + column.
        faces: (M, 3) int64 triangles of them, counter-clockwise from outside.
        corners: (N, 3) int64 vertices of the head.
        barycentric: (N, 3) float32.
    """

    pixels: Tensor
    faces: Tensor
    corners: Tensor
    barycentric: Tensor

    @property
    def uvs(self) -> Tensor:
        """(N, 2) float32, v up."""
        return texel_uvs(self.pixels, MAP_SIZE)

    def vertices(self, head: HeadDescription, posed: np.ndarray, displacement: np.ndarray) -> np.ndarray:
        """(N, 3) metres, head space, of a posed head (V, 3) and a map (256, 256) in metres."""
        coarse = torch.from_numpy(np.ascontiguousarray(posed, np.float32))[None]
        normals = vertex_normals(coarse, torch.from_numpy(head.faces))
        maps = torch.from_numpy(np.ascontiguousarray(displacement, np.float32))[None, None]
        return dense_vertices(coarse, normals, maps, self.pixels, self.corners, self.barycentric)[0].numpy()


def has_uvs(head: HeadDescription) -> bool:
    """Whether the head has a UV layout; FLAME's model file alone has none."""
    return bool(len(head.uv) > 1 and np.ptp(head.uv, axis=0).min() > 0)


def dense_mesh(head: HeadDescription) -> DenseMesh:
    """The published dense mesh where the part texture_data was added, for FLAME heads; else that of the UV layout.

    Raises:
        MienError: BAD_HEAD for a head without a UV layout, or a part that is not of this head.
    """
    part = find("texture_data") if head.id.startswith("flame") else None
    if part is None:
        return _of_layout(head)
    arrays = part.arrays()
    names = ("pixels", "faces", "corners")
    pixels, faces, corners = (torch.from_numpy(arrays[name].astype(np.int64)) for name in names)
    if corners.max() >= len(head.template) or faces.max() >= len(pixels) or pixels.max() >= MAP_SIZE**2:
        message = f"{part.path} is not of the head '{head.id}'."
        raise MienError(ErrorCode.BAD_HEAD, message, "Add texture_data_256.npy again with 'mien models add'.")
    return DenseMesh(pixels, faces, corners, torch.from_numpy(arrays["barycentric"].astype(np.float32)))


def _of_layout(head: HeadDescription) -> DenseMesh:
    """A vertex for each texel whose centre a triangle covers, joined with its neighbours on the same UV island."""
    if not has_uvs(head):
        message = f"The head '{head.id}' has no UV layout, so displacement has no place on it."
        raise MienError(ErrorCode.BAD_HEAD, message, TEMPLATE_REMEDY)
    uv_faces = torch.from_numpy(head.uv_faces.astype(np.int64))
    fragments = uv_fragments(torch.from_numpy(head.uv), uv_faces, MAP_SIZE)
    face = fragments.pix_to_face[0].flatten()
    pixels = torch.nonzero(face >= 0).flatten()
    corners = torch.from_numpy(head.faces.astype(np.int64))[face[pixels]]
    island = torch.full_like(face, -1)
    island[pixels] = _islands(uv_faces, len(head.uv))[face[pixels]]
    number = torch.full_like(face, -1)
    number[pixels] = torch.arange(len(pixels))
    return DenseMesh(pixels, _grid(number, island), corners, fragments.bary[0].reshape(-1, 3)[pixels])


def _islands(uv_faces: Tensor, count: int) -> Tensor:
    """(F,) which connected part of the UV layout each triangle belongs to."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    faces = uv_faces.numpy()
    ends = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]]])
    graph = coo_matrix((np.ones(len(ends)), ends.T), shape=(count, count))
    return torch.from_numpy(connected_components(graph, directed=False)[1].astype(np.int64))[uv_faces[:, 0]]


def _grid(number: Tensor, island: Tensor) -> Tensor:
    """(M, 3) two triangles for each cell of four texels of one island, one for three."""
    texel = torch.arange(MAP_SIZE**2).view(MAP_SIZE, MAP_SIZE)
    a, b, c, d = (texel[y : y - 1 or None, x : x - 1 or None].flatten() for y in (0, 1) for x in (0, 1))
    halves = [torch.stack(corners, 1) for corners in ((a, c, b), (b, c, d))]
    # Where only the other diagonal's triangles are whole.
    others = [torch.stack(corners, 1) for corners in ((a, c, d), (a, d, b))]
    parts = island[torch.stack((a, b, c, d), 1)]
    lacks_a, lacks_d = parts[:, 0] < 0, parts[:, 3] < 0
    turned = ((parts[:, 1] < 0) ^ (parts[:, 2] < 0)) & ~lacks_a & ~lacks_d
    found = torch.cat([*(half[~turned] for half in halves), *(other[turned] for other in others)])
    kept = island[found]
    whole = (kept >= 0).all(1) & (kept == kept[:, :1]).all(1)
    return number[found[whole]]
