# SPDX-License-Identifier: GPL-3.0-or-later
"""A live capture: the newest picture of a camera drives the head, until it is told to end; recordings become takes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from backend.clock import Clock
from backend.faces.tracking import SEARCH_TILES_EVERY, Sighting, Tracker
from backend.live.filters import CausalFilter
from backend.live.lead import Lead
from backend.live.learning import Learner
from backend.live.neutral import NeutralPose
from backend.live.pace import Pace
from backend.live.resting import RestingFace
from backend.live.solver import LiveSolver
from backend.media.camera import open_camera
from backend.media.live import LivePicture, LiveSource, play_clip
from backend.progress import Part, Progress
from backend.reprojection.evidence import Evidence
from backend.session import Session
from backend.solve.camera import DEFAULT_FOCAL_MM, Focal
from backend.solve.gaps import LOW_CONFIDENCE
from backend.solve.selection import choose_frames
from backend.solve.shot import Shot
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.messages import FrameCount, LiveAction
from blender_addon.contract.options import CaptureOptions
from blender_addon.contract.projection import focal_pixels

from .moment import shot_of_one
from .people import rough_rotations
from .recorder import Recorder
from .recording import live_moment
from .result import CaptureResult, camera_report, confidence, report_basis

LEARNING_VIEWS = 8
"""Frames from which the head is learnt."""
PATIENCE = 0.1
"""Longest wait for a picture before it is asked whether to go on."""
NOTICE_SECONDS = 4.0
"""How long the user is told what went wrong while the capture goes on."""


class LiveProgress(Progress, Protocol):
    """Progress that also passes on what is asked of a live capture."""

    def actions(self) -> Sequence[LiveAction]:
        """What was asked since the last call."""


def capture_live(session: Session, options: CaptureOptions, progress: LiveProgress) -> CaptureResult:
    """Follow one person of a camera, or of a clip that is played like one.

    A source that fails in the middle ends the capture with what was recorded; the report says why
    (`live.problem`). Where nothing was, it is an error.

    Raises:
        MienError: NO_CAMERA and NOT_PERMITTED of a camera; what opening and reading the clip raises; USAGE for options
            that a live capture does not have; CANCELLED, after what was recorded was kept.
    """
    _check(options)
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
    size, recorded = performer.size, performer.recorder.recorded
    report = report_basis(session, options, head, size, clock) | {
        "live": {
            "frames": performer.frames,
            "recordings": len(recorded),
            "latency_ms": performer.pace.latency_ms(),
            "problem": str(performer.problem) if performer.problem else None,
        },
        "camera": camera_report(performer.focal, *size) | {"focal_uncertainty": None, "static": True},
        "faces": [item.report() for item in recorded],
        "found": [],
    }
    return CaptureResult(tuple(item.take for item in recorded), report, None)


def _check(options: CaptureOptions) -> None:
    if options.all_faces:
        message = "A live capture follows one person, but all were asked for."
        raise MienError(ErrorCode.USAGE, message, "Ask for one, or capture the clip without 'live'.")
    if options.engine != "fit":
        message = f"Live captures work with the landmark fit alone so far, and {options.engine} was asked for."
        remedy = "Choose the engine fit, or record the clip and capture it afterwards."
        raise MienError(ErrorCode.USAGE, message, remedy)
    if options.references:
        message = "A live capture learns the head from what it sees and takes no references."
        raise MienError(ErrorCode.USAGE, message, "Leave them out, or capture the clip without 'live'.")


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
        self._learner = Learner(self._shot_from)
        self._lead = Lead(options.face or 1)
        self._solver: LiveSolver | None = None
        self._neutral: NeutralPose | None = None
        self._watched: RestingFace | None = None
        """What `_neutral` comes from."""
        self._watching: RestingFace | None = None
        self._index = -1
        self._time = -np.inf
        self._cut = True
        self._sees = False
        self._notice = ("", 0.0)
        self.recorder = Recorder(options, engine.head, progress.keep, self._say)
        self.pace = Pace()
        self.problem: MienError | None = None
        self.frames = 0
        self.size = (1, 1)
        self.focal = Focal(1.0, "assumed")

    def __enter__(self) -> _Performer:
        return self

    def __exit__(self, *_: object) -> None:
        self._learner.close()

    def run(self) -> None:
        """Go on until the source ends, END is asked for, or the capture is cancelled."""
        try:
            while not self._told():
                self._progress.check_cancelled()
                picture = self._source.newest(PATIENCE)
                if picture is not None:
                    self._step(picture)
                self._calibrate()
                self._tell()
        except EOFError:
            pass  # the clip that was played is over
        except MienError as error:
            self._finish_recording()
            if error.code is ErrorCode.CANCELLED or not self.recorder.recorded:
                raise
            self.problem = error
        finally:
            self._finish_recording()

    def _told(self) -> bool:
        """Do what was asked; whether to end."""
        for action in self._progress.actions():
            if action is LiveAction.NEUTRAL:
                self._watching = RestingFace(time.perf_counter())
            elif action is LiveAction.FORGET_NEUTRAL:
                self._neutral = self._watched = self._watching = None
            elif action is LiveAction.RECORD:
                self.recorder.ask()
            elif action is LiveAction.STOP_RECORDING:
                self._take_over()
                self.recorder.stop(self._shot, self._neutral)
            elif action is LiveAction.END:
                return True
        return False

    def _step(self, picture: LivePicture) -> None:
        self._cut |= picture.cut
        if picture.time <= self._time:
            return
        self._time, cut = picture.time, self._cut
        self._cut = False
        cut |= self._sized(picture.pixels.shape[1], picture.pixels.shape[0])
        self._take_over()
        sightings = self._tracker.update(self._next_index(), picture.pixels, cut)
        self.frames += 1
        followed = self._lead.follow(picture.time, sightings, cut)
        if followed.new:
            self._meet(followed.sighting)
        elif cut:
            self._filter.reset()
        self._sees = followed.sighting is not None
        self._drive(picture, followed.sighting, cut)
        self.pace.note(picture.taken if self._sees else None, time.perf_counter())

    def _drive(self, picture: LivePicture, sighting: Sighting | None, cut: bool) -> None:
        """From the face of a picture, None where there is none, to preview and recording."""
        face, solved, sure = None, None, 0.0
        if sighting is not None:
            face = sighting.face
            self._learner.add(sighting)
            solved = self._solver.next(picture.time, face)
            sure = float(confidence(face.presence, solved.error))
        frame = solved.frame if solved and sure >= LOW_CONFIDENCE else None
        if frame is not None and self._watching is not None:
            self._watching.add(face)
        if frame is not None and self._neutral is not None:
            frame = self._neutral.apply(frame)
        smooth = self._filter.update(picture.time, frame)
        if smooth is not None and self._progress.wants_preview():
            head, shot = self._engine.head, self._solver.shot
            self._progress.preview(
                [live_moment(self._options, head, shot, picture.time, smooth, frame is not None, sure)]
            )
        self.recorder.add(picture.time, face, solved, cut, self._learner.done)

    def _next_index(self) -> int:
        """The tracker's count of frames. While a face is followed small ones are not searched for: that would hold up
        a picture for a tenth of a second.
        """
        self._index += 1
        if self._sees and self._index % SEARCH_TILES_EVERY == SEARCH_TILES_EVERY // 2:
            self._index += 1
        return self._index

    def _sized(self, width: int, height: int) -> bool:
        """Note the size of the pictures; whether it is another one, which begins everything anew."""
        if (width, height) == self.size:
            return False
        self._finish_recording()  # a take has one size of pictures
        self._learner.begin()
        self.size = (width, height)
        self.focal = self._known_focal()
        self._lead = Lead(self._options.face or 1)
        return True

    def _meet(self, sighting: Sighting) -> None:
        """Begin with somebody: a recording goes on as a new take, since a take has one head."""
        self._finish_recording()
        self._filter.reset()
        if self._neutral is not None:
            self._say("This is somebody else: calibrate the neutral face again")
        self._neutral = self._watched = None
        if self._watching is not None:
            self._watching = RestingFace(time.perf_counter())
        self._learner.begin()
        self._solver = LiveSolver(self._engine, self._shot_from([sighting]))

    def _take_over(self) -> None:
        """Go on with the head that was learnt, once it is."""
        shot = self._learner.news()
        if shot is None:
            return
        self._solver = LiveSolver(self._engine, shot)
        self.recorder.settle(self._solver)
        if self._watched is not None:
            self._neutral = self._watched.calibration(self._solver)

    def _shot_from(self, sightings: Sequence[Sighting]) -> Shot:
        """The head that sightings tell; called in the learner's thread too."""
        landmarks = np.stack([item.face.landmarks for item in sightings]).astype(np.float64)
        scores = np.stack([item.face.blendshapes for item in sightings])
        if len(sightings) > LEARNING_VIEWS:
            quality = np.array([item.face.presence * item.sharpness for item in sightings])
            turned = rough_rotations(self._engine.basis, landmarks)
            chosen = choose_frames(turned, scores, quality, LEARNING_VIEWS)
            landmarks, scores = landmarks[chosen], scores[chosen]
        return shot_of_one(self._engine, landmarks, scores, self.size, self.focal)

    def _calibrate(self) -> None:
        """Take over the resting face when its second is over, also where there was none."""
        watching = self._watching
        if watching is None or not watching.over(time.perf_counter()):
            return
        self._watching = None
        if not watching.seen:
            self._say("No face was seen: look into the camera and calibrate the neutral face again")
            return
        self._watched, self._neutral = watching, watching.calibration(self._solver)

    def _finish_recording(self) -> None:
        self._take_over()
        self.recorder.finish(self._shot, self._neutral)

    @property
    def _shot(self) -> Shot | None:
        return self._solver.shot if self._solver else None

    def _known_focal(self) -> Focal:
        if self._options.focal_mm is not None:
            return Focal(focal_pixels(self._options.focal_mm, *self.size), "given")
        if self._source.focal_px is not None:
            return Focal(self._source.focal_px, "file")
        return Focal(focal_pixels(DEFAULT_FOCAL_MM, *self.size), "assumed")

    def _say(self, notice: str) -> None:
        self._notice = (notice, time.perf_counter() + NOTICE_SECONDS)

    def _tell(self) -> None:
        """Tell the user what is going on."""
        self._progress.frames(FrameCount(self.frames, 0, None, self.pace.per_second(time.perf_counter())))
        self._progress("live", 0.0, self._phrase())

    def _phrase(self) -> str:
        notice, until = self._notice
        if time.perf_counter() < until:
            return notice
        if not self.frames:
            return "Waiting for the first picture"
        if self._watching is not None:
            return "Hold a neutral face"
        doing = "Live"
        if self.recorder.wanted:
            doing = "Recording" if self.recorder.running else "Recording begins with the first face"
        more = self.pace.phrase() if self._sees else "no face is seen"
        return f"{doing}, {more}" if more else doing
