# SPDX-License-Identifier: GPL-3.0-or-later
"""Every face in a picture with its landmarks: found, checked, then averaged over moved and mirrored crops."""

from __future__ import annotations

import queue
import weakref
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from backend.faces import following, search, topology
from backend.faces.face import Face, bounds, frontalness, presence, upright_axes
from backend.faces.following import Followed
from backend.faces.windows import Window, landmarks_to_frame, pair, sample, upright

if TYPE_CHECKING:
    from backend.faces.runtime import FaceModels, Mesh

__all__ = ["Face", "FaceFinder"]

SAMPLE = 352
"""Side in pixels of the crops given to the landmarker; its own 256-pixel input is about 0.73 of that."""
WINDOW_OVER_FACE = 1.6
"""Side of a crop over the longer side of the landmark box."""
WINDOW_OVER_DETECTION = 2.1
"""Side of a crop over the side of the detector's box."""
CANDIDATE_THRESHOLD = 0.4
"""Detector score from which a place is looked at more closely."""
CROP_THRESHOLD = 0.7
"""Detector score that upright crops of a real face reach on average. Measured: faces, profiles and 45-pixel faces
included, 0.78 to 0.96; textures and objects that the landmarker takes for faces up to 0.76, most under 0.65."""
LOWEST_PRESENCE = 0.35
"""Confidence (`face.presence`) under which a place is not called a face."""
PRESENCE_THRESHOLD = 0.5
"""MediaPipe's own face presence score."""
DISAGREEMENT = 0.06
"""Largest root mean square difference of the plain and the mirrored crop's landmarks, over the face's size."""
JITTER = ((-0.030, -0.018, 0.96, 0.035), (0.030, 0.018, 1.00, -0.035), (-0.012, 0.030, 1.05, -0.015),
          (0.012, -0.030, 0.99, 0.015))  # fmt: skip
