# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaze from iris rays: two eyes that look where the irises say, as far as eyes can."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from backend.reprojection.gaze import CONVERGENCE, LIMIT, eye_rotations
from blender_addon.contract.projection import HEAD_TO_CAMERA

RADIUS = 0.012
JOINTS = np.array([[0.03, 0.02, -1.0], [-0.03, 0.02, -1.0]]) @ HEAD_TO_CAMERA
"""Left, right; camera space, a metre away."""
REST = np.array([[[0, 0, RADIUS]] * 2])


def solved(left, right, seen=(True, True), head=(0, 0, 0)) -> np.ndarray:
    """(2,2) pitch and yaw in degrees, as `eye_rotations` takes them from eyes turned by these pitches and yaws."""
    head_to_camera = HEAD_TO_CAMERA @ Rotation.from_euler("xyz", head, degrees=True).as_matrix()
    turns = [Rotation.from_euler("YX", [yaw, pitch], degrees=True).as_matrix() for pitch, yaw in (left, right)]
    irises = JOINTS + np.stack([turn @ REST[0, 0] for turn in turns]) @ head_to_camera.T
    rays = irises / np.linalg.norm(irises, axis=1, keepdims=True)
    found = eye_rotations(np.zeros((1, 2, 3)), rays[None], JOINTS[None], REST, head_to_camera[None], np.array([seen]))
    sight = np.stack([Rotation.from_rotvec(axis).apply([0, 0, 1]) for axis in found.reshape(2, 3)])
    return np.degrees(np.stack([-np.arcsin(sight[:, 1]), np.arctan2(sight[:, 0], sight[:, 2])], axis=1))


@pytest.mark.parametrize("head", [(0, 0, 0), (10, 35, 20)])
def test_both_eyes_look_where_the_irises_are(head):
    assert np.allclose(solved((-12, 20), (-12, 20), head=head), [[-12, 20]] * 2, atol=0.01)


def test_eyes_converge_on_a_near_thing():
    assert np.allclose(solved((5, -6), (5, 4)), [[5, -6], [5, 4]], atol=0.01)


def test_eyes_neither_diverge_nor_squint():
    assert np.allclose(solved((0, 9), (0, 1)), [[0, 5]] * 2, atol=0.01)
    half = np.degrees(CONVERGENCE) / 2
    assert np.allclose(solved((0, -20), (0, 20)), [[0, -half], [0, half]], atol=0.01)


def test_eyes_turn_no_further_than_they_can():
    assert np.abs(solved((0, 55), (0, 55))).max() == pytest.approx(np.degrees(LIMIT), abs=0.01)


def test_a_hidden_eye_follows_the_other_and_two_hidden_ones_rest():
    assert np.allclose(solved((20, -20), (3, 8), seen=(False, True)), [[3, 8]] * 2, atol=0.01)
    assert np.allclose(solved((20, -20), (3, 8), seen=(False, False)), 0, atol=0.01)
