# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding the cuts between shots."""

from __future__ import annotations

import cv2
import numpy as np

_WIDTH, _HEIGHT, _BLOCK = 64, 48, 16
_SHRINK = 192
"""Columns and rows to which a large picture is thinned out before it is averaged down."""
_SMOOTH = 4.0
"""Standard deviation in thumbnail pixels of what counts as shading rather than structure."""
_STRUCTURE = 3.0
"""Standard deviation in grey levels under which a block has no structure to be found again."""
_FEWEST = 3
"""Blocks with structure that both pictures need before anything can be said."""
_REACH = (22, 16)
"""How far in thumbnail pixels, to the side and up or down, a block is looked for: a third of the picture."""
_ALIKE = 0.6
"""Correlation from which a block counts as found."""
_SPREAD = 7
"""How far in thumbnail pixels a block's motion may be from the common one; a zoom by a quarter moves the rim so."""
_SAME = 0.4
"""Share of the blocks found in their old place from which nothing else is looked at."""
_KEPT = 0.2
"""Share of the blocks found somewhere, moving together, under which the picture is a new shot."""


class CutDetector:
    """Tells the first frame of each new shot from the frame before it.

    The picture's structure, without its shading, is compared in blocks: a block of the frame before counts as found
    where its correlation with the new frame is high, in its old place or moved together with the others. A cut leaves
    next to none. Flashes, lamps and fades change the brightness but not the structure, or leave no structure to
    compare; pans up to a third of the picture a frame and zooms up to a quarter move the blocks together; a hand before
    the lens leaves the blocks around it. So a cut to or from a picture without structure (a black frame) goes
    unnoticed, and a dissolve does.

    Only the frame before is remembered: a detector made from that frame's pixels goes on where another one left off.
    Mirrored footage gives the same cuts.

    Args:
        previous: (H,W,3) uint8 RGB of the frame before the first one to be judged; None at the start of a clip.
    """

    def __init__(self, previous: np.ndarray | None = None) -> None:
        self._structure = None if previous is None else _structure(previous)

    def is_cut(self, pixels: np.ndarray) -> bool:
        """Whether a frame begins a new shot; never true for a clip's first frame.

        Args:
            pixels: (H,W,3) uint8 RGB, the next frame in order.
        """
        before, self._structure = self._structure, _structure(pixels)
        return before is not None and _kept(before, self._structure) < _KEPT


def _structure(pixels: np.ndarray) -> np.ndarray:
    """(48,64) float32: a thumbnail without its slow changes of brightness."""
    height, width = pixels.shape[:2]
    down, across = max(height // _SHRINK, 1), max(width // _SHRINK, 1)
    # What division leaves over is cut off evenly, so that a mirrored picture is thinned out to the mirror image.
    top, left = (height - 1) % down // 2, (width - 1) % across // 2
    thin = np.ascontiguousarray(pixels[top::down, left::across])
    small = cv2.resize(cv2.cvtColor(thin, cv2.COLOR_RGB2GRAY), (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA)
    grey = small.astype(np.float32)
    return grey - cv2.GaussianBlur(grey, (0, 0), _SMOOTH)


def _kept(before: np.ndarray, after: np.ndarray) -> float:
    """Share of the structured blocks of one thumbnail that are found in the next; 1 where nothing can be said."""
    old, new = _blocks(before), _blocks(after)
    textured = old.std(axis=-1) > _STRUCTURE
    if textured.sum() < _FEWEST or (new.std(axis=-1) > _STRUCTURE).sum() < _FEWEST:
        return 1.0
    in_place = _correlation(old[textured], new[textured]) > _ALIKE
    if in_place.mean() >= _SAME:
        return 1.0
    return _found_together(before, after, np.flatnonzero(textured))


def _blocks(thumbnail: np.ndarray) -> np.ndarray:
    """(12,256): the blocks row by row."""
    rows = thumbnail.reshape(_HEIGHT // _BLOCK, _BLOCK, _WIDTH // _BLOCK, _BLOCK)
    return rows.swapaxes(1, 2).reshape(-1, _BLOCK * _BLOCK)


def _correlation(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    one = one - one.mean(axis=-1, keepdims=True)
    other = other - other.mean(axis=-1, keepdims=True)
    length = np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1)
    return (one * other).sum(axis=-1) / np.maximum(length, 1e-6)


def _found_together(before: np.ndarray, after: np.ndarray, blocks: np.ndarray) -> float:
    """Share of the blocks that are found within reach and move like most of those found."""
    reach_x, reach_y = _REACH
    padded = cv2.copyMakeBorder(after, reach_y, reach_y, reach_x, reach_x, cv2.BORDER_CONSTANT, value=0)
    moves = []
    for block in blocks:
        y, x = divmod(int(block), _WIDTH // _BLOCK)
        y, x = y * _BLOCK, x * _BLOCK
        around = padded[y : y + _BLOCK + 2 * reach_y, x : x + _BLOCK + 2 * reach_x]
        alike = cv2.matchTemplate(around, before[y : y + _BLOCK, x : x + _BLOCK], cv2.TM_CCOEFF_NORMED)
        _, best, _, (shift_x, shift_y) = cv2.minMaxLoc(alike)
        if best > _ALIKE:
            moves.append((shift_x - reach_x, shift_y - reach_y))
    if not moves:
        return 0.0
    away = np.abs(np.array(moves) - np.median(moves, axis=0)).max(axis=-1)
    return float((away <= _SPREAD).sum()) / len(blocks)
