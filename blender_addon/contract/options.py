# SPDX-License-Identifier: GPL-3.0-or-later
"""What a capture is asked to do; the same values come from the panel, the command line and scripts."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from types import MappingProxyType
from typing import Literal, get_args

from .errors import ErrorCode, MienError

EngineName = Literal["fit", "deca", "emoca", "smirk"]
WANTS_GPU: Mapping[EngineName, bool] = MappingProxyType({"fit": False, "deca": True, "emoca": True, "smirk": False})
"""Whether an engine is slow without a GPU, so that a farm should lend it one."""
DEFAULT_HEADS: Mapping[EngineName, str] = MappingProxyType(
    {"fit": "open", "deca": "flame2020", "emoca": "flame2020", "smirk": "flame2020"}
)
"""Id of the head that each engine captures on where none is named."""
IdentitySource = Literal["engine", "mica"]
"""Who says what a person's head looks like: the engine, or MICA, on FLAME 2020 alone."""
EyelidSpace = Literal["rest", "posed"]
"""When eyelid shapes are added: before skinning, as a rig does, or after it, as SMIRK was published."""
BoxSource = Literal["mediapipe", "fan"]
"""Whose landmarks the crops of the published networks lie around."""

_DEVICE = re.compile(r"auto|cpu|cuda(:\d{1,2})?|mps")
FOCAL_RANGE_MM = (5.0, 2000.0)
FPS_RANGE = (0.1, 1000.0)
DEFAULT_SMOOTHING = 0.5
CAMERA_PREFIX = "camera:"
"""A live source that is a camera of the backend's machine: `camera:0` is its first."""
MOST_REFERENCES = 64
MOST_FRAME = (1 << 31) - 1
_CAMERA = re.compile(r"camera:\d{1,2}")


def _usage(message: str, remedy: str) -> MienError:
    return MienError(ErrorCode.USAGE, message, remedy)


