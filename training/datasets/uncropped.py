# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole pictures with landmarks and masks beside them, as DECA was trained on: cropped when they are read.

    PICTURES/NAME.jpg       the picture
    LANDMARKS/NAME.npy      (68 or more, 2) pixels
    MASKS/NAME.npy          (H, W), above 0.5 is the face; all of the picture where there is none
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from backend.faces.crops import apply_transforms
from backend.faces.engine_crops import BoxRule, square_transforms, squares, take_crops
from training.datasets.files import BadItem, Face, read_given_landmarks, read_given_mask, read_pixels
from training.datasets.listing import Listing
from training.datasets.records import Record, Records
from training.datasets.report import Findings, Reason

DECA_SCALE = (1.4, 1.8)
"""Side of the crops that DECA was trained on, over the mean side of the box of the landmarks."""


class Uncropped:
    """Reads whole pictures and crops them at random, as DECA does.

    The square lies around the box of the landmarks; its side is the box's mean side times a number drawn from `scale`,
    its middle is moved by up to `shift` of the box's side.

    Args:
        folder: that of the dataset, in which the records' pictures lie.
        landmarks: folder of landmarks.
        masks: folder of masks.
        scale: least and largest.
        shift: largest.
    """

    tolerated = (Reason.NO_MASK,)

    def __init__(
        self, folder: Path, landmarks: Path, masks: Path, scale: tuple[float, float] = DECA_SCALE, shift: float = 0.0
    ) -> None:
        self._folder, self._landmarks, self._masks = folder, landmarks, masks
        self._scale, self._shift = scale, shift

    def usable(self, records: Records, findings: Findings) -> np.ndarray:
        """(M,) indices of the records with picture and landmarks."""
        pictures, landmarks, masks = (Listing(place) for place in (self._folder, self._landmarks, self._masks))
        kept = []
        for index, record in enumerate(records):
            if not pictures.has(record.picture, ("",)):
                findings.trouble(Reason.NO_PICTURE, record.name)
            elif not landmarks.has(record.name, (".npy",)):
                findings.trouble(Reason.NO_LANDMARKS, record.name)
            else:
                kept.append(index)
                if not masks.has(record.name, (".npy",)):
                    findings.trouble(Reason.NO_MASK, record.name)
        return np.array(kept, np.int64)

    def read(self, record: Record, random: np.random.Generator) -> Face:
        """One face in a random crop; MediaPipe's landmarks are not there.

        Raises:
            BadItem: a file is missing, damaged or something else.
        """
        pixels = read_pixels(self._folder / record.picture)
        points = read_given_landmarks(self._landmarks / f"{record.name}.npy")
        transform = self._transform(points, random)
        frame = torch.from_numpy(np.require(pixels, requirements=["C", "W"]))[None]
        image = take_crops(frame, transform)[0].movedim(0, -1).numpy()
        cropped = apply_transforms(transform, points[None].astype(np.float64))[0] + 0.5
        return Face(image, self._mask(record, pixels, transform), cropped.astype(np.float32), None)

    def _transform(self, points: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """(1, 3, 3) picture to crop, pixel centres at whole numbers."""
        around = squares(points[None], BoxRule(1.0, 0.0, random.uniform(*self._scale)))
        moved = around.centre + random.uniform(-self._shift, self._shift, 2) * around.face_size[:, None]
        if around.size[0] < 1:
            raise BadItem(Reason.BAD_LANDMARKS, "all lie in one place")
        return square_transforms(replace(around, centre=moved))

    def _mask(self, record: Record, pixels: np.ndarray, transform: np.ndarray) -> np.ndarray:
        """(224, 224) float32 in [0, 1]."""
        try:
            mask = read_given_mask(self._masks / f"{record.name}.npy", *pixels.shape[:2])
        except BadItem as bad:
            if bad.reason is not Reason.NO_MASK:
                raise
            mask = np.ones(pixels.shape[:2], bool)
        frame = torch.from_numpy(mask.astype(np.uint8) * 255)[None, ..., None]
        return take_crops(frame, transform)[0, 0].numpy()
