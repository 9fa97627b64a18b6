# SPDX-License-Identifier: GPL-3.0-or-later
"""The open head as a small file: fixed-point bases and sparse units <-> HeadDescription.

Offsets are whole multiples of a step; their two bytes are stored apart (low bytes, high bytes), which packs well
because the high bytes are almost always 0 or -1. Units keep only the vertices they move.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import atomic_write, load_arrays, save_arrays
from blender_addon.contract.head import HeadDescription, Landmarks

ASSET_FORMAT = 1
HASH_FILE = "SHA256"
"""Written beside the asset: hash and name, as sha256sum does."""

IDENTITY_STEP = 1e-6
"""Metres. All 120 components at 3 sigma add up to less than 0.12 mm of rounding with room to spare."""
UNIT_STEP = 2e-6
CORRECTIVE_STEP = 1e-6
WEIGHT_STEP = 1.0 / 65535

_PLAIN = ("template", "joint_regressor", "polygons", "polygon_uvs", "polygon_material", "uv", "albedo")
_TEXTS = ("id", "licence", "commercial_use", "materials", "expression_names", "joints_follow_expression")


def save_asset(head: HeadDescription, path: Path) -> str:
    """Write a head as an asset, and its hash beside it.

    Args:
        head: the head; its ``sha256`` is not stored, since it is that of the file.
        path: file to write.

    Returns:
        The sha256 of the file.

    Raises:
        MienError: NO_SPACE, NOT_PERMITTED, MISSING_FILE.
    """
    meta: dict[str, object] = {name: getattr(head, name) for name in _TEXTS}
    meta |= {
        "asset_format": ASSET_FORMAT, "landmarks": sorted(head.landmarks), "identity_step": IDENTITY_STEP,
        "unit_step": UNIT_STEP, "corrective_step": CORRECTIVE_STEP,
    }
    arrays = {name: getattr(head, name) for name in _PLAIN}
    arrays["skinning"] = _fixed_weights(head.skinning)
    # Component by component, so that each component's bytes lie together.
    arrays |= _planes("identity", _fixed(head.identity.transpose(2, 0, 1), IDENTITY_STEP))
    units = np.concatenate([head.expression, head.eyelids], axis=2).transpose(2, 0, 1)
    arrays |= _sparse("units", _fixed(units, UNIT_STEP))
    arrays |= _sparse("correctives", _fixed(head.pose_correctives.reshape(36, -1, 3), CORRECTIVE_STEP))
    for name, marks in head.landmarks.items():
        arrays[f"landmarks.{name}.faces"] = marks.faces
        arrays[f"landmarks.{name}.barycentric"] = marks.barycentric
    save_arrays(path, meta, arrays)
    sha256 = file_sha256(path)
    line = f"{sha256}  {path.name}\n".encode("ascii")
    atomic_write(path.with_name(HASH_FILE), lambda file: file.write(line))
    return sha256


def load_asset(path: Path) -> HeadDescription:
    """Read an asset; the head's ``sha256`` is that of the file.

    Raises:
        MienError: MISSING_FILE, NOT_PERMITTED, BAD_HEAD, UNKNOWN_SCHEMA.
    """
    meta, arrays = load_arrays(path, code=ErrorCode.BAD_HEAD)
    if meta.get("asset_format") != ASSET_FORMAT:
        raise MienError(
            ErrorCode.UNKNOWN_SCHEMA, f"{path} has asset format {meta.get('asset_format')!r}, expected {ASSET_FORMAT}.",
            "Install Mien again, or rebuild the head with scripts/build_open_head.py.",
        )
    try:
        return _describe(meta, arrays, file_sha256(path))
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise MienError(
            ErrorCode.BAD_HEAD, f"{path} is damaged: {error}.",
            "Install Mien again, or rebuild the head with scripts/build_open_head.py.",
        ) from error


def with_landmarks(path: Path, landmarks: Mapping[str, Landmarks]) -> str:
    """Rewrite an asset with the given landmark embeddings added or replaced.

    Nothing else changes: the stored numbers survive reading and writing bit for bit.

    Returns:
        The sha256 of the new file.
    """
    head = load_asset(path)
    return save_asset(replace(head, landmarks={**head.landmarks, **landmarks}), path)


def file_sha256(path: Path) -> str:
    """Hash of a file, 64 hex digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _describe(meta: Mapping[str, object], arrays: Mapping[str, NDArray], sha256: str) -> HeadDescription:
    vertices = len(arrays["template"])
    identity = _from_planes(arrays, "identity").astype(np.float32) * np.float32(meta["identity_step"])
    units = _dense(arrays, "units", vertices) * np.float32(meta["unit_step"])
    correctives = _dense(arrays, "correctives", vertices) * np.float32(meta["corrective_step"])
    skinning = arrays["skinning"].astype(np.float32) * np.float32(WEIGHT_STEP)
    units = np.ascontiguousarray(units.transpose(1, 2, 0))
    return HeadDescription(
        **{name: meta[name] for name in _TEXTS if name not in ("materials", "expression_names")},
        **{name: arrays[name] for name in _PLAIN},
        materials=tuple(meta["materials"]),
        expression_names=tuple(meta["expression_names"]),
        sha256=sha256,
        identity=np.ascontiguousarray(identity.transpose(1, 2, 0)),
        expression=np.ascontiguousarray(units[:, :, :-2]),
        eyelids=np.ascontiguousarray(units[:, :, -2:]),
        pose_correctives=correctives.reshape(len(correctives), -1),
        skinning=skinning / skinning.sum(axis=1, keepdims=True),
        landmarks={
            name: Landmarks(arrays[f"landmarks.{name}.faces"], arrays[f"landmarks.{name}.barycentric"])
            for name in meta["landmarks"]
        },
    )


