# SPDX-License-Identifier: GPL-3.0-or-later
"""MediaPipe's face models behind plain arrays: detector, landmarker and the landmark network alone, each on one thread.

MediaPipe reports usage figures (versions, frame sizes and counts, run times; no picture content) to its maker when a
graph is closed. Nothing leaves the machine here: a graph is never closed but lent again to the next caller, and its
reporter is given no certificates, so that it could not open a connection.
"""

from __future__ import annotations

import atexit
import hashlib
import io
import math
import os
import re
import sys
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mediapipe as mp
import numpy as np
from mediapipe.tasks.python import vision
from mediapipe.tasks.python.core.base_options import BaseOptions

from backend.faces import scores, topology
from blender_addon.contract.errors import ErrorCode, MienError

DETECTOR_MEMBER = "face_detector.tflite"
"""Member of the task bundle (a zip) that holds the short-range detector; its input is 128x128."""
LANDMARK_MEMBER = "face_landmarks_detector.tflite"
"""Member that holds the landmark network."""
ALIGNED_SIDE = 256
"""Side in pixels of the landmark network's input."""

NO_CERTIFICATES = b"/nonexistent/no-certificates.pem"
"""Where MediaPipe's usage reporter is told to look for certificate authorities; a path that exists nowhere."""

_NOISE = re.compile(rb"^(?:WARNING: Logging before InitGoogle|INFO: |[IW]\d{4} \d)")


@dataclass(frozen=True)
class Detection:
    """One hit of the detector, in pixels of the picture it was given.

    Attributes:
        box: (4,) x0, y0, x1, y1; brows to chin, about three quarters of the landmark box.
        keypoints: (6,2) the person's right eye, left eye, nose tip, mouth, right ear, left ear.
        score: Detector confidence in [0,1].
    """

    box: np.ndarray
    keypoints: np.ndarray
    score: float


@dataclass(frozen=True)
class Mesh:
    """One run of the landmark network, in pixels of the picture it was given.

    Attributes:
        landmarks: (478,3); z in the scale of x, smaller is nearer the camera, zero about the head's centre.
        blendshapes: (52,) float32 scores in [0,1].
    """

    landmarks: np.ndarray
    blendshapes: np.ndarray


@dataclass(frozen=True)
class AlignedMesh:
    """One run of the landmark network on a crop that was already laid around an upright face.

    Attributes:
        mesh: Landmarks and scores.
        presence: The network's own belief in [0,1] that the crop shows a face.
    """

    mesh: Mesh
    presence: float


@dataclass(frozen=True)
class ModelKey:
    """What makes two loaded models interchangeable.

    Attributes:
        sha256: Hash of the task bundle.
        detector_threshold: Lowest detector score that counts as a hit.
        presence_threshold: Lowest face presence score of the landmark network.
    """

    sha256: str
    detector_threshold: float
    presence_threshold: float


class FaceModels:
    """A detector and a landmarker loaded from one task bundle. One call at a time per object; see `borrow`.

    Args:
        bundle: Content of the task bundle.
        key: Which bundle it is and how it is set up.
    """

    def __init__(self, bundle: bytes, key: ModelKey) -> None:
        self.key = key
        self._bundle = bundle
        self._network: vision.ImageEmbedder | None = None
        self._scores: scores.ScoreNetwork | None = None
        with quiet_native_log():
            self._detector = vision.FaceDetector.create_from_options(
                vision.FaceDetectorOptions(
                    base_options=_offline_options(_detector_model(bundle)),
                    min_detection_confidence=key.detector_threshold,
                )
            )
            self._landmarker = vision.FaceLandmarker.create_from_options(
                vision.FaceLandmarkerOptions(
                    base_options=_offline_options(bundle),
                    num_faces=2,
                    min_face_detection_confidence=key.detector_threshold,
                    min_face_presence_confidence=key.presence_threshold,
                    output_face_blendshapes=True,
                )
            )
            # The first runs of a graph still log, some depending on how the memory happens to be aligned.
            for side in (128, 129, 160, 97):
                empty = np.zeros((side, side, 3), dtype=np.uint8)
                self.detect(empty)
                self.meshes(empty)

    def detect(self, pixels: np.ndarray) -> list[Detection]:
        """Faces in an (H,W,3) uint8 picture. Faces under about 15 % of the longer side are missed."""
        height, width = pixels.shape[:2]
        found = []
        for hit in self._detector.detect(_image(pixels)).detections:
            box = hit.bounding_box
            corners = (box.origin_x, box.origin_y, box.origin_x + box.width, box.origin_y + box.height)
            points = np.array([(point.x * width, point.y * height) for point in hit.keypoints])
            found.append(Detection(np.array(corners, dtype=np.float64), points, float(hit.categories[0].score)))
        return found

    def meshes(self, pixels: np.ndarray) -> list[Mesh]:
        """Landmarks and blendshapes of up to two faces in an (H,W,3) uint8 picture."""
        height, width = pixels.shape[:2]
        result = self._landmarker.detect(_image(pixels))
        size = np.array([width, height, width], dtype=np.float64)
        meshes = []
        for points, categories in zip(result.face_landmarks, result.face_blendshapes, strict=True):
            landmarks = np.array([(point.x, point.y, point.z) for point in points]) * size
            meshes.append(Mesh(landmarks, np.array([category.score for category in categories], dtype=np.float32)))
        return meshes

    def aligned(self, pixels: np.ndarray) -> AlignedMesh:
        """Landmarks and blendshapes of a (256,256,3) uint8 crop around an upright face.

        The landmarker's graph looks for the face anew in every picture, which costs a third more time and moves the
        landmarks with the detector's noise. So the landmark network runs here alone, as the "embedding" of the crop:
        MediaPipe offers no other way to it.
        """
        if self._network is None or self._scores is None:
            self._load_network()
        outputs = {found.head_name: found.embedding for found in self._network.embed(_image(pixels)).embeddings}
        landmarks = outputs["face_landmarks"].reshape(topology.LANDMARK_COUNT, 3).astype(np.float64)
        presence = 1 / (1 + math.exp(-float(outputs["presence"][0])))
        return AlignedMesh(Mesh(landmarks, self._scores(landmarks[None])[0]), presence)

    def _load_network(self) -> None:
        # Not on construction: photos have no use for it, and it takes as long to load as all the rest.
        with zipfile.ZipFile(io.BytesIO(self._bundle)) as members:
            model, mixer = members.read(LANDMARK_MEMBER), members.read(scores.MEMBER)
        with quiet_native_log():
            self._network = vision.ImageEmbedder.create_from_options(
                vision.ImageEmbedderOptions(base_options=_offline_options(model))
            )
            self._network.embed(_image(np.zeros((ALIGNED_SIDE, ALIGNED_SIDE, 3), dtype=np.uint8)))
        self._scores = scores.ScoreNetwork(mixer)

    def abandon(self) -> None:
        """Forget the native objects without closing them; only for the end of the process, which frees them."""
        # MediaPipe's own destructors fail noisily once the interpreter has ended its threads.
        self._detector._handle = None
        self._landmarker._handle = None
        if self._network is not None:
            self._network._handle = None


