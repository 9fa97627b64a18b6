# SPDX-License-Identifier: GPL-3.0-or-later
"""From a picture to the files that training reads: the face of a record found, cropped, marked and masked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from backend.faces.crops import apply_transforms
from backend.faces.engine_crops import DECA_LANDMARKS, frame_transforms, square_transforms, squares, take_crops
from backend.faces.landmarker import Face, FaceFinder
from backend.faces.search import overlap
from backend.faces.topology import IBUG68_FROM_478
from backend.outputs import write_png
from blender_addon.contract.files import make_folder, save_arrays
from training.datasets.files import LABELS, LANDMARKS
from training.datasets.prepared import PreparedFiles
from training.datasets.records import Record
from training.preprocessing.segmentation import face_labels

LandmarkSource = Literal["mediapipe", "fan"]
SCALE = 1.25
"""Of EMOCA's crops, over 1.1 times the box of the landmarks."""
LEAST_OVERLAP = 0.1
"""Of a face with the box that the dataset gives (intersection over union). Such boxes are often twice as large."""


@dataclass(frozen=True)
class Style:
    """How faces are prepared.

    Attributes:
        landmarks: whose 68 landmarks there are, and around whose box the crop lies.
        scale: side of the crop over 1.1 times the mean side of their box.
        device: where FAN runs.
    """

    landmarks: LandmarkSource = "mediapipe"
    scale: float = SCALE
    device: str = "cpu"


@dataclass(frozen=True, eq=False)
class MadeFace:
    """A prepared face.

    Attributes:
        pixels: (224, 224, 3) uint8 RGB.
        landmarks: (68, 2) float32 crop pixels, centres at +0.5.
        mediapipe: (478, 2) likewise.
        labels: (224, 224) uint8, see `face_labels`.
    """

    pixels: np.ndarray
    landmarks: np.ndarray
    mediapipe: np.ndarray
    labels: np.ndarray


def make_face(frame: np.ndarray, record: Record, finder: FaceFinder, style: Style) -> MadeFace | None:
    """The face of a record in its picture (H, W, 3) uint8 RGB; None where it does not show it.

    Raises:
        MienError: FAN or its weights are not there.
    """
    face = chosen(finder.find(frame), record, frame.shape[1])
    if face is None:
        return None
    points = face.landmarks[:, :2]
    sixty_eight = points[IBUG68_FROM_478]
    if style.landmarks == "fan":
        from backend.faces.fan import fan_landmarks  # optional

        sixty_eight = fan_landmarks(frame, face.box, style.device)
    transform = square_transforms(squares(sixty_eight[None], replace(DECA_LANDMARKS, crop=style.scale)))
    crop = take_crops(torch.from_numpy(np.require(frame, requirements=["C", "W"]))[None], transform, "cubic")[0]
    inside = frame_transforms(transform)
    marks, mediapipe = (
        (apply_transforms(inside, each[None].astype(np.float64))[0] + 0.5).astype(np.float32)
        for each in (sixty_eight, points)
    )
    pixels = (crop.movedim(0, -1) * 255).round().byte().numpy()
    return MadeFace(pixels, marks, mediapipe, face_labels(mediapipe))


def chosen(faces: Sequence[Face], record: Record, width: int) -> Face | None:
    """Whom a record means, of the faces of a picture, largest first.

    The one that the dataset's box lies over, if it gives one; the one on the side that it names, if two people have
    annotations; else the largest.
    """
    if not faces:
        return None
    if not np.isnan(record.box[0]):
        box = np.array(record.box)
        best = max(faces, key=lambda face: overlap(face.box, box))
        return best if overlap(best.box, box) >= LEAST_OVERLAP else None
    if record.side:
        ordered = sorted(faces[:2], key=lambda face: face.box[0] + face.box[2])
        face = ordered[0 if record.side == "left" else -1]
        alone_elsewhere = len(ordered) == 1 and (face.box[0] + face.box[2] < width) != (record.side == "left")
        return None if alone_elsewhere else face
    return faces[0]


def write_face(face: MadeFace, folder: Path, name: str, style: Style) -> None:
    """Write the files of a face, the picture last; each appears whole or not at all.

    Raises:
        MienError: NO_SPACE, NOT_PERMITTED.
    """
    files = PreparedFiles.of(folder, name)
    for path in (files.picture, files.landmarks, files.mediapipe, files.segmentation):
        make_folder(path.parent)
    save_arrays(files.landmarks, {"source": style.landmarks}, {LANDMARKS: face.landmarks}, durable=False)
    save_arrays(files.mediapipe, {"source": "mediapipe"}, {LANDMARKS: face.mediapipe}, durable=False)
    save_arrays(files.segmentation, {"source": "landmarks"}, {LABELS: face.labels}, durable=False)
    write_png(files.picture, face.pixels)
