# SPDX-License-Identifier: GPL-3.0-or-later
"""What is exported: which heads, with which camera, over which frames, and where they come from."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .. import compat
from ..animation.head import HeadParts, parts_of
from ..animation.record import TakeRecord, read_record
from ..contract.errors import ErrorCode, MienError
from ..contract.provenance import provenance
from ..contract.take import Take
from ..contract.version import VERSION
from ..rig import names

_MOST_FRAMES = 1_000_000


@dataclass(frozen=True)
class Subject:
    """What is exported; references, for use at once.

    Attributes:
        scene: The scene that the heads are in.
        heads: Their parts.
        camera: The camera object that goes along; None for none.
        first, last: Scene frames.
    """

    scene: Any
    heads: tuple[HeadParts, ...]
    camera: Any | None
    first: int
    last: int

    @property
    def rate(self) -> float:
        """Frames per second."""
        return float(self.scene.render.fps / self.scene.render.fps_base)


def subject_of(scene: Any, meshes: Sequence[Any], frames: tuple[int, int] | None = None) -> Subject:
    """Heads with the camera before which they stand.

    Args:
        scene: The scene that they are in.
        meshes: The heads' mesh objects.
        frames: First and last scene frame; None for all that the heads perform, or the current frame where they do not.

    Raises:
        MienError: USAGE without heads or for frames that run backwards; BAD_HEAD for a head that lost its rig or keys.
    """
    if not meshes:
        raise MienError(ErrorCode.USAGE, "There is no head to export.", "Select a head that Mien captured.")
    heads = tuple(parts_of(mesh) for mesh in meshes)
    first, last = frames or _performed(scene, heads)
    if not first <= last < first + _MOST_FRAMES:
        message = f"The frames {first} to {last} cannot be exported."
        raise MienError(ErrorCode.USAGE, message, "Give a first frame and a last one that is not before it.")
    return Subject(scene, heads, _camera_of(scene, meshes), first, last)


def _performed(scene: Any, heads: Sequence[HeadParts]) -> tuple[int, int]:
    """All whole frames on which the heads' actions and strips do something."""
    spans = [span for head in heads for owner in (head.rig, head.keys) for span in _spans(owner)]
    if not spans:
        return scene.frame_current, scene.frame_current
    return math.floor(min(first for first, _ in spans)), math.ceil(max(last for _, last in spans))


def _spans(owner: Any) -> Iterator[tuple[float, float]]:
    data = owner.animation_data
    if data is None:
        return
    if data.action is not None and compat.fcurves_of(owner):
        yield tuple(data.action.frame_range)
    for track in data.nla_tracks:
        if not track.mute:
            yield from ((strip.frame_start, strip.frame_end) for strip in track.strips if not strip.mute)


def _camera_of(scene: Any, meshes: Sequence[Any]) -> Any | None:
    """The scene's camera, else one of a head's own collections."""
    if scene.camera is not None and scene.camera.type == "CAMERA":
        return scene.camera
    near = (item for mesh in meshes for home in mesh.users_collection for item in home.objects)
    return next((item for item in near if item.type == "CAMERA" and item.name in scene.objects), None)


def origin_of(head: HeadParts) -> dict[str, object]:
    """Where a head and its performance come from; less where its take's file is gone."""
    mesh = head.mesh
    table: dict[str, object] = {
        "mien": VERSION,
        "head_id": str(mesh.get(names.HEAD_ID, "")),
        "head_sha256": str(mesh.get(names.HEAD_SHA256, "")),
        "licences": [str(mesh.get(names.HEAD_LICENCE, ""))],
        "commercial_use": str(mesh.get(names.COMMERCIAL_USE, "unclear")),
    }
    record = _record_of(head)
    if record is None:
        return table
    try:
        return table | provenance(Take.load(record.take_file).meta)
    except MienError:  # the scene came from another computer: what the action remembers is still true
        return table | {"source": record.source, "person": record.person}


def _record_of(head: HeadParts) -> TakeRecord | None:
    data = head.rig.animation_data
    if data is None:
        return None
    strips = [strip.action for track in reversed(data.nla_tracks) for strip in track.strips]
    return next((found for action in (data.action, *strips) if (found := read_record(action))), None)


def losses(head: HeadParts) -> tuple[str, ...]:
    """Sentences about what of a head no export carries."""
    told = {"ARMATURE", "SUBSURF"}
    lost = [item.name for item in head.mesh.modifiers if item.type not in told and item.show_viewport]
    return tuple(f"The modifier '{name}' of '{head.mesh.name}' is not exported; apply it first." for name in lost)
