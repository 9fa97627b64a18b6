# SPDX-License-Identifier: GPL-3.0-or-later
"""More pictures of the same person, from which the shape of the head is learnt too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from backend.faces.appearance import look as appearance_of
from backend.faces.appearance import sharpness
from backend.faces.face import Face
from backend.faces.landmarker import FaceFinder
from backend.faces.people import TrackStatistics, TrackSummary, likeness
from backend.faces.tracking import Sighting
from backend.media.clip import is_clip, open_clip
from backend.media.images import read_image
from backend.progress import Progress
from backend.solve.camera import choose_focal
from backend.solve.shot import Views
from blender_addon.contract.errors import ErrorCode, MienError

FRAMES_OF_A_CLIP = 8
"""Frames that are looked at in a reference that is a clip, evenly spread."""
UNLIKE = 0.0
"""Likeness under which the face in a reference is doubted. Measured: 0.2 and more for one person in photos years apart;
under 0 for three quarters of the pairs of different people."""


@dataclass(frozen=True)
class Reference:
    """A person's face in one reference.

    Attributes:
        views: With a camera of their own.
        problem: A sentence on what is doubtful about it, or None.
        looks: What the `look` of `reference_views` said of each face.
    """

    views: Views
    problem: str | None
    looks: tuple[Any, ...] = ()


def check_references(references: Sequence[str]) -> None:
    """Refuse references that cannot be read, before the clip is looked at.

    Raises:
        MienError: What reading a reference raises.
    """
    for reference in references:
        next(_pictures(Path(reference)), None)


def reference_views(
    finder: FaceFinder,
    references: Sequence[str],
    tracks: Sequence[TrackSummary],
    progress: Progress,
    look: Callable[[np.ndarray, Face], Any] | None = None,
) -> tuple[Reference, ...]:
    """The person's face in each reference.

    Args:
        finder: The face finder.
        references: Paths of photos and clips.
        tracks: The person's in the captured clip: of several faces in a picture the one that is most like them counts.
        progress: Told of each file.
        look: Called with the picture and the face of each.

    Raises:
        MienError: What reading a reference raises; NO_FACE where one shows no face; CANCELLED.
    """
    groups = []
    for number, reference in enumerate(references, start=1):
        progress("references", 0.0, f"Looking at reference {number} of {len(references)}")
        progress.check_cancelled()
        groups.append(_views(finder, Path(reference), tracks, look))
    return tuple(groups)


def _views(
    finder: FaceFinder,
    path: Path,
    tracks: Sequence[TrackSummary],
    look: Callable[[np.ndarray, Face], Any] | None,
) -> Reference:
    faces: list[Face] = []
    looks: list[Any] = []
    alike = -1.0
    focal, size = None, (0, 0)
    for pixels, camera in _pictures(path):
        size = (pixels.shape[1], pixels.shape[0])
        focal = focal or choose_focal(camera, None)
        if (found := _same_person(finder, pixels, tracks)) is not None:
            faces.append(found[0])
            alike = max(alike, found[1])
            if look is not None:
                looks.append(look(pixels, found[0]))
    if not faces or focal is None:
        message = f"No face was found in the reference {path}."
        raise MienError(ErrorCode.NO_FACE, message, "Leave it out, or use one that shows the face from the front.")
    views = Views(
        landmarks=np.stack([face.landmarks for face in faces]),
        blendshapes=np.stack([face.blendshapes for face in faces]),
        image_size=size,
        focal=focal,
    )
    doubt = (
        f"The face in the reference {path} does not look like the captured one: if it is somebody else, leave it out."
    )
    return Reference(views, doubt if alike < UNLIKE else None, tuple(looks))


def _same_person(finder: FaceFinder, pixels: np.ndarray, tracks: Sequence[TrackSummary]) -> tuple[Face, float] | None:
    """The face that is most like the person, and how much; None where there is no face."""
    found = [(face, _likeness(finder, pixels, face, tracks)) for face in finder.find(pixels)]
    if not found:
        return None
    face, alike = max(found, key=lambda item: item[1])
    return finder.refine(pixels, face), alike


def _likeness(finder: FaceFinder, pixels: np.ndarray, face: Face, tracks: Sequence[TrackSummary]) -> float:
    (seen,) = finder.follow(pixels, [face])
    if seen is None:
        return -1.0
    statistics = TrackStatistics(pixels.shape[1], pixels.shape[0])
    statistics.add(0, [Sighting(0, seen.face, sharpness(seen), appearance_of(seen))])
    (summary,) = statistics.summaries()
    return max(likeness(track, summary) for track in tracks)


def _pictures(path: Path) -> Iterator[tuple[np.ndarray, object]]:
    """Pixels of each picture of a reference with what is known of its camera."""
    if not is_clip(path):
        photo = read_image(path)
        yield photo.pixels, photo
        return
    with open_clip(path) as clip:
        last = len(clip.info.times) - 1
        for index in np.unique(np.linspace(0, last, FRAMES_OF_A_CLIP).round().astype(int)):
            for frame in clip.frames(int(index), int(index)):
                yield frame.pixels, clip.info
