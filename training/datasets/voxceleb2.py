# SPDX-License-Identifier: GPL-3.0-or-later
"""VoxCeleb2 (Chung et al. 2018) as DECA was trained on it: frames of clips of people who speak, for rings.

    FOLDER/images_cropped_full_height/PERSON/VIDEO/FACE/FRAME.png
    FOLDER/landmarks/PERSON/VIDEO/FACE/FRAME.npy        68 landmarks
    FOLDER/segmentation/PERSON/VIDEO/FACE/FRAME.npy     masks, where there are any
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from blender_addon.contract.errors import ErrorCode, MienError
from training.datasets.lists import read_list
from training.datasets.prepared import Prepared
from training.datasets.recorded import RecordedFaces
from training.datasets.records import Record, Records
from training.datasets.report import Findings
from training.datasets.uncropped import DECA_SCALE, Uncropped

_ENDINGS = (".png", ".jpg", ".jpeg")


def voxceleb2(
    folder: Path, prepared: Path | None = None, listed: Path | None = None,
    pictures: str = "images_cropped_full_height", landmarks: str = "landmarks", masks: str = "segmentation",
    scale: tuple[float, float] = DECA_SCALE, shift: float = 0.0, seed: int = 0,
) -> RecordedFaces:  # fmt: skip
    """Faces of VoxCeleb2; rings are frames of one clip.

    Args:
        folder: of the dataset.
        prepared: as `mien train prepare voxceleb2` wrote it; without, whole pictures are cropped at random around the
            landmarks that lie beside them.
        listed: an npy of names PERSON/VIDEO/FACE/FRAME; all frames without it.
        pictures: folder of the frames in `folder`.
        landmarks: folder of the landmarks there.
        masks: folder of the masks there; a picture without one counts as face all over.
        scale: see `Uncropped`; without `prepared`.
        shift: likewise.
        seed: of the crops.

    Raises:
        MienError: MISSING_FILE, BAD_MANIFEST.
    """
    findings = Findings()
    reader = (
        Prepared(prepared, "Run 'mien train prepare voxceleb2' first.")
        if prepared
        else Uncropped(folder, folder / landmarks, folder / masks, scale, shift)
    )
    return RecordedFaces("VoxCeleb2", Records(voxceleb2_records(folder, listed, pictures)), reader, findings, seed)


def voxceleb2_records(
    folder: Path, listed: Path | None = None, pictures: str = "images_cropped_full_height"
) -> Iterator[Record]:
    """A record of every frame; `person` numbers the clips.

    Raises:
        MienError: MISSING_FILE, BAD_MANIFEST.
    """
    names = _listed(listed) if listed is not None else _found(folder / pictures)
    clips: dict[str, int] = {}
    for name, ending in names:
        clip = name.rpartition("/")[0]
        yield Record(name, f"{pictures}/{name}{ending}", person=clips.setdefault(clip, len(clips)))
    if not clips:
        message = f"{folder} holds no folder {pictures} with frames of VoxCeleb2 (PERSON/VIDEO/FACE/FRAME.png)."
        raise MienError(ErrorCode.MISSING_FILE, message, "Give the folder in which it lies.", {"path": str(folder)})


def _listed(path: Path) -> Iterator[tuple[str, str]]:
    names = dict.fromkeys(name for row in read_list(path, parts=4) for name in row)
    return ((name, ".png") for name in names)


def _found(folder: Path) -> Iterator[tuple[str, str]]:
    """Names and endings of the pictures four folders deep, in order."""
    for place, folders, files in os.walk(folder):
        folders.sort()
        clip = Path(place).relative_to(folder)
        if len(clip.parts) == 3:
            folders.clear()
            for name in sorted(files):
                path = Path(name)
                if path.suffix.lower() in _ENDINGS:
                    yield f"{clip.as_posix()}/{path.stem}", path.suffix
