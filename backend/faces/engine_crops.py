# SPDX-License-Identifier: GPL-3.0-or-later
"""Crops exactly as the published engines make them: box, scale, sampling, colour order and range.

Their coordinates have pixel centres at whole numbers, and a square of side s becomes 0..223, so the scale is 223 / s;
the engines' cameras in turn spread [-1, 1] over 0..224. `frame_transforms` leads from there to this project's pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import torch
from torch import Tensor

from blender_addon.contract.projection import CROP_SIZE

Sampling = Literal["linear", "cubic"]

ALIGNED_SIZE = 112
"""Side of ArcFace's crops, pixels."""
ARCFACE_TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
"""(5,2) where ArcFace's crops have the eyes, the nose and the corners of the mouth, left in the image first."""
NOSE_TIP = 30
SMIRK_NOSE = 32
"""The landmark that SMIRK's training takes for the nose: under the nostril. Only for parity with it."""


@dataclass(frozen=True)
class BoxRule:
    """How a box around a face becomes a square.

    Attributes:
        box: of the mean side of the box, what counts as the face's size.
        down: how far the centre moves down, of that size.
        crop: side of the square over that size.
    """

    box: float
    down: float
    crop: float


DECA_LANDMARKS = BoxRule(1.1, 0.0, 1.25)
"""DECA and EMOCA, around landmarks (`kpt68`, and EMOCA's `mediapipe`)."""
DECA_DETECTION = BoxRule(1.0, 0.12, 1.25)
"""DECA and EMOCA, around a detector's box (`bbox`)."""
SMIRK_LANDMARKS = BoxRule(1.0, 0.0, 1.4)
"""SMIRK, around MediaPipe's landmarks, as its demo does."""


@dataclass(frozen=True)
class Squares:
    """Squares around faces, in pixels with centres at whole numbers.

    Attributes:
        centre: (B,2) x, y.
        face_size: (B,) the face's size as the rule has it.
        size: (B,) int, side of the square.
    """

    centre: np.ndarray
    face_size: np.ndarray
    size: np.ndarray


def squares(points: np.ndarray, rule: BoxRule) -> Squares:
    """Squares around the box of points (B,N,>=2): landmarks, or two corners of a detection."""
    points = np.asarray(points, np.float64)[..., :2]
    low, high = points.min(axis=1), points.max(axis=1)
    face_size = rule.box * (high - low).mean(axis=1)
    centre = (low + high) / 2
    centre[:, 1] += rule.down * face_size
    return Squares(centre, face_size, (face_size * rule.crop).astype(np.int64))


def square_transforms(around: Squares) -> np.ndarray:
    """(B,3,3) frame to crop, both with pixel centres at whole numbers.

    Raises:
        ValueError: a square is smaller than a pixel.
    """
    if (around.size < 1).any():
        raise ValueError("a face without size has no crop")
    scale = (CROP_SIZE - 1) / around.size
    transforms = np.zeros((len(scale), 3, 3))
    transforms[:, 0, 0] = transforms[:, 1, 1] = scale
    transforms[:, :2, 2] = (around.size[:, None] / 2 - around.centre) * scale[:, None]
    transforms[:, 2, 2] = 1
    return transforms


def whole_frame_transform(width: int, height: int) -> np.ndarray:
    """(1,3,3) frame to crop for pictures that are crops already: DECA stretches them to the square."""
    side = CROP_SIZE - 1
    return np.diag([side / (width - 1), side / (height - 1), 1.0])[None]


def frame_transforms(transforms: np.ndarray) -> np.ndarray:
    """(B,3,3) for `weak_project`: frame pixels with centres at +0.5 to what the engine's camera spreads over 0..224."""
    half = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
    return np.asarray(transforms) @ half


