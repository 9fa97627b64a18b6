# SPDX-License-Identifier: GPL-3.0-or-later
"""The one way through: media, faces, engine, solve, take. Command line, service and tests all call this."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
import torch

from backend.device import device_label
from backend.engines.params import FaceParams
from backend.faces.landmarker import Face
from backend.faces.topology import OUTER_EYE_CORNERS
from backend.media.images import Photo, read_image
from backend.progress import Part, Progress, no_progress
from backend.rendering.overlay import OverlayFace, overlay_picture
from backend.session import Session
from backend.solve.camera import Focal, choose_focal
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.options import CaptureOptions
from blender_addon.contract.projection import camera_matrix, project
from blender_addon.contract.take import Take, TakeMeta
from blender_addon.contract.version import VERSION

LANDMARKER_LICENCE = "Apache-2.0 (MediaPipe face landmarker)"
TOLERATED_ERROR = 0.06
"""Landmark error at which the confidence in a fit has fallen to nothing."""


@dataclass(frozen=True)
class CaptureResult:
    """What a capture gives: a take for each captured face, the report, and the photo they belong to."""

    takes: tuple[Take, ...]
    report: dict[str, object]
    photo: Photo


class _Clock:
    """Seconds spent in each stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - start, 4)


def capture_photo(session: Session, options: CaptureOptions, progress: Progress = no_progress) -> CaptureResult:
    """A photo to one take for each asked-for face.

    Raises:
        MienError: what `read_image` and `landmarker_file` raise; NO_FACE where none was found or the asked-for one does
            not exist; CANCELLED.
    """
    clock = _Clock()
    progress("read", 0.0, "Reading the photo")
    with clock.stage("read"):
        photo = read_image(options.source)
    head = session.head(options.head)
    with clock.stage("load"):
        finder = session.finder(Part(progress, 0.0, 0.2))
        engine = session.landmark_fit(head)
    progress("faces", 0.2, "Finding faces")
    progress.check_cancelled()
    with clock.stage("faces"):
        found = finder.find(photo.pixels)
        chosen = _choose(found, options)
        progress.check_cancelled()
        faces = [finder.refine(photo.pixels, found[index]) for index in chosen]
    height, width = photo.pixels.shape[:2]
    focal = choose_focal(photo, options.focal_mm)
    matrix = camera_matrix(focal.pixels, width, height)
    landmarks = np.stack([face.landmarks for face in faces])
    scores = np.stack([face.blendshapes for face in faces])
    progress("engine", 0.5, "Fitting the head")
    progress.check_cancelled()
    with clock.stage("engine"):
        params = engine.estimate(landmarks, scores)
    progress("solve", 0.8, "Placing the camera")
    progress.check_cancelled()
    with clock.stage("solve"):
        params, translation = engine.refine(params, landmarks, scores, matrix)
        errors = _landmark_errors(session, head, params, translation, matrix, landmarks)
    confidences = [confidence(face, error) for face, error in zip(faces, errors, strict=True)]
    takes = tuple(
        _still(options, head, params, row, translation, matrix, (width, height), confidences[row], chosen[row])
        for row in range(len(faces))
    )
    report = {
        "mien": VERSION,
        "source": options.source,
        "image_size": [width, height],
        "engine": engine.name,
        "head": {"id": head.id, "sha256": head.sha256},
        "device": device_label(session.device),
        "camera": _camera_report(focal, width, height),
        "seconds": clock.seconds,
        "licences": list(_licences(head)),
        "commercial_use": head.commercial_use,
        "found": [_rounded(face.box, 1) for face in found],
        "faces": [
            {
                "face": index + 1,
                "box": _rounded(face.box, 1),
                "landmark_error": round(float(error), 5),
                "confidence": round(sure, 4),
            }
            for index, face, error, sure in zip(chosen, faces, errors, confidences, strict=True)
        ],
    }
    progress("done", 1.0, "Done")
    return CaptureResult(takes, report, photo)


def draw_overlay(session: Session, result: CaptureResult) -> np.ndarray:
    """(H,W,3) uint8: the fitted meshes over the photo, and each head from the front and the side."""
    faces = []
    for take in result.takes:
        head = session.head(take.meta.head_sha256)
        faces.append(OverlayFace(head, posed_vertices(session, head, take)[0], take.translation[0], take.camera_matrix))
    return overlay_picture(result.photo.pixels, faces)


