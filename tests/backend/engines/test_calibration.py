# SPDX-License-Identifier: GPL-3.0-or-later
"""Calibrating an embedding on faces."""

from __future__ import annotations

import numpy as np

from backend.engines.fit.calibration import CalibrationFace, calibrated, with_embedding
from backend.faces.face import Face, bounds
from backend.faces.topology import MIRROR_478
from backend.heads import load_head
from backend.heads.embedding import snap, surface_points
from backend.heads.model import HeadModel
from tests.synthetic import SIZE, make_truth

MOVED = 50
"""A point of the cheek."""


def test_what_all_faces_miss_moves_into_the_embedding():
    head = load_head("open")
    model, right = HeadModel(head), surface_points(head, head.landmarks["mediapipe478"])
    wrong = right.copy()
    for point, side in ((MOVED, -1), (MIRROR_478[MOVED], 1)):
        wrong[point] += [0.004 * side, 0.004, 0]
    faces = []
    for seed in range(6):
        truth = make_truth(head, model, seed)
        face = Face(bounds(truth.landmarks), truth.landmarks, truth.scores, 1.0, 0.0)
        faces.append(CalibrationFace(face, (SIZE, SIZE)))
    start = with_embedding(head, snap(head, wrong))
    found = calibrated(start, faces)
    before = np.linalg.norm(surface_points(head, start.landmarks["mediapipe478"]) - right, axis=1)
    after = np.linalg.norm(surface_points(head, found.landmarks["mediapipe478"]) - right, axis=1)
    assert before[MOVED] > 0.004
    assert after[MOVED] < 0.4 * before[MOVED]
    assert np.median(after) < 1e-3
