# SPDX-License-Identifier: GPL-3.0-or-later
"""One person of a clip: first one head from chosen frames, then every frame with that head."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from backend.clock import Clock
from backend.device import available_cores
from backend.engines.fit.fit import LandmarkFit
from backend.engines.params import FaceParams
from backend.faces.people import Person
from backend.media.clip import ClipInfo
from backend.progress import Progress
from backend.solve.baseline import Baseline
from backend.solve.camera import Focal
from backend.solve.frames import FrameSolver, FramesSolution
from backend.solve.selection import choose_frames
from backend.solve.shot import Shot, Views, solve_shot
from backend.store.observations import Observations
from backend.store.solved import SolvedFrames

from .people import Seen
from .result import confidence

VIEWS = 16
"""Frames from which the head is learnt."""
FOCAL_VIEWS = 8
"""Those of them from which an unknown focal length is found."""
BATCH = 32
"""Frames that are solved and saved at once; see `FrameSolver` for why results do not depend on it."""
AT_ONCE = 2
"""Batches side by side on a CPU: each uses one core for most of its time."""


@dataclass(frozen=True)
class Solved:
    """The frames in which a person was seen.

    Attributes:
        shot: Identity and focal length.
        focal: That of the clip.
        frames: (N,) index into the clip.
        presence: (N,)
        frontal: (N,)
        params: N frames.
        translation: (N,3) metres, camera space.
        errors: (N,) landmark error over the outer-eye distance.
        confidence: (N,) in [0, 1].
        identity_frames: Indices of the frames from which the identity was learnt.
        detail: (N,D) codes of the wrinkles; None of engines that see none.
        emotion: (N,10) raw outputs of an emotion network; None without one.
        closure: (N,2) how closed the eyes are; None where the parameters' eyelids tell it.
    """

    shot: Shot
    focal: Focal
    frames: np.ndarray
    presence: np.ndarray
    frontal: np.ndarray
    params: FaceParams
    translation: np.ndarray
    errors: np.ndarray
    confidence: np.ndarray
    identity_frames: np.ndarray
    detail: np.ndarray | None = None
    emotion: np.ndarray | None = None
    closure: np.ndarray | None = None


@dataclass(frozen=True)
class Learning:
    """What the head of a person is learnt from.

    Attributes:
        places: (N,) all sightings.
        chosen: (K,) of these the ones that count, by index.
        baseline: What the person scores at rest.
        groups: Views of the clip, then of the references.
    """

    places: np.ndarray
    chosen: np.ndarray
    baseline: Baseline
    groups: list[Views]

    @classmethod
    def of(cls, seen: Seen, person: Person, info: ClipInfo, focal: Focal, references: Sequence[Views]) -> Learning:
        """Choose frames of a person."""
        sightings = seen.sightings
        places = sightings.of(person)
        quality = sightings.presence[places] * sightings.frontal[places] * sightings.sharpness[places]
        chosen = choose_frames(sightings.rotation[places], sightings.blendshapes[places], quality, VIEWS)
        records = seen.observations.read(places[chosen])
        baseline = Baseline.of(sightings.blendshapes[places])
        size = (info.width, info.height)
        views = Views(records["landmarks"].astype(np.float64), records["blendshapes"], size, focal)
        groups = [replace(group, blendshapes=baseline.removed(group.blendshapes)) for group in (views, *references)]
        return cls(places, chosen, baseline, groups)


def solve_person(
    engine: LandmarkFit,
    seen: Seen,
    person: Person,
    info: ClipInfo,
    focal: Focal,
    references: Sequence[Views],
    folder: Path,
    progress: Progress,
    clock: Clock,
) -> Solved:
    """Solve every frame in which a person was seen.

    Args:
        engine: The engine, with its head.
        seen: All that was seen.
        person: Who.
        info: The clip.
        focal: Its focal length; found with the identity where it is only assumed.
        references: Further views of the same person.
        folder: Where solved frames are kept.
        progress: From 0 to 1 for this person.
        clock: Gets the seconds of "identity" and "frames".

    Raises:
        MienError: CANCELLED, NO_SPACE, NOT_PERMITTED.
    """
    sightings = seen.sightings
    progress("identity", 0.0, f"Learning the head of person {person.number}")
    progress.check_cancelled()
    with clock.stage("identity"):
        learning = Learning.of(seen, person, info, focal, references)
        places, baseline = learning.places, learning.baseline
        shot = learn_head(engine, learning.groups)
    with clock.stage("frames"):
        solver = FrameSolver(engine, shot)
        solution = _solve_frames(solver, engine, shot, baseline, seen.observations, places, folder, progress)
    return Solved(
        shot=shot,
        focal=shot.focal,
        frames=sightings.frame[places],
        presence=sightings.presence[places],
        frontal=sightings.frontal[places],
        params=solution.params,
        translation=solution.translation,
        errors=solution.landmark_error,
        confidence=confidence(sightings.presence[places], solution.landmark_error),
        identity_frames=sightings.frame[places][learning.chosen],
    )


def learn_head(engine: LandmarkFit, groups: Sequence[Views]) -> Shot:
    """The head of a person from views, before cameras of which the unknown ones are found.

    An unknown focal length is found first, by the plain landmarks. Then the head as the detector sees it gives shape
    and pose, and is drawn through the landmarks it was seen by; from there the plain landmarks have the last word.
    """
    groups = with_focals(engine, groups)
    seen = engine.seen_head()
    shot = solve_shot(seen, groups, correlation=0.0)
    return solve_shot(seen.near(seen.drawn(shot.identity, shot.habits)), groups, correlation=1.0)


def with_focals(engine: LandmarkFit, groups: Sequence[Views]) -> Sequence[Views]:
    """The views with the focal lengths that are only assumed found from the detector's landmarks."""
    if not any(group.focal.origin == "assumed" for group in groups):
        return groups
    focals = solve_shot(engine, [_some(group) for group in groups]).focals
    return [replace(group, focal=focal) for group, focal in zip(groups, focals, strict=True)]


