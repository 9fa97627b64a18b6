# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the features of a painted face lie: strokes and areas along the head's own landmarks."""

from __future__ import annotations

import itertools
from functools import lru_cache

import numpy as np

from backend.faces import topology
from blender_addon.contract.head import HeadDescription

NOSTRIL = ((5.2, -23.3, 110.0), (7.3, -23.2, 106.8), (9.2, -23.1, 103.2))
"""Middle of the left nostril on the template, from the tip outwards, millimetres."""
ALA = (360, 279, 331, 294, 327)
"""Landmarks of the left wing of the nose, around it from above."""


def template_landmarks(head: HeadDescription) -> np.ndarray:
    """(478,3) the detector's landmarks on the template, metres."""
    marks = head.landmarks["mediapipe478"]
    return np.einsum("nk,nkd->nd", marks.barycentric.astype(np.float64), head.template[head.faces[marks.faces]])


def folded(points: np.ndarray) -> np.ndarray:
    """Points (...,3) with the person's right half mirrored onto the left."""
    return np.concatenate([np.abs(points[..., :1]), points[..., 1:]], axis=-1)


def smooth(x: np.ndarray) -> np.ndarray:
    """From 0 at x <= 0 to 1 at x >= 1."""
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


def stroke(points: np.ndarray, path: np.ndarray, width: np.ndarray | float) -> np.ndarray:
    """Cover (...) in 0..1 of a soft stroke on both sides of the face.

    Args:
        points: (...,3) places on the template with x >= 0, metres.
        path: (N,3) on the left half.
        width: (N,) or one, at which the cover has fallen to 1/e, metres.
    """
    widths = np.broadcast_to(np.asarray(width, float), len(path))
    reach = 2.5 * widths.max()
    near = ((points > path.min(0) - reach) & (points < path.max(0) + reach)).all(-1)
    at, nearest = points[near], np.full(int(near.sum()), np.inf)
    for (a, b), (wide, other) in zip(itertools.pairwise(path), itertools.pairwise(widths), strict=True):
        span = b - a
        along = ((at - a) @ span / (span @ span)).clip(0, 1)
        away = np.linalg.norm(at - a - along[:, None] * span, axis=-1)
        nearest = np.minimum(nearest, away / (wide + along * (other - wide)))
    cover = np.zeros(points.shape[:-1])
    cover[near] = np.exp(-(nearest**2))
    return cover


def inside(points: np.ndarray, ring: np.ndarray, edge: float) -> np.ndarray:
    """Cover (...) in 0..1 of an area seen from the front, soft by `edge` metres on both sides of its border.

    Args:
        points: (...,3) places on the template, metres.
        ring: (N,2) x and y of the border.
    """
    reach = 3 * edge
    at = points[..., :2]
    near = ((at > ring.min(0) - reach) & (at < ring.max(0) + reach)).all(-1)
    at, closed = at[near], np.concatenate([ring, ring[:1]])
    away, within = np.full(len(at), np.inf), np.zeros(len(at), bool)
    for a, b in itertools.pairwise(closed):
        span = b - a
        along = ((at - a) @ span / (span @ span)).clip(0, 1)
        away = np.minimum(away, np.linalg.norm(at - a - along[:, None] * span, axis=-1))
        if a[1] != b[1]:
            crosses = (a[1] > at[:, 1]) != (b[1] > at[:, 1])
            within ^= crosses & (at[:, 0] < a[0] + (at[:, 1] - a[1]) * span[0] / span[1])
    cover = np.zeros(points.shape[:-1])
    cover[near] = smooth((np.where(within, away, -away) / edge + 1) / 2)
    return cover


@lru_cache(maxsize=2)
def left_marks(head: HeadDescription) -> np.ndarray:
    """(478,3) the mean of the template's landmarks and their mirror image."""
    marks = template_landmarks(head)
    return (marks + marks[topology.MIRROR_478] * [-1, 1, 1]) / 2


def upper_lid(head: HeadDescription) -> np.ndarray:
    """(N,3) edge of the left upper lid from the outer to the inner corner."""
    return left_marks(head)[topology.LEFT_LID_UPPER]


def lower_lid(head: HeadDescription) -> np.ndarray:
    """(N,3) edge of the left lower lid from the outer to the inner corner."""
    return left_marks(head)[topology.LEFT_LID_LOWER]


def jaw_shade(points: np.ndarray, head: HeadDescription) -> np.ndarray:
    """(...) in 0..1: how far a place with x >= 0 is under the jaw."""
    oval = left_marks(head)[[152, 377, 400, 378, 379, 365, 397, 288, 361]]
    x, y, z = np.moveaxis(points, -1, 0)
    height, depth = (np.interp(x, oval[:, 0], oval[:, axis]) for axis in (1, 2))
    under = (height - y) + 0.5 * (depth - z)
    return smooth(under / 0.016) * smooth((height + 0.004 - y) / 0.004)
