# SPDX-License-Identifier: GPL-3.0-or-later
"""The z-buffer of `raster`, compiled by numba for a CPU: the same numbers in the same order, so the same pixels.

Optional: `rasterisers` imports this where numba is installed. The first call compiles, for some seconds; what was
compiled is kept beside this file or, where that cannot be written, in numba's own folder.
"""

from __future__ import annotations

import numpy as np
import torch
from numba import njit
from torch import Tensor

from backend.rendering.raster import EMPTY, MIN_AREA, SLACK_PIXELS, SLACK_RELATIVE, centres

_compiled = njit(cache=True, nogil=True, error_model="numpy")
_part = njit(inline="always", error_model="numpy")
_LEAST, _WIDER, _ONE, _LOW, _HIGH = range(5)
"""Places of the constants. They come as an array of the vertices' type: with Python's numbers float32 would become
float64, and the sums would no longer be torch's."""


def visible_faces(vertices: Tensor, faces: Tensor, size: tuple[int, int]) -> Tensor:
    """The nearest face of each pixel, as `raster.visible_faces`; tensors of other devices go to the CPU and back."""
    points = vertices.detach().cpu().contiguous()
    ys, xs = (centres(count, points).numpy() for count in size)
    dtype = points.numpy().dtype
    halves = np.array(size, dtype) * dtype.type(0.5)
    constants = np.array([MIN_AREA, SLACK_RELATIVE, 1, 0.5 + SLACK_PIXELS, 0.5 - SLACK_PIXELS], dtype)
    keys = np.full((len(points), *size), EMPTY, np.int64)
    _draw(points.numpy(), faces.long().cpu().contiguous().numpy(), ys, xs, halves, constants, keys)
    return torch.from_numpy(np.where(keys == EMPTY, -1, keys & 0xFFFFFFFF)).to(vertices.device)


@_compiled
def _draw(points, faces, ys, xs, halves, constants, keys):
    """Lower the keys (B, H, W) to depth << 32 | face of the nearest triangle."""
    corners, edges = np.empty((3, 3), points.dtype), np.empty((3, 4), points.dtype)
    depth = np.empty(1, np.float32)
    bits = depth.view(np.int32)
    for image in range(len(points)):
        for face in range(len(faces)):
            for corner in range(3):
                for axis in range(3):
                    corners[corner, axis] = points[image, faces[face, corner], axis]
            low = min(corners[0, 1], corners[1, 1], corners[2, 1])
            high = max(corners[0, 1], corners[1, 1], corners[2, 1])
            first, last = _between(low, high, halves[0], len(ys), constants)
            if first > last or not _prepare(corners, faces[face], constants, edges):
                continue
            for row in range(first, last + 1):
                left, right = _span(edges, ys[row], constants)
                start, stop = _between(left, right, halves[1], len(xs), constants)
                for column in range(start, stop + 1):
                    if _depth(edges, corners, xs[column], ys[row], depth):
                        ordered = bits[0] ^ ((bits[0] >> 31) & 0x7FFFFFFF)
                        key = (np.int64(ordered) << 32) | face
                        keys[image, row, column] = min(keys[image, row, column], key)


@_part
def _prepare(corners, vertices, constants, edges):
    """Whether a triangle can be drawn; sets x, dy, y, dx of the edge opposite each corner, as `raster._edge`."""
    a, b, c = corners[0], corners[1], corners[2]
    area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    one = constants[_ONE]
    left, right = min(a[0], b[0], c[0]), max(a[0], b[0], c[0])
    if not np.isfinite(area + a[2] + b[2] + c[2]) or abs(area) <= constants[_LEAST] or left > one or right < -one:
        return False
    for corner in range(3):
        i, j = (corner + 1) % 3, (corner + 2) % 3
        swap = vertices[i] > vertices[j]
        if swap:
            i, j = j, i
        dx, dy = corners[j, 0] - corners[i, 0], corners[j, 1] - corners[i, 1]
        if swap != (area > 0):
            dx, dy = -dx, -dy
        edges[corner, 0], edges[corner, 1], edges[corner, 2], edges[corner, 3] = corners[i, 0], dy, corners[i, 1], dx
    return True


@_part
def _between(low, high, half, count, constants):
    """First and last pixel whose centres lie in [low, high], as `raster._pixels_between`."""
    begin = (low + constants[_ONE]) * half - constants[_LOW]
    end = (high + constants[_ONE]) * half - constants[_HIGH]
    first = 0 if not begin > 0 else count if begin > count else int(np.ceil(begin))
    last = -1 if not end > -1 else count - 1 if end > count - 1 else int(np.floor(end))
    return first, last


@_part
def _span(edges, y, constants):
    """Between which x a row may be inside, as `raster._columns`."""
    left, right = -constants[_ONE] * np.inf, constants[_ONE] * np.inf
    for corner in range(3):
        slope = edges[corner, 1]
        offset = ((y - edges[corner, 2]) * edges[corner, 3]) / slope
        bound, slack = edges[corner, 0] + offset, abs(offset) * constants[_WIDER]
        if np.isfinite(bound):
            if slope > 0:
                left = max(left, bound - slack)
            elif slope < 0:
                right = min(right, bound + slack)
    return left, right


@_part
def _depth(edges, corners, x, y, depth):
    """Whether a pixel is inside the triangle; sets its depth."""
    of_a, of_b, of_c = _weight(edges, 0, x, y), _weight(edges, 1, x, y), _weight(edges, 2, x, y)
    if not (of_a >= 0 and of_b >= 0 and of_c >= 0):
        return False
    depth[0] = (of_a * corners[0, 2] + of_b * corners[1, 2] + of_c * corners[2, 2]) / (of_a + of_b + of_c)
    return True


@_part
def _weight(edges, corner, x, y):
    """How far inside an edge a pixel is, in twice the area of the triangle with it."""
    return (x - edges[corner, 0]) * edges[corner, 1] - (y - edges[corner, 2]) * edges[corner, 3]
