# SPDX-License-Identifier: GPL-3.0-or-later
"""A z-buffer in plain torch: which triangle each pixel sees, and where on it.

Frame: x right, y down, NDC [-1, 1] over width and height, smaller z nearer; pixel (row r, column c) has its centre at
(-1 + (2c + 1) / W, -1 + (2r + 1) / H). Both sides of a triangle are drawn. Visibility has no gradient; the barycentric
weights are computed anew at the visible pixels with gradient, as pytorch3d's hard rasterisation does.

How: triangles are cut into pixel rows, rows into pixels (ragged arrays, in chunks, so memory stays bounded whatever
the sizes of triangles and image), and each pixel keeps the smallest packed key depth << 32 | face. A shared edge is
evaluated from the same end in both triangles, so a mesh has no cracks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

_CHUNK = 1 << 20
"""Ragged elements handled at once; about 100 MB of temporaries."""
_MIN_AREA = 1e-10
"""Doubled NDC area under which a triangle counts as degenerate."""
_SLACK_PIXELS = 0.01
_SLACK_RELATIVE = 1e-5
_EMPTY = torch.iinfo(torch.int64).max


@dataclass(frozen=True)
class Fragments:
    """What each pixel sees.

    Attributes:
        pix_to_face: (B, H, W) int64 index into the faces, -1 where empty.
        bary: (B, H, W, 3) barycentric weights, 0 where empty.
        zbuf: (B, H, W) interpolated z, 0 where empty.
    """

    pix_to_face: Tensor
    bary: Tensor
    zbuf: Tensor

    @property
    def mask(self) -> Tensor:
        """(B, H, W) bool: pixels that see a triangle."""
        return self.pix_to_face >= 0


class _Edges(NamedTuple):
    """Three edges of each triangle as lines: origin (T, 3), direction (T, 3), pointing so that inside is positive."""

    x: Tensor
    y: Tensor
    dx: Tensor
    dy: Tensor


def rasterize(vertices: Tensor, faces: Tensor, size: tuple[int, int]) -> Fragments:
    """Draw triangles into a z-buffer.

    Triangles with a vertex that is not finite, and degenerate ones, are not drawn. Ties in depth go to the lowest face.

    Args:
        vertices: (B, V, 3) float, see the module for the frame.
        faces: (F, 3) integer, shared by the batch.
        size: height and width in pixels.

    Returns:
        The fragments; `bary` and `zbuf` carry gradients to `vertices`.
    """
    faces = faces.long()
    with torch.no_grad():
        pix_to_face = visible_faces(vertices, faces, size)
    bary = vertices.new_zeros(*pix_to_face.shape, 3)
    zbuf = vertices.new_zeros(pix_to_face.shape)
    seen = pix_to_face >= 0
    image, row, column = seen.nonzero(as_tuple=True)
    if len(image):
        corners = vertices[image[:, None], faces[pix_to_face[seen]]]
        centres = torch.stack((_centres(size[1], vertices)[column], _centres(size[0], vertices)[row]), -1)
        weights = _barycentric(corners[..., :2], centres)
        bary[seen] = weights
        zbuf[seen] = (weights * corners[..., 2]).sum(-1)
    return Fragments(pix_to_face, bary, zbuf)


def interpolate(fragments: Fragments, faces: Tensor, attributes: Tensor) -> Tensor:
    """Values at the pixels from values at the vertices.

    Args:
        fragments: of `rasterize`.
        faces: (F, 3) rows of `attributes` at the corners of each drawn triangle (the mesh's faces, or its UV faces).
        attributes: (B, V, C), or (V, C) shared by the batch.

    Returns:
        (B, H, W, C), 0 where empty, with gradient to the attributes and through the barycentric weights.
    """
    seen = fragments.mask
    corners = faces.long()[fragments.pix_to_face[seen]]
    if attributes.dim() == 2:
        values = attributes[corners]
    else:
        values = attributes[seen.nonzero(as_tuple=True)[0][:, None], corners]
    picked = (values * fragments.bary[seen][..., None]).sum(1)
    image = picked.new_zeros(*seen.shape, attributes.shape[-1])
    image[seen] = picked
    return image


def visible_faces(vertices: Tensor, faces: Tensor, size: tuple[int, int]) -> Tensor:
    """The nearest face of each pixel, (B, H, W) int64, -1 where empty; arguments as for `rasterize`."""
    batch, (height, width), count = len(vertices), size, len(faces)
    keys = torch.full((batch * height * width,), _EMPTY, dtype=torch.int64, device=vertices.device)
    triangles = vertices.detach()[:, faces].flatten(0, 1)
    order = torch.arange(batch * count, device=vertices.device)
    first, rows = _row_span(triangles, height)
    kept = (rows > 0).nonzero()[:, 0]
    triangles, order, first, rows = triangles[kept], order[kept], first[kept], rows[kept]
    edges, depth = _edges(triangles, faces[order % count]), triangles[..., 2]
    image_start = torch.div(order, count, rounding_mode="floor") * height
    face = order % count
    xs, ys = _centres(width, vertices), _centres(height, vertices)
    for owner, local in _ragged(rows):
        row = first[owner] + local
        left, columns, line = _column_span(edges, owner, ys[row], width)
        start = (image_start[owner] + row) * width
        for of_row, offset in _ragged(columns):
            column = left[of_row] + offset
            triangle = owner[of_row]
            across = xs[column][:, None] - edges.x[triangle]
            inside = across * edges.dy[triangle] - line[of_row]
            hit = (inside >= 0).all(1).nonzero()[:, 0]
            inside, triangle = inside[hit], triangle[hit]
            z = (inside * depth[triangle]).sum(1) / inside.sum(1)
            pixel = start[of_row[hit]] + column[hit]
            keys.scatter_reduce_(0, pixel, _packed(z, face[triangle]), "amin")
    return torch.where(keys == _EMPTY, -1, keys & 0xFFFFFFFF).view(batch, height, width)


def _centres(count: int, like: Tensor) -> Tensor:
    """NDC coordinate of the pixel centres along one axis."""
    return (2 * torch.arange(count, dtype=like.dtype, device=like.device) + 1) / count - 1


def _barycentric(corners: Tensor, points: Tensor) -> Tensor:
    """Weights (N, 3) of points (N, 2) in triangles (N, 3, 2)."""
    to_corner = corners - points[:, None]
    after, last = to_corner.roll(-1, 1), to_corner.roll(-2, 1)
    doubled = after[..., 0] * last[..., 1] - after[..., 1] * last[..., 0]
    return doubled / doubled.sum(1, keepdim=True)


def _row_span(triangles: Tensor, height: int) -> tuple[Tensor, Tensor]:
    """First pixel row and number of rows of each triangle (T, 3, 3); none for those that cannot be drawn."""
    a, b, c = triangles[..., :2].unbind(1)
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    drawable = triangles.isfinite().all(2).all(1) & (area.abs() > _MIN_AREA)
    low, high = triangles[..., 1].aminmax(dim=1)
    first, rows = _pixels_between(low, high, height)
    beside = (triangles[..., 0] < -1).all(1) | (triangles[..., 0] > 1).all(1)
    return first, torch.where(drawable & ~beside, rows, 0)


def _pixels_between(low: Tensor, high: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """First pixel and number of pixels whose centres lie in [low, high] (NDC, a little more for safety)."""
    first = ((low + 1) * (0.5 * count) - (0.5 + _SLACK_PIXELS)).clamp(0, count).nan_to_num(0).ceil().long()
    last = ((high + 1) * (0.5 * count) - (0.5 - _SLACK_PIXELS)).clamp(-1, count - 1).nan_to_num(-1).floor().long()
    return first, (last - first + 1).clamp(min=0)


def _edges(triangles: Tensor, faces: Tensor) -> _Edges:
    """The edge opposite each corner, begun at its lower-numbered vertex whichever triangle it belongs to."""
    points = triangles[..., :2]
    begin, end = points.roll(-1, 1), points.roll(-2, 1)
    swap = (faces.roll(-1, 1) > faces.roll(-2, 1))[..., None]
    origin = torch.where(swap, end, begin)
    direction = torch.where(swap, begin, end) - origin
    a, b, c = points.unbind(1)
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    sign = torch.where(swap[..., 0], 1.0, -1.0) * area.sign()[:, None]
    direction = direction * sign[..., None]
    return _Edges(origin[..., 0], origin[..., 1], direction[..., 0], direction[..., 1])


def _column_span(edges: _Edges, owner: Tensor, y: Tensor, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Columns of a row of a triangle that may be inside it, and the row's part of the edge functions (R, 3)."""
    line = (y[:, None] - edges.y[owner]) * edges.dx[owner]
    slope, origin = edges.dy[owner], edges.x[owner]
    offset = line / slope
    slack = offset.abs() * _SLACK_RELATIVE
    bound = origin + offset
    far = torch.full_like(bound, torch.inf)
    left = torch.where((slope > 0) & bound.isfinite(), bound - slack, -far).amax(1)
    right = torch.where((slope < 0) & bound.isfinite(), bound + slack, far).amin(1)
    first, columns = _pixels_between(left, right, width)
    return first, columns, line


def _packed(z: Tensor, face: Tensor) -> Tensor:
    """Keys that sort by depth, then by face."""
    bits = z.float().view(torch.int32)
    ordered = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    return (ordered.long() << 32) | face


def _ragged(counts: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Elements of rows of different length, in chunks: (row, position in the row) of each element."""
    ends = counts.cumsum(0)
    total = int(ends[-1]) if len(ends) else 0
    begins = ends - counts
    for start in range(0, total, _CHUNK):
        stop = min(start + _CHUNK, total)
        if total > _CHUNK:
            here = (torch.minimum(ends, ends.new_tensor(stop)) - begins.clamp(min=start)).clamp(min=0)
        else:
            here = counts
        rows = torch.arange(len(counts), device=counts.device)
        owner = torch.repeat_interleave(rows, here, output_size=stop - start)
        yield owner, torch.arange(start, stop, device=counts.device) - begins[owner]
