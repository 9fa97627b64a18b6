# SPDX-License-Identifier: GPL-3.0-or-later
"""The take: one person through one shot, as solved by the backend and applied in Blender. Described in docs/take.md."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import get_args

import numpy as np

from .arrays import Shape, checked_array
from .errors import ErrorCode, MienError
from .files import load_arrays, save_arrays
from .head import CommercialUse, HeadDescription
from .version import TAKE_SCHEMA

_REMEDY = "Capture it again or use an undamaged copy of the take."
_ARRAYS: Mapping[str, tuple[str, Shape]] = MappingProxyType(
    {
        "time": ("float64", ("T",)),
        "valid": ("bool", ("T",)),
        "confidence": ("float32", ("T",)),
        "identity": ("float32", ("S",)),
        "expression": ("float32", ("T", "E")),
        "eyelids": ("float32", ("T", 2)),
        "head_rotation": ("float32", ("T", 3)),
        "neck": ("float32", ("T", 3)),
        "jaw": ("float32", ("T", 3)),
        "eyes": ("float32", ("T", 6)),
        "translation": ("float32", ("T", 3)),
        "camera_matrix": ("float64", (3, 3)),
        "image_size": ("int32", (2,)),
        "crop_camera": ("float32", ("T", 3)),
        "crop_transform": ("float64", ("T", 3, 3)),
    }
)
_OPTIONAL: Mapping[str, tuple[str, Shape]] = MappingProxyType(
    {"segment": ("int32", ("T",)), "frame": ("int32", ("T",)), "arkit": ("float32", ("T", 52))}
)
_RAW = "raw_"
_EMOTION = "emotion_"
_DETAIL = "detail_code"
_ARKIT = "arkit"


def _bad(message: str, cause: str) -> MienError:
    return MienError(ErrorCode.BAD_TAKE, message, _REMEDY, {"cause": cause})


def _check_schema(schema: object) -> None:
    if type(schema) is not int or schema != TAKE_SCHEMA:
        message = f"The take has schema {schema!r}, this version of Mien reads {TAKE_SCHEMA}."
        remedy = "Open it with the version of Mien that wrote it, or capture again."
        raise MienError(ErrorCode.UNKNOWN_SCHEMA, message, remedy)

WEIGHTS = "weights"
"""Under which of a take's versions its engine's weights are named, where they have a name."""


@dataclass(frozen=True)
class TakeMeta:
    """What a take is about.

    Attributes:
        head_id: Id of the head model that the coefficients belong to.
        head_sha256: Hash of that head's file, 64 hex digits.
        engine: Name of the engine ("fit").
        versions: Version of each part that took part, by name ("mien", "torch", ...).
        source: Where the images came from, as the user named it.
        person: Number of the person in the source, from 1.
        licences: Licences of everything that went in, the strictest first.
        commercial_use: What these licences together say.
        channels: One name for each expression channel.
        displacement: Paths of displacement maps, OpenEXR, metres, one for each frame, relative to the folder of the
            take's file and with `/`; frames without one of their own name the one before. Empty where there are none.
        rate: Nominal frames per second of the source; 0 for a still.
        smoothing: Strength with which the arrays were smoothed from their raw twins, 0 to 1; see `smoothing`.
        schema: Version of the take's layout.
    """

    head_id: str
    head_sha256: str
    engine: str
    versions: Mapping[str, str]
    source: str
    person: int
    licences: tuple[str, ...]
    commercial_use: CommercialUse
    channels: tuple[str, ...]
    displacement: tuple[str, ...] = ()
    rate: float = 0.0
    smoothing: float = 0.0
    schema: int = TAKE_SCHEMA

    def __post_init__(self) -> None:
        _check_schema(self.schema)
        for name in ("head_id", "head_sha256", "engine", "source"):
            if not isinstance(getattr(self, name), str):
                raise _bad(f"The take's '{name}' is not a text.", "meta")
        if type(self.person) is not int or self.person < 1:
            raise _bad("The take's person number is not a whole number from 1.", "meta")
        for name in ("rate", "smoothing"):
            value = getattr(self, name)
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not math.isfinite(value) or value < 0:
                raise _bad(f"The take's '{name}' is not a number from 0.", "meta")
            object.__setattr__(self, name, float(value))
        if self.commercial_use not in get_args(CommercialUse):
            raise _bad("The take's 'commercial_use' is none of yes, no, unclear.", "meta")
        for name in ("licences", "channels", "displacement"):
            value = getattr(self, name)
            if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
                raise _bad(f"The take's '{name}' is not a list of texts.", "meta")
            object.__setattr__(self, name, tuple(value))
        if not isinstance(self.versions, Mapping) or not all(
            isinstance(key, str) and isinstance(value, str) for key, value in self.versions.items()
        ):
            raise _bad("The take's 'versions' is not a table of texts.", "meta")
        object.__setattr__(self, "versions", MappingProxyType(dict(self.versions)))

    def to_json(self) -> dict[str, object]:
        """JSON-able values by name."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {
            name: list(value) if isinstance(value, tuple) else dict(value) if isinstance(value, Mapping) else value
            for name, value in values.items()
        }

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> TakeMeta:
        """Inverse of `to_json`.

        Raises:
            MienError: UNKNOWN_SCHEMA (checked first) or BAD_TAKE.
        """
        if values.get("schema") == 1 and type(values["schema"]) is int:  # of stills only, which have neither
            values = {"rate": 0.0, "smoothing": 0.0, **values, "schema": TAKE_SCHEMA}
        _check_schema(values.get("schema"))
        if wrong := set(values) ^ {item.name for item in fields(cls)}:
            raise _bad(f"The take's description has a missing or unknown entry '{min(wrong)}'.", "meta")
        return cls(**values)  # type: ignore[arg-type]  # checked on construction


