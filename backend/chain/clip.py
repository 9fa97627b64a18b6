# SPDX-License-Identifier: GPL-3.0-or-later
"""A clip: every frame's faces, the people among them, then for each asked-for person one head and its motion.

What is done is kept in a folder of the clip (`backend.store`), so that a capture that was ended in any way goes on at
the next frame, and another person of the same clip needs no second look at it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from backend.clock import Clock
from backend.engines.choice import Networks
from backend.faces.contact_sheet import contact_sheet, thumbnail
from backend.faces.people import Person, doubtful
from backend.faces.tracking import Sighting
from backend.media.clip import Clip, frame_range, open_clip
from backend.media.images import Photo
from backend.progress import Part, Progress, no_progress
from backend.session import Session
from backend.solve.camera import Focal, choose_focal
from backend.store.clip_folder import clip_folder, fingerprint
from backend.store.observations import Observations
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.options import CaptureOptions

from .assembling import Assembled, assemble, segments
from .coded_person import ClipNetworks
from .finishing import finished
from .observing import Span, cut_frames, observe
from .people import Seen, gather
from .previews import Previews
from .references import check_references, reference_views
from .result import CaptureResult, camera_report, credited, report_basis, rounded
from .solving import solve_person

OBSERVED = 0.8
"""Share of the whole work that looking at the frames is, about; ..."""
READ_LATER = 0.4
"""... and where networks look at the faces afterwards."""
READ_SECONDS = (0.005, 0.1)
"""Seconds that a network's look at a face takes, about: on a GPU and on a CPU."""
MOST_TOLD = 6
"""Stretches of frames that a sentence of the report lists."""
SOLVE_SECONDS = 0.004
"""Seconds that solving a frame takes, about, for the time that is left."""


def capture_clip(session: Session, options: CaptureOptions, progress: Progress = no_progress) -> CaptureResult:
    """A clip to one take for each asked-for person.

    Raises:
        MienError: BAD_CLIP and what else opening and reading the clip raise; USAGE for a range outside of it; NO_FACE
            where nobody was found or the asked-for person does not exist; NO_SPACE; CANCELLED.
    """
    clock = Clock()
    with ExitStack() as stack:
        progress("open", 0.0, "Reading the clip")
        with clock.stage("open"):
            clip = stack.enter_context(open_clip(Path(options.source), options.fps))
            span = Span(*frame_range(clip.info, options.first_frame, options.last_frame))
            check_references(options.references)
        with clock.stage("load"):
            head = session.head(options.head)
            finder = session.finder(Part(progress, 0.0, 0.02))
            networks = session.networks(options, Part(progress, 0.0, 0.02))
            fan = session.fan() if networks.readers and options.boxes == "fan" else None
            engine = session.landmark_fit(head if networks.engine is None else session.head("open"))
        asked = {"first": span.first, "last": span.last, "fps": options.fps}
        folder = stack.enter_context(clip_folder(fingerprint(clip.info.path, asked), lambda: _waiting(progress)))
        observations = stack.enter_context(closing(Observations(folder)))
        focal = choose_focal(clip.info, options.focal_mm)
        looked = READ_LATER if networks.readers else OBSERVED
        show = Previews(options, engine, clip.info, focal, progress).show if networks.engine is None else _show_nothing
        part, known = Part(progress, 0.02, looked), len(observations)
        after = SOLVE_SECONDS + READ_SECONDS[session.device.type == "cpu"] * len(networks.readers)
        with clock.stage("faces"):
            observe(finder, clip, span, observations, part, show, after)
        with clock.stage("people"):
            seen = gather(observations, engine, (clip.info.width, clip.info.height))
            chosen = _choose(seen.people, options, span)
        shots = segments(span, observations.frames())
        work = ClipNetworks(session, options, networks, fan, clip, seen, shots, span.first, folder)
        look = work.look if networks.engine is not None else None
        takes: list[Assembled] = []
        unclear: list[str] = []
        for number, person in enumerate(chosen):
            part = Part(progress, *_share(looked, number, len(chosen)))
            with clock.stage("references"):
                extra = reference_views(finder, options.references, seen.tracks_of(person), progress, look)
            unclear += [reference.problem for reference in extra if reference.problem]
            if networks.engine is not None:
                one = work.solve(engine, person, focal, extra, part, clock)
            else:
                views, read = [reference.views for reference in extra], 0.8 if networks.readers else 0.0
                said = work.emotion(person, Part(part, 0.0, read), clock)
                one = solve_person(
                    engine, seen, person, clip.info, focal, views, folder, Part(part, read, 1.0), clock
                )
                one = replace(one, emotion=said)
            try:
                with clock.stage("smooth"):
                    made = assemble(options, head, clip.info, span, observations.frames(), person, one)
                    take = credited(made.take, head, networks.ingredients)
                    takes.append(replace(made, take=finished(session, head, take)))
            except MienError as error:
                if error.code is not ErrorCode.NO_FACE or (number == len(chosen) - 1 and not takes):
                    raise
                unclear.append(f"Person {person.number} was left out: {error.message}")
                continue
            # All stand before one camera: what the most prominent person tells of it holds for the others.
            focal = one.focal
            progress.keep(takes[-1].take)
        picture = _picture(clip, takes[0].best_frame)
        sheet = _contact_sheet(clip, seen.people)
        report = _report(session, options, networks, clip, span, observations.frames(), seen.people, takes, clock)
        doubts = [doubt for person in chosen for doubt in _doubts(person, seen, clip.info.numbers)]
        report["clip"] |= {"known_frames": known, "problems": [*clip.problems, *unclear, *doubts]}
    progress("done", 1.0, "Done")
    frame = takes[0].best_frame - span.first
    made = tuple(item.take for item in takes)
    return CaptureResult(made, report, picture, frame, sheet, options.eyelid_space)


