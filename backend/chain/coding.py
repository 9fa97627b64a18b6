# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes of networks placed before the camera: the same for photos, clips and previews."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from backend.engines.choice import Networks
from backend.engines.coded import EYE_CORNERS, FACE, POINTS, shows_head
from backend.engines.interface import Codes, padded
from backend.faces.topology import BLENDSHAPE_NAMES, IBUG68_FROM_478
from backend.reprojection.outcome import IRIS_CENTRES
from backend.solve.frames import BATCH, FrameSolver, FramesSolution
from backend.solve.shot import Shot

TOLERATED_DISTANCE = 0.3
"""Distance of an engine's landmarks from the detector's, over the outer-eye distance, at which they disagree fully. The
two mark faces differently by up to 0.1."""
DISAGREEMENT = 0.5
"""How much of the confidence a full disagreement costs: either may be right."""
_BLINKS = [tuple(BLENDSHAPE_NAMES).index(name) for name in ("eyeBlinkLeft", "eyeBlinkRight")]
_DETECTED = list(IBUG68_FROM_478)


class CodePlacer:
    """Places the codes of one person before one camera.

    Args:
        networks: Of the capture, with an engine.
        shot: The person's identity and the camera.
        batch: Frames at once.
    """

    def __init__(self, networks: Networks, shot: Shot, batch: int = BATCH) -> None:
        assert networks.engine is not None and networks.faces is not None
        self._engine, self._faces = networks.engine, networks.faces
        self._solver = FrameSolver(networks.faces, shot, batch)

    def place(
        self, codes: Codes, transforms: np.ndarray, landmarks: np.ndarray, blendshapes: np.ndarray
    ) -> FramesSolution:
        """Find where the head stands in N frames; expression, jaw and eyelids stay as the networks gave them.

        Args:
            codes: N frames.
            transforms: (N,3,3) full-frame pixels to the crops'.
            landmarks: (N,478,>=2) the detector's, full-frame pixels, for the gaze and the landmark error.
            blendshapes: (N,52) its scores.

        Returns:
            The frames, with the networks' own crop cameras and how closed the eyes are. The landmark error is the
            distance of the engine's landmarks from the detector's, without the outline.
        """
        own = self._faces.landmarks(codes, transforms)
        apart = np.linalg.norm(own[:, FACE, :2] - landmarks[:, _DETECTED, :2][:, FACE], axis=-1).mean(axis=1)
        right, left = (landmarks[:, _DETECTED[corner], :2] for corner in EYE_CORNERS)
        own[:, POINTS:, :2] = landmarks[:, IRIS_CENTRES, :2]
        closure = codes.eyelids if self._engine.sees_lids else blendshapes[:, _BLINKS]
        solution = self._solver.solve(own, self._faces.scores(codes, closure))
        params = replace(
            solution.params,
            expression=padded(codes.expression.astype(np.float64), self._engine.head.expression.shape[2]),
            jaw=codes.jaw.astype(np.float64),
            eyelids=codes.eyelids.astype(np.float64),
            crop_camera=codes.camera.astype(np.float64),
            crop_transform=transforms,
        )
        error = apart / np.linalg.norm(left - right, axis=-1)
        return replace(solution, params=params, landmark_error=error, closure=closure.astype(np.float64))


def coded_confidence(codes: Codes, presence: np.ndarray, landmark_error: np.ndarray) -> np.ndarray:
    """(N,) in 0..1: the detector's own confidence, lowered as the engine's landmarks leave the detector's.

    Disagreement alone lowers it to half, so that no frame is thrown away for it; a camera that shows no head lowers it
    to nothing.
    """
    agreement = np.clip(1 - (np.asarray(landmark_error) / TOLERATED_DISTANCE) ** 2, 0, 1)
    return presence * (1 - DISAGREEMENT * (1 - agreement)) * shows_head(codes)
