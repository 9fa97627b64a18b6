# SPDX-License-Identifier: GPL-3.0-or-later
"""Zooming a pinhole camera: what it changes, and the derivative of that."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backend.faces.crops import ndc_transforms
from backend.reprojection.cameras import Perspective
from backend.reprojection.start import perspective_to_weak, view_rays, weak_to_perspective
from blender_addon.contract.projection import camera_matrix, to_camera

CROPS = np.array([[[0.5, 0, 60], [0, 0.5, -40], [0, 0, 1]], [[0.8, 0, -700], [0, 0.8, -300], [0, 0, 1]]])
"""A face near the middle of the picture, one near its corner."""


def cameras(focal: float) -> Perspective:
    matrix = ndc_transforms(CROPS) @ camera_matrix(focal, 1280, 720)
    return Perspective(torch.from_numpy(matrix), torch.from_numpy(view_rays(matrix) * 7.0))


@pytest.fixture
def heads():
    random = torch.Generator().manual_seed(0)
    posed = torch.randn(2, 40, 3, generator=random, dtype=torch.float64) * 0.08
    return posed, torch.tensor([[0.02, 0.05, 0.7], [0.3, 0.1, 1.2]], dtype=torch.float64)


def test_a_zoomed_camera_is_the_camera_of_that_focal_length():
    zoomed = cameras(1000.0).zoomed(torch.tensor([1.3, 1.3], dtype=torch.float64).log())
    other = cameras(1300.0)
    assert torch.allclose(zoomed.matrix, other.matrix)
    assert torch.allclose(zoomed.depth_axis, other.depth_axis)


def test_the_derivative_by_the_zoom_is_exact(heads):
    posed, place = heads
    camera = cameras(1000.0)

    def seen(change):
        points, depth = camera.zoomed(change).project(posed, camera.dollied(posed, place, change))
        return torch.cat([points, depth[..., None]], dim=-1)

    zero, one = torch.zeros(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64)
    _, expected = torch.func.jvp(seen, (zero,), (one,))
    assert torch.allclose(camera.by_zoom(posed, place), expected, atol=1e-9)


def test_zooming_keeps_the_size_of_the_head_in_the_picture(heads):
    posed, place = heads
    camera, change = cameras(1000.0), torch.tensor([0.6, 0.6], dtype=torch.float64)

    def size(points):
        return points.std(dim=1).norm(dim=-1)

    before = size(camera.project(posed, place)[0])
    after = size(camera.zoomed(change).project(posed, camera.dollied(posed, place, change))[0])
    alone = size(camera.zoomed(change).project(posed, place)[0])
    assert ((after / before - 1).abs() < 0.1).all()
    assert (alone / before > 1.5).all()


def test_weak_perspective_and_back():
    matrix = cameras(1000.0).matrix.numpy()
    weak = np.array([[7.0, 0.01, -0.02], [5.0, -0.03, 0.04]])
    centre = np.array([[0.01, 0.02, 0.05], [0.0, -0.01, 0.06]])
    translation = weak_to_perspective(weak, matrix, centre)
    assert (to_camera(centre, translation)[:, 2] > 0.1).all()
    assert np.allclose(perspective_to_weak(translation, matrix, centre), weak)