def _waiting(progress: Progress) -> None:
    progress("wait", 0.0, "Waiting for another capture of this clip")
    progress.check_cancelled()


def _share(before: float, number: int, count: int) -> tuple[float, float]:
    each = (1 - before) / count
    return before + number * each, before + (number + 1) * each


def _show_nothing(seconds: float, sightings: list[Sighting]) -> None:
    """Until the networks are asked there is nothing to show on their head."""


def _choose(people: Sequence[Person], options: CaptureOptions, span: Span) -> list[Person]:
    if not people:
        raise MienError(
            ErrorCode.NO_FACE,
            f"No face was found in the {len(span)} frames of {options.source}.",
            "Use footage that shows the face from the front, at least 60 pixels high, or choose another range.",
        )
    if options.all_faces:
        return list(people)
    number = options.face or 1
    if number > len(people):
        there = "only one is" if len(people) == 1 else f"only {len(people)} are"
        choice = "person 1" if len(people) == 1 else f"a person from 1 to {len(people)}, the most prominent first"
        message = f"Person {number} was asked for, but {there} in {options.source}."
        raise MienError(ErrorCode.NO_FACE, message, f"Choose {choice}.", {"people": len(people)})
    return [people[number - 1]]


def _doubts(person: Person, seen: Seen, numbers: np.ndarray) -> list[str]:
    """Says where a person may be another one, in a sentence, if anywhere."""
    tracks = doubtful(seen.tracks_of(person))
    if not tracks:
        return []
    where = ", ".join(f"{numbers[track.first]} to {numbers[track.last]}" for track in tracks[:MOST_TOLD])
    more = f" and {len(tracks) - MOST_TOLD} more stretches" if len(tracks) > MOST_TOLD else ""
    return [
        f"Person {person.number} looks different in frames {where}{more}: "
        "if that is somebody else, capture each range by itself."
    ]


def _picture(clip: Clip, index: int) -> Photo:
    frame = next(clip.frames(index, index))
    return Photo(frame.pixels, clip.info.path, None, None)


def _contact_sheet(clip: Clip, people: Sequence[Person]) -> np.ndarray | None:
    if len(people) < 2:
        return None
    faces = []
    for person in people:
        for frame in clip.frames(person.best_frame, person.best_frame):
            faces.append((person.number, thumbnail(frame.pixels, person.box)))
    return contact_sheet(faces)


def _report(
    session: Session,
    options: CaptureOptions,
    networks: Networks,
    clip: Clip,
    span: Span,
    frames: np.ndarray,
    people: Sequence[Person],
    takes: Sequence[Assembled],
    clock: Clock,
) -> dict[str, object]:
    info = clip.info
    numbers, size = info.numbers, (info.width, info.height)
    focal: Focal = takes[0].focal
    uncertainty = None if focal.sigma is None else round(float(focal.sigma), 4)
    spent = sum(clock.seconds.values())
    return report_basis(session, options, takes[0].head, size, clock, networks.ingredients) | {
        "clip": {
            "frames": len(span),
            "first_frame": int(numbers[span.first]),
            "last_frame": int(numbers[span.last]),
            "rate": round(info.rate, 5),
            "variable_rate": info.variable_rate,
            "duration": round(float(info.times[span.last] - info.times[span.first]), 4),
            "missing": list(info.missing),
            "cuts": [int(numbers[index]) for index in cut_frames(frames)],
        },
        "camera": camera_report(focal, *size) | {"focal_uncertainty": uncertainty, "static": True},
        "people": [
            {
                "person": person.number,
                "frames": person.frames,
                "box": rounded(person.box, 1),
                "best_frame": int(numbers[person.best_frame]),
            }
            for person in people
        ],
        "found": [rounded(person.box, 1) for person in people],
        "faces": [item.report(numbers) for item in takes],
        "frames_per_second": round(len(span) / max(spent, 1e-9), 2),
    }
