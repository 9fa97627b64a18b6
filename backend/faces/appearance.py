# SPDX-License-Identifier: GPL-3.0-or-later
"""What a face looks like, as numbers by which one person is told from another in the same clip.

There is no face recognition network that could be shipped. Instead the mesh of the landmarks is laid flat onto a
canonical frontal face, which takes out pose and, but for teeth and wrinkles, expression; the flat picture is freed of
its lighting by dividing through local mean and contrast, and what all faces have in common is taken off. To this come
the colours of the skin. It is enough to tell apart the people of one clip, not to recognise anyone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from backend.faces import topology
from backend.faces.face import Face, frontalness
from backend.faces.following import Followed

GRID = 64
"""Side in pixels of the flat face."""
FINE, COARSE = 1.2, 6.0
"""Standard deviations in flat pixels: what is finer is smoothed away, what is coarser counts as lighting."""
TEXTURE_GRID = 16
COLOUR_GRID = 4
MOUTH_FROM = 0.64
"""Height on the flat face, from the top, from which on the mouth makes a face differ from itself."""
MOUTH_WEIGHT = 0.4
COLOUR_WEIGHT = 0.02
"""Similarity lost per unit of colour difference (root mean square over Lab's a and b). Measured: 0.7 between frames of
one shot, 11 between people, up to 9 for one person under a light of another colour."""
MEMORY = 0.98
"""Share of the weight of what was seen that is left a frame later: the look of about the last 50 frames counts."""
WELL_SEEN = 60.0
"""Width in pixels of a face from which on its look counts in full."""

LOWEST_CONTRAST = 2.0
"""Local contrast in grey levels under which the flat face is noise."""
VISIBLE_FROM, VISIBLE_TO = 0.15, 0.5
"""Area of a triangle in the picture over its area on the flat face, compared with the others, from which on it is seen
at all and in full."""


@dataclass(frozen=True)
class FlatFace:
    """How the landmarks' mesh covers the flat face.

    Attributes:
        corners: (64,64,3) landmarks of the triangle under each pixel.
        weights: (64,64,3) barycentric weights in it.
        triangles: (64,64) index of the triangle.
        inside: (64,64) float32, 1 on the face's skin, 0 around it, in the eyes and in the mouth.
        areas: (852,) doubled areas of the triangles on the flat face.
        texture_cells: (16,16) bool, cells that belong to the texture.
        colour_cells: (4,4) bool.
        emphasis: (T,) weight of each texture cell.
        common: (T,) mean texture of many faces.
    """

    corners: np.ndarray
    weights: np.ndarray
    triangles: np.ndarray
    inside: np.ndarray
    areas: np.ndarray
    texture_cells: np.ndarray
    colour_cells: np.ndarray
    emphasis: np.ndarray
    common: np.ndarray


@lru_cache(1)
def canonical() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The canonical face: points (478,3), mean texture (T,) and mean shape residual (S,), all float32.

    The points are those of the open head's neutral face, made symmetric: x right in the picture, y down, z away from
    the camera, the outer eye corners 1 apart. The means are taken over the seven faces that the tests look at.
    """
    with np.load(Path(__file__).with_name("canonical.npz"), allow_pickle=False) as stored:
        return stored["points"], stored["texture"], stored["shape"]


@lru_cache(1)
def flat_face() -> FlatFace:
    """The canonical face laid flat; computed once."""
    points, common, _ = canonical()
    plane = points[:468, :2].astype(np.float64)
    low, high = plane.min(axis=0), plane.max(axis=0)
    plane = (plane - (low + high) / 2) / (1.02 * (high - low).max()) * GRID + GRID / 2
    triangles = np.full((GRID, GRID), -1)
    weights = np.zeros((GRID, GRID, 3))
    areas = _areas(plane)
    for number, corners in enumerate(plane[topology.TRIANGLES_468]):
        left, top = np.floor(corners.min(axis=0)).astype(int).clip(0, GRID)
        right, bottom = np.ceil(corners.max(axis=0)).astype(int).clip(0, GRID)
        centres = np.stack(np.meshgrid(np.arange(left, right) + 0.5, np.arange(top, bottom) + 0.5), axis=-1)
        parts = np.stack([_area(centres, corners[(k + 1) % 3], corners[(k + 2) % 3]) for k in range(3)], axis=-1)
        parts = parts / areas[number]
        covered = (parts >= -1e-9).all(axis=-1)
        triangles[top:bottom, left:right][covered] = number
        weights[top:bottom, left:right][covered] = parts[covered]
    inside = (triangles >= 0).astype(np.float32)
    triangles = triangles.clip(0)
    texture_cells = _shrunk(inside, TEXTURE_GRID) > 0.5
    height = np.mgrid[:TEXTURE_GRID, :TEXTURE_GRID][0][texture_cells] / TEXTURE_GRID
    return FlatFace(
        corners=topology.TRIANGLES_468[triangles],
        weights=weights,
        triangles=triangles,
        inside=inside,
        areas=areas,
        texture_cells=texture_cells,
        colour_cells=_shrunk(inside, COLOUR_GRID) > 0.5,
        emphasis=np.where(height > MOUTH_FROM, MOUTH_WEIGHT, 1.0).astype(np.float32),
        common=common,
    )


def look(seen: Followed) -> np.ndarray:
    """(A,) float32: texture, then colours, then how much this sighting is worth (`weight`), of one sighting."""
    flat = flattened(seen)
    kept = flat_face()
    own = texture(flat) - kept.common
    own /= max(float(np.linalg.norm(own)), 1e-6)
    lab = cv2.cvtColor(flat / 255, cv2.COLOR_RGB2LAB)[..., 1:] * kept.inside[..., None]
    shares = _shrunk(kept.inside, COLOUR_GRID)[kept.colour_cells]
    colours = _shrunk(lab, COLOUR_GRID)[kept.colour_cells] / shares[:, None]
    return np.concatenate([own, colours.ravel(), [weight(seen.face)]]).astype(np.float32)


def weight(face: Face) -> float:
    """How much the look of one sighting counts, in [0,1]: how sure, frontal and large it is."""
    width = float(face.box[2] - face.box[0])
    return face.presence * frontalness(face.landmarks) ** 2 * min(1.0, width / WELL_SEEN)


def remembered(before: np.ndarray, now: np.ndarray) -> np.ndarray:
    """The look of a track after one more frame: the mean weighted with `weight`, older frames counting less.

    Args:
        before: (A,) what `remembered` or, for the first frame, `look` gave before; the weights' sum is its last number.
        now: (A,) from `look`.
    """
    old, new = float(before[-1]) * MEMORY, float(now[-1])
    mean = (old * before[:-1].astype(np.float64) + new * now[:-1]) / max(old + new, 1e-9)
    return np.append(mean, old + new).astype(np.float32)


def similarity(one: np.ndarray, other: np.ndarray) -> float:
    """Likeness of two looks, (A,) each, of single frames or of tracks.

    Cosine of the textures less the difference of the colours. Measured on the means of about six frames: 0.55 to 0.95
    for one person in one clip, -0.6 to 0.2 (95 % of all pairs) for two.
    """
    size = int(flat_face().texture_cells.sum())
    one, other = one.astype(np.float64), other.astype(np.float64)
    lengths = np.linalg.norm(one[:size]) * np.linalg.norm(other[:size])
    difference = np.sqrt(((one[size:-1] - other[size:-1]) ** 2).mean())
    return float(one[:size] @ other[:size] / max(lengths, 1e-9) - COLOUR_WEIGHT * difference)


def sharpness(seen: Followed) -> np.float32:
    """How sharp a sighting is: the Laplacian's standard deviation over that of the grey values, on the aligned crop.

    Comparable between sightings of one person only: small faces and smooth ones are less sharp by themselves.
    """
    margin = len(seen.crop) // 6  # the crop is 1.5 times the face
    grey = cv2.cvtColor(seen.crop[margin:-margin, margin:-margin], cv2.COLOR_RGB2GRAY).astype(np.float32)
    edges = cv2.Laplacian(cv2.GaussianBlur(grey, (0, 0), 1.0), cv2.CV_32F)
    return np.float32(edges.std() / (grey.std() + LOWEST_CONTRAST))


def flattened(seen: Followed) -> np.ndarray:
    """(64,64,3) float32 flat face, [0,255]; what the pose hides is taken from the other half."""
    kept = flat_face()
    to_crop = seen.window.to_sample(len(seen.crop))
    points = seen.face.landmarks[:468, :2].astype(np.float64) @ to_crop[:2, :2].T + to_crop[:2, 2]
    places = np.einsum("hwkc,hwk->hwc", points[kept.corners], kept.weights).astype(np.float32) - 0.5
    flat = cv2.remap(
        seen.crop, places[..., 0], places[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    ).astype(np.float32)
    ratios = _areas(points) / kept.areas
    ratios = ratios[kept.triangles] / max(float(np.percentile(ratios, 60)), 1e-6)
    visible = np.clip((ratios - VISIBLE_FROM) / (VISIBLE_TO - VISIBLE_FROM), 0, 1)[..., None].astype(np.float32)
    own = visible / (visible + (1 - visible) * visible[:, ::-1] + 1e-3)
    return flat * own + flat[:, ::-1] * (1 - own)


def texture(flat: np.ndarray) -> np.ndarray:
    """(T,) float32 grey values of a flat face without its lighting."""
    kept = flat_face()
    inside = kept.inside
    grey = cv2.cvtColor(flat, cv2.COLOR_RGB2GRAY) * inside
    share = cv2.GaussianBlur(inside, (0, 0), COARSE) + 1e-3
    detail = cv2.GaussianBlur(grey, (0, 0), FINE) / (cv2.GaussianBlur(inside, (0, 0), FINE) + 1e-3)
    detail = (detail - cv2.GaussianBlur(grey, (0, 0), COARSE) / share) * inside
    contrast = np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), COARSE) / share) + LOWEST_CONTRAST
    cells = _shrunk(detail / contrast, TEXTURE_GRID) / np.maximum(_shrunk(inside, TEXTURE_GRID), 0.1)
    return cells[kept.texture_cells] * kept.emphasis


def _areas(points: np.ndarray) -> np.ndarray:
    """(852,) doubled signed areas of the mesh's triangles."""
    corners = points[topology.TRIANGLES_468]
    return _area(corners[:, 2], corners[:, 0], corners[:, 1])


def _area(tip: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    side, arm = other - one, tip - one
    return side[..., 0] * arm[..., 1] - side[..., 1] * arm[..., 0]


def _shrunk(picture: np.ndarray, side: int) -> np.ndarray:
    return cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
