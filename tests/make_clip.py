# SPDX-License-Identifier: GPL-3.0-or-later
"""The clips of `scripts/make_clip.py`: a video and the true take of each person in it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from backend.heads import load_head
from backend.heads.model import HeadModel
from backend.media.writer import VideoWriter
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.projection import camera_matrix, focal_pixels
from blender_addon.contract.take import Take
from tests.motion import ALL_GESTURES, DISTANCE, SEEN_GESTURES, Motion, cut, leaving, make_motion
from tests.synthetic_clip import render_clip, truth_take

FOCAL_MM = 50.0
PERSON_SEED = 100
"""Added to the seed from one person to the next."""
CROWD_DISTANCE = 1.4


def write_clip(path: Path, frames: Iterable[np.ndarray], times: np.ndarray, rate: float) -> None:
    """Write frames (H, W, 3) uint8 as H.264."""
    pictures = iter(frames)
    first = next(pictures)
    with VideoWriter(path, (first.shape[1], first.shape[0]), rate) as writer:
        writer.add(first, float(times[0]))
        for picture, time in zip(pictures, times[1:], strict=True):
            writer.add(picture, float(time))


def make_clip(
    path: Path,
    head: HeadDescription,
    model: HeadModel,
    motions: Sequence[Motion],
    size: tuple[int, int],
    rate: float,
    seed: int = 0,
    focal_mm: float = FOCAL_MM,
) -> tuple[Take, ...]:
    """Render people and write the video.

    Args:
        path: of the MP4.
        head, model: the open head.
        motions: one for each person.
        size: width and height in pixels.
        rate: frames a second.
        seed: see `render_clip`.
        focal_mm: 35 mm equivalent focal length.

    Returns:
        The true take of each person.
    """
    width, height = size
    matrix = camera_matrix(focal_pixels(focal_mm, width, height), width, height)
    write_clip(path, render_clip(head, model, motions, (height, width), matrix, seed), motions[0].time, rate)
    return tuple(truth_take(head, motion, (height, width), matrix, n) for n, motion in enumerate(motions, start=1))


def people(
    head: HeadDescription,
    count: int,
    seed: int,
    seconds: float,
    rate: float,
    gestures: Sequence[str] = SEEN_GESTURES,
    usual_size: bool = False,
) -> list[Motion]:
    """Motions of several people side by side."""
    across = (np.arange(count) - (count - 1) / 2) * 0.45
    distance = DISTANCE if count == 1 else CROWD_DISTANCE * max(1.0, count / 2)
    return [
        make_motion(
            head, seed + PERSON_SEED * person, seconds, rate, gestures, (x, 0.02, distance), usual_size=usual_size
        )
        for person, x in enumerate(across)
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="make_clip.py", description="Render a clip of which the truth is known.")
    parser.add_argument("out", type=Path, help="MP4 to write; the truth goes beside it, as .person1.npz")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--size", type=_size, default=(640, 360), help="width x height, 640x360 by default")
    parser.add_argument("--rate", type=float, default=30.0, help="frames a second")
    parser.add_argument("--focal", type=float, default=FOCAL_MM, help="35 mm equivalent, 50 by default")
    parser.add_argument("--gestures", default=",".join(SEEN_GESTURES), help=f"of {','.join(ALL_GESTURES)}")
    parser.add_argument("--usual-size", action="store_true", help="faces as large as the average one")
    parser.add_argument("--people", type=int, default=1, help="how many, side by side")
    parser.add_argument("--cut", type=float, help="second at which a new shot begins")
    parser.add_argument("--leave", type=float, help="second at which the last person walks out")
    options = parser.parse_args()
    gestures = options.gestures.split(",")
    if unknown := set(gestures) - set(ALL_GESTURES):
        parser.error(f"there is no gesture {min(unknown)}; there are {', '.join(ALL_GESTURES)}")
    head = load_head("open")
    motions = people(head, options.people, options.seed, options.seconds, options.rate, gestures, options.usual_size)
    if options.cut is not None:
        motions = [cut(motion, round(options.cut * options.rate), (0.08, -0.02, 0.25)) for motion in motions]
    if options.leave is not None:
        motions[-1] = leaving(motions[-1], options.leave)
    settings = (options.size, options.rate, options.seed, options.focal)
    truths = make_clip(options.out, head, HeadModel(head), motions, *settings)
    for number, (truth, motion) in enumerate(zip(truths, motions, strict=True), start=1):
        path = options.out.with_suffix(f".person{number}.npz")
        truth.save(path)
        print(path, " ".join(f"{span.name}:{span.first}-{span.last}" for span in motion.spans))
    return 0


def _size(text: str) -> tuple[int, int]:
    width, height = text.lower().split("x")
    return int(width), int(height)


if __name__ == "__main__":
    sys.exit(main())
