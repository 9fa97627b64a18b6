# SPDX-License-Identifier: GPL-3.0-or-later
"""Footage that tests write: pictures that show their number, in any coding and container that FFmpeg writes."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

WIDTH, HEIGHT = 160, 120
CELL = 20
"""Side of one of the squares along the top that write the picture's number in binary digits."""
B_FRAMES = {"x264-params": "bframes=3:b-adapt=0:keyint=12:min-keyint=12:scenecut=0:log-level=-1"}
OPEN_GOP = {"x264-params": "bframes=3:b-adapt=0:keyint=12:min-keyint=12:scenecut=0:open-gop=1:log-level=-1"}
GRADUAL = {"x264-params": "bframes=0:keyint=12:intra-refresh=1:log-level=-1"}


def picture(number: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """(H,W,3): a coloured gradient that moves, with the number in black and white squares along the top."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    pixels = np.stack([100 + 50 * np.sin((x + 7 * number) / 12), 60 + y * 120 / height, 80 + x * 120 / width], axis=-1)
    for digit in range(7):
        pixels[:CELL, digit * CELL : (digit + 1) * CELL] = 235 if number >> digit & 1 else 20
    return pixels.round().astype(np.uint8)


def number_in(pixels: np.ndarray) -> int:
    """The number that a picture shows."""
    middles = pixels[CELL // 2, CELL // 2 : 7 * CELL : CELL].mean(axis=-1)
    return sum(1 << digit for digit, value in enumerate(middles) if value > 127)


def film(
    path: Path,
    pictures: Sequence[np.ndarray] | int = 40,
    *,
    codec: str = "libx264",
    layout: str = "yuv420p",
    rate: Fraction | int = 30,
    options: dict[str, str] | None = None,
    stamps: Sequence[int] | None = None,
    base: Fraction | None = None,
    container: dict[str, str] | None = None,
    turn: float | None = None,
    metadata: dict[str, str] | None = None,
    **context: object,
) -> Path:
    """Write a video.

    Args:
        path: Its suffix chooses the container.
        pictures: (H,W,3) uint8 each, or how many of `picture`.
        stamps: Timestamps in units of `base`.
        turn: Degrees counterclockwise by which players are to turn it.
        context: Set on the codec context.
    """
    if isinstance(pictures, int):
        pictures = [picture(number) for number in range(pictures)]
    if options is None:
        options = B_FRAMES if codec == "libx264" else {}
    with av.open(str(path), "w", container_options=container or {}) as output:
        output.metadata.update(metadata or {})
        stream = output.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width = pictures[0].shape[:2] if len(pictures) else (HEIGHT, WIDTH)
        stream.pix_fmt = layout
        if base is not None:
            stream.codec_context.time_base = stream.time_base = base
        for name, value in context.items():
            setattr(stream.codec_context, name, value)
        if turn is not None:
            stream.set_display_rotation(turn)
        for number, pixels in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels)).reformat(format=layout)
            if stamps is not None:
                frame.pts, frame.time_base = int(stamps[number]), base
            for packet in stream.encode(frame):
                output.mux(packet)
        for packet in stream.encode(None):
            output.mux(packet)
    return path


def sound(path: Path) -> Path:
    """Write a file with nothing but a second of silence."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac", rate=48000, layout="mono")
        for start in range(0, 48000, 1024):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.rate, frame.pts = 48000, start
            for packet in stream.encode(frame):
                output.mux(packet)
        for packet in stream.encode(None):
            output.mux(packet)
    return path
