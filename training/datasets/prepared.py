# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders of prepared faces: those that `mien train prepare` writes, and those of the published code.

    detections/SUB/STEM.png             224 x 224 crop
    landmarks/SUB/STEM.npz              68 landmarks in its pixels (.pkl as published)
    landmarks_mediapipe/SUB/STEM.npz    478 (.pkl)
    segmentations/SUB/STEM.npz          labels as BiSeNet's (.pkl)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.projection import CROP_SIZE
from training.datasets.files import BadItem, Face, read_landmarks, read_pixels, read_segmentation
from training.datasets.listing import Listing
from training.datasets.records import Record, Records
from training.datasets.report import Findings, Reason

PICTURES, LANDMARKS, MEDIAPIPE, SEGMENTATIONS = "detections", "landmarks", "landmarks_mediapipe", "segmentations"
PREPARED = "prepared"
"""Where a dataset's prepared faces lie in its folder, unless somebody said another place."""
_ENDINGS = (".pkl", ".npz")
"""A segmentation that somebody made with a network comes before ours."""


@dataclass(frozen=True)
class PreparedFiles:
    """Where the files of one face are written."""

    picture: Path
    landmarks: Path
    mediapipe: Path
    segmentation: Path

    @classmethod
    def of(cls, folder: Path, name: str) -> PreparedFiles:
        """Of the record `name` in a prepared folder."""
        return cls(
            folder / PICTURES / f"{name}.png",
            *(folder / kind / f"{name}.npz" for kind in (LANDMARKS, MEDIAPIPE, SEGMENTATIONS)),
        )

    def complete(self) -> bool:
        """Whether all are there, ours or those of the published code. The picture is written last."""
        others = (self.landmarks, self.mediapipe, self.segmentation)
        return _filled(self.picture) and all(
            any(_filled(path.with_suffix(ending)) for ending in _ENDINGS) for path in others
        )


class Prepared:
    """Reads prepared faces.

    Raises:
        MienError: MISSING_FILE where the folder holds none.
    """

    def __init__(self, folder: Path, remedy: str) -> None:
        self.folder = folder
        if not (folder / PICTURES).is_dir():
            message = f"{folder} holds no prepared faces: it has no folder {PICTURES}."
            raise MienError(ErrorCode.MISSING_FILE, message, remedy, {"path": str(folder)})

    def usable(self, records: Records, findings: Findings) -> np.ndarray:
        """(M,) indices of the records whose files are all there; why others are not goes to the findings.

        Only the folders are listed, since opening each of a million files would take long.
        """
        listed = {kind: Listing(self.folder / kind) for kind in (PICTURES, LANDMARKS, MEDIAPIPE, SEGMENTATIONS)}
        kept = []
        for index in range(len(records)):
            name = records.name(index)
            if not listed[PICTURES].has(name, (".png", ".jpg")):
                findings.trouble(Reason.NO_PICTURE, name)
            elif not any(listed[kind].has(name, _ENDINGS) for kind in (LANDMARKS, MEDIAPIPE)):
                findings.trouble(Reason.NO_LANDMARKS, name)
            elif not listed[SEGMENTATIONS].has(name, _ENDINGS):
                findings.trouble(Reason.NO_MASK, name)
            else:
                kept.append(index)
        return np.array(kept, np.int64)

    def read(self, record: Record, random: np.random.Generator) -> Face:
        """One face; nothing about it is left to chance.

        Raises:
            BadItem: a file is missing, damaged or something else.
        """
        picture = self._found(PICTURES, record.name, (".png", ".jpg"))
        segmentation = self._found(SEGMENTATIONS, record.name, _ENDINGS)
        marks = [self._found(kind, record.name, _ENDINGS) for kind in (LANDMARKS, MEDIAPIPE)]
        if picture is None:
            raise BadItem(Reason.NO_PICTURE)
        if segmentation is None:
            raise BadItem(Reason.NO_MASK)
        return Face(
            read_pixels(picture, CROP_SIZE), read_segmentation(segmentation),
            *(path and read_landmarks(path, count) for path, count in zip(marks, (68, 478), strict=True)),
        )  # fmt: skip

    def _found(self, kind: str, name: str, endings: Sequence[str]) -> Path | None:
        paths = (self.folder / kind / f"{name}{ending}" for ending in endings)
        return next((path for path in paths if path.exists()), None)


def _filled(path: Path) -> bool:
    """Whether a file is there and not empty, as files may be after a power cut."""
    try:
        return path.stat().st_size > 0
    except OSError:
        return False
