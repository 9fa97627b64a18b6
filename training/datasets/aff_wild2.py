# SPDX-License-Identifier: GPL-3.0-or-later
"""Aff-Wild2 (Kollias and Zafeiriou 2019): videos with valence and arousal, and expressions, in every frame.

    FOLDER/VA_Estimation_Challenge/Train_Set/VIDEO.txt              valence,arousal; -5 for none
    FOLDER/EXPR_Classification_Challenge/Validation_Set/VIDEO.txt   7 or 8 classes; -1 for none
    FOLDER/batch1/VIDEO.mp4, ...                                    the videos, or
    FOLDER/cropped_aligned/VIDEO/00001.jpg, ...                     their faces, as they are given out too

The challenges' folders may lie in a folder of their own, as they are packed. VIDEO_left.txt and VIDEO_right.txt are of
two people in one video.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.models import EMOTIONS
from training.datasets.prepared import PREPARED, Prepared
from training.datasets.recorded import RecordedFaces
from training.datasets.records import Record, Records, Side
from training.datasets.report import Findings, Reason

Split = Literal["train", "validation"]
Task = Literal["both", "va", "expr"]

ALIGNED = "cropped_aligned"
_VIDEOS = (".mp4", ".avi", ".mkv", ".webm", ".mov")
_FOLDERS: dict[Split, str] = {"train": "Train_Set", "validation": "Validation_Set"}
_CLASSES = {
    "neutral": "neutral", "anger": "anger", "disgust": "disgust", "fear": "fear", "happiness": "happy",
    "sadness": "sad", "surprise": "surprise", "other": "",
}  # fmt: skip
"""What the header calls the classes, in their order, and what `EMOTIONS` does; `other` is none of those."""
_NO_AFFECT = -5.0


@dataclass(frozen=True)
class _Annotation:
    """Of a frame; the defaults where it was not annotated."""

    label: int = -1
    valence: float = math.nan
    arousal: float = math.nan


def aff_wild2(folder: Path, split: Split, task: Task = "both", prepared: Path | None = None) -> RecordedFaces:
    """Faces of Aff-Wild2: frames with valence and arousal, with an expression, or with either.

    Expressions called Other have no label here; frames with nothing but that are left out. The challenges do not split
    the videos alike: with both, those that either has for validation are not trained on.

    Args:
        folder: of the dataset.
        split: the test set's annotations are not published.
        task: whose annotations count.
        prepared: as `mien train prepare aff_wild2` wrote it; `folder`/prepared by default.

    Raises:
        MienError: MISSING_FILE where there are no annotations.
    """
    findings = Findings()
    reader = Prepared(prepared or folder / PREPARED, "Run 'mien train prepare aff_wild2' first.")
    records = aff_wild2_records(folder, split, findings, task)
    if (split, task) == ("train", "both"):
        records = _not_validated(folder, records, findings)
    return RecordedFaces(f"Aff-Wild2 ({split}, {task})", Records(records), reader, findings)


def aff_wild2_records(folder: Path, split: Split, findings: Findings, task: Task = "both") -> Iterator[Record]:
    """A record of every annotated frame; `person` numbers the videos of annotations."""
    tracks = _tracks(folder, split, task)
    if not tracks:
        message = f"{folder} holds no annotations of Aff-Wild2 ({_FOLDERS[split]})."
        raise MienError(ErrorCode.MISSING_FILE, message, "Unpack its annotations there.", {"path": str(folder)})
    footage = _Footage(folder)
    for person, (track, paths) in enumerate(sorted(tracks.items())):
        annotations: dict[int, _Annotation] = {}
        for path in paths:
            _merge(annotations, path, findings)
        if annotations and footage.find(track) is None:
            findings.trouble(Reason.NO_PICTURE, track, "neither video nor frames")
            continue
        for index, annotation in sorted(annotations.items()):
            if annotation == _Annotation():
                findings.filtered("not annotated")
            else:
                yield footage.record(track, index, annotation, person)


def _not_validated(folder: Path, records: Iterator[Record], findings: Findings) -> Iterator[Record]:
    """Records of videos that no challenge has for validation."""
    validated = {_video(track) for track in _tracks(folder, "validation", "both")}
    for record in records:
        if _video(record.name.rpartition("/")[0]) in validated:
            findings.filtered("of videos that a challenge has for validation")
        else:
            yield record


def _video(track: str) -> str:
    """The video that a track is of, whoever of two people it shows."""
    return track.removesuffix("_left").removesuffix("_right")


def _tracks(folder: Path, split: Split, task: Task) -> dict[str, list[Path]]:
    """Files of annotations by what they are of: a video, or one of its two people."""
    challenges = {"va": "VA_*Challenge", "expr": "EXPR_*Challenge"}
    wanted = challenges.values() if task == "both" else [challenges[task]]
    tracks: dict[str, list[Path]] = {}
    for challenge in wanted:
        for path in sorted(folder.glob(f"**/{challenge}/{_FOLDERS[split]}/*.txt")):
            tracks.setdefault(path.stem, []).append(path)
    return tracks


def _merge(annotations: dict[int, _Annotation], path: Path, findings: Findings) -> None:
    """Add what a file says of the frames."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        names = [name.strip().lower() for name in lines[0].split(",")] if lines else []
        if names != ["valence", "arousal"] and names not in (list(_CLASSES)[:7], list(_CLASSES)):
            raise ValueError(f"header {','.join(names)[:40]!r}")
    except (OSError, ValueError) as error:
        findings.trouble(Reason.BAD_LABELS, path.name, str(error))
        return
    for index, line in enumerate(lines[1:]):
        if not line.strip():
            continue
        before = annotations.get(index, _Annotation())
        try:
            if len(names) == 2:
                annotations[index] = _Annotation(before.label, *_affect(line))
            else:
                annotations[index] = _Annotation(_label(line, names), before.valence, before.arousal)
        except ValueError as error:
            findings.trouble(Reason.BAD_ROW, f"{path.name} line {index + 2}", str(error))


