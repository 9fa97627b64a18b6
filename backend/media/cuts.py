# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding the cuts between shots."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

_WIDTH, _HEIGHT = 128, 96
_THIN = 192
"""Columns and rows to which a large picture is thinned out before it is averaged down."""
_SHADING = 8.0
"""Standard deviation in thumbnail pixels of what counts as shading rather than structure."""
_STRUCTURE = 0.8
"""Standard deviation in grey levels, noise averaged out, under which a picture has nothing to be found again."""
_NOISE = 1.5
"""Standard deviation in thumbnail pixels of what averages noise out."""
_FLOOR = 0.3
"""Variance in grey levels that noise and rounding may have by themselves."""
_WINDOW = (19, 19)
"""Thumbnail pixels around a place that are compared with those around another."""
_RETURN = 2.0
"""Thumbnail pixels by which the way there and back may miss the place where it began."""
_LEAST_SHARED = 0.35
"""Share of the structure that both pictures are taken to show at least; less is no ground for saying anything."""
_IN_PLACE = 0.25
"""Share of the structure in its old place, or moved as one, from which no more is asked; between shots 0.17 at most."""
_LAYOUT = 0.2
"""What colours in their old places count for beside the structure found again."""
_SAME = 0.38
"""Likeness from which two pictures are of one shot; higher finds more cuts and more that are none."""

_LEAST = 0.34
"""Root of the share of the structure that is to be found again however alike the layouts are."""

_GREY_DEVIATION = 45.0
"""Standard deviation in grey levels to which structure is spread for the optical flow, which takes whole numbers."""


class CutDetector:
    """Tells the first frame of each new shot from the frame before it.

    The optical flow from the frame before to the new one and the flow back are computed on thumbnails without shading.
    Structure counts as found again where going there and back ends where it began and where what is around both places
    correlates. In one shot most of what both frames show is found so, also after pans by a third of the picture, zooms
    by a quarter, shaking, and behind a hand or somebody who walks by. In another picture a flow finds something alike
    nearly everywhere, but the flow back does not agree with it. Next to that counts whether the colours are laid out
    as before. Two close faces that fill the frame in one place are the hardest to tell apart. Flashes, lamps and fades
    change neither much, or leave no structure to compare; so a cut to or from a picture without structure (a black
    frame, a plain wall) goes unnoticed, and a dissolve does.

    Only the frame before is remembered: a detector made from that frame's pixels goes on where another one left off.
    Mirrored footage gives the same cuts.

    Args:
        previous: (H,W,3) uint8 RGB of the frame before the first one to be judged; None at the start of a clip.
    """

    def __init__(self, previous: np.ndarray | None = None) -> None:
        self._before = None if previous is None else _look(previous)

    def is_cut(self, pixels: np.ndarray) -> bool:
        """Whether a frame begins a new shot; never true for a clip's first frame.

        Args:
            pixels: (H,W,3) uint8 RGB, the next frame in order.
        """
        before, self._before = self._before, _look(pixels)
        return before is not None and not _one_shot(before, self._before)


@dataclass(frozen=True)
class _Look:
    """What is remembered of a frame.

    Attributes:
        structure: (96,128) float32, brightness without its slow changes.
        layout: (48,3) float32, the colours of a coarse grid without their mean.
    """

    structure: np.ndarray
    layout: np.ndarray

    @property
    def deviation(self) -> float:
        return float(cv2.GaussianBlur(self.structure, (0, 0), _NOISE).std())

    def spread(self) -> np.ndarray:
        """(96,128) uint8: the structure with one contrast for all pictures."""
        spread = self.structure * (_GREY_DEVIATION / (float(self.structure.std()) + 1.0)) + 128.0
        return np.clip(spread, 0, 255).astype(np.uint8)