def _number(value: object) -> float | None:
    """The value as a finite float; None where it is no number."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if number and math.isfinite(value) else None  # type: ignore[arg-type]


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
        source: Path of a photo, a clip, a folder or a pattern (`shot.####.png`) of numbered images; in a live capture
            also `camera:N`.
        face: Which face of a photo, from 1, the largest first, or which person of a clip, the most prominent first;
            None for the first.
        all_faces: Capture every face or person; excludes `face`.
        engine: Which engine estimates the parameters.
        head: Id of a head or path of a head file; empty for that of the engine (`DEFAULT_HEADS`), which then
            stands here.
        focal_mm: 35 mm equivalent focal length in millimetres; None to take it from the file or assume one.
        device: Where to compute: auto, cpu, cuda, cuda:N or mps.
        first_frame: First frame of a clip, in the clip's own numbers: from 1 in a video, as in the names of numbered
            images; None for all from the beginning.
        last_frame: Last frame, which is captured too; None for all to the end.
        fps: Frames per second of numbered images, 24 by default; a video has times of its own.
        smoothing: How much a clip's curves are smoothed, 0 (not at all) to 1; see `smoothing`.
        references: Paths of more photos or clips of the same person, from which the shape of the head is learnt too.
        live: Follow the source as it plays until stopped; see docs/protocol.md.
        weights: Name of the engine's weights where several are there, such as "EMOCA_v2_lr_mse_20"; empty for those
            that were added or chosen last.
        identity: Who says what the head looks like.
        eyelid_space: When SMIRK's eyelids are added to what the backend draws; a rig always does so before skinning.
        boxes: Whose landmarks the networks' crops lie around.
        displacement: Of every how many frames a displacement map is made, by engines that see wrinkles; 0 for none.
    """

    source: str
    face: int | None = None
    all_faces: bool = False
    engine: EngineName = "fit"
    head: str = ""
    focal_mm: float | None = None
    device: str = "auto"
    first_frame: int | None = None
    last_frame: int | None = None
    fps: float | None = None
    smoothing: float = DEFAULT_SMOOTHING
    references: tuple[str, ...] = ()
    live: bool = False
    weights: str = ""
    identity: IdentitySource = "engine"
    eyelid_space: EyelidSpace = "rest"
    boxes: BoxSource = "mediapipe"
    displacement: int = 1

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
        if not isinstance(self.head, str) or "\0" in self.head:
            raise _usage("No head was given.", "Use 'open' or the path of a head file.")
        object.__setattr__(self, "head", self.head or DEFAULT_HEADS[self.engine])
        self._check_networks()
        self._check_number("focal_mm", "Focal length", FOCAL_RANGE_MM, "mm", "Give the 35 mm equivalent focal length")
        self._check_number("fps", "Frame rate", FPS_RANGE, "frames per second", "Give frames per second")
        check_device(self.device)
        self._check_range()
        self._check_references()
        smoothing = _number(self.smoothing)
        if smoothing is None or not 0 <= smoothing <= 1:
            raise _usage(f"Smoothing {self.smoothing!r} is not within 0 to 1.", "Give a number from 0 to 1.")
        object.__setattr__(self, "smoothing", smoothing)
        if not isinstance(self.live, bool):
            raise _usage(f"'live' is {self.live!r}, not true or false.", "Give true or false.")
        if self.camera is not None and not self.live:
            raise _usage("A camera can only be captured live.", "Start a live capture, or choose a file.")

    @property
    def camera(self) -> int | None:
        """Number of the camera that is the source; None for files."""
        return int(self.source.removeprefix(CAMERA_PREFIX)) if _CAMERA.fullmatch(self.source) else None

    def _check_number(self, name: str, what: str, bounds: tuple[float, float], unit: str, remedy: str) -> None:
        value = getattr(self, name)
        if value is None:
            return
        low, high = bounds
        number = _number(value)
        if number is None or not low <= number <= high:
            message = f"{what} {value!r} is not within {low:g} to {high:g} {unit}."
            raise _usage(message, f"{remedy}, or leave it to be found.")
        object.__setattr__(self, name, number)

    def _check_range(self) -> None:
        for name in ("first_frame", "last_frame"):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or not 0 <= value <= MOST_FRAME):
                message = f"Frame {value!r} is not a whole number from 0 to {MOST_FRAME}."
                raise _usage(message, "Give the numbers of frames.")
        if self.first_frame is not None and self.last_frame is not None and self.first_frame > self.last_frame:
            message = f"The range {self.first_frame} to {self.last_frame} runs backwards."
            raise _usage(message, "Give the first frame before the last one.")

    def _check_networks(self) -> None:
        if not isinstance(self.weights, str) or "\0" in self.weights:
            raise _usage("The weights' name is not a text.", "Give a name that 'mien models' lists.")
        for name, allowed in (("identity", IdentitySource), ("eyelid_space", EyelidSpace), ("boxes", BoxSource)):
            if getattr(self, name) not in get_args(allowed):
                choices = ", ".join(get_args(allowed))
                raise _usage(f"Unknown {name.replace('_', ' ')} {getattr(self, name)!r}.", f"Use one of: {choices}.")
        value = self.displacement
        if type(value) is not int or not 0 <= value <= MOST_FRAME:
            raise _usage(f"Displacement of every {value!r} frames makes no sense.", "Give a whole number; 0 for none.")

    def _check_references(self) -> None:
        value = self.references
        if not isinstance(value, (list, tuple)) or not all(isinstance(i, str) and i and "\0" not in i for i in value):
            raise _usage("The references are not a list of paths.", "Choose photos or clips of the same person.")
        if len(value) > MOST_REFERENCES:
            raise _usage(f"{len(value)} references were given.", f"Give at most {MOST_REFERENCES}.")
        if value and self.all_faces:
            message = "References are of one person, and all people were asked for."
            raise _usage(message, "Capture one person at a time with references, or leave them out.")
        object.__setattr__(self, "references", tuple(value))

    def to_json(self) -> dict[str, object]:
        """JSON-able values by name."""
        return asdict(self) | {"references": list(self.references)}

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
