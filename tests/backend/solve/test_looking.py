# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaze through blinks."""

from __future__ import annotations

import numpy as np
import pytest

from backend.solve.looking import FULL_TURN, sideways_units, through_blinks

COUNT = 60
TIME = np.arange(COUNT) / 30
SHUT = slice(28, 33)


@pytest.fixture
def eyes() -> np.ndarray:
    """They turn steadily."""
    return np.outer(np.linspace(-0.2, 0.2, COUNT), [0, 1, 0, 0, 1, 0])


@pytest.fixture
def lids() -> np.ndarray:
    closed = np.full((COUNT, 2), 0.05)
    closed[SHUT] = 0.5
    return closed


def test_gaze_passes_through_a_blink(eyes, lids):
    spoilt = eyes.copy()
    spoilt[SHUT] = 0.4
    one = np.zeros(COUNT, int)
    assert np.allclose(through_blinks(TIME, one == 0, one, lids, spoilt), eyes)


def test_open_eyes_and_a_wink_keep_their_gaze(eyes, lids):
    lids[:, 1] = 0.05
    one = np.zeros(COUNT, int)
    assert np.array_equal(through_blinks(TIME, one == 0, one, lids, eyes), eyes)


def test_gaze_does_not_pass_through_a_cut(eyes, lids):
    segment = (np.arange(COUNT) >= SHUT.stop).astype(int)
    eyes[SHUT.stop :] += 1
    held = through_blinks(TIME, segment >= 0, segment, lids, eyes)
    assert held[SHUT].max() < 0.2
    assert np.array_equal(held[SHUT.stop + 1 :], eyes[SHUT.stop + 1 :])


def test_units_go_with_the_eyes():
    names = ("eyeLookOutLeft", "eyeLookInLeft", "eyeLookOutRight", "jawOpen")
    found = sideways_units(names, np.full((1, 4), 0.3), np.array([[0, FULL_TURN / 2, 0, 0, FULL_TURN / 2, 0]]))
    assert np.allclose(found, [[0.5, 0, 0, 0.3]])