def take_crops(
    frames: Tensor, transforms: np.ndarray, sampling: Sampling = "linear", *, whole_numbers: bool = False
) -> Tensor:
    """Sample crops, black outside the frame, without blurring before.

    Args:
        frames: (B,H,W,3) uint8 RGB, on any device; (1,H,W,3) for several crops of one frame.
        transforms: (B,3,3) of this module, without rotation.
        sampling: `linear` as at inference; `cubic` (Catmull-Rom) as EMOCA prepares videos and data sets.
        whole_numbers: cut the values to 8 bits, as SMIRK does.

    Returns:
        (B,3,224,224) float32 RGB in [0,1] on the frames' device.
    """
    frames = frames.expand(len(transforms), -1, -1, -1)
    height, width = frames.shape[1:3]
    transforms = np.asarray(transforms, np.float64)
    scale, offset = transforms[:, (0, 1), (0, 1)], transforms[:, :2, 2]
    places = (np.arange(CROP_SIZE) - offset[..., None]) / scale[..., None]
    rows, row_weights = _taps(places[:, 1], height, sampling, frames.device)
    columns, column_weights = _taps(places[:, 0], width, sampling, frames.device)
    image = torch.arange(len(frames), device=frames.device)[:, None, None]
    lines = (frames[image, rows].float() * row_weights[..., None, None]).sum(2)
    lines = lines.transpose(1, 2)[image, columns]
    crops = (lines * column_weights[..., None, None]).sum(2).permute(0, 3, 2, 1)
    crops = _within(crops, frames)
    if whole_numbers:
        crops = (crops + _ROUNDING).floor()
    return (crops / 255).contiguous()


_ROUNDING = 1e-3
"""Of float32 sums of 8-bit values; a whole number must not be cut to the one below."""


def _within(crops: Tensor, frames: Tensor) -> Tensor:
    """Values no brighter and no darker than the frame has them, or the black around it where the crop reaches there."""
    flat = frames.flatten(1)
    low, high = flat.amin(1).float(), flat.amax(1).float()
    low = torch.where(crops.flatten(1).amin(1) <= 0, 0, low)
    return crops.clamp(low[:, None, None, None], high[:, None, None, None])


def _taps(places: np.ndarray, size: int, sampling: Sampling, device: torch.device) -> tuple[Tensor, Tensor]:
    """Pixels (B,224,K) and weights (B,224,K) of interpolation at places (B,224); no weight outside 0..size-1."""
    first = np.floor(places)
    t = places - first
    if sampling == "linear":
        steps, weights = (0, 1), (1 - t, t)
    else:
        steps = (-1, 0, 1, 2)
        weights = (
            0.5 * t * (-1 + t * (2 - t)),
            1 + 0.5 * t * t * (3 * t - 5),
            0.5 * t * (1 + t * (4 - 3 * t)),
            0.5 * t * t * (t - 1),
        )
    pixels = first[..., None].astype(np.int64) + np.array(steps)
    kept = np.where((pixels >= 0) & (pixels < size), np.stack(weights, -1), 0).astype(np.float32)
    return torch.from_numpy(pixels.clip(0, size - 1)).to(device), torch.from_numpy(kept).to(device)


def five_points(landmarks: np.ndarray, nose: int = NOSE_TIP) -> np.ndarray:
    """(B,5,2) eye centres, nose and corners of the mouth of iBUG-68 landmarks (B,68,2)."""
    points = np.asarray(landmarks, np.float64)
    right = points[:, (36, 39)].mean(axis=1)
    left = points[:, (42, 45)].mean(axis=1)
    return np.stack((right, left, points[:, nose], points[:, 48], points[:, 54]), axis=1)


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(3,3) turn, scale and move that bring points (N,2) nearest to others (N,2) (Umeyama 1991, eq. 40-43).

    Raises:
        ValueError: the points are all one.
    """
    from_mean, to_mean = source.mean(axis=0), target.mean(axis=0)
    spread = ((source - from_mean) ** 2).sum() / len(source)
    if not spread > 0:
        raise ValueError("points that are all one have no size")
    left, sizes, right = np.linalg.svd((target - to_mean).T @ (source - from_mean) / len(source))
    sign = np.array([1.0, np.sign(np.linalg.det(left) * np.linalg.det(right))])
    turn = (left * sign) @ right * (sizes * sign).sum() / spread
    transform = np.eye(3)
    transform[:2, :2], transform[:2, 2] = turn, to_mean - turn @ from_mean
    return transform


def arcface_crops(frame: np.ndarray, points: np.ndarray) -> Tensor:
    """MICA's crops of a frame, as insightface aligns faces.

    Args:
        frame: (H,W,3) uint8 RGB.
        points: (B,5,2) of `five_points` or of a detector, pixel centres at whole numbers.

    Returns:
        (B,3,112,112) float32 RGB in [-1,1]: (x - 127.5) / 127.5.
    """
    size = (ALIGNED_SIZE, ALIGNED_SIZE)
    aligned = [cv2.warpAffine(frame, similarity(five, ARCFACE_TEMPLATE)[:2], size) for five in np.asarray(points)]
    return (torch.from_numpy(np.stack(aligned)).permute(0, 3, 1, 2).float() - 127.5) / 127.5
