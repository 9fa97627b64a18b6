# SPDX-License-Identifier: GPL-3.0-or-later
"""Quaternion helpers against scipy's rotations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

from blender_addon.contract import rotations
from blender_addon.contract.placement import face_place, translation_to
from blender_addon.contract.projection import HEAD_TO_CAMERA


def some(count: int = 50, seed: int = 0) -> Rotation:
    return Rotation.random(count, random_state=seed)


def same(quaternions: np.ndarray, wanted: Rotation) -> bool:
    expected = wanted.as_quat()[..., [3, 0, 1, 2]]
    return np.allclose(np.abs((quaternions * expected).sum(axis=-1)), 1, atol=1e-12)


def test_there_and_back() -> None:
    vectors = np.concatenate((some().as_rotvec(), np.zeros((1, 3)), np.full((1, 3), 1e-9)))
    quaternions = rotations.to_quaternions(vectors)
    assert same(quaternions, Rotation.from_rotvec(vectors))
    assert np.allclose(rotations.to_axis_angles(quaternions), vectors, atol=1e-12)


def test_products_turns_and_ways_between() -> None:
    one, other = some(seed=1), some(seed=2)
    left, right = (rotations.to_quaternions(item.as_rotvec()) for item in (one, other))
    assert same(rotations.multiply(left, right), one * other)
    vector = np.array([0.3, -2.0, 1.0])
    assert np.allclose(rotations.rotate(left, vector), one.apply(vector))
    for index in range(5):
        between = Slerp([0, 1], Rotation.concatenate([one[index], other[index]]))(0.3)
        assert same(rotations.slerp(left[index], right[index], np.array(0.3)), between)


def test_power_takes_the_shorter_way() -> None:
    long_way = rotations.to_quaternions(np.array([[0.0, 0.0, 1.5 * np.pi]]))
    half = rotations.to_axis_angles(rotations.power(long_way, np.array([0.5])))
    assert half == pytest.approx(np.array([[0.0, 0.0, -0.25 * np.pi]]))


def test_one_side_in_each_series() -> None:
    angle = np.linspace(-1, 1, 40) + np.pi
    vectors = Rotation.from_rotvec(angle[:, None] * np.array([0.0, 1.0, 0.0])).as_rotvec()
    starts = np.zeros(40, bool)
    starts[[0, 30]] = True
    quaternions = rotations.same_side(rotations.to_quaternions(vectors), starts)
    together = (quaternions[1:] * quaternions[:-1]).sum(axis=-1) > 0
    assert together[np.arange(39) != 29].all()
    assert quaternions[:30, 0].mean() >= 0 and quaternions[30:, 0].mean() >= 0
    assert same(quaternions, Rotation.from_rotvec(vectors))
    assert np.abs(np.diff(rotations.to_axis_angles(quaternions), axis=0))[:29].max() < 0.1


def test_place_of_a_face_and_back() -> None:
    rng = np.random.default_rng(0)
    turned = rng.uniform(-0.6, 0.6, (20, 3))
    moved = rng.uniform(-0.3, 0.3, (20, 3)) + [0, 0, 1]
    place = face_place(turned, moved)
    face = Rotation.from_rotvec(turned).apply([0.0, 0.14, 0.1]) @ HEAD_TO_CAMERA + moved
    assert np.allclose(place, np.stack((face[:, 0] / face[:, 2], face[:, 1] / face[:, 2], np.log(face[:, 2])), axis=1))
    assert np.allclose(translation_to(place, turned), moved)
    assert not np.isfinite(face_place(turned[0], np.array([0.0, 0.0, -1.0]))).all()
