# SPDX-License-Identifier: GPL-3.0-or-later
"""Where faces might be: the detector over the whole picture, then over enlarged tiles.

The detector sees 128x128 pixels and finds faces from 15 % of its field up to all of it (measured: scores above 0.75 at
14 %, none under 10 %). Each level about halves the field, so it has to find only the faces of 15 to 30 % of its field
that the level before was too coarse for; tiles overlap by 40 % so that each of those lies whole in one tile. Tiles that
a face already found fills are left out. The levels end where 15 % of the field is `SMALLEST` pixels of the picture, or
of a picture reduced to `SEARCH_SIDE`: 11 runs of about 1 ms for 512x512, about 150 for 12 megapixels.

The whole picture is searched plain and mirrored; of the tiles those on the right half are mirrored. So the mirrored
picture gives the mirrored candidates, but for those that only a tile in the very middle shows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

SEARCH_SIDE = 2048
"""Longer side in pixels of the picture that is searched; a larger one is reduced first."""
SMALLEST = 40
"""Smallest face in pixels that is looked for with certainty; about two thirds of those of 30 pixels turn up too."""
FIELD = 128
"""Side of the detector's input in pixels."""
COARSEST_FRACTION = 0.15
"""Smallest detector box as a fraction of the field that is found reliably."""
OVERLAP = 0.4
FILLED = 0.6
"""A tile of which a known face covers this much is not searched."""
SURROUNDINGS = 4.0
"""Side of the part that is searched around a lost face over the face's size."""
SAME = 0.3
"""Candidates whose boxes overlap by more than this (intersection over union) are one."""


@dataclass(frozen=True)
class Candidate:
    """A place that may hold a face, in full-frame pixels.

    Attributes:
        box: (4,) x0, y0, x1, y1, brows to chin.
        keypoints: (6,2) the person's right eye, left eye, nose tip, mouth, right ear, left ear.
        score: Highest detector score in [0,1] among the hits that were merged.
    """

    box: np.ndarray
    keypoints: np.ndarray
    score: float


@dataclass(frozen=True)
class Tile:
    """A part of the picture at the resolution the detector wants, and how to get back.

    Attributes:
        pixels: (h,w,3) uint8, already mirrored where `to_frame` says so.
        to_frame: (2,3) transform of its pixels to full-frame pixels.
        mirrored: Whether it is flipped, so that left and right keypoints change places.
    """

    pixels: np.ndarray
    to_frame: np.ndarray
    mirrored: bool



def whole(pixels: np.ndarray) -> list[Tile]:
    """The whole picture at the detector's resolution, plain and mirrored."""
    level = _reduced(pixels, max(pixels.shape[:2]))
    height, width = level.shape[:2]
    return [_tile(pixels, level, (0, 0, width, height), mirrored) for mirrored in (False, True)]


def turned(pixels: np.ndarray) -> list[Tile]:
    """The whole picture turned by 90, 180 and 270 degrees, for pictures that lie on their side."""
    level = _reduced(pixels, max(pixels.shape[:2]))
    plain = _tile(pixels, level, (0, 0, level.shape[1], level.shape[0]), mirrored=False)
    tiles = []
    for quarters in (1, 2, 3):
        turned_pixels = np.rot90(level, quarters)
        tiles.append(Tile(turned_pixels, _compose(plain.to_frame, _unturn(level.shape, quarters)), False))
    return tiles


def around(pixels: np.ndarray, box: np.ndarray) -> list[Tile]:
    """The surroundings of a box at the detector's resolution, plain and mirrored; none outside the picture.

    Args:
        pixels: (H,W,3) uint8.
        box: (4,) x0, y0, x1, y1 of a face that was there.
    """
    height, width = pixels.shape[:2]
    reach = SURROUNDINGS / 2 * float((box[2:] - box[:2]).mean())
    middle = (box[:2] + box[2:]) / 2
    left, right = max(0, math.floor(middle[0] - reach)), min(width, math.ceil(middle[0] + reach))
    top, bottom = max(0, math.floor(middle[1] - reach)), min(height, math.ceil(middle[1] + reach))
    if left >= right or top >= bottom:
        return []
    tiles = whole(pixels[top:bottom, left:right])
    shift = np.array([[0.0, 0.0, left], [0.0, 0.0, top]])
    return [replace(tile, to_frame=tile.to_frame + shift) for tile in tiles]