def posed_vertices(session: Session, head: HeadDescription, take: Take) -> np.ndarray:
    """(T,V,3) vertices of a take in head space, metres.

    Raises:
        MienError: WRONG_HEAD where the take belongs to another head.
    """
    take.require_head(head)
    frames = len(take.time)
    posed = {name: getattr(take, name) for name in ("expression", "head_rotation", "neck", "jaw", "eyes", "eyelids")}
    return _vertices(session, head, identity=np.repeat(take.identity[None], frames, axis=0), **posed)


def confidence(face: Face, landmark_error: float) -> float:
    """In 0..1: the detector's own confidence, lowered as the fit leaves the landmarks."""
    return float(face.presence * np.clip(1 - (landmark_error / TOLERATED_ERROR) ** 2, 0, 1))


def _choose(found: list[Face], options: CaptureOptions) -> list[int]:
    if not found:
        raise MienError(
            ErrorCode.NO_FACE,
            f"No face was found in {options.source}.",
            "Use a photo that shows the face from the front, at least 60 pixels high.",
        )
    if options.all_faces:
        return list(range(len(found)))
    index = (options.face or 1) - 1
    if index >= len(found):
        there, choice = "only one is", "face 1"
        if len(found) > 1:
            there, choice = f"only {len(found)} are", f"a face from 1 to {len(found)}, the largest first"
        message = f"Face {index + 1} was asked for, but {there} in {options.source}."
        raise MienError(ErrorCode.NO_FACE, message, f"Choose {choice}.")
    return [index]


def _vertices(session: Session, head: HeadDescription, **parameters: np.ndarray) -> np.ndarray:
    tensors = {
        name: torch.as_tensor(np.asarray(value), dtype=torch.float32, device=session.device)
        for name, value in parameters.items()
    }
    with torch.inference_mode():
        return session.model(head)(**tensors).vertices.cpu().numpy()


def _landmark_errors(
    session: Session,
    head: HeadDescription,
    params: FaceParams,
    translation: np.ndarray,
    matrix: np.ndarray,
    landmarks: np.ndarray,
) -> np.ndarray:
    """(B,) mean distance of all 478 re-projected points as a fraction of the outer-eye distance."""
    names = ("identity", "expression", "head_rotation", "neck", "jaw", "eyes", "eyelids")
    vertices = _vertices(session, head, **{name: getattr(params, name) for name in names})
    embedding = head.landmarks["mediapipe478"]
    points = np.einsum("bnkd,nk->bnd", vertices[:, head.faces[embedding.faces]], embedding.barycentric)
    pixels = project(points, translation[:, None], matrix)
    left, right = OUTER_EYE_CORNERS
    scale = np.linalg.norm(landmarks[:, left, :2] - landmarks[:, right, :2], axis=-1)
    return np.linalg.norm(pixels - landmarks[..., :2], axis=-1).mean(axis=1) / scale


def _still(
    options: CaptureOptions,
    head: HeadDescription,
    params: FaceParams,
    row: int,
    translation: np.ndarray,
    matrix: np.ndarray,
    size: tuple[int, int],
    sure: float,
    index: int,
) -> Take:
    one = params[row : row + 1]
    return Take(
        meta=TakeMeta(
            head_id=head.id,
            head_sha256=head.sha256,
            engine=options.engine,
            versions={"mien": VERSION, "torch": torch.__version__, "mediapipe": version("mediapipe")},
            source=options.source,
            person=index + 1,
            licences=_licences(head),
            commercial_use=head.commercial_use,
            channels=head.expression_names,
        ),
        time=np.zeros(1),
        valid=np.ones(1, bool),
        confidence=np.array([sure], np.float32),
        identity=one.identity[0].astype(np.float32),
        expression=one.expression.astype(np.float32),
        eyelids=one.eyelids.astype(np.float32),
        head_rotation=one.head_rotation.astype(np.float32),
        neck=one.neck.astype(np.float32),
        jaw=one.jaw.astype(np.float32),
        eyes=one.eyes.astype(np.float32),
        translation=translation[row : row + 1].astype(np.float32),
        camera_matrix=matrix,
        image_size=np.array(size, np.int32),
        crop_camera=one.crop_camera.astype(np.float32),
        crop_transform=one.crop_transform,
    )


def _licences(head: HeadDescription) -> tuple[str, ...]:
    """Licences of what went into a take of the landmark fit, the strictest first."""
    return (LANDMARKER_LICENCE, f"{head.licence} (head {head.id})")


def _camera_report(focal: Focal, width: int, height: int) -> dict[str, object]:
    return {
        "focal_mm": round(focal.millimetres(width, height), 2),
        "focal_px": round(focal.pixels, 2),
        "origin": focal.origin,
    }


def _rounded(values: np.ndarray, digits: int) -> list[float]:
    return [round(float(value), digits) for value in values]
