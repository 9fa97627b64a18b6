# SPDX-License-Identifier: GPL-3.0-or-later
"""FLAME heads from the files that were added: the model, and what may come to it (`backend.weights.revision`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import get_args

import numpy as np

from backend.weights.parts import Part, PartKind, find, parts
from backend.weights.revision import flame_additions, flame_revision
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.head import HeadDescription, Landmarks

from .carried import with_carried
from .flame import EXPRESSIONS, FlameId, UVLayout, describe_flame

_SHA256 = re.compile(r"[0-9a-f]{64}")


def is_stored_name(name: str) -> bool:
    """Whether this is an id of a FLAME release or a hash, not a path."""
    return name in get_args(FlameId) or _SHA256.fullmatch(name) is not None


def stored_head(name: str) -> HeadDescription:
    """A FLAME head that was added, by its id or by its hash.

    Raises:
        MienError: MISSING_FILE where it was not added; BAD_HEAD where parts are damaged or of another mesh.
    """
    part = _part(name)
    arrays = part.arrays()
    count, triangles = len(arrays["v_template"]), arrays["f"].astype(np.int32)
    additions = flame_additions(part.kind)
    head = describe_flame(
        arrays,
        part.kind,  # type: ignore[arg-type]  # one of FLAME's
        part.sha256,
        expressions=int(part.settings.get("expressions", EXPRESSIONS)),
        uv_layout=_uv_layout(additions, triangles),
        eyelids=_eyelids(additions, count),
        landmarks=_landmarks(additions, len(triangles)),
        revision=flame_revision(additions),
    )
    return with_carried(head)


def _part(name: str) -> Part:
    if name in get_args(FlameId):
        if (part := find(name)) is not None:  # type: ignore[arg-type]
            return part
        message = f"The head {name} was not added."
    else:
        everything = [part for release in get_args(FlameId) for part in parts(release)]
        if (part := next((part for part in everything if part.sha256 == name), None)) is not None:
            return part
        message = f"There is no head with the hash {name[:8]}."
    remedy = "Register at flame.is.tue.mpg.de, download the model, then run 'mien models add FILE'."
    raise MienError(ErrorCode.MISSING_FILE, message, remedy, {"head": name})


def _uv_layout(additions: Sequence[Part], triangles: np.ndarray) -> UVLayout | None:
    for part in _of_kind(additions, "head_template"):
        arrays = part.arrays()
        if not np.array_equal(arrays["faces"], triangles):
            _other_mesh(part)
        return UVLayout(arrays["uv"].astype(np.float32), arrays["uv_faces"].astype(np.int32))
    return None


def _eyelids(additions: Sequence[Part], count: int) -> np.ndarray | None:
    """Both lids, or none where one is missing."""
    sides = {part.name: part for part in _of_kind(additions, "eyelids")}
    if set(sides) != {"left", "right"}:
        return None
    offsets = []
    for name in ("left", "right"):
        offsets.append(sides[name].arrays()["offsets"])
        if offsets[-1].shape != (count, 3):
            _other_mesh(sides[name])
    return np.stack(offsets, axis=2).astype(np.float32)


def _landmarks(additions: Sequence[Part], triangles: int) -> dict[str, Landmarks]:
    found: dict[str, Landmarks] = {}
    for part in _of_kind(additions, "landmark_embedding"):
        arrays = part.arrays()
        for name, prefix in (("ibug68", "full"), ("static51", "static")):
            found[name] = _embedding(part, arrays[f"{prefix}_faces"], arrays[f"{prefix}_barycentric"], triangles)
    for part in _of_kind(additions, "mediapipe_embedding"):
        arrays = part.arrays()
        found["mediapipe105"] = _embedding(part, arrays["faces"], arrays["barycentric"], triangles)
    return found


def _of_kind(additions: Sequence[Part], kind: PartKind) -> list[Part]:
    return [part for part in additions if part.kind == kind]


def _embedding(part: Part, faces: np.ndarray, barycentric: np.ndarray, triangles: int) -> Landmarks:
    if faces.size and faces.max() >= triangles:
        _other_mesh(part)
    return Landmarks(faces.reshape(-1).astype(np.int32), barycentric.reshape(-1, 3).astype(np.float32))


def _other_mesh(part: Part) -> None:
    message = f"{part.origin} ({part.kind}) does not fit the FLAME model: it is of another mesh."
    remedy = f"Remove it with 'mien models remove {part.kind}', or add the FLAME model that it belongs to."
    raise MienError(ErrorCode.BAD_HEAD, message, remedy, {"part": part.kind})
