# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panel remembers of each take, in the scene."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import bpy
from bpy.props import FloatProperty, IntProperty, StringProperty

from ..contract.options import DEFAULT_SMOOTHING
from . import smoothing

GROUP_LABELS = {
    "pose": ("Head Motion", "head and neck"),
    "brows": ("Brows", "brows"),
    "lids": ("Lids", "eyelids"),
    "mouth": ("Mouth", "mouth and cheeks"),
    "jaw": ("Jaw", "jaw"),
    "gaze": ("Gaze", "eyes"),
}


def _smoothing_changed(item: Any, _context: Any) -> None:
    smoothing.changed(item)


def _factor(group: str) -> Any:
    label, what = GROUP_LABELS[group]
    description = f"How much of the smoothing is for {what}: 1 for all of it, 0 for none"
    return FloatProperty(
        name=label, description=description, default=1.0, min=0.0, max=2.0, update=_smoothing_changed, subtype="FACTOR"
    )


class MienTake(bpy.types.PropertyGroup):
    """A take of this scene."""

    path: StringProperty(name="File", description="The take on disk", subtype="FILE_PATH")
    head_sha256: StringProperty(name="Head", description="Hash of the head that the take belongs to")
    frames: IntProperty(name="Frames", description="Number of frames in the take")
    engine: StringProperty(name="Engine", description="What estimated the face")
    weights: StringProperty(name="Weights", description="Name of the engine's weights, where it has several")
    licences: StringProperty(name="Licences", description="Licences of all that went into it, the strictest first")
    commercial_use: StringProperty(name="Commercial Use", description="What these licences say: yes, no or unclear")
    confidence: FloatProperty(name="Confidence", description="How sure the capture is, 0 to 1", subtype="FACTOR")
    request: StringProperty(name="Request", description="What was asked for, as JSON, to capture it again")
    story: StringProperty(name="Story", description="Gaps, cuts and camera, as JSON")
    smoothing: FloatProperty(
        name="Smoothing",
        description="How much the curves are smoothed; blinks and closed lips keep their depth",
        default=DEFAULT_SMOOTHING,
        min=0.0,
        max=1.0,
        subtype="FACTOR",
        update=_smoothing_changed,
    )
    smooth_pose: _factor("pose")
    smooth_brows: _factor("brows")
    smooth_lids: _factor("lids")
    smooth_mouth: _factor("mouth")
    smooth_jaw: _factor("jaw")
    smooth_gaze: _factor("gaze")


@dataclass(frozen=True)
class Story:
    """What the report says about a take.

    Attributes:
        gaps: First and last frame of each gap, in the source's numbers, and its reason.
        cuts: First frames of new shots.
        focal_mm: Focal length as its 35 mm equivalent; 0 where nothing says.
        focal_origin: given, file, estimated or assumed.
        focal_error: Relative uncertainty of the focal length; 0 where it is not known.
        static: Whether the camera was taken to stand still.
        problems: Sentences about the source.
    """

    gaps: tuple[tuple[int, int, str], ...] = ()
    cuts: tuple[int, ...] = ()
    focal_mm: float = 0.0
    focal_origin: str = ""
    focal_error: float = 0.0
    static: bool = False
    problems: tuple[str, ...] = ()

    @classmethod
    def of_report(cls, report: dict[str, Any], number: int) -> Story:
        """The story of the take with this index in a capture's report."""
        clip, camera = _table(report.get("clip")), _table(report.get("camera"))
        stopped = _table(report.get("live")).get("problem")  # why a live capture ended by itself
        faces = report.get("faces")
        face = _table(faces[number]) if isinstance(faces, list) and number < len(faces) else {}
        return cls.of_json(
            {
                "gaps": [(gap["first"], gap["last"], gap["reason"]) for gap in face.get("gaps") or ()],
                "cuts": clip.get("cuts") or (),
                "focal_mm": camera.get("focal_mm") or 0.0,
                "focal_origin": camera.get("origin") or "",
                "focal_error": camera.get("focal_uncertainty") or 0.0,
                "static": bool(clip) and bool(camera.get("static")),
                "problems": clip.get("problems") or ((str(stopped),) if stopped else ()),
            }
        )

    @classmethod
    def of_json(cls, values: dict[str, Any]) -> Story:
        """A story as it is kept."""
        gaps = tuple((int(first), int(last), str(why)) for first, last, why in values.get("gaps", ()))
        return cls(**{**values, "gaps": gaps, "cuts": tuple(values.get("cuts", ())),
                      "problems": tuple(values.get("problems", ()))})  # fmt: skip

    @classmethod
    def of_take(cls, item: Any) -> Story:
        """The story of an entry in the list."""
        try:
            return cls.of_json(json.loads(item.story or "{}"))
        except (TypeError, ValueError):  # a file of another version
            return cls()

    def to_text(self) -> str:
        """The JSON that `of_take` reads."""
        return json.dumps(vars(self))

    @property
    def summary(self) -> str:
        """The line "3 gaps, 1 cut"; empty where there is neither."""
        parts = [_counted(self.gaps, "gap"), _counted(self.cuts, "cut")]
        return ", ".join(part for part in parts if part)

    @property
    def focal(self) -> str:
        """The line about the camera; empty where nothing says."""
        if not self.focal_mm:
            return ""
        error = f" ± {self.focal_mm * self.focal_error:.0f}" if self.focal_error else ""
        origin = {"file": "from file"}.get(self.focal_origin, self.focal_origin)
        return f"{self.focal_mm:.0f}{error} mm, {origin}" if origin else f"{self.focal_mm:.0f}{error} mm"


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _counted(items: Sequence[object], noun: str) -> str:
    return f"{len(items)} {noun}{'s' if len(items) > 1 else ''}" if items else ""
