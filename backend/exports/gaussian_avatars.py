# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder that VHAP exports for GaussianAvatars: FLAME parameters frame by frame, and cameras as for NeRFs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from backend.outputs import write_json
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import make_folder, write_npz
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.projection import HEAD_TO_CAMERA
from blender_addon.contract.provenance import PROVENANCE, provenance
from blender_addon.contract.take import Take

from .flame_motion import FlameMotion, Shot
from .flame_space import are_rotations
from .json_files import Document, number_array, read_json
from .records import Record, joined, listed, read_records
from .tables import bad_import
from .vhap import CAMERA_PLACE, OFFSETS, flame_arrays, read_flame_arrays, read_vhap, require_flame

CAMERAS, PARAMETERS, CANONICAL = "transforms.json", "flame_param", "canonical_flame_param.npz"
CANONICAL_JAW = 0.3
"""Radians by which the jaw is open in the canonical head."""
_PER_FRAME = ("rotation", "translation", "neck_pose", "jaw_pose", "eyes_pose", "expr")
_LENS = ("w", "h", "cx", "cy", "fl_x", "fl_y")
_REMEDY = "Choose the folder that VHAP exported, undamaged."


def write_gaussian_avatars(take: Take, folder: Path) -> None:
    """Write the folder, without pictures and masks.

    Raises:
        MienError: CANNOT_EXPORT, NO_SPACE, NOT_PERMITTED, MISSING_FILE.
    """
    require_flame(take)
    make_folder(folder / PARAMETERS)
    arrays = flame_arrays(take)
    for index in range(len(take)):
        frame = {name: array[index : index + 1] if name in _PER_FRAME else array for name, array in arrays.items()}
        write_npz(folder / _parameters(index), frame, durable=False)
    canonical = {name: np.zeros_like(arrays[name][:1]) for name in _PER_FRAME}
    canonical["jaw_pose"][0, 0] = CANONICAL_JAW
    write_npz(folder / CANONICAL, {name: canonical.get(name, array) for name, array in arrays.items()})
    write_json(folder / CAMERAS, cameras(take))


def _parameters(index: int) -> str:
    return f"{PARAMETERS}/{index:05d}.npz"


def cameras(take: Take) -> dict[str, object]:
    """What `transforms.json` says: one camera at rest, looking along -z (OpenGL), and the take's times and origin."""
    matrix, (width, height) = take.camera_matrix, take.image_size.tolist()
    transform = np.eye(4)
    transform[:3, 3] = CAMERA_PLACE
    lens = {
        "w": width,
        "h": height,
        "cx": float(matrix[0, 2]),
        "cy": float(matrix[1, 2]),
        "fl_x": float(matrix[0, 0]),
        "fl_y": float(matrix[1, 1]),
        "camera_angle_x": float(2 * np.arctan(width / (2 * matrix[0, 0]))),
        "camera_angle_y": float(2 * np.arctan(height / (2 * matrix[1, 1]))),
    }
    frames = [
        {
            "timestep_index": index,
            "timestep_index_original": index,
            "timestep_id": f"{index:05d}",
            "camera_index": 0,
            "camera_id": "0",
            "file_path": f"images/{index:05d}_00.png",
            "fg_mask_path": f"fg_masks/{index:05d}_00.png",
            "transform_matrix": transform.tolist(),
            "flame_param_path": _parameters(index),
            **lens,
        }
        for index in range(len(take))
    ]
    return {
        PROVENANCE: provenance(take.meta) | {"time": take.time.tolist(), "valid": take.valid.tolist()},
        **lens,
        "camera_indices": [0],
        "timestep_indices": list(range(len(take))),
        "frames": frames,
    }