"""Shifts right and down as fractions of the window, growth, turn in radians. Each is used plain and, mirrored, on the
mirrored picture, so the eight crops of a mirrored photo are the mirrored eight crops."""
OUTLIER = 3.0
"""A crop whose landmarks are this many times the median deviation away from the median is left out."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class FaceFinder:
    """Finds faces and their landmarks.

    Safe to call from several threads: each call borrows a loaded model and waits while all are in use.

    Args:
        model_path: The verified `face_landmarker.task`.
        threads: How many models work at once on the crops of one call; each computes on one thread.

    Raises:
        MienError: MISSING_FILE or WRONG_HASH when the model file is not there or damaged.
    """

    def __init__(self, model_path: Path, threads: int = 1) -> None:
        # Imported here because it takes most of a second, and `Face` is of use without it.
        from backend.faces.runtime import borrow, give_back

        models = borrow(Path(model_path), CANDIDATE_THRESHOLD, PRESENCE_THRESHOLD, threads)
        self._free: queue.SimpleQueue[FaceModels] = queue.SimpleQueue()
        for model in models:
            self._free.put(model)
        self._pool = ThreadPoolExecutor(threads, "faces") if threads > 1 else None
        self._release = weakref.finalize(self, _release, self._pool, give_back, models)

    def __enter__(self) -> FaceFinder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the models back. Calling it twice is allowed; the finder cannot be used afterwards."""
        self._release()

    def find(self, pixels: np.ndarray) -> list[Face]:
        """Every face in a picture.

        Args:
            pixels: (H,W,3) uint8 RGB, upright.

        Returns:
            Faces, largest first, none twice; empty when there is none. Their landmarks come from one plain and one
            mirrored crop; `refine` makes them steadier.
        """
        faces = self._confirmed(search.whole(pixels), pixels, [])
        for field in search.levels(pixels):
            known = [face.box for face in faces]
            faces += self._confirmed(search.tiles(pixels, field, known), pixels, faces)
        if not faces:
            faces = self._confirmed(search.turned(pixels), pixels, [])
        return sorted(faces, key=lambda face: -_size(face.box))

    def refine(self, pixels: np.ndarray, face: Face) -> Face:
        """Landmarks and scores averaged over eight slightly moved crops, half of them mirrored.

        Args:
            pixels: (H,W,3) uint8 RGB, the picture the face was found in.
            face: A face from `find`.

        Returns:
            The averaged face; mirroring the picture mirrors it. When too few crops show the face the given one is
            returned with half its presence.
        """
        base = upright(face.landmarks, WINDOW_OVER_FACE)
        plain = [base.moved(*jitter) for jitter in JITTER]
        mirrored = [
            replace(base.moved(-right, down, grown, -turned), mirrored=True) for right, down, grown, turned in JITTER
        ]
        refined = self._average(pixels, plain + mirrored, len(JITTER), self._score(pixels, base))
        return refined if refined is not None else replace(face, presence=face.presence / 2)

    def follow(self, pixels: np.ndarray, faces: Sequence[Face]) -> list[Followed | None]:
        """The same faces in the next frame of a video, without a search.

        Args:
            pixels: (H,W,3) uint8 RGB.
            faces: The faces in the frame before.

        Returns:
            For each face what it is now, from one plain and one mirrored crop; None when it has left its place. Two
            faces of which one has hidden the other may come out as one and the same.
        """
        windows = [following.window(face.landmarks) for face in faces]
        halves = self._map(lambda model, part: following.run(model, pixels, part), following.pairs(windows))
        return [
            following.joined(plain, mirrored, window)
            for plain, mirrored, window in zip(halves[::2], halves[1::2], windows, strict=True)
        ]

    def discover(
        self, pixels: np.ndarray, known: Sequence[Face], places: Sequence[np.ndarray] = (), small: bool = False
    ) -> list[Face]:
        """Faces in a frame of a video that are not known yet.

        Args:
            pixels: (H,W,3) uint8 RGB.
            known: The frame's faces that are known.
            places: Boxes (4,) around which to look more closely.
            small: Whether to look for small faces everywhere, which takes ten times as long.

        Returns:
            The new faces, largest first, as from `find`.
        """
        parts = search.whole(pixels) + [tile for place in places for tile in search.around(pixels, place)]
        faces = self._confirmed(parts, pixels, known)
        for field in search.levels(pixels) if small else []:
            boxes = [face.box for face in (*known, *faces)]
            faces += self._confirmed(search.tiles(pixels, field, boxes), pixels, [*known, *faces])
        return sorted(faces, key=lambda face: -_size(face.box))

    def score(self, pixels: np.ndarray, face: Face) -> float:
        """Mean detector score of a face's upright crop, plain and mirrored, [0,1]."""
        return self._score(pixels, upright(face.landmarks.astype(np.float64), WINDOW_OVER_FACE))

    def _confirmed(self, tiles: Iterable[search.Tile], pixels: np.ndarray, known: Sequence[Face]) -> list[Face]:
        """Faces at the places the detector points out in the tiles that are not known yet."""
        hits = [candidate for found in self._map(_detect, tiles) for candidate in found]
        faces: list[Face] = []
        for candidate in search.merged(hits):
            if _is_known(candidate, [*known, *faces]):
                continue
            face = self._confirm(pixels, candidate)
            if face is not None and not _is_duplicate(face, [*known, *faces]):
                faces.append(face)
        return faces

    def _confirm(self, pixels: np.ndarray, candidate: search.Candidate) -> Face | None:
        eyes_mouth = candidate.keypoints[[0, 1, 3]]
        centre = (candidate.box[:2] + candidate.box[2:]) / 2
        window = Window(*centre, WINDOW_OVER_DETECTION * _size(candidate.box), upright_axes(*eyes_mouth))
        score = self._score(pixels, window)
        if score < CROP_THRESHOLD:  # asked before the landmarker, which takes six times as long
            return None
        face = self._average(pixels, pair(window), 2, score)
        if face is None or face.presence < LOWEST_PRESENCE or search.overlap(face.box, candidate.box) < search.SAME:
            return None
        return face

    def _score(self, pixels: np.ndarray, window: Window) -> float:
        """Mean detector score of a window, plain and mirrored."""

        def score(model: FaceModels, window: Window) -> float:
            return max((hit.score for hit in model.detect(sample(pixels, window, SAMPLE))), default=0.0)

        return float(np.mean(self._map(score, pair(window))))

    def _average(self, pixels: np.ndarray, windows: Sequence[Window], needed: int, score: float) -> Face | None:
        """The robust mean of the landmarks in several crops, or None when fewer than `needed` agree."""
        runs = [run for run in self._map(lambda model, window: _run(model, pixels, window), windows) if run]
        if len(runs) < needed:
            return None
        landmarks = np.array([run[0] for run in runs])
        size = _size(bounds(np.median(landmarks, axis=0)))
        distance = _rms(landmarks - np.median(landmarks, axis=0))
        keep = distance <= max(OUTLIER * float(np.median(distance)), 1e-3 * size)
        if keep.sum() < needed or _rms(landmarks - landmarks.mean(axis=0)).max(where=keep, initial=0) > (
            DISAGREEMENT * size
        ):
            return None
        mean = landmarks[keep].mean(axis=0)
        deviation = float(np.sqrt(landmarks[keep][..., :2].var(axis=0).sum(axis=-1).mean() / 2))
        spread = deviation / max(float(topology.outer_eye_distance(mean)), 1e-6)
        agreement = float(keep.sum() / len(windows))
        return Face(
            box=bounds(mean),
            landmarks=mean,
            blendshapes=np.mean([run[1] for run, kept in zip(runs, keep, strict=True) if kept], axis=0),
            presence=presence(score, agreement, spread, frontalness(mean)),
            spread=spread,
        )

    def _map(self, work: Callable[[FaceModels, Item], Result], items: Iterable[Item]) -> list[Result]:
        def borrowed(item: Item) -> Result:
            model = self._free.get()
            try:
                return work(model, item)
            finally:
                self._free.put(model)

        return list(self._pool.map(borrowed, items) if self._pool else map(borrowed, items))


