# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading one picture's files: pixels, landmarks, masks; our own and those of the published code.

Pickles are read by a reader that runs nothing in them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from backend.faces.topology import IBUG68_FROM_478
from backend.media.images import read_image
from backend.weights.restricted import load_pickles, load_restricted
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import load_arrays
from blender_addon.contract.projection import CROP_SIZE
from training.datasets.records import Record
from training.datasets.report import Reason

NO_FACE_PARTS = (0, 7, 8, 14, 15, 17, 18)
"""Of BiSeNet's labels (CelebAMask-HQ's) what is not the face: background, ears, neck, necklace, hair, hat."""
LANDMARKS = "landmarks"
LABELS = "labels"
_RELATIVE = 2.0
"""Landmarks of which no coordinate is larger are over [-1, 1]; in pixels they would all lie in a corner."""


class BadItem(Exception):
    """An item that cannot be used.

    Attributes:
        reason: of what kind.
        detail: what exactly.
    """

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


@dataclass(frozen=True, eq=False)
class Face:
    """One cropped face.

    Attributes:
        pixels: (224, 224, 3) uint8 RGB, or float32 in [0, 1].
        mask: (224, 224) float32, 1 where the face is.
        landmarks: (68, 2) crop pixels, centres at +0.5; None where there are none.
        mediapipe: (478, 2) likewise.
    """

    pixels: np.ndarray
    mask: np.ndarray
    landmarks: np.ndarray | None
    mediapipe: np.ndarray | None


def as_item(face: Face, record: Record) -> dict[str, Tensor]:
    """The item of a face, see `FACE_KEYS`. iBUG's landmarks that are missing are taken from MediaPipe's."""
    landmarks = face.landmarks
    if landmarks is None and face.mediapipe is not None:
        landmarks = face.mediapipe[IBUG68_FROM_478]
    image = torch.from_numpy(np.require(face.pixels, requirements=["C", "W"])).movedim(-1, 0)
    return {
        "image": (image.float() / 255 if image.dtype == torch.uint8 else image).contiguous(),
        "mask": torch.from_numpy(face.mask)[None],
        "landmarks": _marks(landmarks, 68),
        "mediapipe": _marks(face.mediapipe, 478),
        "label": torch.tensor(record.label),
        "valence": torch.tensor(record.valence),
        "arousal": torch.tensor(record.arousal),
        "person": torch.tensor(record.person),
    }


def read_pixels(path: Path, size: int | None = None) -> np.ndarray:
    """(H, W, 3) uint8 RGB of a picture, which is to be a square of `size`, if that is given.

    Raises:
        BadItem: it is missing, damaged or of another size.
    """
    try:
        pixels = read_image(path).pixels
    except MienError as error:
        missing = error.code is ErrorCode.MISSING_FILE
        raise BadItem(Reason.NO_PICTURE if missing else Reason.BAD_PICTURE, _cause(error)) from error
    if size is not None and pixels.shape != (size, size, 3):
        raise BadItem(Reason.BAD_PICTURE, f"{pixels.shape[1]}x{pixels.shape[0]} pixels instead of {size}x{size}")
    return pixels


def read_landmarks(path: Path, count: int) -> np.ndarray:
    """(count, 2) landmarks in crop pixels with centres at +0.5.

    Args:
        path: an npz of ours, or a pickle of the published code: two pickles, a text and an array (count, >= 2), in
            pixels with centres at whole numbers or, as it has MediaPipe's, these over [-1, 1].
        count: how many landmarks.

    Raises:
        BadItem: damaged, or another array.
    """
    try:
        if path.suffix == ".npz":
            points, shift = load_arrays(path)[1].get(LANDMARKS), 0.0
        else:
            points, shift = _pickled(path), 0.5
    except MienError as error:
        raise BadItem(Reason.BAD_LANDMARKS, _cause(error)) from error
    points = checked_landmarks(points, count)
    if shift and np.abs(points).max() <= _RELATIVE:
        points = (points + 1) * np.float32(CROP_SIZE / 2)
    return points + np.float32(shift)