_swapping = threading.Lock()
_lock = threading.Lock()
_loaded: list[FaceModels] = []
_idle: dict[ModelKey, list[FaceModels]] = {}


def borrow(model_path: Path, detector_threshold: float, presence_threshold: float, count: int) -> list[FaceModels]:
    """Loaded models, taken from those that were given back or loaded anew (about 100 ms each).

    Args:
        model_path: The verified `face_landmarker.task`.
        detector_threshold: See `ModelKey`.
        presence_threshold: See `ModelKey`.
        count: How many.

    Raises:
        MienError: MISSING_FILE, NOT_PERMITTED, or WRONG_HASH when the file is damaged.
    """
    bundle = _read_bundle(model_path)
    key = ModelKey(hashlib.sha256(bundle).hexdigest(), detector_threshold, presence_threshold)
    with _lock:
        shelf = _idle.setdefault(key, [])
        models = [shelf.pop() for _ in range(min(count, len(shelf)))]
    try:
        while len(models) < count:
            models.append(FaceModels(bundle, key))
            _loaded.append(models[-1])
    except (RuntimeError, ValueError, zipfile.BadZipFile, KeyError) as error:
        give_back(models)
        raise MienError(
            ErrorCode.WRONG_HASH,
            f"The face landmark model {model_path} is damaged or another file: {error}.",
            "Delete the file and run the command again to fetch it anew.",
        ) from error
    return models


def give_back(models: list[FaceModels]) -> None:
    """Return borrowed models for the next `borrow`."""
    with _lock:
        for model in models:
            _idle[model.key].append(model)


@atexit.register
def _abandon_all() -> None:
    for model in _loaded:
        model.abandon()


class _OfflineOptions(BaseOptions):
    """Options whose usage reporter finds no certificate authorities (see the module's docstring)."""

    def to_ctypes(self) -> Any:
        options = super().to_ctypes()
        options.ca_bundle_path = NO_CERTIFICATES
        return options


@contextmanager
def quiet_native_log() -> Iterator[None]:
    """Drop the information and warning lines that the native library prints on loading; other lines still get through.

    The library writes to file descriptor 2 directly and offers no switch, so the descriptor is swapped meanwhile.
    """
    if sys.stderr is None:  # no standard error at all, for example under pythonw
        yield
        return
    with _swapping, tempfile.TemporaryFile() as caught:
        sys.stderr.flush()
        saved = os.dup(2)
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)
            caught.seek(0)
            kept = b"".join(line for line in caught if not _NOISE.match(line))
            if kept:
                os.write(2, kept)


def _read_bundle(model_path: Path) -> bytes:
    # Read here and passed as bytes: the native library cannot open every non-Latin path on Windows.
    try:
        return model_path.read_bytes()
    except FileNotFoundError as error:
        raise MienError(
            ErrorCode.MISSING_FILE,
            f"The face landmark model {model_path} is missing.",
            "Run the command again with a network connection, or put the file there by hand.",
        ) from error
    except OSError as error:
        raise MienError(
            ErrorCode.NOT_PERMITTED,
            f"The face landmark model {model_path} cannot be read: {error.strerror or error}.",
            "Allow reading the file, or delete it and run the command again to fetch it anew.",
        ) from error


def _detector_model(bundle: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(bundle)) as members:
        return members.read(DETECTOR_MEMBER)


def _offline_options(model: bytes) -> BaseOptions:
    return _OfflineOptions(model_asset_buffer=model, delegate=BaseOptions.Delegate.CPU)


def _image(pixels: np.ndarray) -> Any:
    return mp.Image(image_format=mp.ImageFormat.SRGB, data=np.ascontiguousarray(pixels))
