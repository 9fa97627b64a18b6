# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of other programs to takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np

from backend.heads import load_head
from blender_addon.contract.arkit import take_arrays
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.projection import camera_matrix
from blender_addon.contract.take import Take, TakeMeta
from blender_addon.contract.version import VERSION

from .codes import EMOCA, SMIRK, read_codes
from .flame_motion import FlameMotion, Shot, whole_picture_crop
from .gaussian_avatars import read_gaussian_avatars
from .kinds import kind_of
from .livelink import read_livelink
from .metrical_tracker import read_metrical_tracker
from .rates import average_rate
from .tables import bad_import
from .vhap import CAMERA_PLACE

ASSUMED_FPS = 24.0
"""Frames per second of files that tell no times, as for numbered images."""
LIVELINK_SIZE = (1280, 720)
"""The picture of takes from Live Link Face, which tells none."""


@dataclass(frozen=True)
class ImportOptions:
    """What the user says about a file.

    Attributes:
        kind: One of `kinds.KINDS`; None to find out.
        head: Path of the FLAME model, None for the open head.
        fps: Frames per second of a file without times; of a Live Link file, those that its timecode counts.
        identity: A take of the same person on the open head, for files without an identity.
        shot: Size of the picture and focal length, for files that do not tell.
    """

    kind: str | None = None
    head: str | None = None
    fps: float | None = None
    identity: Take | None = None
    shot: Shot = field(default_factory=Shot)


@dataclass(frozen=True)
class Imported:
    """A take and what the user should know of it."""

    take: Take
    kind: str
    notes: tuple[str, ...]


def import_take(path: Path, options: ImportOptions) -> Imported:
    """Make a take of another program's file.

    Raises:
        MienError: BAD_IMPORT for a file that is of no known kind, damaged, hostile or without what a take needs; USAGE
            for options that do not fit; MISSING_FILE, NOT_PERMITTED, TOO_LARGE; what loading the head raises.
    """
    kind = options.kind or kind_of(path)
    _require_used(kind, options)
    if kind == "npz":
        return _own(path, options)
    try:
        if kind == "livelink":
            return _livelink(path, options)
        head = _flame_head(path, kind, options)
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused by the take
            motion = _FLAME_READERS[kind](path, head, options.shot)
            return _flame_take(path, kind, head, motion, options)
    except MienError as error:
        if error.code is not ErrorCode.BAD_TAKE:
            raise
        reason = f"cannot become a take: {error.message.rstrip('.')}"
        raise bad_import(path, reason, "Check that it is undamaged and of the kind that --kind says.") from error


def _require_used(kind: str, options: ImportOptions) -> None:
    """Refuse what the user says and this kind of file has no use for, rather than leave it aside in silence.

    Raises:
        MienError: USAGE.
    """
    said = {
        "head": options.head,
        "fps": options.fps,
        "identity": options.identity,
        "size": options.shot.size,
        "focal": options.shot.asked_focal_mm,
    }
    if unused := [name for name, value in said.items() if value is not None and name not in _USES[kind]]:
        message = f"--{unused[0]} is of no use for a file of the kind {kind}."
        raise MienError(ErrorCode.USAGE, message, f"Leave --{unused[0]} out.")


def _own(path: Path, options: ImportOptions) -> Imported:
    take = Take.load(path)
    if options.head is not None:
        take.require_head(load_head(options.head))
    return Imported(take, "npz", ())


def _flame_head(path: Path, kind: str, options: ImportOptions) -> HeadDescription:
    if options.head is None or options.head == "open":
        message = f"{path} ({kind}) holds coefficients of FLAME, which mean nothing without the FLAME model."
        raise MienError(ErrorCode.USAGE, message, "Give the model that it was made with: --head FILE.")
    return load_head(options.head)


def _flame_take(path: Path, kind: str, head: HeadDescription, motion: FlameMotion, options: ImportOptions) -> Imported:
    frames = len(motion.head_rotation)
    notes = list(motion.notes)
    time, rate = _times(motion.time, frames, options.fps, notes)
    translation = motion.translation.astype(np.float32)
    matrix = motion.camera_matrix
    if min(matrix[0, 0], matrix[1, 1], *motion.image_size) <= 0:
        raise bad_import(path, "has a camera without a focal length or a size", "Check that the tracking went well.")
    if (translation[:, 2] <= 0).any():
        raise bad_import(path, "has a head behind its camera", "Check that it is of the kind that --kind says.")
    crop, transform = whole_picture_crop(motion.camera_matrix, motion.image_size, translation)
    if motion.crop_camera is not None:
        crop, transform = motion.crop_camera, np.tile(np.eye(3), (frames, 1, 1))
    valid = np.ones(frames, bool) if motion.valid is None else motion.valid
    take = Take(
        meta=_meta(path, kind, head, rate),
        time=time,
        valid=valid,
        confidence=valid.astype(np.float32),
        identity=motion.identity,
        expression=motion.expression,
        eyelids=_float32(np.zeros((frames, 2)) if motion.eyelids is None else motion.eyelids),
        head_rotation=_float32(motion.head_rotation),
        neck=_float32(motion.neck),
        jaw=_float32(motion.jaw),
        eyes=_float32(motion.eyes),
        translation=translation,
        camera_matrix=motion.camera_matrix,
        image_size=np.array(motion.image_size, np.int32),
        crop_camera=_float32(crop),
        crop_transform=transform,
        extra={"frame": _frame_numbers(motion.frame, frames)},
    )
    return Imported(take, kind, tuple(notes))


