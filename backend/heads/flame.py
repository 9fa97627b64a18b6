# SPDX-License-Identifier: GPL-3.0-or-later
"""FLAME files that the user brings, as head descriptions."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NoReturn, get_args

import numpy as np

from backend.weights.restricted import load_restricted
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.head import JOINT_NAMES, PARENTS, CommercialUse, HeadDescription, Landmarks

FlameId = Literal["flame2020", "flame2023", "flame2023_open"]

EXPRESSIONS = 100
_EYES = (JOINT_NAMES.index("eye.L"), JOINT_NAMES.index("eye.R"))
_SKIN_GREY, _SCLERA_GREY = 180, 225
_FIELDS = ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "f", "kintree_table")


@dataclass(frozen=True)
class FlameLicence:
    """What may be done with a release of FLAME."""

    name: str
    commercial_use: CommercialUse


LICENCES: Mapping[FlameId, FlameLicence] = {
    "flame2020": FlameLicence("FLAME 2020, non-commercial research", "no"),
    "flame2023": FlameLicence("FLAME 2023, non-commercial research", "no"),
    "flame2023_open": FlameLicence("CC-BY-4.0", "yes"),
}


def load_flame(
    path: str | os.PathLike[str],
    head_id: FlameId | None = None,
    *,
    template_obj: str | os.PathLike[str] | None = None,
) -> HeadDescription:
    """Read a FLAME model file (`generic_model.pkl`, `flame2023.pkl`, or the same arrays as `.npz`).

    Nothing in the file is executed. The last 100 columns of `shapedirs` are expression, all before them identity.

    Args:
        path: the file.
        head_id: which release it is. By default "flame2023" where the file's name says 2023, else "flame2020"; the open
            release must be named, because its licence allows more.
        template_obj: FLAME's `head_template.obj`, for its UV layout. Without it all corners share one UV point.

    Returns:
        The head, grey, all joints following identity and expression.

    Raises:
        MienError: BAD_HEAD (no FLAME file, or a damaged one), MISSING_FILE, NOT_PERMITTED, TOO_LARGE; USAGE for an
            unknown `head_id`.
    """
    path = Path(path)
    chosen = head_id or ("flame2023" if "2023" in path.name else "flame2020")
    if chosen not in get_args(FlameId):
        raise MienError(ErrorCode.USAGE, f"There is no FLAME release {chosen!r}.", f"Choose of {get_args(FlameId)}.")
    arrays = _fields(path, load_restricted(path))
    triangles = arrays["f"].astype(np.int32)
    layout = None if template_obj is None else read_uv_layout(template_obj, triangles)
    return describe_flame(arrays, chosen, hashlib.sha256(path.read_bytes()).hexdigest(), uv_layout=layout)


@dataclass(frozen=True)
class UVLayout:
    """UV points (T, 2), v up, and rows of them (F, 3) at the corners of a model's triangles."""

    uv: np.ndarray
    faces: np.ndarray


def describe_flame(
    arrays: Mapping[str, np.ndarray],
    head_id: FlameId,
    sha256: str,
    *,
    expressions: int = EXPRESSIONS,
    uv_layout: UVLayout | None = None,
    eyelids: np.ndarray | None = None,
    landmarks: Mapping[str, Landmarks] = MappingProxyType({}),
    revision: str = "",
) -> HeadDescription:
    """A head of FLAME's arrays.

    Args:
        arrays: v_template (V,3), shapedirs (V,3,S), posedirs (36,3V), J_regressor (5,V), weights (V,5), f (F,3).
        head_id: which release they are of.
        sha256: hash of the file that they came from.
        expressions: how many of the last shapes are expression.
        uv_layout: of `head_template.obj`; without it all corners share one UV point.
        eyelids: (V,3,2) left and right lid closed, metres; the head has none without it.
        landmarks: embeddings by name.
        revision: see `HeadDescription`.

    Raises:
        MienError: BAD_HEAD.
    """
    template, triangles = arrays["v_template"], arrays["f"].astype(np.int32)
    shapes, skinning = arrays["shapedirs"], arrays["weights"]
    layout = uv_layout or UVLayout(np.zeros((1, 2), np.float32), np.zeros_like(triangles))
    eye_vertex = skinning[:, _EYES].sum(1) > 0.5
    sclera = eye_vertex[triangles].all(1)
    return HeadDescription(
        id=head_id,
        sha256=sha256,
        licence=LICENCES[head_id].name,
        commercial_use=LICENCES[head_id].commercial_use,
        template=template,
        identity=shapes[..., :-expressions],
        expression=shapes[..., -expressions:],
        eyelids=np.zeros((len(template), 3, 0), np.float32) if eyelids is None else eyelids,
        pose_correctives=arrays["posedirs"],
        joint_regressor=arrays["J_regressor"],
        skinning=skinning,
        polygons=_as_polygons(triangles),
        uv=layout.uv,
        polygon_uvs=_as_polygons(layout.faces),
        polygon_material=sclera.astype(np.uint8),
        materials=("skin", "sclera"),
        albedo=np.where(eye_vertex[:, None], _SCLERA_GREY, _SKIN_GREY).repeat(3, axis=1).astype(np.uint8),
        expression_names=tuple(f"exp{number:03d}" for number in range(1, expressions + 1)),
        joints_follow_expression=True,
        landmarks=landmarks,
        revision=revision,
    )


