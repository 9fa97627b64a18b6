# SPDX-License-Identifier: GPL-3.0-or-later
"""A live capture: the newest picture of a camera drives the head, until it is told to end; recordings become takes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np

from backend.clock import Clock
from backend.faces.tracking import Sighting, Tracker
from backend.live.filters import CausalFilter
from backend.live.frames import LiveFrame
from backend.live.neutral import NeutralPose
from backend.media.live import LivePicture, LiveSource, open_camera, play_clip
from backend.progress import Part, Progress
from backend.reprojection.evidence import Evidence
from backend.session import Session
from backend.solve.camera import DEFAULT_FOCAL_MM, Focal
from backend.solve.frames import FrameSolver
from backend.solve.selection import choose_frames
from backend.solve.shot import Shot
from blender_addon.contract.messages import FrameCount, LiveAction
from blender_addon.contract.options import CaptureOptions
from blender_addon.contract.projection import focal_pixels
from blender_addon.contract.take import Take

from .moment import shot_of_one
from .people import rough_rotations
from .recording import Recording
from .result import CaptureResult, camera_report, confidence, report_basis

LEARNING_FRAMES = 45
"""Frames from which, once they were seen, the head is learnt anew; until then it is that of the first one."""
LEARNING_VIEWS = 8
NEUTRAL_SECONDS = 1.0
PATIENCE = 0.1
"""Longest wait for a picture before it is asked whether to go on."""


class LiveProgress(Progress, Protocol):
    """Progress that also passes on what is asked of a live capture."""

    def actions(self) -> Sequence[LiveAction]:
        """What was asked since the last call."""


def capture_live(session: Session, options: CaptureOptions, progress: LiveProgress) -> CaptureResult:
    """Follow the most prominent person of a camera, or of a clip that is played like one.

    Raises:
        MienError: NO_CAMERA; what opening the clip raises; CANCELLED.
    """
    clock = Clock()
    with clock.stage("load"):
        head = session.head(options.head)
        finder = session.finder(Part(progress, 0.0, 0.9))
        engine = session.landmark_fit(head)
    camera = options.camera
    if camera is not None:
        source = open_camera(camera)
    else:
        source = play_clip(Path(options.source), options.fps, options.first_frame, options.last_frame)
    performer = _Performer(options, engine, Tracker(finder), source, progress)
    with source, performer, clock.stage("live"):
        performer.run()
    takes = tuple(performer.recordings)
    size = performer.size
    report = report_basis(session, options, head, size, clock) | {
        "live": {"frames": performer.frames, "recordings": len(takes), "latency_ms": performer.latency_ms()},
        "camera": camera_report(performer.focal, *size) | {"focal_uncertainty": None, "static": True},
        "faces": [],
        "found": [],
    }
    return CaptureResult(takes, report, None)


class _Performer:
    """Turns pictures into previews and recordings."""

    def __init__(
        self, options: CaptureOptions, engine: Evidence, tracker: Tracker, source: LiveSource, progress: LiveProgress
    ) -> None:
        self._options = options
        self._engine = engine
        self._tracker = tracker
        self._source = source
        self._progress = progress
        self._filter = CausalFilter(engine.head.expression_names, options.smoothing)
        self._neutral: NeutralPose | None = None
        self._neutral_until = 0.0
        self._resting: list[LiveFrame] | None = None
        self._learning: list[Sighting] | None = []
        self._learner = ThreadPoolExecutor(1, "identity")
        self._learnt: Future[Shot] | None = None
        self._shot: Shot | None = None
        self._solver: FrameSolver | None = None
        self._recording: Recording | None = None
        self._latencies: list[float] = []
        self.recordings: list[Take] = []
        self.frames = 0
        self.size = (1, 1)
        self.focal = Focal(1.0, "assumed")

    def __enter__(self) -> _Performer:
        return self

    def __exit__(self, *_: object) -> None:
        self._learner.shutdown(cancel_futures=True)

    def run(self) -> None:
        """Go on until the source ends, END is asked for, or the capture is cancelled."""
        begun = time.perf_counter()
        try:
            while not self._told():
                self._progress.check_cancelled()
                picture = self._source.newest(PATIENCE)
                if picture is not None:
                    self._step(picture)
                    each = (time.perf_counter() - begun) / self.frames
                    self._progress.frames(FrameCount(self.frames, 0, None, round(1 / max(each, 1e-9), 1)))
                    self._progress("live", 0.0, self._phrase())
        except EOFError:
            pass  # the clip that was played is over
        finally:
            self._stop_recording()

    def latency_ms(self) -> dict[str, float]:
        """Milliseconds from a picture to its result: the median and the slowest twentieth."""
        if not self._latencies:
            return {}
        middle, slow = np.quantile(self._latencies, [0.5, 0.95]) * 1e3
        return {"median": round(float(middle), 1), "p95": round(float(slow), 1)}

    def _told(self) -> bool:
        """Do what was asked; whether to end."""
        for action in self._progress.actions():
            if action is LiveAction.NEUTRAL:
                self._resting, self._neutral_until = [], time.perf_counter() + NEUTRAL_SECONDS
            elif action is LiveAction.FORGET_NEUTRAL:
                self._neutral = self._resting = None
            elif action is LiveAction.RECORD and self._recording is None and self._shot is not None:
                self._recording = Recording(self._options, self._engine.head, self._shot, len(self.recordings) + 1)
            elif action is LiveAction.STOP_RECORDING:
                self._stop_recording()
            elif action is LiveAction.END:
                return True
        return False

    def _step(self, picture: LivePicture) -> None:
        if self.frames == 0:
            self.size = (picture.pixels.shape[1], picture.pixels.shape[0])
            self.focal = self._known_focal()
        sightings = self._tracker.update(self.frames, picture.pixels, self.frames == 0)
        self.frames += 1
        chosen = max(sightings, key=lambda item: float(np.prod(item.face.box[2:] - item.face.box[:2])), default=None)
        raw, sure = self._solved(chosen)
        if raw is not None and self._resting is not None:
            self._rest(raw)
        if raw is not None and self._neutral is not None:
            raw = self._neutral.apply(raw)
        smooth = self._filter.update(picture.time, raw)
        if smooth is not None and self._shot is not None:
            head = self._engine.head
            one = Recording(self._options, head, self._shot, 1)
            one.add(picture.time, smooth, raw is not None, sure)
            self._progress.preview([one.take()])
            if self._recording is not None:
                self._recording.add(picture.time, raw or smooth, raw is not None, sure)
        self._latencies.append(time.perf_counter() - picture.taken)
        del self._latencies[:-1000]

    def _solved(self, chosen: Sighting | None) -> tuple[LiveFrame | None, float]:
        """The chosen face as it drives the head, and how sure it is."""
        if chosen is None:
            return None, 0.0
        self._learn(chosen)
        if self._solver is None:
            self._take_over(self._shot_from([chosen]))
        landmarks = chosen.face.landmarks[None].astype(np.float64)
        solution = self._solver.solve(landmarks, chosen.face.blendshapes[None])
        sure = float(confidence(chosen.face.presence, solution.landmark_error)[0])
        params = solution.params
        names = ("expression", "eyelids", "head_rotation", "neck", "jaw", "eyes")
        arrays = {name: np.asarray(getattr(params, name)[0], dtype=np.float64) for name in names}
        return LiveFrame(**arrays, translation=solution.translation[0]), sure

    def _learn(self, sighting: Sighting) -> None:
        """Collect frames, then learn the head from the best of them in another thread; taken over between recordings.
        """
        if self._learning is not None:
            self._learning.append(sighting)
            if len(self._learning) >= LEARNING_FRAMES:
                seen, self._learning = self._learning, None
                self._learnt = self._learner.submit(self._shot_from, seen)
        if self._learnt is not None and self._learnt.done() and self._recording is None:
            self._take_over(self._learnt.result())
            self._learnt = None

    def _shot_from(self, sightings: Sequence[Sighting]) -> Shot:
        landmarks = np.stack([item.face.landmarks for item in sightings]).astype(np.float64)
        scores = np.stack([item.face.blendshapes for item in sightings])
        if len(sightings) > LEARNING_VIEWS:
            quality = np.array([item.face.presence * item.sharpness for item in sightings])
            turned = rough_rotations(self._engine.basis, landmarks)
            chosen = choose_frames(turned, scores, quality, LEARNING_VIEWS)
            landmarks, scores = landmarks[chosen], scores[chosen]
        return shot_of_one(self._engine, landmarks, scores, self.size, self.focal)

    def _take_over(self, shot: Shot) -> None:
        self._shot, self._solver = shot, FrameSolver(self._engine, shot, batch=1)

    def _rest(self, raw: LiveFrame) -> None:
        self._resting.append(raw)
        if time.perf_counter() >= self._neutral_until:
            self._neutral, self._resting = NeutralPose.from_frames(self._resting), None

    def _stop_recording(self) -> None:
        recording, self._recording = self._recording, None
        if recording is not None and len(recording):
            self.recordings.append(recording.smoothed())
            self._progress.keep(self.recordings[-1])

    def _known_focal(self) -> Focal:
        if self._options.focal_mm is not None:
            return Focal(focal_pixels(self._options.focal_mm, *self.size), "given")
        if self._source.focal_px is not None:
            return Focal(self._source.focal_px, "file")
        return Focal(focal_pixels(DEFAULT_FOCAL_MM, *self.size), "assumed")

    def _phrase(self) -> str:
        late = f"{1e3 * float(np.median(self._latencies[-30:])):.0f} ms behind"
        if self._resting is not None:
            return f"Hold a neutral face, {late}"
        return f"Recording, {late}" if self._recording is not None else f"Live, {late}"
