# SPDX-License-Identifier: GPL-3.0-or-later
"""Pass 2: every frame of a person by itself, with the identity and the camera of the shot."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from backend.engines.params import FaceParams
from backend.reprojection.evidence import Evidence
from backend.reprojection.levenberg import minimise
from backend.reprojection.outcome import face_params, pinhole_gaze
from backend.reprojection.placing import Placed, place, to_array
from backend.reprojection.problem import State, posed_landmarks
from backend.reprojection.start import perspective_to_weak
from blender_addon.contract.projection import camera_matrix

from .errors import landmark_errors
from .shot import Shot

BATCH = 32
"""Frames solved at once: enough to make little of the cost of each operation, few enough for the processor's cache."""
STEPS = 6
"""Linearisations at most; four reach the minimum within 1e-3 of an expression from the rigid start."""


@dataclass(frozen=True)
class FramesSolution:
    """N frames of a person."""

    params: FaceParams
    translation: np.ndarray
    """(N,3) metres, camera space"""
    landmark_error: np.ndarray
    """(N,) see `landmark_errors`"""
    closure: np.ndarray | None = None
    """(N,2) how closed the eyes are, where the parameters' eyelids do not tell it"""


class FrameSolver:
    """Solves frames of one person before one camera.

    No frame depends on another, and batches are always of the same size, so that a frame's result is the same whatever
    it is solved with.

    Args:
        evidence: the engine.
        shot: the person's identity and the camera.
        batch: frames solved at once; 1 answers soonest.
    """

    def __init__(self, evidence: Evidence, shot: Shot, batch: int = BATCH):
        self._evidence, self._shot, self._batch = evidence, shot, batch
        whole = evidence.basis
        seen = np.concatenate([shot.identity[: whole.shape_size], shot.habits])
        self._basis = whole.of_person(whole.mean.new_tensor(seen))
        self._matrix = camera_matrix(shot.focal.pixels, *shot.image_size)

    def solve(self, landmarks: np.ndarray, blendshapes: np.ndarray) -> FramesSolution:
        """Solve N frames.

        Args:
            landmarks: (N,478,3) full-frame pixels, depth in the scale of x.
            blendshapes: (N,52) scores, or whatever else the engine takes for its prior.
        """
        count = len(landmarks)
        filled = np.arange(-(-count // self._batch) * self._batch) % max(count, 1)
        rows = np.split(filled, np.arange(self._batch, len(filled), self._batch))
        parts = [self._batch_of(landmarks[part], blendshapes[part]) for part in rows]
        return FramesSolution(
            _joined([part.params for part in parts])[:count],
            np.concatenate([part.translation for part in parts])[:count],
            np.concatenate([part.landmark_error for part in parts])[:count],
        )

    def placed(self, landmarks: np.ndarray, blendshapes: np.ndarray) -> Placed:
        """The problem of some frames (as for `solve`), and where it starts."""
        return place(self._evidence, self._basis, landmarks, blendshapes, self._matrix)

    def solution(self, placed: Placed, state: State, landmarks: np.ndarray) -> FramesSolution:
        """What a solved state of these frames says."""
        eyes = pinhole_gaze(self._basis, state, landmarks, self._matrix)
        middle = to_array(posed_landmarks(self._basis, state).mean(dim=1))
        errors = landmark_errors(placed.problem, state)
        translation = to_array(state.camera)
        weak = perspective_to_weak(translation, placed.matrix, middle)
        params = face_params(self._evidence.head, self._basis, state, placed.crop_transform, weak, eyes)
        identity = np.repeat(self._shot.identity[None], len(landmarks), axis=0)
        return FramesSolution(replace(params, identity=identity), translation, errors)

    def _batch_of(self, landmarks: np.ndarray, blendshapes: np.ndarray) -> FramesSolution:
        placed = self.placed(landmarks, blendshapes)
        return self.solution(placed, minimise(placed.problem, placed.start, STEPS), landmarks)


def solve_frames(evidence: Evidence, shot: Shot, landmarks: np.ndarray, blendshapes: np.ndarray) -> FramesSolution:
    """`FrameSolver` for a single use."""
    return FrameSolver(evidence, shot, min(BATCH, max(len(landmarks), 1))).solve(landmarks, blendshapes)


def _joined(parts: list[FaceParams]) -> FaceParams:
    return FaceParams(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])})
