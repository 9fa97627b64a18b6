# SPDX-License-Identifier: GPL-3.0-or-later
"""Embed the detector's landmarks on the open head and calibrate them on photos and clips.

Run from the repository's root: python scripts/embed_landmarks.py --photos FOLDER [--views N]
The folder holds a sub-folder a person, each with photos or clips of that person. The asset and the
fit's depth bias are rewritten in place.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from backend.engines.fit.calibration import CalibrationFace, calibrated, depth_bias, with_embedding  # noqa: E402
from backend.engines.fit.evidence import DEPTH_BIAS_FILE  # noqa: E402
from backend.faces.landmarker import FaceFinder  # noqa: E402
from backend.heads import load_head  # noqa: E402
from backend.heads.asset import with_landmarks  # noqa: E402
from backend.heads.embedding import landmark_embedding  # noqa: E402
from backend.heads.open_head.command import ASSET  # noqa: E402
from backend.media.images import read_image  # noqa: E402
from backend.progress import no_progress  # noqa: E402
from backend.weights.landmarker import landmarker_file  # noqa: E402

CLIPS = {".mp4", ".mov", ".avi", ".mkv"}
CLIP_STEP = 20
"""Every how many frames of a clip are taken."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True, help="a folder with a sub-folder a person")
    parser.add_argument("--views", type=int, default=96, help="renders to detect on")
    options = parser.parse_args()
    finder = FaceFinder(landmarker_file(no_progress), threads=1)
    head = load_head("open")
    head = with_embedding(head, landmark_embedding(head, finder, options.views))
    np.save(DEPTH_BIAS_FILE, depth_bias(head, finder))
    faces = [face for person in sorted(options.photos.iterdir()) for face in _faces(finder, person)]
    head = calibrated(head, faces)
    sha256 = with_landmarks(ASSET, head.landmarks)
    print(f"embedded on {options.views} renders, calibrated on {len(faces)} pictures, sha256 {sha256}")
    finder.close()
    return 0


def _faces(finder: FaceFinder, person: Path) -> list[CalibrationFace]:
    """The largest face of each picture of one person; together they weigh 1."""
    found = []
    for pixels in _pictures(person):
        if faces := finder.find(pixels):
            found.append((finder.refine(pixels, faces[0]), (pixels.shape[1], pixels.shape[0])))
    return [CalibrationFace(face, size, 1 / len(found)) for face, size in found]


def _pictures(person: Path) -> Iterator[np.ndarray]:
    for path in sorted(person.iterdir()):
        if path.suffix.lower() not in CLIPS:
            yield read_image(path).pixels
            continue
        clip, frame = cv2.VideoCapture(str(path)), 0
        while clip.grab():
            if frame % CLIP_STEP == 0:
                yield cv2.cvtColor(clip.retrieve()[1], cv2.COLOR_BGR2RGB)
            frame += 1
        clip.release()


if __name__ == "__main__":
    sys.exit(main())
