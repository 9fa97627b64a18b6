# SPDX-License-Identifier: GPL-3.0-or-later
"""A z-buffer in plain torch: which triangle each pixel sees, and where on it.

Frame: x right, y down, NDC [-1, 1] over width and height, smaller z nearer; pixel (row r, column c) has its centre at
(-1 + (2c + 1) / W, -1 + (2r + 1) / H). Both sides of a triangle are drawn. Visibility has no gradient; the barycentric
weights are computed anew at the visible pixels with gradient, as pytorch3d's hard rasterisation does.

Who finds what is visible is for `rasterisers` to choose. Ours for any device: triangles are cut into pixel rows, rows
into pixels (ragged arrays, in chunks, so memory stays bounded whatever the sizes of triangles and image), and each
pixel keeps the smallest packed key depth << 32 | face. A shared edge is evaluated from the same end in both triangles,
so a mesh has no cracks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

_CHUNK = 1 << 18
"""Ragged elements handled at once: some 30 MB of temporaries, which a CPU's cache still helps with."""
MIN_AREA = 1e-10
"""Doubled NDC area under which a triangle counts as degenerate."""
SLACK_PIXELS = 0.01
SLACK_RELATIVE = 1e-5
EMPTY = torch.iinfo(torch.int64).max
"""Key of a pixel that sees nothing."""

Visibility = Callable[[Tensor, Tensor, tuple[int, int]], Tensor]
"""Finds the nearest face of each pixel: takes and gives what `visible_faces` does."""


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


class _Triangles(NamedTuple):
    """What the inner loops need of each triangle.

    The edge opposite each corner is a line: origin (x, y) and direction (dx, dy), turned so that inside is positive.
    """

    first: Tensor
    """(T,) first pixel row."""
    rows: Tensor
    """(T,) number of pixel rows; 0 for triangles that cannot be drawn."""
    table: Tensor
    """(15, T): x, dy, y, dx of the three edges, z of the three corners."""


def rasterize(
    vertices: Tensor, faces: Tensor, size: tuple[int, int], visibility: Visibility | None = None
) -> Fragments:
    """Draw triangles into a z-buffer.

    Triangles with a vertex that is not finite, and degenerate ones, are not drawn. Ties in depth go to the lowest face.

    Args:
        vertices: (B, V, 3) float, see the module for the frame.
        faces: (F, 3) integer, shared by the batch.
        size: height and width in pixels.
        visibility: what finds the visible faces, from `rasterisers`; `visible_faces` by default.

    Returns:
        The fragments; `bary` and `zbuf` carry gradients to `vertices`.
    """
    faces = faces.long()
    with torch.no_grad():
        pix_to_face = (visibility or visible_faces)(vertices, faces, size)
        seen = _seen(pix_to_face)
        points = _seen_centres(seen, size, vertices)
    corners = _at_corners(vertices, faces, pix_to_face, seen)
    weights = _barycentric(corners, points)
    shape, pixels = pix_to_face.shape, pix_to_face.numel()
    bary = vertices.new_zeros(pixels, 3).index_copy(0, seen, weights.t()).view(*shape, 3)
    zbuf = vertices.new_zeros(pixels).index_copy(0, seen, (weights * corners[..., 2]).sum(0)).view(shape)
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
    seen = _seen(fragments.pix_to_face)
    corners = _at_corners(attributes, faces.long(), fragments.pix_to_face, seen)
    weights = fragments.bary.view(-1, 3).index_select(0, seen).t()
    values = (corners * weights[..., None]).sum(0)
    image = values.new_zeros(fragments.pix_to_face.numel(), values.shape[1]).index_copy(0, seen, values)
    return image.view(*fragments.pix_to_face.shape, -1)


def _seen(pix_to_face: Tensor) -> Tensor:
    """(N,) flat indices of the pixels that see a face."""
    return (pix_to_face.flatten() >= 0).nonzero()[:, 0]


def _seen_centres(seen: Tensor, size: tuple[int, int], like: Tensor) -> tuple[Tensor, Tensor]:
    """x and y (N,) of the pixels' centres."""
    xs, ys = centres(size[1], like), centres(size[0], like)
    column = seen % size[1]
    row = torch.div(seen - column, size[1], rounding_mode="floor") % size[0]
    return xs.index_select(0, column), ys.index_select(0, row)


def _at_corners(values: Tensor, faces: Tensor, pix_to_face: Tensor, seen: Tensor) -> Tensor:
    """Values (B, V, C) or (V, C) at the three corners of the seen faces: (3, N, C)."""
    index = faces.t().index_select(1, pix_to_face.flatten().index_select(0, seen))
    if values.dim() == 3 and len(values) > 1:
        image = torch.div(seen, pix_to_face[0].numel(), rounding_mode="floor")
        index = index + image * values.shape[1]
    return values.reshape(-1, values.shape[-1]).index_select(0, index.flatten()).unflatten(0, (3, -1))