def read_given_landmarks(path: Path, count: int = 68) -> np.ndarray:
    """(count, 2) landmarks of an npy as the published code brings them: whole-picture pixels, centres at whole numbers.

    Raises:
        BadItem: missing, damaged, or another array.
    """
    try:
        return checked_landmarks(load_restricted(path), count)
    except MienError as error:
        missing = error.code is ErrorCode.MISSING_FILE
        raise BadItem(Reason.NO_LANDMARKS if missing else Reason.BAD_LANDMARKS, _cause(error)) from error


def checked_landmarks(points: object, count: int) -> np.ndarray:
    """(count, 2) float32 of what should be landmarks (count or more, >= 2), with or without a leading 1.

    Files with more than the 68 points of iBUG have others behind them.

    Raises:
        BadItem: it is something else.
    """
    array = np.asarray(points) if isinstance(points, np.ndarray | list) else np.zeros(0)
    if array.ndim == 3 and len(array) == 1:
        array = array[0]
    many = array.ndim == 2 and (len(array) == count or (count == 68 and len(array) > 68))
    if not many or array.shape[1] < 2 or array.dtype.kind not in "fiu":
        raise BadItem(Reason.BAD_LANDMARKS, f"shape {array.shape} instead of ({count}, 2)")
    points = array[:count, :2].astype(np.float32)
    if not np.isfinite(points).all():
        raise BadItem(Reason.BAD_LANDMARKS, "not all are numbers")
    return points


def read_segmentation(path: Path) -> np.ndarray:
    """(224, 224) float32 mask of the face from a label image.

    Args:
        path: an npz of ours, or a pickle of the published code, compressed with gzip or not: a text and the labels.

    Raises:
        BadItem: damaged, or another array.
    """
    try:
        labels = load_arrays(path)[1].get(LABELS) if path.suffix == ".npz" else _pickled(path)
    except MienError as error:
        raise BadItem(Reason.BAD_MASK, _cause(error)) from error
    labels = np.squeeze(labels) if isinstance(labels, np.ndarray) else np.zeros(0)
    if labels.shape != (CROP_SIZE, CROP_SIZE) or labels.dtype.kind not in "iu":
        raise BadItem(Reason.BAD_MASK, f"{labels.dtype} of shape {labels.shape} instead of labels of the crop")
    return (~np.isin(labels, NO_FACE_PARTS)).astype(np.float32)


def read_given_mask(path: Path, height: int, width: int) -> np.ndarray:
    """(H, W) bool of an npy of the published code: above 0.5 is the face.

    Raises:
        BadItem: damaged, or of another size than the picture. NO_MASK where it is missing.
    """
    try:
        mask = load_restricted(path)
    except MienError as error:
        missing = error.code is ErrorCode.MISSING_FILE
        raise BadItem(Reason.NO_MASK if missing else Reason.BAD_MASK, _cause(error)) from error
    mask = np.squeeze(mask) if isinstance(mask, np.ndarray) else np.zeros(0)
    if mask.shape != (height, width) or mask.dtype.kind not in "fiub":
        raise BadItem(Reason.BAD_MASK, f"shape {mask.shape} instead of ({height}, {width})")
    return mask > 0.5


def _pickled(path: Path) -> object:
    """The array behind the text in a file of the published code."""
    contents = load_pickles(path)
    if len(contents) == 1 and isinstance(contents[0], list | tuple):
        contents = list(contents[0])
    return contents[1] if len(contents) == 2 else None


def _marks(points: np.ndarray | None, count: int) -> Tensor:
    """(count, 3) crop NDC and visibility: 1 for those in the crop, 0 for all where there are none."""
    marks = np.zeros((count, 3), np.float32)
    if points is not None:
        marks[:, :2] = points * (2 / CROP_SIZE) - 1
        marks[:, 2] = (np.abs(marks[:, :2]) < 1).all(1)
    return torch.from_numpy(marks)


def _cause(error: MienError) -> str:
    """What happened, in few words."""
    return str(error.details.get("cause", "")) or error.code.value.replace("_", " ")
