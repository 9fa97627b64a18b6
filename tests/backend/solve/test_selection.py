# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames for the joint solve: unlike each other, good, and always the same ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.solve.selection import choose_frames


def clip(frames: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A head that mostly looks ahead at rest; quality is random."""
    random = np.random.default_rng(seed)
    rotation = np.radians(random.normal(size=(frames, 3)) * 2)
    return rotation, random.uniform(0, 0.05, (frames, 52)), random.uniform(0.5, 1, frames)


@given(st.integers(0, 60), st.integers(1, 20), st.integers(0, 2**31))
def test_sorted_different_indices_as_many_as_there_are(frames, count, seed):
    chosen = choose_frames(*clip(frames, seed), count)
    assert len(chosen) == min(frames, count)
    assert (np.diff(chosen) > 0).all()
    assert set(chosen) <= set(range(frames))
    assert (chosen == choose_frames(*clip(frames, seed), count)).all()


def test_rare_poses_and_expressions_are_found():
    rotation, scores, quality = clip(400)
    for frame, axis, degrees in ((17, 1, 30), (90, 1, -30), (200, 0, 20), (333, 0, -20)):
        rotation[frame, axis] = np.radians(degrees)
    scores[250, 20:30] = 0.7
    quality[[17, 90, 200, 333, 250]] = 0.9
    chosen = choose_frames(rotation, scores, quality)
    assert {17, 90, 200, 333, 250} <= set(chosen)


def test_some_frames_are_frontal_and_at_rest():
    random = np.random.default_rng(1)
    rotation, scores, quality = clip(300)
    rotation[:, 1] = np.radians(random.uniform(-35, 35, 300))
    scores[:] = random.uniform(0, 0.6, scores.shape)
    rest = [40, 120, 230]
    rotation[rest], scores[rest] = 0, 0
    assert set(rest) & set(choose_frames(rotation, scores, quality))


def test_blurred_frames_are_left_out_while_there_are_others():
    rotation, scores, quality = clip(100)
    rotation[:50, 1] = np.radians(25)
    quality[::2] *= 0.02
    chosen = choose_frames(rotation, scores, quality)
    assert (chosen % 2 == 1).all()
    assert (chosen < 50).any() and (chosen >= 50).any()


def test_profiles_are_left_out_though_they_are_far_from_all_else():
    rotation, scores, quality = clip(100)
    rotation[:10, 1] = np.radians(80)
    assert (choose_frames(rotation, scores, quality) >= 10).all()


def test_frames_that_are_all_alike_are_taken_from_the_whole_clip():
    chosen = choose_frames(np.zeros((320, 3)), np.zeros((320, 52)), np.ones(320))
    assert np.diff(chosen).max() < 60


@pytest.mark.parametrize("quality", [np.zeros(40), np.full(40, 1e-9), np.full(40, 1e9)])
def test_the_unit_of_quality_does_not_matter(quality):
    rotation, scores, _ = clip(40)
    assert (choose_frames(rotation, scores, quality) == choose_frames(rotation, scores, np.ones(40))).all()