def _some(views: Views) -> Views:
    """Every so many of the views, at most `FOCAL_VIEWS`: the focal length needs fewer than the head."""
    step = -(-len(views.landmarks) // FOCAL_VIEWS)
    return replace(views, landmarks=views.landmarks[::step], blendshapes=views.blendshapes[::step])


def _solve_frames(
    solver: FrameSolver,
    engine: LandmarkFit,
    shot: Shot,
    baseline: Baseline,
    observations: Observations,
    places: np.ndarray,
    folder: Path,
    progress: Progress,
) -> FramesSolution:
    """All frames; those that an earlier capture solved with the same head are taken from disk."""
    asked = (
        engine.head.sha256,
        shot.identity.tobytes(),
        shot.focal,
        baseline.scores.tobytes(),
        places.tobytes(),
    )
    name = hashlib.sha256(repr(asked).encode()).hexdigest()[:16]
    with closing(SolvedFrames(folder / f"solved-{name}.bin", engine.head)) as file:
        file.keep(len(file) // BATCH * BATCH)  # a batch that was cut off is solved again as a whole
        for solution in _in_order(solver, baseline, observations, places[len(file) :]):
            progress.check_cancelled()
            file.append(solution)
            progress("solve", len(file) / len(places), "Solving frames")
        return file.read(shot.identity)


def _in_order(
    solver: FrameSolver, baseline: Baseline, observations: Observations, places: np.ndarray
) -> Iterator[FramesSolution]:
    """Solve batches, a few at a time, and give them in order."""
    ahead: deque[Future[FramesSolution]] = deque()
    with ThreadPoolExecutor(min(AT_ONCE, available_cores()), "solve") as pool:
        for start in range(0, len(places), BATCH):
            records = observations.read(places[start : start + BATCH])
            landmarks = records["landmarks"].astype(np.float64)
            ahead.append(pool.submit(solver.solve, landmarks, baseline.removed(records["blendshapes"])))
            if len(ahead) > AT_ONCE:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
