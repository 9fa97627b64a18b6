# SPDX-License-Identifier: GPL-3.0-or-later
"""Augmentation as EMOCA and its emotion network were trained with: a move of the picture, then one change of it.

The picture is scaled, turned and shifted about its middle, black outside, and then one of five things happens to it:
JPEG, noise, blur, sharpening, nothing. Mask and landmarks move along. It is never mirrored.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from training.datasets.faces import Epoch, Faces, set_epoch

Name = Literal["none", "emotion", "emoca"]

MOVED_TRUTH = ("head_rotation", "crop_camera", "light")
"""What is true of a synthetic picture and no longer is after it was moved."""


@dataclass(frozen=True)
class Augmentation:
    """Ranges of the chances.

    Attributes:
        scale: least and largest.
        turn: largest, degrees, either way.
        shift: largest, of the side, along each axis either way.
        jpeg: least and largest quality.
        noise: largest standard deviation of Gaussian noise, of 255; each channel its own.
        blur: largest standard deviation of a Gaussian, pixels.
        sharpen: largest share of the sharpened picture.
    """

    scale: tuple[float, float]
    turn: float
    shift: float
    jpeg: tuple[int, int] = (50, 90)
    noise: float = 10.0
    blur: float = 1.5
    sharpen: float = 0.5


AUGMENTATIONS: dict[Name, Augmentation] = {
    "emotion": Augmentation(scale=(0.8, 1.2), turn=10.0, shift=0.10),
    "emoca": Augmentation(scale=(0.9, 1.1), turn=10.0, shift=0.05),
}
"""Those of the emotion network and of EMOCA."""


class Augmented(Dataset[dict[str, Tensor]]):
    """A dataset whose items are augmented; what happens to one depends on seed, epoch and index alone.

    Rings are augmented picture by picture.

    Args:
        dataset: of items with at least `FACE_KEYS`.
        augmentation: what may happen.
        seed: of the chances.
        geometric: whether pictures are moved too. Items lose `MOVED_TRUTH` then. By default they are where they have
            none of that, so that truth is never lost unasked.
    """

    def __init__(
        self, dataset: Faces, augmentation: Augmentation, seed: int = 0, geometric: bool | None = None
    ) -> None:
        self.dataset, self.augmentation, self.seed, self.geometric = dataset, augmentation, seed, geometric
        self._epoch = Epoch()

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        item = self.dataset[index]
        random = np.random.default_rng((self.seed, int(self._epoch), index))
        if item["image"].ndim == 3:
            return augmented(item, self.augmentation, random, self.geometric)
        pictures = [
            augmented({name: values[k] for name, values in item.items()}, self.augmentation, random, self.geometric)
            for k in range(len(item["image"]))
        ]
        return {name: torch.stack([picture[name] for picture in pictures]) for name in pictures[0]}

    def by_person(self) -> list[np.ndarray]:
        """As the dataset has them."""
        return self.dataset.by_person()

    def labels(self) -> np.ndarray:
        """As the dataset has them."""
        return self.dataset.labels()

    def set_epoch(self, number: int) -> None:
        """Draw other chances."""
        self._epoch.set(number)
        set_epoch(self.dataset, number)


def augmented(
    item: dict[str, Tensor], augmentation: Augmentation, random: np.random.Generator, geometric: bool | None = None
) -> dict[str, Tensor]:
    """One item augmented; see `Augmented`."""
    if geometric is None:
        geometric = not any(name in item for name in MOVED_TRUTH)
    changed = {name: values for name, values in item.items() if not (geometric and name in MOVED_TRUTH)}
    pixels = (item["image"].movedim(0, -1) * 255).round().byte().numpy()
    if geometric:
        move = drawn_move(augmentation, random, len(pixels))
        pixels = moved(pixels, move)
        changed["mask"] = torch.from_numpy(moved(item["mask"][0].numpy(), move))[None]
        for name in ("landmarks", "mediapipe"):
            changed[name] = _moved_marks(item[name], move, len(pixels))
    pixels = _CHANGES[random.integers(len(_CHANGES))](pixels, augmentation, random)
    changed["image"] = torch.from_numpy(np.ascontiguousarray(pixels)).movedim(-1, 0).float().contiguous() / 255
    return changed


def drawn_move(augmentation: Augmentation, random: np.random.Generator, size: int) -> np.ndarray:
    """(2, 3) where pixels go, their centres at +0.5: scaled and turned about the middle, then shifted."""
    scale = random.uniform(*augmentation.scale)
    angle = math.radians(random.uniform(-augmentation.turn, augmentation.turn))
    shift = random.uniform(-augmentation.shift, augmentation.shift, 2) * size
    turn = scale * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    middle = np.full(2, size / 2)
    return np.concatenate((turn, (middle + shift - turn @ middle)[:, None]), axis=1)


def moved(pixels: np.ndarray, move: np.ndarray) -> np.ndarray:
    """A picture (H, W) or (H, W, C) after a move, black where nothing came to."""
    half = np.full(2, 0.5)
    whole = move.copy()  # OpenCV has pixel centres at whole numbers
    whole[:, 2] += move[:, :2] @ half - half
    return cv2.warpAffine(pixels, whole, pixels.shape[1::-1], flags=cv2.INTER_LINEAR)


def _moved_marks(marks: Tensor, move: np.ndarray, size: int) -> Tensor:
    """(N, 3) landmarks after a move; those that left the picture are not seen any more."""
    points = (marks[:, :2].double().numpy() + 1) * (size / 2)
    places = torch.from_numpy(points @ move[:, :2].T + move[:, 2]) * (2 / size) - 1
    seen = marks[:, 2] * (places.abs() < 1).all(1)
    return torch.cat((places, seen[:, None]), 1).float()


def _through_jpeg(pixels: np.ndarray, augmentation: Augmentation, random: np.random.Generator) -> np.ndarray:
    low, high = augmentation.jpeg
    quality = int(random.integers(low, high + 1))
    stored = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(stored, cv2.IMREAD_COLOR)[..., ::-1]


def _noisy(pixels: np.ndarray, augmentation: Augmentation, random: np.random.Generator) -> np.ndarray:
    deviation = random.uniform(0, augmentation.noise)
    noise = deviation * random.standard_normal(pixels.shape, dtype=np.float32)
    return (pixels + noise).round().clip(0, 255).astype(np.uint8)


def _blurred(pixels: np.ndarray, augmentation: Augmentation, random: np.random.Generator) -> np.ndarray:
    deviation = random.uniform(0, augmentation.blur)
    return cv2.GaussianBlur(pixels, (0, 0), deviation) if deviation > 1e-3 else pixels


def _sharpened(pixels: np.ndarray, augmentation: Augmentation, random: np.random.Generator) -> np.ndarray:
    share = random.uniform(0, augmentation.sharpen)
    edges = np.array([[-1, -1, -1], [-1, 9, -1], [-1, -1, -1]], np.float32)
    kernel = share * edges
    kernel[1, 1] += 1 - share
    return cv2.filter2D(pixels, -1, kernel)


def _unchanged(pixels: np.ndarray, augmentation: Augmentation, random: np.random.Generator) -> np.ndarray:
    return pixels


_CHANGES: tuple[Callable[[np.ndarray, Augmentation, np.random.Generator], np.ndarray], ...] = (
    _through_jpeg, _noisy, _blurred, _sharpened, _unchanged,
)  # fmt: skip
