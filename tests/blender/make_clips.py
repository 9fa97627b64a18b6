# SPDX-License-Identifier: GPL-3.0-or-later
"""Write small clips whose pictures tell their number; run with the backend's Python.

    python make_clips.py FOLDER

Picture i (from 0) has eight columns at the bottom: the bits of i, and a red field in the upper left corner. Written are
`even.mp4` (24 frames/s), `uneven.mp4` with the times `uneven.npy`, `turned.mp4` (to be turned by 90 degrees clockwise),
`upside.mp4` (by 180), `wide.mp4` (pixels 4:3) and `numbered/shot.1001.png` to 1008 without 1003 and 1004.
"""

from __future__ import annotations

import struct
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

WIDTH, HEIGHT, COUNT, RATE = 64, 48, 40, 24
BASE = Fraction(1, 90000)
ONE = 1 << 16


def picture(number: int) -> np.ndarray:
    """(48, 64, 3) uint8."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    bits = [number >> column & 1 for column in range(8)]
    pixels[HEIGHT // 2 :] = np.repeat(np.array(bits, np.uint8) * 255, WIDTH // 8)[None, :, None]
    pixels[: HEIGHT // 4, : WIDTH // 4] = (255, 0, 0)
    return pixels


def write(path: Path, times: np.ndarray, aspect: Fraction | None = None) -> None:
    """Write pictures at their times."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.time_base = stream.codec_context.time_base = BASE
        stream.options = {"crf": "1"}
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            frame.pts, frame.time_base = round(time / BASE), BASE
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def turn(source: Path, target: Path, matrix: tuple[int, int, int, int]) -> None:
    """Copy an MP4 with another matrix in its track header."""
    content = source.read_bytes()
    position = content.index(b"tkhd") + 4 + 40
    a, b, c, d = (value * ONE for value in matrix)
    turned = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    target.write_bytes(content[:position] + turned + content[position + len(turned) :])


def main(folder: Path) -> None:
    """Write all clips."""
    even = np.arange(COUNT) / RATE
    write(folder / "even.mp4", even)
    steps = np.random.default_rng(0).choice([1 / 30, 1 / 24], COUNT - 1)
    uneven = np.concatenate(([0.0], np.cumsum(steps)))
    write(folder / "uneven.mp4", uneven)
    np.save(folder / "uneven.npy", uneven)
    turn(folder / "even.mp4", folder / "turned.mp4", (0, 1, -1, 0))
    turn(folder / "even.mp4", folder / "upside.mp4", (-1, 0, 0, -1))
    write(folder / "wide.mp4", even, Fraction(4, 3))
    (folder / "numbered").mkdir()
    for number in (1001, 1002, 1005, 1006, 1007, 1008):
        Image.fromarray(picture(number - 1001)).save(folder / "numbered" / f"shot.{number}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
