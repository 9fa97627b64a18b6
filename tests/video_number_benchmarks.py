# SPDX-License-Identifier: GPL-3.0-or-later
"""How far captures of synthetic clips are from the truth: what `scripts/bench.py` prints and the slow tests bound."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from backend.heads.model import HeadModel
from backend.pipeline import capture
from backend.session import Session
from blender_addon.contract.options import CaptureOptions
from blender_addon.contract.take import Take
from tests.bench_rows import row
from tests.make_clip import FOCAL_MM, make_clip
from tests.motion import five_frames, make_motion
from tests.video_measures import Numbers, blink_depth, compare, identity_error

SIZE = (640, 360)
RATE = 30.0
SECONDS = 8.0
SEEDS = (10, 11)
FIVE_SEEDS = (10, 11, 12, 13)


def clip_numbers(session: Session, folder: Path, seed: int) -> Numbers:
    """Capture a clip of a random person, the focal length given, and compare; the blink is that over the raw values.

    The face is as large as the average one: size and distance are one for a single camera, and people's sizes differ
    by more (4 %) than the distance may be off (2 %).
    """
    model = HeadModel(session.head("open"))
    motion = make_motion(model.head, seed, SECONDS, RATE, usual_size=True)
    path = folder / f"person {seed}.mp4"
    (truth,) = make_clip(path, model.head, model, [motion], SIZE, RATE, seed)
    take = _captured(session, path)
    blinks = [span for span in motion.spans if span.name == "blink"]
    return replace(compare(model, truth, take, motion.spans), blink=blink_depth(unsmoothed(take), take, blinks))


def five_frame_identity(session: Session, folder: Path, seed: int) -> float:
    """Surface error of the head learnt from five frames of a random person, millimetres."""
    model = HeadModel(session.head("open"))
    path = folder / f"five {seed}.mp4"
    (truth,) = make_clip(path, model.head, model, [five_frames(model.head, seed)], SIZE, 5.0, seed)
    return identity_error(model, truth, _captured(session, path))


def _captured(session: Session, path: Path) -> Take:
    return capture(session, CaptureOptions(str(path), focal_mm=FOCAL_MM, device="cpu")).takes[0]


def unsmoothed(take: Take) -> Take:
    """The take with its raw values as the plain ones."""
    names = [name.removeprefix("raw_") for name in take.extra if name.startswith("raw_")]
    return replace(take, **{name: take.extra[f"raw_{name}"] for name in names})


def numbers(session: Session, folder: Path) -> None:
    """Print all numbers of some people, and the heads learnt from five frames."""
    for seed in SEEDS:
        for name, value, bound in clip_numbers(session, folder, seed).rows():
            row(f"clip {seed}: {name}", value, bound)
    errors = [five_frame_identity(session, folder, seed) for seed in FIVE_SEEDS]
    row("identity from five frames, mean", f"{np.mean(errors):.2f} mm", "at most 0.8 mm")
    row("  worst", f"{max(errors):.2f} mm")
