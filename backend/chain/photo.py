# SPDX-License-Identifier: GPL-3.0-or-later
"""A photo: media, faces, engine, solve, take."""

from __future__ import annotations

import numpy as np

from backend.clock import Clock
from backend.emotion.readout import emotion_arrays
from backend.engines.params import FaceParams
from backend.faces.landmarker import Face
from backend.faces.topology import OUTER_EYE_CORNERS
from backend.media.images import read_image
from backend.progress import Part, Progress, no_progress
from backend.session import Session
from backend.solve.camera import choose_focal
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.options import CaptureOptions
from blender_addon.contract.projection import camera_matrix, project
from blender_addon.contract.take import Take

from .finishing import finished
from .photo_faces import PhotoFaces, coded_faces, photo_emotion
from .result import (
    CaptureResult,
    camera_report,
    credited,
    face_confidence,
    model_vertices,
    report_basis,
    rounded,
    take_meta,
)


def capture_photo(session: Session, options: CaptureOptions, progress: Progress = no_progress) -> CaptureResult:
    """A photo to one take for each asked-for face.

    Raises:
        MienError: what `read_image` and `landmarker_file` raise; NO_FACE where none was found or the asked-for one does
            not exist; CANCELLED.
    """
    clock = Clock()
    progress("read", 0.0, "Reading the photo")
    with clock.stage("read"):
        photo = read_image(options.source)
    head = session.head(options.head)
    with clock.stage("load"):
        finder = session.finder(Part(progress, 0.0, 0.2))
        networks = session.networks(options, Part(progress, 0.0, 0.2))
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
    if networks.engine is not None:
        with clock.stage("engine"):
            seen = coded_faces(session, options, networks, photo.pixels, faces, focal)
    else:
        engine = session.landmark_fit(head)
        with clock.stage("engine"):
            params = engine.estimate(landmarks, scores)
            emotion = photo_emotion(session, options, networks, photo.pixels, faces)
        progress("solve", 0.8, "Placing the camera")
        progress.check_cancelled()
        with clock.stage("solve"):
            params, translation = engine.refine(params, landmarks, scores, matrix)
            errors = _landmark_errors(session, head, params, translation, matrix, landmarks)
        sure = np.array([face_confidence(face, error) for face, error in zip(faces, errors, strict=True)])
        seen = PhotoFaces(params, translation, errors, sure, emotion=emotion)
    stills = (_still(options, head, seen, row, matrix, (width, height), chosen[row]) for row in range(len(faces)))
    takes = tuple(finished(session, head, credited(still, head, networks.ingredients)) for still in stills)
    report = report_basis(session, options, head, (width, height), clock, networks.ingredients) | {
        "camera": camera_report(focal, width, height),
        "found": [rounded(face.box, 1) for face in found],
        "faces": [
            {
                "face": index + 1,
                "box": rounded(face.box, 1),
                "landmark_error": round(float(error), 5),
                "confidence": round(float(sure), 4),
            }
            for index, face, error, sure in zip(chosen, faces, seen.errors, seen.confidence, strict=True)
        ],
    }
    progress("done", 1.0, "Done")
    return CaptureResult(takes, report, photo, eyelid_space=options.eyelid_space)


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
        raise MienError(ErrorCode.NO_FACE, message, f"Choose {choice}.", {"found": len(found)})
    return [index]


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
    vertices = model_vertices(session, head, **{name: getattr(params, name) for name in names})
    embedding = head.landmarks["mediapipe478"]
    points = np.einsum("bnkd,nk->bnd", vertices[:, head.faces[embedding.faces]], embedding.barycentric)
    pixels = project(points, translation[:, None], matrix)
    left, right = OUTER_EYE_CORNERS
    scale = np.linalg.norm(landmarks[:, left, :2] - landmarks[:, right, :2], axis=-1)
    return np.linalg.norm(pixels - landmarks[..., :2], axis=-1).mean(axis=1) / scale


def _still(
    options: CaptureOptions,
    head: HeadDescription,
    seen: PhotoFaces,
    row: int,
    matrix: np.ndarray,
    size: tuple[int, int],
    index: int,
) -> Take:
    here = slice(row, row + 1)
    one, extra = seen.params[here], {}
    if seen.detail is not None:
        extra["detail_code"] = seen.detail[here]
    if seen.emotion is not None:
        extra |= emotion_arrays(seen.emotion[here])
    return Take(
        meta=take_meta(options, head, index + 1),
        time=np.zeros(1),
        valid=np.ones(1, bool),
        confidence=seen.confidence[here].astype(np.float32),
        identity=one.identity[0].astype(np.float32),
        expression=one.expression.astype(np.float32),
        eyelids=one.eyelids.astype(np.float32),
        head_rotation=one.head_rotation.astype(np.float32),
        neck=one.neck.astype(np.float32),
        jaw=one.jaw.astype(np.float32),
        eyes=one.eyes.astype(np.float32),
        translation=seen.translation[here].astype(np.float32),
        camera_matrix=matrix,
        image_size=np.array(size, np.int32),
        crop_camera=one.crop_camera.astype(np.float32),
        crop_transform=one.crop_transform,
        extra=extra,
    )
