# SPDX-License-Identifier: GPL-3.0-or-later
"""Capture a photo with EMOCA from files in the official layout; run with the backend's Python.

    python make_published.py FOLDER

`portrait.png`, what `mien capture` leaves for it, `head.npz`, `vertices.npy` (1, V, 3) metres, head space, by the
backend's head model, and `map.npy` (256, 256) metres. The landmark model is that of the data folder; what is added goes
to `FOLDER/home`.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).parent))

from make_reference import vertices

from backend.cli import main as mien
from backend.detail.exr import read_map
from backend.heads import load_head
from backend.progress import no_progress
from backend.weights.landmarker import landmarker_file
from blender_addon.contract.take import Take
from tests.pictures import save_astronaut
from tests.published_files import write_downloads


def main(folder: Path) -> None:
    """Write all of it."""
    landmarker = landmarker_file(no_progress)
    models = folder / "home" / "models"
    models.mkdir(parents=True)
    (models / landmarker.name).write_bytes(landmarker.read_bytes())
    os.environ["MIEN_HOME"] = str(folder / "home")
    with tempfile.TemporaryDirectory() as name:
        run("models", "add", *write_downloads(Path(name), "emoca"))
    run("capture", save_astronaut(folder / "portrait.png"), "--engine", "emoca", "--device", "cpu")
    head, take = load_head("flame2020"), Take.load(folder / "portrait.take.npz")
    head.save(folder / "head.npz")
    np.save(folder / "vertices.npy", vertices(head, take))
    np.save(folder / "map.npy", read_map(folder / take.meta.displacement[0]))


def run(*arguments: object) -> None:
    """A command that must succeed."""
    if status := mien([str(argument) for argument in arguments]):
        sys.exit(status)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
