# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import torch
from scipy.spatial import ConvexHull

from backend.rendering.tessellation import tessellated


def sphere(count: int = 60) -> tuple[torch.Tensor, torch.Tensor]:
    """Points on the unit sphere and their triangles, counter-clockwise seen from outside."""
    index = np.arange(count)
    height, turn = 1 - (2 * index + 1) / count, np.pi * (3 - np.sqrt(5)) * index
    radius = np.sqrt(1 - height**2)
    points = np.stack((radius * np.cos(turn), height, radius * np.sin(turn)), 1)
    faces = ConvexHull(points).simplices
    a, b, c = (points[faces[:, i]] for i in range(3))
    inward = (np.cross(b - a, c - a) * a).sum(1) < 0
    faces[inward] = faces[inward][:, ::-1]
    return torch.from_numpy(points).float(), torch.from_numpy(faces.astype(np.int64))


def test_a_coarse_sphere_becomes_rounder() -> None:
    points, faces = sphere()
    fine = tessellated(points, points, faces, points)
    assert torch.equal(fine.vertices[: len(points)], points)
    new = len(points)
    flat, lifted = (1 - part[new:].norm(dim=1).mean() for part in (fine.values, fine.vertices))
    assert lifted.abs() < 0.1 * flat


def test_the_split_mesh_is_closed_and_keeps_its_orientation() -> None:
    points, faces = sphere()
    fine = tessellated(points, points, faces, points)
    assert len(fine.faces) == 4 * len(faces)
    assert len(fine.vertices) - 3 * len(faces) // 2 == len(points)
    sides = {(int(a), int(b)) for face in fine.faces for a, b in zip(face, face.roll(-1), strict=True)}
    assert all((b, a) in sides for a, b in sides)
    a, b, c = (fine.vertices[fine.faces[:, i]] for i in range(3))
    assert ((torch.linalg.cross(b - a, c - a) * a).sum(1) > 0).all()
    centres = points[faces][fine.coarse_face].mean(1)
    assert ((a + b + c) / 3 - centres).norm(dim=1).max() < 0.5