def _fixed(values: NDArray, step: float) -> NDArray[np.int16]:
    steps = np.round(values.astype(np.float64) / step)
    if np.abs(steps).max() > np.iinfo(np.int16).max:
        raise ValueError(f"An offset of {np.abs(values).max() * 1e3:.1f} mm does not fit into steps of {step} m.")
    return steps.astype(np.int16)


def _fixed_weights(weights: NDArray) -> NDArray[np.uint16]:
    """Rows in steps that add up to 1 exactly, so that reading and writing again changes nothing."""
    steps = np.round(weights.astype(np.float64) / WEIGHT_STEP).astype(np.int64)
    rows = np.arange(len(steps))
    steps[rows, steps.argmax(axis=1)] += round(1.0 / WEIGHT_STEP) - steps.sum(axis=1)
    if steps.min() < 0:
        raise ValueError("Skinning weights must not be negative.")
    return steps.astype(np.uint16)


def _planes(name: str, values: NDArray[np.int16]) -> dict[str, NDArray]:
    plain = values.astype("<i2")
    split = plain.reshape(-1).view(np.uint8).reshape(*plain.shape, 2)
    return {f"{name}.low": np.ascontiguousarray(split[..., 0]), f"{name}.high": np.ascontiguousarray(split[..., 1])}


def _from_planes(arrays: Mapping[str, NDArray], name: str) -> NDArray[np.int16]:
    low, high = arrays[f"{name}.low"], arrays[f"{name}.high"]
    return low.astype(np.int16) | (high.astype(np.int16) << 8)


def _sparse(name: str, values: NDArray[np.int16]) -> dict[str, NDArray]:
    """Keep the moving vertices of (channels, V, 3) only."""
    moving = values.any(axis=2)
    arrays = _planes(f"{name}.offsets", values[moving])
    arrays[f"{name}.counts"] = moving.sum(axis=1).astype(np.int32)
    arrays[f"{name}.vertices"] = np.nonzero(moving)[1].astype(np.uint16)
    return arrays


def _dense(arrays: Mapping[str, NDArray], name: str, vertices: int) -> NDArray[np.float32]:
    counts = arrays[f"{name}.counts"]
    values = np.zeros((len(counts), vertices, 3), np.float32)
    channels = np.repeat(np.arange(len(counts)), counts)
    values[channels, arrays[f"{name}.vertices"]] = _from_planes(arrays, f"{name}.offsets")
    return values
