# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blender_addon.contract.projection import focal_pixels, project, to_camera, weak_project

K = np.array([[800.0, 0, 320], [0, 800, 240], [0, 0, 1]])
FRONT = np.array([0.0, 0.0, 0.5])


def test_a_head_before_the_camera_looks_at_it_upright():
    nose, left_ear, crown = project(np.array([[0, 0, 0.1], [0.08, 0, 0], [0, 0.1, 0]]), FRONT, K)
    np.testing.assert_allclose(nose, [320, 240])
    assert left_ear[0] > 320, "the person's left is on the right of the picture"
    assert crown[1] < 240, "up is towards the top of the picture"


def test_the_face_points_at_the_camera():
    assert to_camera(np.array([0, 0, 0.1]), FRONT)[2] == pytest.approx(0.4)


def test_projection_is_the_pinhole_equation():
    np.testing.assert_allclose(project(np.array([0.1, 0.2, 0.0]), FRONT, K), [320 + 800 * 0.2, 240 - 800 * 0.4])


@given(st.floats(0.1, 10), st.floats(-0.5, 0.5), st.floats(-0.5, 0.5))
def test_weak_projection_in_the_whole_crop(scale, tx, ty):
    point = np.array([0.1, -0.2, 3.0])
    crop = weak_project(point, np.array([scale, tx, ty]), np.eye(3))
    np.testing.assert_allclose(crop, [112 + 112 * scale * (0.1 + tx), 112 - 112 * scale * (-0.2 + ty)])
    double = weak_project(point, np.array([scale, tx, ty]), np.diag([0.5, 0.5, 1.0]))
    np.testing.assert_allclose(double, 2 * crop, atol=1e-6)


def test_focal_length_refers_to_the_longer_side():
    assert focal_pixels(36.0, 1000, 500) == focal_pixels(36.0, 500, 1000) == 1000
