# SPDX-License-Identifier: GPL-3.0-or-later
"""Cuts are found; what only looks like one to a comparison of pixels is not."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import cv2
import numpy as np
import pytest
import skimage.data

from backend.media.cuts import CutDetector

NAMES = ("astronaut", "coffee", "chelsea", "rocket", "camera", "coins", "page")
SIZE = (1280, 720)


def scene(name: str) -> np.ndarray:
    pixels = getattr(skimage.data, name)()
    pixels = np.repeat(pixels[..., None], 3, axis=-1) if pixels.ndim == 2 else pixels[..., :3]
    return cv2.resize(np.ascontiguousarray(pixels), SIZE)


SCENES = {name: scene(name) for name in NAMES}


def cuts(*frames: np.ndarray) -> list[int]:
    detector = CutDetector()
    return [index for index, pixels in enumerate(frames) if detector.is_cut(pixels)]


def view(pixels: np.ndarray, x: float, y: float, zoom: float = 2.0) -> np.ndarray:
    """A part of the scene, its middle at (x, y) in shares of the picture, enlarged to the whole frame."""
    width, height = SIZE[0] / zoom, SIZE[1] / zoom
    left, top = x * SIZE[0] - width / 2, y * SIZE[1] - height / 2
    to = np.array([[zoom, 0, -left * zoom], [0, zoom, -top * zoom]])
    return cv2.warpAffine(pixels, to, SIZE, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def brightness(pixels: np.ndarray, gain: float, offset: float = 0.0) -> np.ndarray:
    return np.clip(pixels * gain + offset, 0, 255).astype(np.uint8)


def blurred(pixels: np.ndarray) -> np.ndarray:
    return cv2.blur(pixels, (121, 1))


def with_hand(pixels: np.ndarray, reach: float) -> np.ndarray:
    covered = pixels.copy()
    cv2.ellipse(covered, (int(1400 - 760 * reach), 420), (330, 260), 20, 0, 360, (205, 160, 140), -1)
    return covered


def lamp(pixels: np.ndarray) -> np.ndarray:
    from_the_side = np.linspace(0.3, 2.5, SIZE[0])[None, :, None]
    return np.clip(pixels * from_the_side, 0, 255).astype(np.uint8)


HARMLESS: dict[str, Callable[[np.ndarray], list[np.ndarray]]] = {
    "nothing": lambda p: [p, p, p],
    "flash": lambda p: [p, brightness(p, 2.0, 60), p],
    "white flash": lambda p: [p, brightness(p, 1.0, 250), p],
    "lights off and on": lambda p: [p, brightness(p, 0.25), p, brightness(p, 0.02), p],
    "lamp from the side": lambda p: [p, lamp(p), p],
    "fade out and in": lambda p: [brightness(p, gain) for gain in (1, 0.7, 0.4, 0.2, 0.05, 0, 0, 0.1, 0.4, 0.8, 1)],
    "fast pan": lambda p: [view(p, 0.3 + step * 0.12, 0.5) for step in range(4)],
    "faster pan": lambda p: [view(p, 0.35 + step * 0.15, 0.5) for step in range(3)],
    "tilt": lambda p: [view(p, 0.5, 0.3 + step * 0.1) for step in range(4)],
    "blurred pan": lambda p: [view(p, 0.3, 0.5)] + [blurred(view(p, 0.3 + step * 0.1, 0.5)) for step in range(1, 4)],
    "zoom in": lambda p: [view(p, 0.5, 0.5, 1.3 * 1.15**step) for step in range(5)],
    "zoom out": lambda p: [view(p, 0.5, 0.5, 2.2 / 1.12**step) for step in range(5)],
    "hand": lambda p: [with_hand(p, reach) for reach in (0, 0.4, 0.8, 1.0, 1.0, 0.6, 0)],
    "noise": lambda p: [brightness(p + np.random.default_rng(step).normal(0, 15, p.shape), 1) for step in range(3)],
    "dissolve": lambda p: [
        cv2.addWeighted(p, 1 - share, SCENES["astronaut"], share, 0) for share in np.linspace(0, 1, 13)
    ],
}


@pytest.mark.parametrize("kind", HARMLESS)
@pytest.mark.parametrize("name", NAMES)
def test_no_cut(name: str, kind: str) -> None:
    assert cuts(*HARMLESS[kind](SCENES[name])) == []


def test_hard_cuts() -> None:
    missed = [pair for pair in itertools.permutations(NAMES, 2) if cuts(*(SCENES[name] for name in pair)) != [1]]
    assert missed == []


def test_hard_cuts_between_small_windows() -> None:
    """Parts of photos in small frames, where little is to be seen and one thing easily passes for another."""
    random = np.random.default_rng(0)
    windows = [
        cv2.resize(view(SCENES[name], *random.uniform(0.25, 0.75, 2), zoom=2.0), (320, 240))
        for name in ("astronaut", "coffee", "chelsea", "camera", "coins", "page")
        for _ in range(4)
    ]
    pairs = [(a, b) for a in range(len(windows)) for b in range(len(windows)) if a // 4 != b // 4]
    missed = [pair for pair in pairs if cuts(*(windows[index] for index in pair)) != [1]]
    assert len(missed) <= 0.01 * len(pairs), missed


def test_noise_is_no_structure() -> None:
    """A plain wall in a noisy picture: nothing is found again, and yet it is no cut."""
    random = np.random.default_rng(0)
    wall = np.full((240, 320, 3), 90.0)
    assert cuts(*(brightness(wall + random.normal(0, 15, wall.shape), 1) for _ in range(5))) == []


def test_somebody_turns_the_head_between_dropped_frames() -> None:
    """A part of the picture turns and shifts before a still background."""
    photo = SCENES["astronaut"]
    mask = np.zeros(photo.shape[:2], np.uint8)
    cv2.ellipse(mask, (560, 250), (220, 300), 0, 0, 360, 255, -1)
    frames = []
    for step in range(4):
        turn = cv2.getRotationMatrix2D((560, 300), 6.0 * step, 1 + 0.04 * step)
        turn[0, 2] += 30 * step
        moved, where = (cv2.warpAffine(picture, turn, SIZE) for picture in (photo, mask))
        frames.append(np.where(where[..., None] > 0, moved, photo))
    assert cuts(*frames) == []


def test_cuts_among_frames() -> None:
    """Only the first frame of each new shot, also while the camera moves and the light changes."""
    one = [view(SCENES["coffee"], 0.3 + 0.05 * step, 0.5) for step in range(5)]
    two = [brightness(SCENES["chelsea"], 0.6 + 0.1 * step) for step in range(4)]
    three = [with_hand(SCENES["astronaut"], 0.2 * step) for step in range(4)]
    assert cuts(*one, *two, *three, *one) == [5, 9, 13]


def test_mirrored_footage_has_the_same_cuts() -> None:
    frames = [SCENES[name] for name in NAMES] + HARMLESS["fast pan"](SCENES["coffee"])
    assert cuts(*frames) == cuts(*(pixels[:, ::-1] for pixels in frames))


@pytest.mark.parametrize("at", range(1, 6))
def test_resumed_from_the_frame_before(at: int) -> None:
    names = ("coffee", "coffee", "chelsea", "chelsea", "camera", "camera")
    frames = [SCENES[name] for name in names]
    whole = CutDetector()
    expected = [whole.is_cut(pixels) for pixels in frames]
    assert expected == [False, False, True, False, True, False]
    resumed = CutDetector(frames[at - 1])
    assert [resumed.is_cut(pixels) for pixels in frames[at:]] == expected[at:]


def test_only_the_frame_before_counts() -> None:
    """Judging a frame changes nothing that the next one is judged by."""
    frames = HARMLESS["blurred pan"](SCENES["rocket"]) + [SCENES["coffee"]] + HARMLESS["tilt"](SCENES["camera"])
    running, judged = CutDetector(frames[0]), []
    for before, after in itertools.pairwise(frames):
        fresh = CutDetector(before)
        judged.append(fresh.is_cut(after))
        assert running.is_cut(after) == judged[-1]
        assert np.array_equal(running._before.structure, CutDetector(after)._before.structure)
    assert judged.count(True) == 2


@pytest.mark.parametrize("size", [(64, 48), (65, 91), (1921, 1081), (200, 700), (16, 16)])
def test_any_size(size: tuple[int, int]) -> None:
    one, other = (cv2.resize(SCENES[name], size) for name in ("coffee", "chelsea"))
    assert cuts(one, one, other, other) == [2]
