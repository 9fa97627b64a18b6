# SPDX-License-Identifier: GPL-3.0-or-later
"""Axes, bones and cameras against Blender's own mathematics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

JOINTS = ("root", "neck", "jaw", "eye.L", "eye.R")
SEEDS = range(6)


def _vectors(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(*shape, 3))


def test_the_face_looks_along_minus_y_with_z_up(mien: Any) -> None:
    axes = mien("axes")
    assert axes.to_blender(np.array([0.0, 0.0, 1.0])).tolist() == [0.0, -1.0, 0.0]
    assert axes.to_blender(np.array([0.0, 1.0, 0.0])).tolist() == [0.0, 0.0, 1.0]
    assert axes.to_blender(np.array([1.0, 0.0, 0.0])).tolist() == [1.0, 0.0, 0.0]
    points = _vectors(0, 4, 7).astype(np.float32)
    assert np.array_equal(axes.to_head(axes.to_blender(points)), points)
    assert axes.to_blender(points).dtype == np.float32
    np.testing.assert_allclose(axes.to_blender(points), points @ axes.HEAD_TO_BLENDER.T, atol=1e-7)


@pytest.mark.parametrize("seed", SEEDS)
def test_rotations_agree_with_blenders(mien: Any, seed: int) -> None:
    from mathutils import Matrix, Quaternion, Vector

    axes = mien("axes")
    scale = (1e-9, 1e-4, 0.1, 1.0, 3.0, 7.0)[seed]
    vectors = scale * _vectors(seed, 5)
    quaternions, matrices = axes.quaternions(vectors), axes.rotation_matrices(vectors)
    np.testing.assert_allclose(np.linalg.norm(quaternions, axis=-1), 1.0, atol=1e-12)
    for vector, quaternion, matrix in zip(vectors, quaternions, matrices, strict=True):
        expected = Matrix.Rotation(np.linalg.norm(vector), 3, Vector(vector))
        np.testing.assert_allclose(matrix, np.array(expected), atol=2e-6)
        np.testing.assert_allclose(matrix, np.array(Quaternion(quaternion).to_matrix()), atol=2e-6)


@pytest.mark.parametrize("joint", JOINTS)
def test_bone_axes_are_rotations_that_keep_x(mien: Any, joint: str) -> None:
    axes = mien("axes")
    basis = axes.bone_axes(joint)
    np.testing.assert_allclose(basis @ basis.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(basis) == pytest.approx(1.0)
    assert basis[:, 0].tolist() == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("joint", JOINTS)
def test_a_turn_in_bone_axes_is_the_turn_in_head_axes(mien: Any, joint: str, seed: int) -> None:
    axes = mien("axes")
    (vector,) = _vectors(seed, 1)
    head = axes.rotation_matrices(vector)
    bone = axes.rotation_matrices(axes.to_bone(joint, vector))
    basis = axes.bone_axes(joint)
    in_blender = axes.HEAD_TO_BLENDER @ head @ axes.HEAD_TO_BLENDER.T
    np.testing.assert_allclose(basis @ bone @ basis.T, in_blender, atol=1e-12)
    for row in range(3):
        for column in range(3):
            sign, bone_row, bone_column = axes.bone_entry(joint, row, column)
            assert head[row, column] == pytest.approx(sign * bone[bone_row, bone_column], abs=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("joint", JOINTS)
def test_driver_expressions_give_the_pose_feature(mien: Any, joint: str, seed: int) -> None:
    axes, expression = mien("axes"), mien("rig.correctives").driver_expression
    (vector,) = _vectors(seed, 1)
    feature = axes.rotation_matrices(vector) - np.eye(3)
    values = dict(zip("wxyz", axes.quaternions(axes.to_bone(joint, vector)), strict=True))
    for row in range(3):
        for column in range(3):
            found = eval(expression(joint, row, column), {"__builtins__": {}}, values)  # noqa: S307  # our own text
            assert found == pytest.approx(feature[row, column], abs=1e-12)


def test_a_moved_pivot_is_a_turn_and_a_shift(mien: Any) -> None:
    channels, axes = mien("animation.channels"), mien("axes")
    from make_head import random_take, synthetic_head

    take = random_take(synthetic_head(), 3, frames=3)
    shifts = {joint: _vectors(number, 3) for number, joint in enumerate(JOINTS)}
    joints = dict(zip(JOINTS, _vectors(9, len(JOINTS)), strict=True))
    bones = channels.bone_channels(take, channels.Setup(joints, shifts, take.translation[0]))
    turned = axes.rotation_matrices(take.jaw)
    expected = shifts["jaw"] - np.einsum("tij,tj->ti", turned, shifts["jaw"])
    np.testing.assert_allclose(bones["jaw"].location @ axes.HEAD_TO_BONE["jaw"], expected, atol=1e-12)
    still = channels.bone_channels(take, channels.Setup(joints, None, take.translation[0]))
    assert still["jaw"].location is None and still["root"].location is not None


def test_quaternions_never_jump(mien: Any) -> None:
    import dataclasses

    from make_head import random_take, synthetic_head

    take = random_take(synthetic_head(), 1, frames=40)
    turning = np.zeros((40, 3), np.float32)
    turning[:, 1] = np.linspace(-3.0, 3.0, 40)
    turning[20:] += np.float32(0.0)
    spun = turning.copy()
    spun[25:, 1] -= np.float32(2 * np.pi)  # the same rotations, written the other way round
    channels = mien("animation.channels")
    setup = channels.Setup({joint: np.zeros(3) for joint in JOINTS}, None, take.translation[0])
    bones = channels.bone_channels(dataclasses.replace(take, head_rotation=spun), setup)
    steps = np.linalg.norm(np.diff(bones["root"].quaternion, axis=0), axis=-1)
    assert steps.max() < 0.1


@pytest.mark.parametrize("order", ["XYZ", "XZY", "YXZ", "YZX", "ZXY", "ZYX"])
def test_euler_angles_are_blenders(mien: Any, order: str) -> None:
    from mathutils import Quaternion

    random = np.random.default_rng(5)
    turns = random.normal(size=(500, 4))
    turns /= np.linalg.norm(turns, axis=1, keepdims=True)
    found = mien("animation.rotations").eulers(turns, order, np.ones(500, bool))
    expected = np.array([tuple(Quaternion(turn).to_euler(order)) for turn in turns.tolist()])
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("order", ["XYZ", "ZXY"])
def test_euler_angles_run_on_through_gimbal_lock_and_whole_turns(mien: Any, order: str) -> None:
    from mathutils import Euler

    path = np.cumsum(np.random.default_rng(6).normal(0.02, 0.05, (2000, 3)), axis=0)
    turns = np.array([tuple(Euler(angles, order).to_quaternion()) for angles in path.tolist()])
    starts = np.zeros(2000, bool)
    starts[1000] = True
    found = mien("animation.rotations").eulers(turns, order, starts)
    assert np.abs(path).max() > 2 * np.pi
    steps = np.abs(np.diff(found, axis=0)).max(axis=1)
    assert np.delete(steps, 999).max() < 0.4
    back = np.array([tuple(Euler(angles, order).to_quaternion()) for angles in found.tolist()])
    assert np.abs((back * turns).sum(axis=1)).min() > 1 - 1e-6
    alone = mien("animation.rotations").eulers(turns[1000:], order, np.zeros(1000, bool))
    np.testing.assert_array_equal(found[1000:], alone)  # nothing is carried over a cut


def test_axis_and_angle_keep_their_side(mien: Any) -> None:
    from mathutils import Quaternion

    axes, rotations = mien("axes"), mien("animation.rotations")
    vectors = np.outer(np.linspace(-4.0, 4.0, 81), (0.6, 0.0, 0.8))
    found = rotations.axis_angles(axes.quaternions(vectors))
    assert np.abs(np.diff(found, axis=0)).max() < 0.11
    for row, vector in zip(found.tolist(), vectors, strict=True):
        turn = Quaternion(row[1:], row[0])
        assert abs(np.dot(tuple(turn), axes.quaternions(vector))) == pytest.approx(1.0, abs=1e-6)
