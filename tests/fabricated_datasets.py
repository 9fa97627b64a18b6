# SPDX-License-Identifier: GPL-3.0-or-later
"""Small folders in the layouts of the published datasets, of synthetic faces with known truth."""

from __future__ import annotations

import csv
import gzip
import json
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from backend.media.writer import VideoWriter
from blender_addon.contract.projection import CROP_SIZE
from training.preprocessing.making import MadeFace, Style, write_face
from training.preprocessing.segmentation import face_labels
from training.synthetic.dataset import SyntheticFaces

BORDER = 48
"""Pixels around the synthetic picture in a whole one."""
SIDE = CROP_SIZE + 2 * BORDER
COLUMNS = ("subDirectory_filePath", "face_x", "face_y", "face_width", "face_height", "facial_landmarks", "expression",
           "valence", "arousal")  # fmt: skip


@dataclass(frozen=True, eq=False)
class Whole:
    """A whole picture and its truth.

    Attributes:
        pixels: (SIDE, SIDE, 3) uint8.
        mask: (SIDE, SIDE) float32.
        landmarks: (68, 2) pixels, centres at +0.5.
        mediapipe: (478, 2) likewise.
    """

    pixels: np.ndarray
    mask: np.ndarray
    landmarks: np.ndarray
    mediapipe: np.ndarray


@cache
def whole(number: int = 0) -> Whole:
    """Synthetic face `number` in grey surroundings, none occluded or turned far."""
    item = SyntheticFaces(number + 1, 1, seed=3)[number]
    pixels = np.full((SIDE, SIDE, 3), 90, np.uint8)
    mask = np.zeros((SIDE, SIDE), np.float32)
    inside = slice(BORDER, BORDER + CROP_SIZE)
    pixels[inside, inside] = (item["image"].movedim(0, -1) * 255).round().byte().numpy()
    mask[inside, inside] = item["mask"][0].numpy()
    marks = [(item[name][:, :2].numpy() + 1) * CROP_SIZE / 2 + BORDER for name in ("landmarks", "mediapipe")]
    return Whole(pixels, mask, *marks)


def save(path: Path, pixels: np.ndarray) -> Path:
    """Write a picture, and its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, quality=95)
    return path


def truncate(path: Path, share: float = 0.5) -> None:
    """Cut a file off."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def made_face(number: int = 0) -> MadeFace:
    """A face as preparing makes it, with the truth for landmarks."""
    face = whole(number)
    inside = slice(BORDER, BORDER + CROP_SIZE)
    mediapipe = face.mediapipe - BORDER
    return MadeFace(face.pixels[inside, inside], face.landmarks - BORDER, mediapipe, face_labels(mediapipe))


def prepare(folder: Path, names: Sequence[str]) -> None:
    """Write prepared faces without a search for them."""
    for place, name in enumerate(names):
        write_face(made_face(place % 3), folder, name, Style())


def prepare_as_published(folder: Path, name: str, number: int = 0) -> None:
    """Write a face as the published preparation does: landmarks in two pickles, the segmentation packed."""
    face = made_face(number)
    save(folder / "detections" / f"{name}.png", face.pixels)
    _pickles(folder / "landmarks" / f"{name}.pkl", "kpt68", face.landmarks - 0.5)
    relative = (face.mediapipe - 0.5) / CROP_SIZE * 2 - 1
    _pickles(folder / "landmarks_mediapipe" / f"{name}.pkl", "mediapipe", relative)
    path = folder / "segmentations" / f"{name}.pkl"
    path.parent.mkdir(parents=True, exist_ok=True)
    labels = face.labels.astype(np.int64)
    labels[:20] = 17  # hair
    with gzip.open(path, "wb") as file:
        pickle.dump(["face_parsing", labels], file)


def _pickles(path: Path, kind: str, points: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        pickle.dump(kind, file)
        pickle.dump(points, file)


def affectnet_row(name: str, expression: object, valence: object, arousal: object) -> list[object]:
    """A row of AffectNet's csv; the box is about the face of `whole`."""
    marks = ";".join("1.5" for _ in range(136))
    return [name, BORDER + 20, BORDER + 20, CROP_SIZE - 40, CROP_SIZE - 40, marks, expression, valence, arousal]


def affectnet_csv(path: Path, rows: Sequence[Sequence[object]]) -> None:
    """Write one of AffectNet's csv files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])


def affectnet_pictures(folder: Path, names: Sequence[str]) -> None:
    """Write whole pictures where AffectNet has them."""
    for place, name in enumerate(names):
        save(folder / "Manually_Annotated" / "Manually_Annotated_Images" / name, whole(place % 3).pixels)


def afew_va(folder: Path, frames: Mapping[str, int], actors: Mapping[str, str] | None = None) -> None:
    """Write clips of AFEW-VA: for each its name and how many frames; actors where they are to be named."""
    for clip, count in frames.items():
        table = {
            f"{number:05d}": {
                "landmarks": (whole(number % 2).landmarks - 0.5).tolist(), "valence": float(number - 2), "arousal": 5.0
            }
            for number in range(count)
        }  # fmt: skip
        for number in range(count):
            save(folder / clip / f"{number:05d}.png", whole(number % 2).pixels)
        content: dict[str, object] = {"video_id": clip, "frames": table}
        if actors:
            content["actor"] = actors[clip]
        (folder / clip / f"{clip}.json").write_text(json.dumps(content))


def aff_wild2_annotations(folder: Path, task: str, split: str, video: str, lines: Sequence[str]) -> Path:
    """Write annotations of one of Aff-Wild2's challenges (`VA_Estimation_Challenge`), header first."""
    path = folder / task / f"{split}_Set" / f"{video}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def video(path: Path, pictures: Sequence[np.ndarray]) -> Path:
    """Write a video."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, pictures[0].shape[1::-1], 25) as writer:
        for number, frame in enumerate(pictures):
            writer.add(frame, number / 25)
    return path


def for_deca(
    folder: Path, names: Sequence[str], pictures: str, landmarks: str, masks: str, ending: str,
    masked: Callable[[str], bool] = lambda name: True,
) -> None:  # fmt: skip
    """Write whole pictures with npy landmarks and masks beside them, as DECA was trained on."""
    for place, name in enumerate(names):
        face = whole(place % 3)
        save(folder / pictures / f"{name}{ending}", face.pixels)
        saved = [(landmarks, face.landmarks - 0.5)] + ([(masks, face.mask)] if masked(name) else [])
        for kind, array in saved:
            path = folder / kind / f"{name}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, array)
