# SPDX-License-Identifier: GPL-3.0-or-later
"""A single solved frame as a take, for previews and for the live capture."""

from __future__ import annotations

import numpy as np

from backend.reprojection.evidence import Evidence
from backend.solve.camera import Focal
from backend.solve.frames import FramesSolution
from backend.solve.shot import Shot, Views, solve_shot
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.options import CaptureOptions
from blender_addon.contract.projection import camera_matrix
from blender_addon.contract.take import Take

from .result import take_meta

FRAME_ARRAYS = (
    "expression", "eyelids", "head_rotation", "neck", "jaw", "eyes", "crop_camera", "crop_transform",
)  # fmt: skip
"""What a take has in common with the parameters of an engine, frame by frame."""


def shot_of_one(
    evidence: Evidence, landmarks: np.ndarray, blendshapes: np.ndarray, size: tuple[int, int], focal: Focal
) -> Shot:
    """The head as far as some views (K,478,3) with scores (K,52) tell it, before the camera as far as it is known."""
    held = focal if focal.known else Focal(focal.pixels, "given")
    return solve_shot(evidence, [Views(landmarks, blendshapes, size, held)])


def moment(
    options: CaptureOptions,
    head: HeadDescription,
    shot: Shot,
    solution: FramesSolution,
    seconds: float,
    sure: float,
    person: int = 1,
) -> Take:
    """A take of one frame.

    Args:
        options: What was asked for.
        head: The head.
        shot: Identity and camera.
        solution: One frame.
        seconds: Its time.
        sure: Confidence in it.
        person: Number of the person.
    """
    width, height = shot.image_size
    return Take(
        meta=take_meta(options, head, person),
        time=np.array([seconds]),
        valid=np.ones(1, bool),
        confidence=np.array([sure], np.float32),
        identity=shot.identity,
        **{name: getattr(solution.params, name) for name in FRAME_ARRAYS},
        translation=solution.translation,
        camera_matrix=camera_matrix(shot.focal.pixels, width, height),
        image_size=np.array([width, height], np.int32),
    )
