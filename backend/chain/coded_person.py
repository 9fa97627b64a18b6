# SPDX-License-Identifier: GPL-3.0-or-later
"""One person of a clip by a published engine: the codes of every frame, one identity, every frame placed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from backend.clock import Clock
from backend.engines.choice import Networks
from backend.engines.crops import FanLandmarks, on_device
from backend.engines.fit.fit import LandmarkFit
from backend.engines.interface import Codes, as_codes, padded
from backend.engines.params import FaceParams
from backend.faces.face import Face, frontalness
from backend.faces.people import Person
from backend.media.clip import Clip
from backend.progress import Part, Progress
from backend.session import Session
from backend.solve.camera import Focal
from backend.solve.frames import FramesSolution
from backend.solve.identity import robust_mean
from backend.solve.shot import Shot
from blender_addon.contract.options import CaptureOptions

from .coding import CodePlacer, coded_confidence
from .moment import moment
from .people import Seen
from .previews import INTERVAL
from .reading import Answers, Asked, read_person
from .references import Reference
from .solving import VIEWS, Learning, Solved, with_focals

AT_ONCE = 256
"""Frames that are placed between two looks at whether to go on."""
CLEAREST = 8
"""Frames from which MICA learns the head."""
READ = 0.85
"""Share of a person's work that reading the crops is, about."""


@dataclass(frozen=True)
class ReferenceLook:
    """What networks say of a face in a reference.

    Attributes:
        identity: (S,) the engine's.
        embedding: (1,512) MICA's; None without it.
        weight: How clear the face is.
    """

    identity: np.ndarray
    embedding: np.ndarray | None
    weight: float


class ClipNetworks:
    """The networks of a capture at work on a clip.

    Args:
        session: The loaded models.
        options: What was asked for.
        networks: What it asks for.
        fan: FAN, where boxes lie around its landmarks.
        clip: The clip.
        seen: Who is in it, and where.
        segment: (T,) the shot of each frame from `first` on.
        first: Index of the first captured frame.
        folder: Where answers are kept.
    """

    def __init__(
        self,
        session: Session,
        options: CaptureOptions,
        networks: Networks,
        fan: FanLandmarks | None,
        clip: Clip,
        seen: Seen,
        segment: np.ndarray,
        first: int,
        folder: Path,
    ) -> None:
        self._session, self._options, self.networks, self._fan = session, options, networks, fan
        self._clip, self._seen, self._segment, self._first, self._folder = clip, seen, segment, first, folder

    def emotion(self, person: Person, progress: Progress, clock: Clock) -> np.ndarray | None:
        """(N,10) raw outputs of the emotion network for each sighting of a person; None without it."""
        if self.networks.emotion is None:
            return None
        with clock.stage("engine"):
            (answers,) = self._read(self._seen.sightings.of(person), progress, preview=None)
        return answers.records["outputs"]

    def solve(
        self, rough: LandmarkFit, person: Person, focal: Focal, references: Sequence[Reference], progress: Progress,
        clock: Clock,
    ) -> Solved:  # fmt: skip
        """Solve every frame in which a person was seen.

        Args:
            rough: The landmark fit, which finds a focal length that nobody knows: what networks see of crops by
                themselves says nothing of it.
            person: Who.
            focal: The clip's focal length.
            references: More pictures of the person, with what `look` said of them.
            progress: From 0 to 1 for this person.
            clock: Gets the seconds of "engine", "identity" and "frames".

        Raises:
            MienError: What `read_person` raises.
        """
        sightings = self._seen.sightings
        places = sightings.of(person)
        quality = sightings.presence[places] * sightings.frontal[places] * sightings.sharpness[places]
        progress("identity", 0.0, f"Learning the head of person {person.number}")
        with clock.stage("identity"):
            views = [reference.views for reference in references]
            learning = Learning.of(self._seen, person, self._clip.info, focal, views)
            focals = tuple(group.focal for group in with_focals(rough, learning.groups))
        preview = _Preview(self, focals, places)
        with clock.stage("engine"):
            answers = self._read(places, Part(progress, 0.0, READ), preview)
        codes = as_codes(answers[0].records)
        progress("identity", READ, f"Learning the head of person {person.number}")
        with clock.stage("identity"):
            looks = [look for reference in references for look in reference.looks]
            identity, chosen = self._identity(codes, quality, sightings.frame[places], places, looks)
        shot = Shot(identity, focals, (self._clip.info.width, self._clip.info.height), ())
        with clock.stage("frames"):
            solution = self._placed(shot, codes, answers[0].transforms, places, Part(progress, READ, 1.0))
        presence = sightings.presence[places]
        return Solved(
            shot=shot,
            focal=shot.focal,
            frames=sightings.frame[places],
            presence=presence,
            frontal=sightings.frontal[places],
            params=solution.params,
            translation=solution.translation,
            errors=solution.landmark_error,
            confidence=coded_confidence(codes, presence, solution.landmark_error),
            identity_frames=sightings.frame[places][chosen],
            detail=codes.detail if codes.detail.shape[1] else None,
            emotion=self._emotion_outputs(codes, answers),
            closure=solution.closure,
        )

    def look(self, pixels: np.ndarray, face: Face) -> ReferenceLook:
        """What the networks say of a face in a reference, a picture (H,W,3) uint8."""
        engine, landmarks = self.networks.engine, face.landmarks[None]
        assert engine is not None
        around = engine.style.squares(landmarks)
        if self._fan is not None:
            around = engine.style.around_fan(pixels, face.box[None], self._fan)
        crops = engine.style.crops(on_device(pixels, self._session.device), around)
        identity = as_codes(engine.read(crops)).identity[0]
        mica = self.networks.mica
        embedding = None if mica is None else mica.embed(pixels, landmarks)
        return ReferenceLook(identity, embedding, face.presence * frontalness(face.landmarks))

    def _read(self, places: np.ndarray, progress: Progress, preview: _Preview | None) -> list[Answers]:
        frames = self._seen.sightings.frame[places]
        asked = Asked(
            frames=frames,
            places=places,
            time=self._clip.info.times[frames],
            segment=self._segment[frames - self._first],
            steady=self._options.smoothing > 0,
        )
        show = None if preview is None else preview.shown_by(progress)
        return read_person(
            self.networks.readers, self._clip, self._seen.observations, asked, self._session.device, self._fan,
            self._folder, progress, show,
        )  # fmt: skip

    def _identity(
        self, codes: Codes, quality: np.ndarray, frames: np.ndarray, places: np.ndarray, looks: Sequence[ReferenceLook]
    ) -> tuple[np.ndarray, np.ndarray]:
        """The identity (S,) that all frames share, and which frames (K,) it was learnt from most."""
        assert self.networks.engine is not None
        width = self.networks.engine.head.identity.shape[2]
        clearest = np.sort(np.argsort(-quality, kind="stable")[: CLEAREST if self.networks.mica else VIEWS])
        if self.networks.mica is not None:
            seen = [self._embedded(int(frames[row]), int(places[row])) for row in clearest]
            own = [look.embedding for look in looks if look.embedding is not None]
            said = self.networks.mica.identity(np.concatenate([*seen, *own]))
        else:
            weight = quality / max(quality.sum(), 1e-12) * VIEWS  # a reference counts as one view of the clip's
            values = np.concatenate([codes.identity, *(look.identity[None] for look in looks)])
            said = robust_mean(values, np.concatenate([weight, [look.weight for look in looks]]))
        return padded(said[None].astype(np.float64), width)[0], clearest

    def _embedded(self, frame: int, place: int) -> np.ndarray:
        assert self.networks.mica is not None
        landmarks = self._seen.observations.read(np.array([place]))["landmarks"]
        picture = next(iter(self._clip.frames(frame, frame)))
        return self.networks.mica.embed(picture.pixels, landmarks)

    def _placed(
        self, shot: Shot, codes: Codes, crops: np.ndarray, places: np.ndarray, progress: Progress
    ) -> FramesSolution:
        placer, parts = CodePlacer(self.networks, shot), []
        for first in range(0, len(places), AT_ONCE):
            progress.check_cancelled()
            rows = slice(first, first + AT_ONCE)
            records = self._seen.observations.read(places[rows])
            landmarks = records["landmarks"].astype(np.float64)
            parts.append(placer.place(codes[rows], crops[rows], landmarks, records["blendshapes"]))
            progress("solve", min(first + AT_ONCE, len(places)) / len(places), "Solving frames")
        return _joined(parts)

    def _emotion_outputs(self, codes: Codes, answers: Sequence[Answers]) -> np.ndarray | None:
        if self.networks.emotion is not None:
            return answers[1].records["outputs"]
        reader = self.networks.emotion_of_codes
        return None if reader is None else reader.outputs(codes)


