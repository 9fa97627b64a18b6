# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures of `scripts/make_pictures.py`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from backend.pipeline import draw_overlay
from backend.rendering.portrait import FRONT, THREE_QUARTER, head_light, render_head
from backend.session import Session
from tests.measures import capture
from tests.pictures import save_astronaut

QUALITY = 88
TILE = (360, 280)
EXPRESSIONS = (
    {"mouthSmileLeft": 0.9, "mouthSmileRight": 0.9, "eyeSquintLeft": 0.5, "eyeSquintRight": 0.5},
    {"browInnerUp": 0.9, "browOuterUpLeft": 0.8, "browOuterUpRight": 0.8, "eyeWideLeft": 0.7, "eyeWideRight": 0.7},
    {"browDownLeft": 0.9, "browDownRight": 0.9, "noseSneerLeft": 0.7, "noseSneerRight": 0.7, "mouthPressLeft": 0.5},
    {"mouthPucker": 0.9, "mouthFunnel": 0.2},
)


def controls(session: Session, identity: np.ndarray) -> np.ndarray:
    """One identity with several expressions dialled in, side by side."""
    head = session.head("open")
    model = session.model(head)
    tiles = []
    for units in ({}, *EXPRESSIONS):
        expression = torch.zeros(1, len(head.expression_names))
        for name, value in units.items():
            expression[0, head.expression_names.index(name)] = value
        surprised = "eyeWideLeft" in units
        with torch.inference_mode():
            posed = model(
                identity=torch.as_tensor(identity[None]),
                expression=expression,
                jaw=torch.tensor([[0.2 if surprised else 0.0, 0.0, 0.0]]),
            ).vertices[0].numpy()
        view = FRONT if units else THREE_QUARTER
        tiles.append(render_head(posed, head, view, TILE, "studio", head_light(posed, head)))
    return np.concatenate(tiles, axis=1)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make_pictures.py", description="Make the README's pictures.")
    parser.add_argument("--out", type=Path, default=Path("docs/images"), help="folder")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    session = Session("cpu")
    with tempfile.TemporaryDirectory() as folder:
        result = capture(session, save_astronaut(Path(folder) / "astronaut.png"))
    identity = result.takes[0].identity
    pictures = {"capture.jpg": draw_overlay(session, result), "controls.jpg": controls(session, identity)}
    for name, pixels in pictures.items():
        Image.fromarray(pixels).save(out / name, quality=QUALITY, optimize=True)
        print(out / name)
    session.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
