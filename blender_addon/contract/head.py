# SPDX-License-Identifier: GPL-3.0-or-later
"""The head model as both processes know it: template, bases, joints, skinning, polygons, materials, landmarks."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np

from .arrays import Shape, checked_array
from .errors import ErrorCode, MienError
from .files import load_arrays, save_arrays

JOINT_NAMES = ("root", "neck", "jaw", "eye.L", "eye.R")
PARENTS = (-1, 0, 1, 1, 1)
MATERIALS = ("skin", "lips", "sclera", "iris", "pupil", "teeth", "tongue", "mouth", "lashes")
HEAD_FORMAT = 2
"""Version of the head file; a reader refuses others."""

CommercialUse = Literal["yes", "no", "unclear"]

_REMEDY = "Use a head file that Mien made, or convert it again."
_ARRAYS: Mapping[str, tuple[str, Shape]] = MappingProxyType(
    {
        "template": ("float32", ("V", 3)),
        "identity": ("float32", ("V", 3, "S")),
        "expression": ("float32", ("V", 3, "E")),
        "eyelids": ("float32", ("V", 3, "L")),
        "pose_correctives": ("float32", (36, "3V")),
        "joint_regressor": ("float32", (len(JOINT_NAMES), "V")),
        "skinning": ("float32", ("V", len(JOINT_NAMES))),
        "polygons": ("int32", ("P", 4)),
        "uv": ("float32", ("T", 2)),
        "polygon_uvs": ("int32", ("P", 4)),
        "polygon_material": ("uint8", ("P",)),
        "albedo": ("uint8", ("V", 3)),
    }
)
_TEXTS = (
    "id", "sha256", "licence", "commercial_use", "materials", "expression_names", "joints_follow_expression",
    "revision",
)  # fmt: skip


def _bad(message: str, cause: str = "content") -> MienError:
    return MienError(ErrorCode.BAD_HEAD, message, _REMEDY, {"cause": cause})


@dataclass(frozen=True, eq=False)
class Landmarks:
    """Points fixed to the surface.

    Attributes:
        faces: (N,) int32 index into `HeadDescription.faces`.
        barycentric: (N, 3) float32 weights of that face's corners; rows sum to 1.
    """

    faces: np.ndarray
    barycentric: np.ndarray

    def __post_init__(self) -> None:
        dims: dict[str, int] = {}
        for name, dtype, shape in (("faces", "int32", ("N",)), ("barycentric", "float32", ("N", 3))):
            array = checked_array(name, getattr(self, name), dtype, shape, dims, ErrorCode.BAD_HEAD, _REMEDY)
            object.__setattr__(self, name, array)
        if not np.allclose(self.barycentric.sum(axis=1), 1.0, atol=1e-3):
            raise _bad("Barycentric weights of landmarks do not sum to 1.")


@dataclass(frozen=True, eq=False)
class HeadDescription:
    """A head model in FLAME's layout. Head space: metres, x to the person's left, y up, z out of the face.

    Attributes:
        id: Short name ("open", "flame2020").
        sha256: Hash of the file it came from, 64 hex digits; takes refer to it. Empty while a head is being built.
        licence: SPDX identifier or name.
        commercial_use: What the licence says.
        template: (V, 3) float32 metres, the mean face.
        identity: (V, 3, S) float32 metres, columns scaled by their standard deviation.
        expression: (V, 3, E) float32 metres.
        eyelids: (V, 3, 2) float32 metres, left and right lid closed; (V, 3, 0) where the head has none.
        pose_correctives: (36, V*3) float32; the feature is (R[1:] - I) row-major, joint-major; offsets are (V, 3)
            flattened row-major.
        joint_regressor: (5, V) float32, joints in the order of `JOINT_NAMES`.
        skinning: (V, 5) float32, rows sum to 1.
        polygons: (P, 4) int32 vertices, last column -1 for a triangle.
        uv: (T, 2) float32 in [0, 1], v up.
        polygon_uvs: (P, 4) int32 rows of `uv`, -1 like `polygons`.
        polygon_material: (P,) uint8 index into `materials`.
        materials: Names from `MATERIALS`.
        albedo: (V, 3) uint8 sRGB, typical vertex colours.
        expression_names: One name for each expression channel.
        joints_follow_expression: Whether joints are regressed from the face with expression (FLAME) or with identity
            alone (open).
        landmarks: Embeddings by name ("mediapipe478", "ibug68", "mediapipe105").
        revision: Hash of what came to the head beside the file of `sha256` (UVs, eyelids, landmarks); empty where
            nothing did. Takes do not depend on it, copies of the head do.
    """

    id: str
    sha256: str
    licence: str
    commercial_use: CommercialUse
    template: np.ndarray
    identity: np.ndarray
    expression: np.ndarray
    eyelids: np.ndarray
    pose_correctives: np.ndarray
    joint_regressor: np.ndarray
    skinning: np.ndarray
    polygons: np.ndarray
    uv: np.ndarray
    polygon_uvs: np.ndarray
    polygon_material: np.ndarray
    materials: tuple[str, ...]
    albedo: np.ndarray
    expression_names: tuple[str, ...]
    joints_follow_expression: bool
    landmarks: Mapping[str, Landmarks]
    revision: str = ""

    def __post_init__(self) -> None:
        self._check_texts()
        dims: dict[str, int] = {}
        for name, (dtype, shape) in _ARRAYS.items():
            array = checked_array(name, getattr(self, name), dtype, shape, dims, ErrorCode.BAD_HEAD, _REMEDY)
            object.__setattr__(self, name, array)
            dims["3V"] = 3 * dims["V"]
        if dims["L"] not in (0, 2):
            raise _bad(f"Array 'eyelids' has {dims['L']} channels, expected none or two.")
        if len(self.expression_names) != dims["E"]:
            raise _bad(f"There are {len(self.expression_names)} expression names for {dims['E']} channels.")
        self._check_indices()
        if not np.allclose(self.skinning.sum(axis=1), 1.0, atol=1e-3):
            raise _bad("Rows of 'skinning' do not sum to 1.")

    def _check_texts(self) -> None:
        for name in ("id", "sha256", "licence", "revision"):
            if not isinstance(getattr(self, name), str):
                raise _bad(f"'{name}' is not a text.")
        if not self.id or (self.sha256 and not re.fullmatch(r"[0-9a-f]{64}", self.sha256)):
            raise _bad("The head's id is empty or its sha256 is not 64 lower-case hex digits.")
        if self.commercial_use not in get_args(CommercialUse):
            raise _bad(f"'commercial_use' is {self.commercial_use!r}, expected yes, no or unclear.")
        for name in ("materials", "expression_names"):
            value = tuple(getattr(self, name))
            if not all(isinstance(item, str) and item for item in value) or len(set(value)) != len(value):
                raise _bad(f"'{name}' must hold distinct names.")
            object.__setattr__(self, name, value)
        if unknown := set(self.materials) - set(MATERIALS):
            raise _bad(f"Unknown material {sorted(unknown)[0]!r}.")
        if not isinstance(self.joints_follow_expression, bool):
            raise _bad("'joints_follow_expression' is not true or false.")
        if not all(isinstance(name, str) and isinstance(item, Landmarks) for name, item in self.landmarks.items()):
            raise _bad("'landmarks' must hold named embeddings.")
        object.__setattr__(self, "landmarks", MappingProxyType(dict(self.landmarks)))

    def _check_indices(self) -> None:
        triangle = self.polygons[:, 3] < 0
        for name, limit in (("polygons", len(self.template)), ("polygon_uvs", len(self.uv))):
            index = getattr(self, name)
            in_range = (index[:, :3] >= 0).all() and (index < limit).all() and (index[:, 3] >= -1).all()
            if not in_range or not np.array_equal(index[:, 3] < 0, triangle):
                raise _bad(f"Array '{name}' has indices out of range or triangles that do not match.")
        if self.polygon_material.size and self.polygon_material.max() >= len(self.materials):
            raise _bad("Array 'polygon_material' has indices out of range.")
        for name, marks in self.landmarks.items():
            if marks.faces.size and (marks.faces.min() < 0 or marks.faces.max() >= len(self.faces)):
                raise _bad(f"Landmarks '{name}' lie on faces that do not exist.")

    @cached_property
    def _triangle_rows(self) -> np.ndarray:
        """(2P,) bool: which of each polygon's two fan triangles exist."""
        keep = np.ones((len(self.polygons), 2), bool)
        keep[:, 1] = self.polygons[:, 3] >= 0
        return keep.ravel()

    def _fan(self, polygons: np.ndarray) -> np.ndarray:
        both = polygons[:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3)
        return np.ascontiguousarray(both[self._triangle_rows])

    @cached_property
    def faces(self) -> np.ndarray:
        """(F, 3) int32 vertices: polygons as fans (0, 1, 2) then (0, 2, 3), in polygon order."""
        return self._fan(self.polygons)

    @cached_property
    def uv_faces(self) -> np.ndarray:
        """(F, 3) int32 rows of `uv`, parallel to `faces`."""
        return self._fan(self.polygon_uvs)

    @cached_property
    def face_polygon(self) -> np.ndarray:
        """(F,) int32: the polygon each face belongs to."""
        return np.repeat(np.arange(len(self.polygons), dtype=np.int32), 2)[self._triangle_rows]

    def to_arrays(self) -> tuple[dict[str, object], dict[str, np.ndarray]]:
        """Split into JSON-able values and plain arrays, for files and messages."""
        meta: dict[str, object] = {name: getattr(self, name) for name in _TEXTS}
        for name in ("materials", "expression_names"):
            meta[name] = list(getattr(self, name))
        meta["format"] = HEAD_FORMAT
        meta["landmarks"] = sorted(self.landmarks)
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        for name, marks in self.landmarks.items():
            arrays[f"landmarks.{name}.faces"] = marks.faces
            arrays[f"landmarks.{name}.barycentric"] = marks.barycentric
        return meta, arrays

    @classmethod
    def from_arrays(cls, meta: Mapping[str, object], arrays: Mapping[str, np.ndarray]) -> HeadDescription:
        """Inverse of `to_arrays`.

        Raises:
            MienError: BAD_HEAD, or UNKNOWN_SCHEMA for a format this version does not read.
        """
        if meta.get("format") != HEAD_FORMAT:
            message = f"The head has format {meta.get('format')!r}, this version of Mien reads {HEAD_FORMAT}."
            remedy = "Use the version of Mien that wrote it, or convert it again."
            raise MienError(ErrorCode.UNKNOWN_SCHEMA, message, remedy)
        names = meta.get("landmarks")
        if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
            raise _bad("The head's list of landmarks is damaged.")
        parts = {f"landmarks.{name}.{field.name}" for name in names for field in fields(Landmarks)}
        expected = set(_ARRAYS) | parts
        if missing := expected - set(arrays):
            raise _bad(f"The head lacks the array '{min(missing)}'.")
        if unknown := set(arrays) - expected:
            raise _bad(f"The head has an unknown array '{min(unknown)}'.")
        if set(meta) != {*_TEXTS, "format", "landmarks"}:
            raise _bad("The head's description has missing or unknown entries.")
        for name in ("materials", "expression_names"):
            if not isinstance(meta[name], (list, tuple)):
                raise _bad(f"'{name}' is not a list.")
        landmarks = {
            name: Landmarks(arrays[f"landmarks.{name}.faces"], arrays[f"landmarks.{name}.barycentric"])
            for name in names
        }
        values = {name: meta[name] for name in _TEXTS} | {name: arrays[name] for name in _ARRAYS}
        return cls(**values, landmarks=landmarks)  # type: ignore[arg-type]  # checked on construction

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the head to one `.npz` (see `files.save_arrays` for errors)."""
        save_arrays(path, *self.to_arrays())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> HeadDescription:
        """Read a head file. Where the file names no source hash, `sha256` is the hash of the file itself.

        Raises:
            MienError: MISSING_FILE, NOT_PERMITTED, TOO_LARGE, BAD_HEAD, UNKNOWN_SCHEMA.
        """
        head = cls.from_arrays(*load_arrays(path, code=ErrorCode.BAD_HEAD))
        if head.sha256:
            return head
        return replace(head, sha256=hashlib.sha256(Path(path).read_bytes()).hexdigest())
