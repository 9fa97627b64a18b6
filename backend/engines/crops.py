# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the published engines crop: whose landmarks the box lies around, and steady boxes for clips.

DECA and EMOCA were published with the box of FAN's 68 landmarks, from the jaw to the brows. Of MediaPipe's 478 the 68
that lie there are taken for it. The box of all 478 reaches up to the hairline: on four portraits its crops were 9 to 12
percent larger, and their middles 6 to 9 percent of a crop higher. SMIRK was published with all 478. Landmarks go into
the box as the detectors give them, which is what the published code does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from backend.faces.engine_crops import (
    DECA_LANDMARKS,
    SMIRK_LANDMARKS,
    BoxRule,
    Squares,
    frame_transforms,
    square_transforms,
    squares,
    take_crops,
)
from backend.faces.topology import IBUG68_FROM_478
from backend.solve.zero_phase import smoothed
from blender_addon.contract.options import BoxSource

BOX_SECONDS = 0.05
"""Standard deviation of the time over which boxes of clips are smoothed: a box that trembles makes codes tremble."""

FanLandmarks = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""FAN: a frame (H,W,3) and a face's box (4,) to 68 landmarks (68,2), pixels."""


@dataclass(frozen=True)
class CropStyle:
    """How an engine crops.

    Attributes:
        rule: From a box of landmarks to a square.
        jaw_to_brows: Whether the box is that of the 68 landmarks from the jaw to the brows; else that of all.
        whole_numbers: Whether crops are cut to 8 bits.
        boxes: Whose landmarks.
    """

    rule: BoxRule
    jaw_to_brows: bool
    whole_numbers: bool
    boxes: BoxSource = "mediapipe"

    def squares(self, landmarks: np.ndarray) -> Squares:
        """Squares as published around MediaPipe's landmarks (B,478,>=2), full-frame pixels."""
        return squares(landmarks[:, list(IBUG68_FROM_478)] if self.jaw_to_brows else landmarks, self.rule)

    def steady(self, around: Squares, time: np.ndarray, segment: np.ndarray) -> Squares:
        """Squares of a clip's frames, smoothed over time (N,) s without delay; shots (N,) do not see each other."""
        centre = smoothed(time, around.centre, segment, BOX_SECONDS)
        face_size = smoothed(time, around.face_size[:, None], segment, BOX_SECONDS)[:, 0]
        return Squares(centre, face_size, (face_size * self.rule.crop).astype(np.int64))

    def around_fan(self, frame: np.ndarray, boxes: np.ndarray, fan: FanLandmarks) -> Squares:
        """Squares around FAN's landmarks of the faces in boxes (B,4) of a frame."""
        return squares(np.stack([fan(frame, box) for box in boxes]), self.rule)

    def crops(self, frame: Tensor, around: Squares) -> Tensor:
        """(B,3,224,224) crops of one frame (H,W,3) uint8 RGB, on its device."""
        return take_crops(frame[None], square_transforms(around), whole_numbers=self.whole_numbers)


def transforms(around: Squares) -> np.ndarray:
    """(B,3,3) full-frame pixels to crop pixels, as takes have them."""
    return frame_transforms(square_transforms(around))


def deca_style(boxes: BoxSource) -> CropStyle:
    """DECA's and EMOCA's crops; the emotion network sees the same."""
    return CropStyle(DECA_LANDMARKS, jaw_to_brows=True, whole_numbers=False, boxes=boxes)


def smirk_style(boxes: BoxSource) -> CropStyle:
    """SMIRK's crops."""
    return CropStyle(SMIRK_LANDMARKS, jaw_to_brows=False, whole_numbers=True, boxes=boxes)


def on_device(frame: np.ndarray, device: torch.device) -> Tensor:
    """A frame (H,W,3) uint8 as a tensor."""
    return torch.from_numpy(np.require(frame, requirements=["C", "W"])).to(device)


def some_squares(around: Squares, rows: np.ndarray | slice) -> Squares:
    """Some of the squares."""
    return Squares(around.centre[rows], around.face_size[rows], around.size[rows])
