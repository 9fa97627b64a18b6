# SPDX-License-Identifier: GPL-3.0-or-later
"""A capture as the panel or a script asked for it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ..contract.errors import ErrorCode, MienError
from ..contract.options import CaptureOptions
from ..rig.build import BuildOptions
from ..scene import SceneOptions


@dataclass(frozen=True)
class Request:
    """A capture that was asked for.

    Attributes:
        options: For the backend.
        scene: `session_uid` of the scene that gets the head: it outlives undo and new names.
        scene_options: How it gets it.
        look_through: Show the head through the camera afterwards.
        reuse: Name of the head of the same person that gets the performance; empty to build a new one.
        reuse_uid: `session_uid` of that head, which outlives new names; 0 after the file was opened again.
    """

    options: CaptureOptions
    scene: int
    scene_options: SceneOptions
    look_through: bool = True
    reuse: str = ""
    reuse_uid: int = 0

    @property
    def title(self) -> str:
        """What the list of captures calls it."""
        return short_name(self.options)

    def to_json(self) -> dict[str, object]:
        """JSON-able values, to be kept in a scene (numbers of scenes and heads change from session to session)."""
        return {
            "options": self.options.to_json(),
            "scene_options": asdict(self.scene_options),
            "look_through": self.look_through,
            "reuse": self.reuse,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any], scene: int) -> Request:
        """Inverse of `to_json`.

        Raises:
            MienError: USAGE when the values are damaged or of another version.
        """
        try:
            options = CaptureOptions.from_json(values["options"])
            return cls(options, scene, _scene_options(values["scene_options"]), bool(values["look_through"]),
                       str(values["reuse"]))  # fmt: skip
        except (KeyError, TypeError, ValueError, MienError) as error:
            message = "A capture that is remembered in this file cannot be read."
            raise MienError(ErrorCode.USAGE, message, "Capture the source again.") from error


def short_name(options: CaptureOptions) -> str:
    """A source as people call it: the name of its file, or "Camera 0"."""
    if options.camera is not None:
        return f"Camera {options.camera}"
    return os.path.basename(options.source.rstrip("/\\")) or options.source


def _scene_options(values: Mapping[str, Any]) -> SceneOptions:
    given = dict(values)
    given["build"] = BuildOptions(**given["build"])
    lists = {item.name for item in fields(SceneOptions) if isinstance(given.get(item.name), list)}
    return SceneOptions(**{name: tuple(value) if name in lists else value for name, value in given.items()})