def levels(pixels: np.ndarray) -> list[float]:
    """Fields of the tile levels in full-frame pixels, coarse to fine, without the whole picture."""
    longest = max(pixels.shape[:2])
    smallest = SMALLEST * max(1.0, longest / SEARCH_SIDE)
    finest = smallest / COARSEST_FRACTION
    # 0.3: the last bit of a factor of two is left to the detector's reserve.
    count = math.ceil(math.log2(longest / finest) - 0.3) if longest > finest else 0
    return [longest * (finest / longest) ** (level / count) for level in range(1, count + 1)]


def tiles(pixels: np.ndarray, field: float, known: Sequence[np.ndarray]) -> Iterator[Tile]:
    """Overlapping tiles of one level, without those that a known face fills.

    Args:
        pixels: (H,W,3) uint8.
        field: Side of a tile in full-frame pixels.
        known: Boxes (4,) of the faces found so far.
    """
    level = _reduced(pixels, field)
    height, width = level.shape[:2]
    scale = np.array([pixels.shape[1] / width, pixels.shape[0] / height] * 2)
    for top in _starts(height):
        for left in _starts(width):
            part = (left, top, min(left + FIELD, width), min(top + FIELD, height))
            if not _filled(np.array(part) * scale, known):
                yield _tile(pixels, level, part, mirrored=left + part[2] > width)


def merged(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Overlapping candidates averaged with their scores as weights, best first."""
    rest = sorted(candidates, key=lambda candidate: -candidate.score)
    result = []
    while rest:
        same = [other for other in rest if overlap(rest[0].box, other.box) > SAME]
        rest = [other for other in rest if overlap(rest[0].box, other.box) <= SAME]
        weights = [candidate.score for candidate in same]
        box = np.average([candidate.box for candidate in same], axis=0, weights=weights)
        keypoints = np.average([candidate.keypoints for candidate in same], axis=0, weights=weights)
        result.append(Candidate(box, keypoints, same[0].score))
    return result


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two boxes (4,) x0, y0, x1, y1."""
    shared = _area(np.concatenate([np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])]))
    return shared / max(_area(one) + _area(other) - shared, 1e-9)


def _area(box: np.ndarray) -> float:
    return float(max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1]))


def _filled(part: np.ndarray, known: Sequence[np.ndarray]) -> bool:
    for box in known:
        inside = np.concatenate([np.maximum(part[:2], box[:2]), np.minimum(part[2:], box[2:])])
        if _area(inside) > FILLED * _area(part):
            return True
    return False


def _reduced(pixels: np.ndarray, field: float) -> np.ndarray:
    """The picture scaled so that `field` pixels become the detector's input."""
    scale = FIELD / field
    size = tuple(max(1, round(n * scale)) for n in (pixels.shape[1], pixels.shape[0]))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)


def _starts(length: int) -> list[int]:
    """Starts of evenly spread tiles, symmetrical about the middle."""
    last = length - FIELD
    if last <= 0:
        return [0]
    count = 2 + int((last - 1) // (FIELD * (1 - OVERLAP)))
    left = [round(last * index / (count - 1)) for index in range((count + 1) // 2)]
    return left + [last - start for start in reversed(left[: count // 2])]


def _tile(pixels: np.ndarray, level: np.ndarray, part: tuple[int, int, int, int], mirrored: bool) -> Tile:
    left, top, right, bottom = part
    scale_x, scale_y = pixels.shape[1] / level.shape[1], pixels.shape[0] / level.shape[0]
    cut = level[top:bottom, left:right]
    to_frame = np.array([[scale_x, 0.0, left * scale_x], [0.0, scale_y, top * scale_y]])
    if mirrored:
        cut = cut[:, ::-1]
        to_frame[0] = (-scale_x, 0.0, right * scale_x)
    return Tile(cut, to_frame, mirrored)


def _unturn(shape: tuple[int, ...], quarters: int) -> np.ndarray:
    """(2,3) transform of the pixels of `np.rot90(level, quarters)` to those of the level."""
    height, width = shape[:2]
    return {
        1: np.array([[0.0, -1.0, width], [1.0, 0.0, 0.0]]),
        2: np.array([[-1.0, 0.0, width], [0.0, -1.0, height]]),
        3: np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, height]]),
    }[quarters]


def _compose(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    linear = outer[:, :2] @ inner[:, :2]
    return np.column_stack([linear, outer[:, :2] @ inner[:, 2] + outer[:, 2]])