def _times(told: np.ndarray | None, frames: int, fps: float | None, notes: list[str]) -> tuple[np.ndarray, float]:
    """Seconds of each frame, and the nominal rate; a still has none."""
    if told is not None and fps is None and len(told) == frames:
        return told, average_rate(told)
    if frames == 1:
        return np.zeros(1), 0.0
    if fps is None:
        notes.append(f"The file tells no times; it is taken as {ASSUMED_FPS:g} frames a second (--fps).")
    rate = fps or ASSUMED_FPS
    return np.arange(frames) / rate, rate


def _livelink(path: Path, options: ImportOptions) -> Imported:
    if options.head not in (None, "open"):
        message = "A Live Link file has ARKit's channels, which are those of the open head."
        raise MienError(ErrorCode.USAGE, message, "Leave --head out.")
    head = load_head("open")
    recording = read_livelink(path, options.fps)
    curves, frames = recording.curves, len(recording.curves)
    identity = np.zeros(head.identity.shape[2], np.float32)
    if options.identity is not None:
        options.identity.require_head(head)
        identity = options.identity.identity
    size = options.shot.size or LIVELINK_SIZE
    matrix = camera_matrix(options.shot.focal_pixels(*size), *size)
    translation = np.tile(np.float32([0, 0, CAMERA_PLACE[2]]), (frames, 1))
    crop, transform = whole_picture_crop(matrix, size, translation)
    take = Take(
        meta=_meta(path, "livelink", head, recording.rate if frames > 1 else 0.0),
        time=curves.time,
        valid=curves.valid,
        confidence=curves.valid.astype(np.float32),
        identity=identity,
        **take_arrays(curves, head.expression_names),
        translation=translation,
        camera_matrix=matrix,
        image_size=np.array(size, np.int32),
        crop_camera=_float32(crop),
        crop_transform=transform,
        extra={"frame": _frame_numbers(None, frames)},
    )
    return Imported(take, "livelink", tuple(_livelink_notes(recording.dropped, options)))


def _livelink_notes(dropped: int, options: ImportOptions) -> list[str]:
    focal = f"{options.shot.focal_mm:g} mm"
    notes = [f"Live Link Face tells no place: the head stands 1 m in front of a camera of {focal}."]
    if options.identity is None:
        notes.append("The head is the mean one; --identity TAKE gives it the shape of a person.")
    if dropped:
        notes.append(f"{dropped} frames are missing or without a face; they are filled in and marked as not valid.")
    return notes


def _meta(path: Path, kind: str, head: HeadDescription, rate: float) -> TakeMeta:
    """The file's own licence is not known; a head that allows less decides."""
    licences = (f"{head.licence} (head {head.id})", f"unknown (imported from {kind})")
    return TakeMeta(
        head_id=head.id,
        head_sha256=head.sha256,
        engine=kind,
        versions={"mien": VERSION},
        source=str(path.absolute()),
        person=1,
        licences=licences if head.commercial_use == "no" else licences[::-1],
        commercial_use="no" if head.commercial_use == "no" else "unclear",
        channels=head.expression_names,
        rate=rate,
    )


def _frame_numbers(told: np.ndarray | None, frames: int) -> np.ndarray:
    return (np.arange(1, frames + 1) if told is None else told).astype(np.int32)


def _float32(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values, np.float32)


_USES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "npz": ("head",),
        "livelink": ("head", "fps", "identity", "size", "focal"),
        "vhap": ("head", "fps", "size", "focal"),
        "gaussian-avatars": ("head", "fps", "size", "focal"),
        "metrical-tracker": ("head", "fps"),
        "smirk": ("head", "fps", "focal"),
        "emoca": ("head", "fps", "focal"),
    }
)
_FLAME_READERS: Mapping[str, Callable[[Path, HeadDescription, Shot], FlameMotion]] = MappingProxyType(
    {
        "vhap": read_gaussian_avatars,
        "gaussian-avatars": read_gaussian_avatars,
        "metrical-tracker": lambda path, head, _: read_metrical_tracker(path, head),
        "smirk": lambda path, head, shot: read_codes(path, SMIRK, head, shot),
        "emoca": lambda path, head, shot: read_codes(path, EMOCA, head, shot),
    }
)