class _Preview:
    """Shows the newest frame while crops are read, on the head that the frames before tell."""

    def __init__(self, work: ClipNetworks, focals: tuple[Focal, ...], places: np.ndarray) -> None:
        self._work, self._focals, self._places = work, focals, places
        self._sum, self._count, self._due = 0.0, 0, 0.0

    def shown_by(self, progress: Progress):  # noqa: ANN201  # a `reading.Show`
        """What shows batches by a progress."""

        def show(done: int, newest: Answers) -> None:
            codes = as_codes(newest.records)
            self._sum, self._count = self._sum + codes.identity.sum(axis=0), self._count + len(codes)
            now = time.monotonic()
            if now < self._due or not len(codes) or not progress.wants_preview():
                return
            self._due = now + INTERVAL
            self._show(progress, done - 1, codes[-1:], newest.transforms[-1:])

        return show

    def _show(self, progress: Progress, row: int, codes: Codes, crops: np.ndarray) -> None:
        work, engine = self._work, self._work.networks.engine
        assert engine is not None
        info, sightings, place = work._clip.info, work._seen.sightings, self._places[row]
        mean = (self._sum / self._count)[None].astype(np.float64)
        identity = padded(mean, engine.head.identity.shape[2])[0]
        shot = Shot(identity, self._focals, (info.width, info.height), ())
        record = work._seen.observations.read(np.array([place]))
        landmarks = record["landmarks"].astype(np.float64)
        solution = CodePlacer(work.networks, shot, batch=1).place(codes, crops, landmarks, record["blendshapes"])
        sure = coded_confidence(codes, sightings.presence[[place]], solution.landmark_error)
        seconds = float(info.times[sightings.frame[place]])
        progress.preview([moment(work._options, engine.head, shot, solution, seconds, float(sure[0]))])


def _joined(parts: Sequence[FramesSolution]) -> FramesSolution:
    names = vars(parts[0].params)
    params = FaceParams(**{name: np.concatenate([getattr(part.params, name) for part in parts]) for name in names})
    return replace(
        parts[0],
        params=params,
        translation=np.concatenate([part.translation for part in parts]),
        landmark_error=np.concatenate([part.landmark_error for part in parts]),
        closure=np.concatenate([part.closure for part in parts if part.closure is not None]),
    )
