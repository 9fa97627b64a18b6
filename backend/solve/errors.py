# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a solved head is from what was seen."""

from __future__ import annotations

import numpy as np

from backend.reprojection.placing import to_array
from backend.reprojection.problem import Problem, State, posed_landmarks


def landmark_errors(problem: Problem, state: State) -> np.ndarray:
    """(B,) mean distance of the re-projected landmarks, without the irises, as a fraction of the outer-eye distance."""
    points, _ = problem.camera.project(posed_landmarks(problem.basis, state), state.camera)
    seen = to_array(problem.observation.points)
    distance = np.linalg.norm(to_array(points) - seen, axis=-1)[:, problem.basis.roles.compared].mean(axis=1)
    left, right = problem.basis.roles.eye_corners
    return distance / np.linalg.norm(seen[:, left] - seen[:, right], axis=-1)
