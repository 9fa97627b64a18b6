# SPDX-License-Identifier: GPL-3.0-or-later
"""Seconds as timecode with parts of frames: HH:MM:SS:FF.sub, without dropped numbers.

Times are told at a fixed rate, whatever the rate of the take, so that one frame of the footage and its neighbour keep
their true distance also where that is no whole frame.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

RATE = 60
"""Frames of the timecode in a second, as Live Link Face counts them."""
_PARTS = 1000
"""Smallest part of a frame that is told."""

_CODE = re.compile(r"(\d{1,3}):(\d{1,2}):(\d{1,2})[:;](\d{1,3})(?:\.(\d+))?\Z")


def to_codes(seconds: np.ndarray) -> Iterator[str]:
    """Timecodes of (T,) seconds from 0, each to a thousandth of a frame (17 microseconds)."""
    for ticks in np.rint(np.asarray(seconds) * (RATE * _PARTS)).astype(np.int64).tolist():
        frames, part = divmod(ticks, _PARTS)
        whole, frame = divmod(frames, RATE)
        minutes, second = divmod(whole, 60)
        hour, minute = divmod(minutes, 60)
        yield f"{hour:02d}:{minute:02d}:{second:02d}:{frame:02d}.{part:03d}"


def parse_code(text: str) -> tuple[int, float] | None:
    """A timecode as whole seconds and frames with their part; None for what is none."""
    found = _CODE.match(text)
    if found is None:
        return None
    hour, minute, second, frame = (int(part) for part in found.groups()[:4])
    if minute > 59 or second > 59:
        return None
    return hour * 3600 + minute * 60 + second, frame + float(f"0.{found[5] or 0}")
