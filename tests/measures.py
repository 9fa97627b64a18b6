# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests bound and benchmarks print: how well a capture fits, and whether it agrees with itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from backend.faces.landmarker import Face
from backend.faces.topology import outer_eye_distance
from backend.pipeline import CaptureResult, capture_photo, posed_vertices
from backend.rendering.plain import plain_view
from backend.session import Session
from blender_addon.contract.options import CaptureOptions

RENDER_SIZE = 512
RENDER_MARGIN = 2.0
"""Side of the render over the side of the face's box."""


def capture(session: Session, path: Path, **options: object) -> CaptureResult:
    """Capture a photo on the CPU."""
    return capture_photo(session, CaptureOptions(str(path), device="cpu", **options))


def landmark_errors(result: CaptureResult) -> list[float]:
    """Error of each captured face as a fraction of the outer-eye distance."""
    return [face["landmark_error"] for face in result.report["faces"]]


def round_trip(session: Session, result: CaptureResult) -> tuple[float, float]:
    """Render the first captured head under its own camera, detect again, and compare with the detection on the photo.

    Returns:
        Mean distance of the 478 landmarks as a fraction of the outer-eye distance; correlation of the 51 scores.
    """
    take = result.takes[0]
    head = session.head(take.meta.head_sha256)
    finder = session.finder()
    seen = finder.refine(result.picture.pixels, finder.find(result.picture.pixels)[take.meta.person - 1])
    window = _window(seen)
    picture = plain_view(
        posed_vertices(session, head, take)[0],
        head,
        take.translation[0],
        window @ take.camera_matrix,
        (RENDER_SIZE, RENDER_SIZE),
    )
    again = finder.refine(picture.pixels, finder.find(picture.pixels)[0])
    landmarks = (again.landmarks[:, :2] - window[:2, 2]) / window[0, 0]
    distance = np.linalg.norm(landmarks - seen.landmarks[:, :2], axis=1).mean() / outer_eye_distance(seen.landmarks)
    return float(distance), float(np.corrcoef(seen.blendshapes[1:], again.blendshapes[1:])[0, 1])


def mirror_difference(plain: CaptureResult, mirrored: CaptureResult) -> float:
    """Largest difference between a photo's expression and lids and those of its mirror image with the sides swapped."""
    take, other = plain.takes[0], mirrored.takes[0]
    names = take.meta.channels
    order = [names.index(other_side(name)) for name in names]
    expression = np.abs(take.expression - other.expression[:, order]).max()
    return float(max(expression, np.abs(take.eyelids - other.eyelids[:, ::-1]).max()))


def other_side(name: str) -> str:
    """The unit on the other side of the face."""
    if name.endswith("Left"):
        return name.removesuffix("Left") + "Right"
    return name.removesuffix("Right") + "Left" if name.endswith("Right") else name


def _window(face: Face) -> np.ndarray:
    """(3,3) full-frame pixels to pixels of a square render around a face."""
    low, high = face.box[:2], face.box[2:]
    scale = RENDER_SIZE / ((high - low).max() * RENDER_MARGIN)
    shift = RENDER_SIZE / 2 - (low + high) / 2 * scale
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]], [0, 0, 1]])