def _affect(line: str) -> tuple[float, float]:
    valence, arousal = (float(text) for text in line.split(","))
    if _NO_AFFECT in (valence, arousal):
        return math.nan, math.nan
    if not (abs(valence) <= 1 and abs(arousal) <= 1):
        raise ValueError(line.strip())
    return valence, arousal


def _label(line: str, names: list[str]) -> int:
    number = int(line)
    if not -1 <= number < len(names):
        raise ValueError(f"class {number}")
    emotion = _CLASSES[names[number]] if number >= 0 else ""
    return EMOTIONS.index(emotion) if emotion else -1


class _Footage:
    """Where the frames of a track are: in a video if there is one, else in aligned pictures."""

    def __init__(self, folder: Path) -> None:
        paths = (path for pattern in ("*", "*/*") for path in sorted(folder.glob(pattern)))
        self._videos = {
            path.stem: path.relative_to(folder).as_posix() for path in paths if path.suffix.lower() in _VIDEOS
        }
        self._aligned = {path.name for path in (folder / ALIGNED).glob("*")}

    def find(self, track: str) -> tuple[str, Side] | None:
        """Path of the video and whom of it, or of the folder of aligned pictures."""
        if track in self._videos:
            return self._videos[track], ""
        for side in ("left", "right"):
            if (stem := track.removesuffix(f"_{side}")) != track and stem in self._videos:
                return self._videos[stem], side
        return (f"{ALIGNED}/{track}", "") if track in self._aligned else None

    def record(self, track: str, index: int, annotation: _Annotation, person: int) -> Record:
        """Of a frame, counted from 0; the aligned pictures are numbered from 1."""
        place, side = self.find(track)  # type: ignore[misc]  # it was looked for before
        aligned = place.startswith(f"{ALIGNED}/")
        name = f"{track}/{index + 1:05d}"
        picture, frame = (f"{place}/{index + 1:05d}.jpg", -1) if aligned else (place, index)
        return Record(
            name, picture, frame, side, annotation.label, annotation.valence, annotation.arousal, person
        )
