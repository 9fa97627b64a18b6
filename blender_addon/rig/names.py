# SPDX-License-Identifier: GPL-3.0-or-later
"""Names and custom properties by which the add-on finds its objects again. References die on undo; names do not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import PurePath

HEAD_ID = "mien_head_id"
HEAD_SHA256 = "mien_head_sha256"
HEAD_LICENCE = "mien_licence"
COMMERCIAL_USE = "mien_commercial_use"
JOINTS_FOLLOW = "mien_joints_follow_expression"
TAKE_TRANSLATION = "mien_translation"
CAMERA = "mien_camera"
"""Source, image size and K of the camera that the head stands before."""
PREVIEW = "mien_preview"
"""Set on heads that only show a running capture."""
JOINT_ATTRIBUTE = "mien_joint_{}"
"""Mesh attribute with one joint's row of the joint regressor, so that a saved head can place its bones again."""

IDENTITY_KEY = "Identity {:03d}"
CORRECTIVE_KEY = "Corrective {} {}{}"
EYELID_KEYS = ("eyeBlinkLeft", "eyeBlinkRight")
"""ARKit's names, for the two eyelid shapes of every head (left, right)."""

_MAX_NAME = 40  # leaves room in Blender's 63 bytes for " Camera" and for ".001"


def from_file(path: str | PurePath) -> str:
    """A name for the head in a photo, from the photo's file name: "anna_01.jpg" gives "Anna 01"."""
    stem = PurePath(path).stem
    words = re.sub(r"[\s_.]+", " ", stem).strip()
    name = words[:1].upper() + words[1:] if words else "Head"
    return name.encode("utf-8")[:_MAX_NAME].decode("utf-8", "ignore").strip()


def unique(wanted: str, taken: Callable[[str], bool]) -> str:
    """`wanted`, or the first of "wanted 2", "wanted 3", ... that is not taken."""
    name, number = wanted, 1
    while taken(name):
        number += 1
        name = f"{wanted} {number}"
    return name


def rig_name(head: str) -> str:
    """Name of a head's armature object."""
    return f"{head} Rig"


def camera_name(head: str) -> str:
    """Name of a head's camera object."""
    return f"{head} Camera"


def corrective_key(joint: str, row: int, column: int) -> str:
    """Name of the pose corrective of one entry of a joint's rotation matrix."""
    return CORRECTIVE_KEY.format(joint, row, column)


def is_identity_key(name: str) -> bool:
    """Whether a shape key carries an identity coefficient."""
    return re.fullmatch(r"Identity \d{3,}", name) is not None


def is_corrective_key(name: str) -> bool:
    """Whether a shape key is driven by a bone."""
    return name.startswith("Corrective ")


def is_mien_head(item: object) -> bool:
    """Whether an object is a head's mesh."""
    return getattr(item, "type", "") == "MESH" and HEAD_SHA256 in item.keys()  # type: ignore[attr-defined]


def is_preview(item: object) -> bool:
    """Whether an object is a head that only shows a running capture."""
    return is_mien_head(item) and PREVIEW in item.keys()  # type: ignore[attr-defined]


def heads(objects: Iterable[object]) -> list[object]:
    """Those of the objects that are heads' meshes, without previews."""
    return [item for item in objects if is_mien_head(item) and not is_preview(item)]
