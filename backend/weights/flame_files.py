# SPDX-License-Identifier: GPL-3.0-or-later
"""Recognising FLAME's model and what belongs to it: landmarks, masks of vertices, albedo, the dense mesh, eyelids."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from backend.weights.checkpoint_extras import as_part
from backend.weights.flame_release import release_of
from backend.weights.found import About, Found
from backend.weights.matching import bad_weights
from blender_addon.contract.head import JOINT_NAMES, PARENTS

VERTICES, FACES, IDENTITY, EXPRESSION = 5023, 9976, 300, 100
_TEXELS, _FEATURES = 256, 9 * (len(JOINT_NAMES) - 1)
_ALBEDO_COMPONENTS = 50
_MOST_LID_VERTICES, _LARGEST_LID = 1500, 0.05
_LARGEST_FIXED = 0.05
_FIELDS = ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "f", "kintree_table")
_LANDMARKS = {
    "static_faces": ("static_lmk_faces_idx", (51,)),
    "static_barycentric": ("static_lmk_bary_coords", (51, 3)),
    "dynamic_faces": ("dynamic_lmk_faces_idx", (79, 17)),
    "dynamic_barycentric": ("dynamic_lmk_bary_coords", (79, 17, 3)),
    "full_faces": ("full_lmk_faces_idx", (68,)),
    "full_barycentric": ("full_lmk_bary_coords", (68, 3)),
}
_MEDIAPIPE = {
    "faces": ("lmk_face_idx", (105,)),
    "barycentric": ("lmk_b_coords", (105, 3)),
    "indices": ("landmark_indices", (105,)),
}
_REGIONS = {"face", "left_eyeball", "right_eyeball", "lips", "nose", "scalp"}
_ALBEDO = {"bfm": ("MU", "PC", 1.0), "flame": ("mean", "tex_dir", 255.0)}
_ORIGINAL = "Download it again from its publisher."


def heads(content: object, about: About) -> list[Found] | None:
    """What a file of arrays holds of a head; None where that is nothing known.

    Raises:
        MienError: BAD_WEIGHTS: it is one of the known files and not as published.
    """
    if isinstance(content, np.ndarray):
        return _single(content)
    if not isinstance(content, Mapping):
        return None
    names = {str(name) for name in content}
    if {"v_template", "shapedirs", "J_regressor"} <= names:
        return [_flame(content, about)]
    if {"static_lmk_faces_idx", "dynamic_lmk_faces_idx"} <= names:
        return [Found("landmark_embedding", _rows(content, _LANDMARKS, about))]
    if {"lmk_face_idx", "lmk_b_coords", "landmark_indices"} <= names:
        return [Found("mediapipe_embedding", _rows(content, _MEDIAPIPE, about))]
    if {"valid_pixel_ids", "valid_pixel_3d_faces", "valid_pixel_b_coords"} <= names:
        return [_texture_data(content, about)]
    if names >= _REGIONS:
        return _masks(content)
    for name, (mean, basis, white) in _ALBEDO.items():
        if {mean, basis} <= names:
            return [_albedo(name, content[mean], content[basis], white, about)]
    return None


def _flame(content: Mapping[str, object], about: About) -> Found:
    """FLAME's model; only the full one, of 300 identities and 100 expressions."""
    arrays: dict[str, np.ndarray] = {}
    for name in _FIELDS:
        value = _read(content.get(name))
        if value is None or value.dtype.kind not in "iuf":
            raise bad_weights(about.file, f"is no usable FLAME model: it has no array '{name}'", _ORIGINAL)
        arrays[name] = value
    if arrays["posedirs"].ndim in (2, 3) and len(arrays["posedirs"]) in (VERTICES, 3 * VERTICES):
        arrays["posedirs"] = arrays["posedirs"].reshape(3 * VERTICES, -1).T
    expected = {
        "v_template": (VERTICES, 3), "shapedirs": (VERTICES, 3, IDENTITY + EXPRESSION),
        "posedirs": (_FEATURES, 3 * VERTICES), "J_regressor": (len(JOINT_NAMES), VERTICES),
        "weights": (VERTICES, len(JOINT_NAMES)), "f": (FACES, 3), "kintree_table": (2, len(JOINT_NAMES)),
    }  # fmt: skip
    for name, shape in expected.items():
        if arrays[name].shape != shape:
            reason = f"is no FLAME model: its '{name}' has shape {arrays[name].shape} instead of {shape}"
            raise bad_weights(about.file, reason, "Add FLAME 2020, 2023 or 2023 Open as it is given out.")
    whole = 0 <= arrays["f"].min() <= arrays["f"].max() < VERTICES
    if tuple(arrays["kintree_table"][0, 1:]) != PARENTS[1:] or not whole:
        raise bad_weights(about.file, "is no FLAME model: its joints or triangles are others", _ORIGINAL)
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise bad_weights(about.file, "is damaged: it holds values that are not numbers", _ORIGINAL)
    del arrays["kintree_table"]
    release, variant, notes = release_of(about)
    settings = {"identities": str(IDENTITY), "expressions": str(EXPRESSION)}
    return Found(release, as_part(arrays), variant, settings, notes, first=not variant)