def _detect(model: FaceModels, tile: search.Tile) -> list[search.Candidate]:
    candidates = []
    for hit in model.detect(tile.pixels):
        points = np.concatenate([hit.box.reshape(2, 2), hit.keypoints])
        points = points @ tile.to_frame[:, :2].T + tile.to_frame[:, 2]
        keypoints = points[2:][[1, 0, 2, 3, 5, 4]] if tile.mirrored else points[2:]
        candidates.append(search.Candidate(bounds(points[:2]), keypoints, hit.score))
    return candidates


def _run(model: FaceModels, pixels: np.ndarray, window: Window) -> tuple[np.ndarray, np.ndarray] | None:
    """Landmarks in the full frame and blendshapes of the face in the middle of the window."""
    crop = sample(pixels, window, SAMPLE)
    meshes = model.meshes(crop)
    if not meshes:
        return None
    mesh = min(meshes, key=_off_centre)
    landmarks = landmarks_to_frame(mesh.landmarks, window, SAMPLE)
    if window.mirrored:
        return landmarks[topology.MIRROR_478], mesh.blendshapes[topology.MIRROR_BLENDSHAPES]
    return landmarks, mesh.blendshapes


def _off_centre(mesh: Mesh) -> float:
    box = bounds(mesh.landmarks)
    return float(np.linalg.norm((box[:2] + box[2:]) / 2 - SAMPLE / 2))


def _size(box: np.ndarray) -> float:
    return float((box[2] - box[0] + box[3] - box[1]) / 2)


def _rms(differences: np.ndarray) -> np.ndarray:
    """(B,) root mean square over the points of (B,N,3) differences in the image plane."""
    return np.sqrt((differences[..., :2] ** 2).sum(axis=-1).mean(axis=-1))


def _is_known(candidate: search.Candidate, faces: Sequence[Face]) -> bool:
    return any(search.overlap(candidate.box, face.box) > search.SAME for face in faces)


def _is_duplicate(face: Face, faces: Sequence[Face]) -> bool:
    return any(search.overlap(face.box, other.box) > search.SAME for other in faces)


def _release(
    pool: ThreadPoolExecutor | None, give_back: Callable[[list[FaceModels]], None], models: list[FaceModels]
) -> None:
    if pool is not None:
        pool.shutdown()
    give_back(models)