def _look(pixels: np.ndarray) -> _Look:
    height, width = pixels.shape[:2]
    down, across = max(height // _THIN, 1), max(width // _THIN, 1)
    # What division leaves over is cut off evenly, so that a mirrored picture is thinned out to the mirror image.
    top, left = (height - 1) % down // 2, (width - 1) % across // 2
    thin = np.ascontiguousarray(pixels[top::down, left::across])
    small = cv2.resize(thin, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    layout = cv2.resize(small, (8, 6), interpolation=cv2.INTER_AREA).astype(np.float32).reshape(-1, 3)
    return _Look(grey - cv2.GaussianBlur(grey, (0, 0), _SHADING), layout - layout.mean(axis=0))


def _one_shot(before: _Look, after: _Look) -> bool:
    if min(before.deviation, after.deviation) < _STRUCTURE:
        return True
    if _shifted(before, after, (0.0, 0.0)) > _IN_PLACE:
        return True
    # Copies: the window is multiplied into what is given.
    shift = cv2.phaseCorrelate(before.structure.copy(), after.structure.copy(), _HANN)[0]
    if _shifted(before, after, shift) > _IN_PLACE:
        return True
    needed = max(_SAME - _LAYOUT * _same_layout(before, after), _LEAST) ** 2
    return any(_found(before, after, start) > needed for start in (shift, (0.0, 0.0)))


def _shifted(before: _Look, after: _Look, shift: tuple[float, float]) -> float:
    """Share of the structure that both frames can show and that is found after one shift of the whole, 0 to 1."""
    to_x, to_y = _X + np.float32(shift[0]), _Y + np.float32(shift[1])
    inside = _inside(to_x, to_y)
    alike, weight = _alike(before.structure, _moved(after.structure, to_x, to_y))
    shared = max(float(weight[inside].sum()), _LEAST_SHARED * float(weight.sum()))
    return float((weight * alike)[inside].sum()) / max(shared, 1e-6)


def _inside(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x >= 0) & (x <= _WIDTH - 1) & (y >= 0) & (y <= _HEIGHT - 1)


def _same_layout(before: _Look, after: _Look) -> float:
    """Correlation of the colours' layouts, 0 to 1."""
    length = float(np.linalg.norm(before.layout) * np.linalg.norm(after.layout))
    return max(float((before.layout * after.layout).sum()) / max(length, 1e-3), 0.0)


def _alike(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How alike two pictures are around each place (0 to 1), and how much structure the first has there."""
    mean_one, mean_other = cv2.blur(one, _WINDOW), cv2.blur(other, _WINDOW)
    variance = np.maximum(cv2.blur(one * one, _WINDOW) - mean_one * mean_one, 0)
    variance_other = np.maximum(cv2.blur(other * other, _WINDOW) - mean_other * mean_other, 0)
    covariance = cv2.blur(one * other, _WINDOW) - mean_one * mean_other
    length = np.sqrt(np.maximum(variance, _FLOOR) * np.maximum(variance_other, _FLOOR))
    weight = np.sqrt(variance)
    # The third power tells what is the same from what is only a little alike.
    return np.maximum(covariance / length, 0) ** 3, np.minimum(weight, 2 * weight.mean())


_X, _Y = np.meshgrid(np.arange(_WIDTH, dtype=np.float32), np.arange(_HEIGHT, dtype=np.float32))
_HANN = cv2.createHanningWindow((_WIDTH, _HEIGHT), cv2.CV_32F)


def _found(before: _Look, after: _Look, shift: tuple[float, float]) -> float:
    """Share of the structure that both frames can show and that is found again, 0 to 1.

    Args:
        before: One frame.
        after: The next.
        shift: Where the flow starts: thumbnail pixels to the right and down by which all has moved.
    """
    one, other = before.spread(), after.spread()
    there, back = _flow(one, other, shift), _flow(other, one, (-shift[0], -shift[1]))
    found = shared = 0.0
    for look, target, way, return_way in (
        (before.structure, after.structure, there, back),
        (after.structure, before.structure, back, there),
    ):
        to_x, to_y = _X + way[..., 0], _Y + way[..., 1]
        inside = _inside(to_x, to_y)
        missed = np.abs(way + _moved(return_way, to_x, to_y)).max(axis=-1)
        alike, weight = _alike(look, _moved(target, to_x, to_y))
        found += float((weight * alike)[inside & (missed < _RETURN)].sum())
        shared += max(float(weight[inside].sum()), _LEAST_SHARED * float(weight.sum()))
    return found / max(shared, 1e-6)


def _flow(one: np.ndarray, other: np.ndarray, shift: tuple[float, float]) -> np.ndarray:
    """(96,128,2) float32: where each place of one picture is in the other, less where it was."""
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    # Propagation goes from one corner to the other within stripes of rows, as many as there are threads: results would
    # depend on the machine, and mirrored pictures would not have the mirror image.
    flow.setUseSpatialPropagation(False)
    start = np.empty((_HEIGHT, _WIDTH, 2), np.float32)
    start[:] = shift
    return flow.calc(one, other, start)


def _moved(field: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
