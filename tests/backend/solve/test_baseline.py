# SPDX-License-Identifier: GPL-3.0-or-later
"""Scores of a face at rest."""

from __future__ import annotations

import numpy as np

from backend.faces.topology import BLENDSHAPE_NAMES
from backend.solve.baseline import Baseline

BROW, SMILE = (BLENDSHAPE_NAMES.index(name) for name in ("browInnerUp", "mouthSmileLeft"))


def scores(name: int, values: np.ndarray) -> np.ndarray:
    result = np.zeros((len(values), 52))
    result[:, name] = values
    return result


def test_what_a_face_always_scores_is_rest():
    frames = scores(BROW, np.r_[np.full(50, 0.4), np.linspace(0.4, 1, 20)])
    removed = Baseline.of(frames).removed(frames)[:, BROW]
    assert np.abs(removed[:50]).max() < 1e-9
    assert removed[-1] == 1 and (np.diff(removed[50:]) > 0).all()


def test_a_smile_throughout_stays_a_smile():
    frames = scores(SMILE, np.full(30, 0.8))
    assert np.allclose(Baseline.of(frames).removed(frames), frames)


def test_the_order_of_frames_does_not_matter():
    frames = scores(BROW, np.random.default_rng(0).uniform(size=40))
    assert np.array_equal(Baseline.of(frames).scores, Baseline.of(frames[::-1]).scores)