def _bad(path: Path, reason: str) -> NoReturn:
    remedy = "Choose the model file of FLAME, for instance generic_model.pkl of FLAME 2020."
    raise MienError(ErrorCode.BAD_HEAD, f"{path} is not a usable FLAME model: {reason}.", remedy, {"path": str(path)})


def _fields(path: Path, content: object) -> dict[str, np.ndarray]:
    """The model's arrays in Mien's shapes, float32 (faces and tree as integers)."""
    if not isinstance(content, dict):
        _bad(path, "it holds no dictionary of arrays")
    arrays: dict[str, np.ndarray] = {}
    for name in _FIELDS:
        if name not in content:
            _bad(path, f"it has no '{name}'")
        value = content[name]
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "iuf":
            _bad(path, f"its '{name}' is not an array of numbers")
        arrays[name] = value.astype(np.int64 if name in ("f", "kintree_table") else np.float32)
    count = arrays["v_template"].size // 3
    width = arrays["shapedirs"].shape[-1] if arrays["shapedirs"].ndim == 3 else 0
    if width <= EXPRESSIONS:
        _bad(path, f"its 'shapedirs' has {width} columns, more than {EXPRESSIONS} are needed")
    joints, features = len(JOINT_NAMES), 9 * (len(JOINT_NAMES) - 1)
    arrays["posedirs"] = _correctives(arrays["posedirs"], count)
    expected = {
        "v_template": (count, 3),
        "shapedirs": (count, 3, width),
        "posedirs": (features, 3 * count),
        "J_regressor": (joints, count),
        "weights": (count, joints),
        "f": (len(arrays["f"]), 3),
        "kintree_table": (2, joints),
    }
    for name, shape in expected.items():
        if arrays[name].shape != shape:
            _bad(path, f"its '{name}' has shape {arrays[name].shape} instead of {shape}")
    if tuple(arrays["kintree_table"][0, 1:]) != PARENTS[1:]:
        _bad(path, "its joints are not root, neck, jaw and two eyes")
    if arrays["f"].size and not 0 <= arrays["f"].min() <= arrays["f"].max() < count:
        _bad(path, "its 'f' has indices out of range")
    return arrays


def _correctives(posedirs: np.ndarray, count: int) -> np.ndarray:
    """(V, 3, 36) or (3V, 36) as stored -> (36, 3V); anything else is returned as it is, to be refused by its shape."""
    if posedirs.ndim == 3 and posedirs.shape[:2] == (count, 3):
        posedirs = posedirs.reshape(3 * count, -1)
    return np.ascontiguousarray(posedirs.T) if posedirs.ndim == 2 and len(posedirs) == 3 * count else posedirs


def _as_polygons(triangles: np.ndarray) -> np.ndarray:
    return np.concatenate((triangles, np.full((len(triangles), 1), -1)), axis=1).astype(np.int32)


def read_uv_layout(template_obj: str | os.PathLike[str], triangles: np.ndarray) -> UVLayout:
    """The UV layout of FLAME's `head_template.obj` for a model's triangles (F, 3).

    Raises:
        MienError: MISSING_FILE; BAD_HEAD where it is not that file or has other triangles.
    """
    path = Path(template_obj)
    points: list[list[float]] = []
    corners: list[list[list[int]]] = []
    try:
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            kind, *words = line.split() or [""]
            if kind == "vt":
                points.append([float(word) for word in words[:2]])
            elif kind == "f":
                corners.append([[int(number) for number in word.split("/")[:2]] for word in words])
        indices = np.array(corners, dtype=np.int64) - 1
    except OSError as error:
        raise MienError(
            ErrorCode.MISSING_FILE, f"{path} cannot be read: {error.strerror}.", "Check the path."
        ) from error
    except ValueError as error:
        raise MienError(
            ErrorCode.BAD_HEAD, f"{path} is not FLAME's template ({error}).", "Use head_template.obj."
        ) from error
    if indices.shape != (*triangles.shape, 2) or not np.array_equal(indices[..., 0], triangles):
        _bad(path, "its triangles are not those of the model")
    return UVLayout(np.array(points, np.float32), indices[..., 1].astype(np.int32))