def _rows(content: Mapping[str, object], rows: Mapping[str, tuple[str, tuple[int, ...]]], about: About) -> dict:
    values = {}
    for name, (key, shape) in rows.items():
        value = _read(content.get(key))
        if value is None or value.dtype.kind not in "iuf" or value.size != np.prod(shape):
            reason = f"is no embedding of landmarks as published: '{key}' is not {shape}"
            raise bad_weights(about.file, reason, _ORIGINAL)
        values[name] = value.reshape(shape)
        if name.endswith("faces") and not 0 <= value.min() <= value.max() < FACES:
            raise bad_weights(about.file, f"names triangles in '{key}' that FLAME does not have", _ORIGINAL)
    return as_part(values)


def _texture_data(content: Mapping[str, object], about: About) -> Found:
    """DECA's dense mesh: its pixel ids count along the coordinates that the file lists."""
    names = ("valid_pixel_ids", "x_coords", "y_coords", "f", "valid_pixel_3d_faces", "valid_pixel_b_coords")
    values = [_read(content.get(name)) for name in names]
    try:
        ids, x, y, faces, corners, weights = (np.asarray(value) for value in values)
        ids = ids.astype(np.int64)
        pixels = y.ravel()[ids].astype(np.int64) * _TEXELS + x.ravel()[ids].astype(np.int64)
        good = corners.shape == weights.shape == (len(ids), 3) and faces.ndim == 2 and faces.shape[1] == 3
        inside = [(pixels, _TEXELS**2), (corners, VERTICES), (faces, len(ids))]
        good = good and all(0 <= array.min() <= array.max() < limit for array, limit in inside)
    except (TypeError, ValueError, IndexError):
        good = False
    if not good:
        raise bad_weights(about.file, "does not hold DECA's dense mesh as published", _ORIGINAL)
    arrays = {"pixels": pixels, "faces": faces, "corners": corners}
    kept = {name: np.ascontiguousarray(array, np.int32) for name, array in arrays.items()}
    return Found("texture_data", kept | {"barycentric": np.ascontiguousarray(weights, np.float32)})


def _masks(content: Mapping[str, object]) -> list[Found] | None:
    """Regions of vertices; the like-named file of SMIRK lists triangles, whose numbers go further."""
    regions = {str(name): _read(value) for name, value in content.items()}
    kept = {
        name: np.ascontiguousarray(value, np.int32)
        for name, value in regions.items()
        if value is not None and value.ndim == 1 and value.dtype.kind in "iu" and value.size
    }
    if set(kept) != set(regions) or any(value.max() >= VERTICES or value.min() < 0 for value in kept.values()):
        return None
    return [Found("flame_masks", kept)]


def _albedo(name: str, mean: object, basis: object, white: float, about: About) -> Found:
    shape = tuple(getattr(basis, "shape", ()))
    size = round((np.prod(shape[:-1]) / 3) ** 0.5) if shape else 0
    middle = _read(mean)
    if middle is None or not size or size % _TEXELS or not middle.size == 3 * size * size == np.prod(shape[:-1]):
        raise bad_weights(about.file, "does not hold an albedo space as published", _ORIGINAL)
    components = _read(basis).reshape(size, size, 3, -1)[..., :_ALBEDO_COMPONENTS]  # type: ignore[union-attr]
    arrays = {"mean": middle.reshape(size, size, 3)[:, :, ::-1], "components": components[:, :, ::-1]}
    return Found("albedo_space", {key: np.asarray(value / white, np.float32) for key, value in arrays.items()}, name)


def _single(array: np.ndarray) -> list[Found] | None:
    if array.dtype.kind != "f" or not np.isfinite(array).all():
        return None
    if array.shape == (VERTICES, 3):
        moved = np.abs(array).max(axis=1) > 0
        if 0 < moved.sum() < _MOST_LID_VERTICES and np.abs(array).max() < _LARGEST_LID:
            return [Found("eyelids", {"offsets": array.astype(np.float32)})]
    if array.shape == (_TEXELS, _TEXELS) and 0 < np.abs(array).max() < _LARGEST_FIXED:
        return [Found("fixed_displacement", {"displacement": array.astype(np.float32)})]
    return None


def _read(value: object) -> np.ndarray | None:
    if isinstance(value, np.ndarray):
        return value
    return value.read() if hasattr(value, "read") else None