def visible_faces(vertices: Tensor, faces: Tensor, size: tuple[int, int]) -> Tensor:
    """The nearest face of each pixel, (B, H, W) int64, -1 where empty; arguments as for `rasterize`."""
    if vertices.device.type == "mps":  # it has no scatter-min of 64-bit integers
        return visible_faces(vertices.cpu(), faces.cpu(), size).to(vertices.device)
    batch, (height, width), count = len(vertices), size, len(faces)
    keys = torch.full((batch * height * width,), EMPTY, dtype=torch.int64, device=vertices.device)
    corners = vertices.detach().index_select(1, faces.flatten()).view(batch * count, 9).t().contiguous()
    triangles = _triangles(corners, faces.repeat(batch, 1).t().contiguous(), height)
    face = torch.arange(count, device=vertices.device).repeat(batch)
    image_row = torch.arange(batch, device=vertices.device).repeat_interleave(count) * height + triangles.first
    xs, ys = centres(width, vertices), centres(height, vertices)
    for owner, local in _ragged(triangles.rows):
        y = ys.index_select(0, triangles.first.index_select(0, owner) + local)
        left, columns, table = _columns(triangles.table.index_select(1, owner), y, width)
        start = (image_row.index_select(0, owner) + local) * width + left
        owner_face = face.index_select(0, owner)
        for row, offset in _ragged(columns):
            x = xs.index_select(0, left.index_select(0, row) + offset)
            inside, z = _depth(table.index_select(1, row), x)
            key = torch.where(inside, _packed(z, owner_face.index_select(0, row)), EMPTY)
            keys.scatter_reduce_(0, start.index_select(0, row) + offset, key, "amin")
    return torch.where(keys == EMPTY, -1, keys & 0xFFFFFFFF).view(batch, height, width)


def centres(count: int, like: Tensor) -> Tensor:
    """NDC coordinate of the pixel centres along one axis."""
    return (2 * torch.arange(count, dtype=like.dtype, device=like.device) + 1) / count - 1


def _barycentric(corners: Tensor, points: tuple[Tensor, Tensor]) -> Tensor:
    """Weights (3, N) of points in triangles (3, N, >=2)."""
    x, y = corners[..., 0] - points[0], corners[..., 1] - points[1]
    doubled = x.roll(-1, 0) * y.roll(-2, 0) - y.roll(-1, 0) * x.roll(-2, 0)
    return doubled / doubled.sum(0)


def _triangles(corners: Tensor, faces: Tensor, height: int) -> _Triangles:
    """Prepare triangles from their corners (9, T) as x, y, z of each, and their vertices (3, T)."""
    x, y, z = corners[0::3], corners[1::3], corners[2::3]
    area = (x[1] - x[0]) * (y[2] - y[0]) - (y[1] - y[0]) * (x[2] - x[0])
    left, right = _extremes(x)
    low, high = _extremes(y)
    first, rows = _pixels_between(low, high, height)
    finite = (area + z[0] + z[1] + z[2]).isfinite()
    drawable = finite & (area.abs() > MIN_AREA) & (left <= 1) & (right >= -1)
    sign = area.sign()
    edges = [_edge(x, y, faces, sign, corner) for corner in range(3)]
    table = torch.stack([part for parts in zip(*edges, strict=True) for part in parts] + list(z))
    return _Triangles(first, torch.where(drawable, rows, 0), table)


def _extremes(values: Tensor) -> tuple[Tensor, Tensor]:
    """Smallest and largest of three (3, T)."""
    a, b, c = values
    return torch.minimum(torch.minimum(a, b), c), torch.maximum(torch.maximum(a, b), c)


def _edge(x: Tensor, y: Tensor, faces: Tensor, sign: Tensor, corner: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x, dy, y, dx of the edge opposite a corner, begun at its lower-numbered vertex whichever triangle it is in."""
    i, j = (corner + 1) % 3, (corner + 2) % 3
    swap = faces[i] > faces[j]
    x0, y0 = torch.where(swap, x[j], x[i]), torch.where(swap, y[j], y[i])
    x1, y1 = torch.where(swap, x[i], x[j]), torch.where(swap, y[i], y[j])
    turn = torch.where(swap, sign, -sign)
    return x0, (y1 - y0) * turn, y0, (x1 - x0) * turn


def _pixels_between(low: Tensor, high: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """First pixel and number of pixels whose centres lie in [low, high] (NDC, a little more for safety)."""
    first = ((low + 1) * (0.5 * count) - (0.5 + SLACK_PIXELS)).clamp(0, count).nan_to_num(0).ceil().long()
    last = ((high + 1) * (0.5 * count) - (0.5 - SLACK_PIXELS)).clamp(-1, count - 1).nan_to_num(-1).floor().long()
    return first, (last - first + 1).clamp(min=0)


def _columns(triangles: Tensor, y: Tensor, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """The pixels of rows (R,) of triangles (15, R) that may be inside.

    Returns:
        First column and number of columns of each row, and what is left to evaluate in it (12, R): x, dy and the row's
        constant of the three edge functions, z of the three corners.
    """
    x, slope = triangles[0:3], triangles[3:6]
    line = (y - triangles[6:9]) * triangles[9:12]
    offset = line / slope
    bound = x + offset
    slack = offset.abs() * SLACK_RELATIVE
    sloped = bound.isfinite()
    left = torch.where(sloped & (slope > 0), bound - slack, -torch.inf)
    right = torch.where(sloped & (slope < 0), bound + slack, torch.inf)
    first, columns = _pixels_between(_extremes(left)[1], _extremes(right)[0], width)
    return first, columns, torch.cat((x, slope, line, triangles[12:15]))


def _depth(table: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """Whether points (N,) of rows (12, N) are inside their triangles, and their z."""
    weights = (x - table[0:3]) * table[3:6] - table[6:9]
    inside = _extremes(weights)[0] >= 0
    return inside, (weights * table[9:12]).sum(0) / weights.sum(0)


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
