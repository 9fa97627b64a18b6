# SPDX-License-Identifier: GPL-3.0-or-later
"""VGGFace2 (Cao et al. 2018) as DECA was trained on it: many photos each of 9000 people, for rings.

    FOLDER/train/ID/IMAGE.jpg
    FOLDER/train_annotated_torch7/ID/IMAGE.npy      68 landmarks
    FOLDER/train_segmentation/ID/IMAGE.npy          masks, where there are any
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
from training.datasets.report import Findings, Reason
from training.datasets.uncropped import DECA_SCALE, Uncropped

_ENDINGS = (".jpg", ".jpeg", ".png")


def vggface2(
    folder: Path, prepared: Path | None = None, listed: Path | None = None, part: str = "train",
    landmarks: str = "train_annotated_torch7", masks: str = "train_segmentation",
    scale: tuple[float, float] = DECA_SCALE, shift: float = 0.0, seed: int = 0,
) -> RecordedFaces:  # fmt: skip
    """Faces of VGGFace2.

    Args:
        folder: of the dataset.
        prepared: as `mien train prepare vggface2` wrote it; without, whole pictures are cropped at random around the
            landmarks that lie beside them.
        listed: an npy of rows of names ID/IMAGE of one person, each row a ring, or of single names, of which those of
            one ID are a ring; all pictures without it.
        part: folder of the pictures in `folder`.
        landmarks: folder of the landmarks there.
        masks: folder of the masks there; a picture without one counts as face all over, as for DECA.
        scale: see `Uncropped`; without `prepared`.
        shift: likewise.
        seed: of the crops.

    Raises:
        MienError: MISSING_FILE, BAD_MANIFEST.
    """
    findings = Findings()
    reader = (
        Prepared(prepared, "Run 'mien train prepare vggface2' first.")
        if prepared
        else Uncropped(folder, folder / landmarks, folder / masks, scale, shift)
    )
    records = Records(vggface2_records(folder, findings, listed, part))
    return RecordedFaces(f"VGGFace2 ({part})", records, reader, findings, seed)


def vggface2_records(
    folder: Path, findings: Findings, listed: Path | None = None, part: str = "train"
) -> Iterator[Record]:
    """A record of every picture; `person` numbers the people, or the rows of a list.

    Raises:
        MienError: MISSING_FILE, BAD_MANIFEST.
    """
    if listed is not None:
        rows = read_list(listed, parts=2)
        single = all(len(names) == 1 for names in rows)
        people: dict[str, int] = {}
        for row, names in enumerate(rows):
            for name in dict.fromkeys(names):
                who = people.setdefault(name.partition("/")[0], len(people)) if single else row
                yield Record(name, f"{part}/{name}.jpg", person=who)
        return
    try:
        names = sorted(entry.name for entry in os.scandir(folder / part) if entry.is_dir())
    except OSError as error:
        message = f"{folder} holds no folder {part} with the pictures of VGGFace2."
        raise MienError(ErrorCode.MISSING_FILE, message, "Give the folder in which it lies.") from error
    for number, who in enumerate(names):
        pictures = [name for name in sorted(os.listdir(folder / part / who)) if name.lower().endswith(_ENDINGS)]
        if not pictures:
            findings.trouble(Reason.NO_PICTURE, who, "an empty folder")
        for name in pictures:
            yield Record(f"{who}/{Path(name).stem}", f"{part}/{who}/{name}", person=number)