@dataclass(frozen=True, eq=False)
class Take:
    """One person through one shot; a still is a take of one frame. T frames, S identity and E expression coefficients.

    Attributes:
        meta: Head, engine, source, licences.
        time: (T,) float64 seconds from the container's timestamps, not decreasing.
        valid: (T,) bool, False where no face was found and the values were filled in.
        confidence: (T,) float32 in [0, 1].
        identity: (S,) float32.
        expression: (T, E) float32.
        eyelids: (T, 2) float32 left, right; 0 open, 1 closed.
        head_rotation, neck, jaw: (T, 3) float32 axis-angle radians.
        eyes: (T, 6) float32 axis-angle radians, left then right.
        translation: (T, 3) float32 metres, camera space (see `projection`).
        camera_matrix: (3, 3) float64 K in pixels of the full frame.
        image_size: (2,) int32 width, height in pixels.
        crop_camera: (T, 3) float32 s, tx, ty.
        crop_transform: (T, 3, 3) float64 full-frame pixels to crop pixels.
        extra: Optional arrays: `segment` (T,) int32 the shot of each frame, counted from 0 through the cuts; `frame`
            (T,) int32 the source's own number of each frame; `raw_<name>` the unsmoothed twin of an array (same
            shape); `emotion_probability` (T, 8) in the order of `models.EMOTIONS`, `emotion_valence` (T,) and
            `emotion_arousal` (T,), about -1 to 1; `detail_code` (T, D) of the wrinkles; `arkit` (T, 52) in the order of
            `arkit.CHANNELS`, solved from the vertices of a head whose own channels are others, and its twin
            `raw_arkit`.
    """

    meta: TakeMeta
    time: np.ndarray
    valid: np.ndarray
    confidence: np.ndarray
    identity: np.ndarray
    expression: np.ndarray
    eyelids: np.ndarray
    head_rotation: np.ndarray
    neck: np.ndarray
    jaw: np.ndarray
    eyes: np.ndarray
    translation: np.ndarray
    camera_matrix: np.ndarray
    image_size: np.ndarray
    crop_camera: np.ndarray
    crop_transform: np.ndarray
    extra: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        dims: dict[str, int] = {}
        for name, (dtype, shape) in _ARRAYS.items():
            array = checked_array(name, getattr(self, name), dtype, shape, dims, ErrorCode.BAD_TAKE, _REMEDY)
            object.__setattr__(self, name, array)
        extra = {name: self._checked_extra(name, value, dims) for name, value in self.extra.items()}
        object.__setattr__(self, "extra", MappingProxyType(extra))
        if not len(self.time):
            raise _bad("The take has no frames.", "content")
        if (np.diff(self.time) < 0).any():
            raise _bad("The take's times run backwards.", "content")
        if len(self.meta.channels) != dims["E"]:
            raise _bad(f"The take has {len(self.meta.channels)} channel names for {dims['E']} channels.", "content")
        if len(self.meta.displacement) not in (0, len(self.time)):
            raise _bad("The take has displacement maps for some frames only.", "content")
        if (self.image_size < 1).any():
            raise _bad("The take's image size is not positive.", "content")

    @staticmethod
    def _checked_extra(name: str, value: np.ndarray, dims: dict[str, int]) -> np.ndarray:
        base = name.removeprefix(_RAW)
        if name.startswith(_RAW) and base in _ARRAYS:
            dtype, shape = _ARRAYS[base]
        elif name == _RAW + _ARKIT:
            dtype, shape = _OPTIONAL[base]
        elif name.startswith(_EMOTION):
            dtype, shape = "float32", ("T", *(f"{name}{axis}" for axis in range(1, np.ndim(value))))
        elif name == _DETAIL:
            dtype, shape = "float32", ("T", "D")
        elif name in _OPTIONAL:
            dtype, shape = _OPTIONAL[name]
        else:
            raise _bad(f"The take has an unknown array '{name}'.", "unknown")
        return checked_array(name, value, dtype, shape, dims, ErrorCode.BAD_TAKE, _REMEDY)

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.time)

    def require_head(self, head: HeadDescription) -> None:
        """Make sure that the take belongs to this head; coefficients of one head mean nothing on another.

        Raises:
            MienError: WRONG_HEAD, saying which head is needed.
        """
        wide = self.identity.shape[0] > head.identity.shape[2] or self.expression.shape[1] > head.expression.shape[2]
        if self.meta.head_sha256 == head.sha256 and not wide:
            return
        wanted, got = self.meta.head_sha256[:8] or "no hash", head.sha256[:8] or "no hash"
        made_with = f"The take of {self.meta.source} was made with head '{self.meta.head_id}' ({wanted})"
        message = f"{made_with}, this head is '{head.id}' ({got})."
        remedy = (
            f"Convert it with 'mien convert TAKE --to-head {head.id}', apply it to a head of the kind "
            f"'{self.meta.head_id}', or capture the source again with '{head.id}'."
        )
        raise MienError(ErrorCode.WRONG_HEAD, message, remedy, {"cause": "head"})

    def to_arrays(self) -> tuple[dict[str, object], dict[str, np.ndarray]]:
        """Split into JSON-able values and plain arrays, for files and messages."""
        return self.meta.to_json(), {name: getattr(self, name) for name in _ARRAYS} | dict(self.extra)

    @classmethod
    def from_arrays(cls, meta: Mapping[str, object], arrays: Mapping[str, np.ndarray]) -> Take:
        """Inverse of `to_arrays`.

        Raises:
            MienError: UNKNOWN_SCHEMA or BAD_TAKE.
        """
        description = TakeMeta.from_json(meta)
        if missing := set(_ARRAYS) - set(arrays):
            raise _bad(f"The take lacks the array '{min(missing)}'.", "missing")
        extra = {name: array for name, array in arrays.items() if name not in _ARRAYS}
        return cls(description, **{name: arrays[name] for name in _ARRAYS}, extra=extra)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the take to one `.npz` (see `files.save_arrays` for errors)."""
        save_arrays(path, *self.to_arrays())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Take:
        """Read a take.

        Raises:
            MienError: MISSING_FILE, NOT_PERMITTED, TOO_LARGE; UNKNOWN_SCHEMA; BAD_TAKE with `details["cause"]` one of
                "not_npz", "truncated", "pickle", "dtype", "shape", "range", "finite", "meta", "missing", "unknown",
                "content". The message names the file.
        """
        meta, arrays = load_arrays(path)
        try:
            return cls.from_arrays(meta, arrays)
        except MienError as error:
            details = {**error.details, "path": str(path)}
            raise MienError(error.code, f"{path}: {error.message}", error.remedy, details) from error
