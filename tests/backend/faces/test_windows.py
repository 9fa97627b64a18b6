# SPDX-License-Identifier: GPL-3.0-or-later
"""Turned windows: where their samples come from, and that mirroring the picture mirrors them."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.faces.windows import Window, landmarks_to_frame, sample

SIZE = 64


def ramp(width: int, height: int) -> np.ndarray:
    """(H,W,3) uint8 with x in red and y in green, at pixel centres, and 255 in blue."""
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    return np.stack([x, y, np.full_like(x, 255)], axis=-1).astype(np.uint8)


windows = st.builds(
    Window,
    x=st.floats(-20, 220),
    y=st.floats(-20, 170),
    side=st.floats(10, 600),
    angle=st.floats(-math.pi, math.pi),
    mirrored=st.booleans(),
)


@settings(max_examples=60, deadline=None)
@given(window=windows)
def test_samples_hold_what_the_transform_says(window: Window) -> None:
    crop = sample(ramp(200, 150), window, SIZE)
    assert crop.shape == (SIZE, SIZE, 3) and crop.dtype == np.uint8
    centres = np.stack(np.meshgrid(np.arange(SIZE) + 0.5, np.arange(SIZE) + 0.5), axis=-1).reshape(-1, 2)
    framed = landmarks_to_frame(np.column_stack([centres, np.zeros(len(centres))]), window, SIZE)[:, :2]
    # A sample averages a square of about this width; away from the border it must show its own middle.
    margin = 2 + 2 * window.side / SIZE
    inside = ((framed > margin) & (framed < np.array([200, 150]) - margin)).all(axis=1)
    # The ramp is cut down to whole numbers, half a pixel below the coordinate.
    assert np.abs(crop.reshape(-1, 3)[inside, :2] + 0.5 - framed[inside]).max(initial=0) < 1.2
    # A window may be reduced by one factor first, so nothing is more than a few pixels from where it belongs.
    outside = ((framed < -margin) | (framed > np.array([200, 150]) + margin)).any(axis=1)
    assert (crop.reshape(-1, 3)[outside] == 0).all()


@settings(max_examples=60, deadline=None)
@given(window=windows)
def test_the_mirrored_picture_gives_the_mirrored_sample(window: Window) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (150, 200, 3), dtype=np.uint8)
    twin = replace(window, x=200 - window.x, angle=-window.angle)
    one = sample(pixels, window, SIZE).astype(int)
    other = sample(np.ascontiguousarray(pixels[:, ::-1]), twin, SIZE)[:, ::-1].astype(int)
    # Noise is the worst case: OpenCV rounds positions to 1/32 of a pixel.
    assert np.abs(one - other).mean() < 4


@settings(max_examples=60, deadline=None)
@given(window=windows)
def test_a_mirrored_window_is_the_flipped_one(window: Window) -> None:
    points = np.random.default_rng(0).uniform(0, SIZE, (20, 3))
    flipped = points.copy()
    flipped[:, 0] = SIZE - flipped[:, 0]
    other = replace(window, mirrored=not window.mirrored)
    np.testing.assert_allclose(
        landmarks_to_frame(points, window, SIZE), landmarks_to_frame(flipped, other, SIZE), atol=1e-9
    )


@given(window=windows)
def test_points_go_there_and_back(window: Window) -> None:
    points = np.random.default_rng(0).uniform(0, SIZE, (20, 3))
    framed = landmarks_to_frame(points, window, SIZE)
    transform = window.to_sample(SIZE)
    np.testing.assert_allclose(framed[:, :2] @ transform[:2, :2].T + transform[:2, 2], points[:, :2], atol=1e-8)
    np.testing.assert_allclose(framed[:, 2] * SIZE / window.side, points[:, 2])


def test_a_turned_window_sees_a_turned_picture_upright() -> None:
    pixels = np.zeros((100, 100, 3), dtype=np.uint8)
    pixels[45:55, 70:90] = 255  # a mark to the right of the middle ...
    crop = sample(pixels, Window(50, 50, 100, math.pi / 2), 100)
    assert crop[15:25, 48:52].min() == 255  # ... is above it once the picture's right is the window's up


@pytest.mark.parametrize("angle", [0.0, 0.5])
def test_moving_follows_the_windows_own_axes(angle: float) -> None:
    moved = Window(10, 20, 100, angle).moved(0.1, 0.0, 1.5, 0.25)
    assert (moved.x, moved.y) == pytest.approx((10 + 10 * math.cos(angle), 20 + 10 * math.sin(angle)))
    assert moved.side == 150 and moved.angle == angle + 0.25


def test_a_window_beside_the_picture_is_black() -> None:
    assert not sample(ramp(100, 100), Window(500, 500, 50), SIZE).any()


@pytest.mark.parametrize("side", [300.0, 402.3, 517.9, 333.1])
def test_fast_samples_mirror_too_and_are_hardly_different(side: float) -> None:
    pixels = cv2.GaussianBlur(np.random.default_rng(5).integers(0, 255, (400, 601, 3)).astype(np.uint8), (0, 0), 3)
    window = Window(290.3, 195.4, side, 0.2)
    twin = Window(601 - 290.3, 195.4, side, -0.2, mirrored=True)
    fast = sample(pixels, window, 100, fast=True).astype(int)
    mirrored = sample(np.ascontiguousarray(pixels[:, ::-1]), twin, 100, fast=True).astype(int)
    assert np.abs(fast - mirrored).max() <= 2
    assert np.abs(fast - sample(pixels, window, 100))[5:-5, 5:-5].mean() < 1
