# SPDX-License-Identifier: GPL-3.0-or-later
"""What a capture is asked to do; the same values come from the panel, the command line and scripts."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Literal, get_args

from .errors import ErrorCode, MienError

EngineName = Literal["fit"]

_DEVICE = re.compile(r"auto|cpu|cuda(:\d{1,2})?|mps")
FOCAL_RANGE_MM = (5.0, 2000.0)


def _usage(message: str, remedy: str) -> MienError:
    return MienError(ErrorCode.USAGE, message, remedy)


def check_device(device: str) -> str:
    """Return `device` if it names one: auto, cpu, cuda, cuda:N or mps.

    Raises:
        MienError: USAGE.
    """
    if not isinstance(device, str) or not _DEVICE.fullmatch(device):
        raise _usage(f"Unknown device {device!r}.", "Use auto, cpu, cuda, cuda:N or mps.")
    return device


@dataclass(frozen=True)
class CaptureOptions:
    """Options of one capture.

    Attributes:
        source: Path of the photo.
        face: Which face, from 1, the largest first; None for the largest.
        all_faces: Capture every face; excludes `face`.
        engine: Which engine estimates the parameters.
        head: Id of a head or path of a head file.
        focal_mm: 35 mm equivalent focal length in millimetres; None to take it from the file or assume one.
        device: Where to compute: auto, cpu, cuda, cuda:N or mps.
    """

    source: str
    face: int | None = None
    all_faces: bool = False
    engine: EngineName = "fit"
    head: str = "open"
    focal_mm: float | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        if not isinstance(self.source, str) or not self.source or "\0" in self.source:
            raise _usage("No source was given.", "Choose a photo.")
        if self.face is not None and (type(self.face) is not int or self.face < 1):
            raise _usage(f"Face {self.face!r} is not a whole number from 1.", "Count faces from 1, the largest first.")
        if not isinstance(self.all_faces, bool):
            raise _usage(f"'all_faces' is {self.all_faces!r}, not true or false.", "Give true or false.")
        if self.all_faces and self.face is not None:
            remedy = "Give a face number or ask for all faces, not both."
            raise _usage("Both one face and all faces were asked for.", remedy)
        if self.engine not in get_args(EngineName):
            raise _usage(f"Unknown engine {self.engine!r}.", f"Use one of: {', '.join(get_args(EngineName))}.")
        if not isinstance(self.head, str) or not self.head or "\0" in self.head:
            raise _usage("No head was given.", "Use 'open' or the path of a head file.")
        self._check_focal()
        check_device(self.device)

    def _check_focal(self) -> None:
        if self.focal_mm is None:
            return
        low, high = FOCAL_RANGE_MM
        number = isinstance(self.focal_mm, (int, float)) and not isinstance(self.focal_mm, bool)
        if not number or not math.isfinite(self.focal_mm) or not low <= self.focal_mm <= high:
            message = f"Focal length {self.focal_mm!r} is not within {low:g} to {high:g} mm."
            raise _usage(message, "Give the 35 mm equivalent focal length in millimetres, or leave it to be found.")
        object.__setattr__(self, "focal_mm", float(self.focal_mm))

    def to_json(self) -> dict[str, object]:
        """JSON-able values by name."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> CaptureOptions:
        """Inverse of `to_json`; left-out options take their defaults.

        Raises:
            MienError: USAGE for unknown names and bad values.
        """
        if not isinstance(values, Mapping):
            raise _usage("The options are not a table.", "Give options by name.")
        if unknown := {str(name) for name in values} - {field.name for field in fields(cls)}:
            raise _usage(f"Unknown option {min(unknown)!r}.", "Use the documented options.")
        if "source" not in values:
            raise _usage("No source was given.", "Choose a photo.")
        return cls(**values)  # type: ignore[arg-type]  # checked on construction