def read_gaussian_avatars(path: Path, head: HeadDescription, shot: Shot) -> FlameMotion:
    """A folder that VHAP exported, seen by the first of its cameras; or parameters alone, seen as VHAP's camera does.

    Args:
        path: The folder, its folder of parameters, or one file of them.
        head: The FLAME head.
        shot: Size of the picture and focal length, where there is no `transforms.json`.

    Raises:
        MienError: BAD_IMPORT and what reading files raises.
    """
    if not os.path.isdir(path) or CAMERAS not in listed(path):
        inner = path / PARAMETERS if os.path.isdir(path / PARAMETERS) else path
        return read_vhap(_joined(read_records(inner), inner), head, shot)
    if shot != Shot():
        message = f"{path} says itself what its camera is like."
        raise MienError(ErrorCode.USAGE, message, "Leave --size and --focal out.")
    document = read_json(path / CAMERAS)
    frames = _of_one_camera(document)
    record = _joined((record for frame in frames for record in read_records(_inside(path, frame))), path)
    arrays, notes = read_flame_arrays(record, head, len(frames))
    world = _matrices(document, frames)
    turn = HEAD_TO_CAMERA @ np.swapaxes(world[:, :3, :3], 1, 2)
    lenses = [[frame.get(key, document.values.get(key)) for key in _LENS] for frame in frames]
    lens = number_array(document.path, lenses, len(_LENS))
    if np.ptp(lens, axis=0).max() > 0:
        raise bad_import(document.path, "has a camera whose lens changes", "Use a part of it where the lens stays.")
    width, height, cx, cy, fx, fy = lens[0].tolist()
    time, valid = _told(document, "time", len(frames)), _told(document, "valid", len(frames))
    return FlameMotion(
        **arrays,
        camera_matrix=np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]),
        image_size=(round(width), round(height)),
        time=time,
        valid=None if valid is None else valid > 0.5,
        notes=tuple(notes),
    ).moved(head, turn, -np.einsum("tij,tj->ti", turn, world[:, :3, 3]))


def _joined(records: Iterable[Record], path: Path) -> Record:
    """The frames' records as one. Their offsets are large and seldom used: only whether there are any is kept."""
    kept, moved = [], {}
    for record in records:
        moved |= {name: 1.0 for name in OFFSETS if np.any(record.values.get(name, 0))}
        kept.append(Record(record.path, {name: v for name, v in record.values.items() if name not in OFFSETS}))
    whole = joined(kept, path)
    return Record(whole.path, {**whole.values, **moved})


def _of_one_camera(document: Document) -> list[dict[str, object]]:
    """The frames of the first camera in the order of time."""
    frames = document.list_of_tables("frames")
    first = frames[0].get("camera_index")
    mine = [frame for frame in frames if frame.get("camera_index") == first]
    if not all(isinstance(frame.get("timestep_index"), int) for frame in mine):
        raise bad_import(document.path, "has frames without a 'timestep_index'", _REMEDY)
    return sorted(mine, key=lambda frame: frame["timestep_index"])  # type: ignore[arg-type, return-value]


def _inside(folder: Path, frame: dict[str, object]) -> Path:
    """The frame's file of parameters, which must lie in the folder."""
    name = frame.get("flame_param_path")
    if not isinstance(name, str) or os.path.isabs(name) or ".." in Path(name).parts:
        raise bad_import(folder / CAMERAS, "names a file of parameters outside its folder", _REMEDY)
    return folder / name


def _matrices(document: Document, frames: list[dict[str, object]]) -> np.ndarray:
    """(T, 4, 4): where the camera is in the world, OpenGL's axes."""
    rows = []
    for frame in frames:
        matrix = frame.get("transform_matrix")
        good = isinstance(matrix, list) and all(isinstance(row, list) for row in matrix)
        rows.append([value for row in matrix for value in row] if good else [])  # type: ignore[union-attr]
    world = number_array(document.path, rows, 16).reshape(-1, 4, 4)
    if not are_rotations(world[:, :3, :3]):
        raise bad_import(document.path, "has a camera that is not a plain turn and place", _REMEDY)
    return world


def _told(document: Document, name: str, frames: int) -> np.ndarray | None:
    """(T,) of what Mien added to its own folders."""
    table = document.values.get(PROVENANCE)
    values = table.get(name) if isinstance(table, dict) else None
    if not isinstance(values, list):
        return None
    return number_array(document.path, [values], frames)[0]
