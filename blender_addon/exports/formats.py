# SPDX-License-Identifier: GPL-3.0-or-later
"""Captured heads to files of other programs: the formats that Blender writes, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..contract.errors import ErrorCode, MienError
from . import alembic, fbx, gltf, mdd, usd
from .stage import Stage, staged
from .subjects import Subject, losses, subject_of
from .whole import whole, write_json


@dataclass(frozen=True)
class SceneExport:
    """A format.

    Attributes:
        suffix: What the file's name ends in, with the dot.
        write: Writes what is on a stage to a file in a folder of its own; what else it leaves there goes along.
        scale: Units to the metre.
        beside: Whether what is known about the heads stands in a `.json` beside: the format has no place for it.
    """

    suffix: str
    write: Callable[[Stage, Path], None]
    scale: float = 1.0
    beside: bool = False


SCENE_EXPORTS: Mapping[str, SceneExport] = MappingProxyType(
    {
        "fbx": SceneExport(".fbx", fbx.write, scale=100.0),
        "glb": SceneExport(".glb", gltf.write),
        "usd": SceneExport(".usdc", usd.write),
        "abc": SceneExport(".abc", alembic.write, beside=True),
        "mdd": SceneExport(".mdd", mdd.write, beside=True),
    }
)


def export_heads(
    name: str, scene: Any, meshes: Sequence[Any], path: Path, frames: tuple[int, int] | None = None
) -> tuple[str, ...]:
    """Write heads with their performance and camera to a file, whole or not at all; the scene stays as it is.

    Args:
        name: One of `SCENE_EXPORTS`.
        scene: The scene that the heads are in.
        meshes: The heads' mesh objects.
        path: The file.
        frames: First and last scene frame; None for all that the heads perform.

    Returns:
        Sentences about what the file does not have.

    Raises:
        MienError: USAGE; BAD_HEAD; CANNOT_EXPORT, NO_SPACE, NOT_PERMITTED or MISSING_FILE where it cannot be written.
    """
    if name not in SCENE_EXPORTS:
        known = ", ".join(SCENE_EXPORTS)
        raise MienError(ErrorCode.USAGE, f"There is no scene format {name!r}.", f"Use one of: {known}.")
    chosen = SCENE_EXPORTS[name]
    subject = subject_of(scene, meshes, frames)
    with whole(path) as folder, staged(subject, chosen.scale) as stage:
        chosen.write(stage, folder / path.name)
        if chosen.beside:
            write_json(folder / f"{path.name}.json", _description(stage))
    return tuple(sentence for head in subject.heads for sentence in losses(head))


def _description(stage: Stage) -> dict[str, object]:
    subject: Subject = stage.subject
    camera = stage.copies.camera
    return {
        "heads": dict(stage.origins),
        "first_frame": subject.first,
        "last_frame": subject.last,
        "frames_per_second": subject.rate,
        "unit": "metre",
        "up": "y",
        "camera": camera.name if camera else None,
    }
