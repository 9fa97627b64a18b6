# SPDX-License-Identifier: GPL-3.0-or-later
"""The second walk through a clip: what networks make of a person's crops. Every batch is on disk at once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from backend.engines.crops import FanLandmarks, on_device, some_squares, transforms
from backend.engines.interface import CropReader
from backend.faces.engine_crops import Squares
from backend.media.ahead import ahead
from backend.media.clip import Clip
from backend.progress import Progress
from backend.store.observations import Observations
from backend.store.records import RecordFile
from blender_addon.contract.errors import ErrorCode, MienError

from .observing import Pace

BATCH = 16
"""Crops that networks see at once on a CPU; answers do not depend on where a capture was ended, for batches do not."""
BATCH_GPU = 64
LANDMARKS_AT_ONCE = 64


@dataclass(frozen=True)
class Asked:
    """The frames of a person that are read, N of them.

    Attributes:
        frames: (N,) index into the clip, rising.
        places: (N,) of the sightings in the observations.
        time: (N,) seconds.
        segment: (N,) the shot of each.
        steady: Whether boxes are smoothed over time; FAN's never are.
    """

    frames: np.ndarray
    places: np.ndarray
    time: np.ndarray
    segment: np.ndarray
    steady: bool


@dataclass(frozen=True)
class Answers:
    """What one reader said of N frames.

    Attributes:
        transforms: (N,3,3) full-frame pixels to the crops'.
        records: (N,) of the reader's type.
    """

    transforms: np.ndarray
    records: np.ndarray


Show = Callable[[int, Answers], None]
"""Told of the number of frames that are done, and what the first reader said of the newest batch."""


def read_person(
    readers: Sequence[CropReader],
    clip: Clip,
    observations: Observations,
    asked: Asked,
    device: torch.device,
    fan: FanLandmarks | None,
    folder: Path,
    progress: Progress,
    show: Show | None = None,
) -> list[Answers]:
    """Let networks look at a person, but for the frames of which their answers are known.

    Args:
        readers: The networks.
        clip: The clip.
        observations: Where the person is in it.
        asked: In which frames.
        device: Where crops are made and networks run.
        fan: FAN, where boxes lie around its landmarks.
        folder: Where answers are kept.
        progress: From 0 to 1 for this walk; told of the frames.
        show: Told of each batch.

    Raises:
        MienError: CANCELLED, NO_SPACE, NOT_PERMITTED, BAD_CLIP, or what decoding raises.
    """
    batch = BATCH if device.type == "cpu" else BATCH_GPU
    count = len(asked.frames)
    around = _boxes(readers, observations, asked, fan)
    with ExitStack() as stack:
        kept = [
            _Kept(reader, boxes, asked, batch, folder, fan, stack)
            for reader, boxes in zip(readers, around, strict=True)
        ]
        known = min(len(item.file) for item in kept)
        pace = Pace(count, known, 0.0)
        frames = _frames(clip, asked.frames[known:])
        with ahead(frames) as walk:
            row = known
            for index, pixels in walk:
                progress.check_cancelled()
                picture = on_device(pixels, device)
                for item in kept:
                    item.look(row, pixels, picture)
                row += 1
                if row % batch == 0 or row == count:
                    for item in kept:
                        item.answer(row)
                    if show is not None:
                        show(row, kept[0].newest())
                progress.frames(pace.count(row))
                progress("engine", row / count, "Reading faces")
                del index, picture
        return [item.all() for item in kept]


def _boxes(
    readers: Sequence[CropReader], observations: Observations, asked: Asked, fan: FanLandmarks | None
) -> list[Squares]:
    """Squares of all frames for each reader; with FAN MediaPipe's, which only tell where FAN looks."""
    parts: list[list[Squares]] = [[] for _ in readers]
    for first in range(0, len(asked.places), LANDMARKS_AT_ONCE):
        landmarks = observations.read(asked.places[first : first + LANDMARKS_AT_ONCE])["landmarks"]
        for reader, own in zip(readers, parts, strict=True):
            own.append(reader.style.squares(landmarks))
    joined = []
    for reader, own in zip(readers, parts, strict=True):
        squares = Squares(*(np.concatenate([getattr(part, name) for part in own]) for name in _SQUARES))
        steady = asked.steady and fan is None
        joined.append(reader.style.steady(squares, asked.time, asked.segment) if steady else squares)
    return joined


_SQUARES = ("centre", "face_size", "size")


def _frames(clip: Clip, wanted: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """The pixels of frames by their index, rising."""
    if not len(wanted):
        return
    row = 0
    with closing(clip.frames(int(wanted[0]), int(wanted[-1]))) as frames:
        for frame in frames:
            if frame.index == wanted[row]:
                yield frame.index, frame.pixels
                row += 1
                if row == len(wanted):
                    return
    message = f"Frame {int(clip.info.numbers[wanted[row]])} of {clip.info.path} could be read before and now cannot."
    raise MienError(ErrorCode.BAD_CLIP, message, "Do not change the clip while it is captured; capture it again.")


class _Kept:
    """A reader, its crops of the batch that is being filled, and its answers on disk."""

    def __init__(
        self,
        reader: CropReader,
        around: Squares,
        asked: Asked,
        batch: int,
        folder: Path,
        fan: FanLandmarks | None,
        stack: ExitStack,
    ) -> None:
        self._reader, self._around, self._fan = reader, around, fan
        what = (reader.key, reader.style, fan is not None, batch, asked.frames.tobytes(), around.centre.tobytes())
        name = hashlib.sha256(repr((*what, around.size.tobytes())).encode()).hexdigest()[:16]
        dtype = np.dtype([("transform", "<f8", (3, 3)), ("answer", reader.dtype)])
        self.file = stack.enter_context(closing(RecordFile(folder / f"codes-{name}.bin", dtype)))
        if len(self.file) != len(asked.frames):
            self.file.keep(len(self.file) // batch * batch)  # a batch that was cut off is read again as a whole
        self._crops: list[torch.Tensor] = []
        self._transforms: list[np.ndarray] = []
        self._newest = 0

    def look(self, row: int, pixels: np.ndarray, picture: torch.Tensor) -> None:
        """Crop the face in a frame, unless what it says is known."""
        if row < len(self.file):
            return
        around = some_squares(self._around, slice(row, row + 1))
        if self._fan is not None:
            half = around.face_size[:, None] / 2
            box = np.concatenate([around.centre - half, around.centre + half], axis=1)
            around = self._reader.style.around_fan(pixels, box, self._fan)
        self._crops.append(self._reader.style.crops(picture, around))
        self._transforms.append(transforms(around))

    def answer(self, row: int) -> None:
        """Let the networks look at what was cropped; `row` frames are then known."""
        self._newest = row - len(self._crops)
        if not self._crops:
            return
        records = np.empty(len(self._crops), self.file.dtype)
        records["transform"] = np.concatenate(self._transforms)
        records["answer"] = self._reader.read(torch.cat(self._crops))
        self.file.append(records)
        self._crops, self._transforms = [], []

    def newest(self) -> Answers:
        """The newest batch."""
        return self._answers(self._newest)

    def all(self) -> Answers:
        """All frames."""
        return self._answers(0)

    def _answers(self, first: int) -> Answers:
        records = self.file.read(first, len(self.file) - first)
        return Answers(records["transform"], records["answer"])
