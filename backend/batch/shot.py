# SPDX-License-Identifier: GPL-3.0-or-later
"""One shot of a batch: what is captured, how, and into which formats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from backend.outputs import OutputPaths
from blender_addon.contract.options import CaptureOptions

if TYPE_CHECKING:
    from blender_addon.animation.timing import Timing


@dataclass(frozen=True)
class Shot:
    """A shot.

    Attributes:
        name: Its folder under the batch's folder, with `/` between the parts; its files are called like the last part.
        options: What is captured and how.
        formats: What its takes are written to besides; names of `backend.exports.formats`.
    """

    name: str
    options: CaptureOptions
    formats: tuple[str, ...] = ()

    def folder(self, out: Path) -> Path:
        """Where its files go, under the batch's folder."""
        return out.joinpath(*PurePosixPath(self.name).parts)

    def paths(self, out: Path) -> OutputPaths:
        """The files of its capture. Only looks at the source's kind where it is there."""
        from backend.media.clip import is_clip

        return OutputPaths(self.folder(out), PurePosixPath(self.name).name, is_clip(self.options.source))

    def to_json(self) -> dict[str, object]:
        """JSON-able values by name."""
        return {"name": self.name, "options": self.options.to_json(), "formats": list(self.formats)}

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> Shot:
        """Inverse of `to_json`."""
        options = CaptureOptions.from_json(values["options"])  # type: ignore[arg-type]  # checked there
        return cls(str(values["name"]), options, tuple(values["formats"]))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Task:
    """A shot on its way to whichever process does it; everything in it is plain, so that it goes anywhere.

    Attributes:
        shot: The shot.
        out: The batch's folder.
        threads: CPU threads of the process; None for a capture's usual ones.
        blender: Which Blender writes scenes, if somebody said.
        timing: How source frames fall on scene frames.
        stop_file: A file whose being there says that all is to stop.
        known: When the shot ended the last time, as its record told when this was planned; empty where there was none.
    """

    shot: Shot
    out: str
    threads: int | None
    blender: str | None
    timing: Timing
    stop_file: str
    known: str = ""

    def to_json(self) -> dict[str, object]:
        """JSON-able values by name."""
        return vars(self) | {"shot": self.shot.to_json()}

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> Task:
        """Inverse of `to_json`."""
        return cls(**{**values, "shot": Shot.from_json(values["shot"])})  # type: ignore[arg-type]
