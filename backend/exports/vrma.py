# SPDX-License-Identifier: GPL-3.0-or-later
"""VRM Animation 1.0 (.vrma): a binary glTF whose nodes carry expressions, the weight in the x of their translation."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np

from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import MAX_ARRAY_BYTES, atomic_write, file_error
from blender_addon.contract.provenance import PROVENANCE, provenance
from blender_addon.contract.take import Take
from blender_addon.contract.version import VERSION
from blender_addon.contract.vrm import LOOKS

from .tables import bad_import
from .vrm import ExpressionCurves, expression_curves

EXTENSION = "VRMC_vrm_animation"
Group = Literal["preset", "custom"]

_MAGIC, _VERSION = b"glTF", 2
_JSON, _BINARY = 0x4E4F534A, 0x004E4942
_HEADER = struct.Struct("<4sII")
_CHUNK = struct.Struct("<II")
_FLOAT = 5126
_REMEDY = "Export the file anew, or use an undamaged copy."


def write_vrma(take: Take, path: Path, group: Group = "preset") -> None:
    """Write the expression curves of a take.

    Args:
        take: The take.
        path: The file.
        group: "preset" for VRM's own expressions, without the looks, which VRM animates in another way; "custom" for
            ARKit's 52 names.

    Raises:
        MienError: CANNOT_EXPORT, NO_SPACE, NOT_PERMITTED, MISSING_FILE.
    """
    curves = expression_curves(take)
    chosen = curves.custom if group == "custom" else _animated(curves.presets)
    document, binary = _gltf(take, curves.time, chosen, group)
    text = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    parts = (_CHUNK.pack(len(text), _JSON), text, _CHUNK.pack(len(binary), _BINARY), binary)
    size = _HEADER.size + sum(map(len, parts))
    atomic_write(path, lambda file: file.writelines((_HEADER.pack(_MAGIC, _VERSION, size), *parts)))


write_vrma_arkit = partial(write_vrma, group="custom")
"""`write_vrma` with ARKit's 52 names as custom expressions."""


def read_vrma(path: Path) -> ExpressionCurves:
    """Inverse of `write_vrma`, for files that keep their data inside as floats.

    Raises:
        MienError: BAD_IMPORT, MISSING_FILE, NOT_PERMITTED, TOO_LARGE.
    """
    try:
        document, binary = _chunks(path)
        animation = document["animations"][0]
        samplers = {
            channel["target"]["node"]: animation["samplers"][channel["sampler"]]
            for channel in animation["channels"]
            if channel["target"]["path"] == "translation"
        }
        groups: dict[str, Mapping[str, np.ndarray]] = {}
        time = np.zeros(0)
        for group in ("preset", "custom"):
            nodes = document["extensions"][EXTENSION]["expressions"].get(group, {})
            found = {name: samplers[entry["node"]] for name, entry in nodes.items()}
            values = {name: _accessor(document, binary, sampler["output"])[:, 0] for name, sampler in found.items()}
            for sampler in found.values():
                time = _accessor(document, binary, sampler["input"])[:, 0]
            groups[group] = MappingProxyType(values)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, struct.error) as error:
        raise bad_import(path, f"is damaged or no VRM animation ({type(error).__name__})", _REMEDY) from error
    return ExpressionCurves(time, groups["preset"], groups["custom"])


def read_provenance(path: Path) -> dict[str, object]:
    """Where a file that `write_vrma` wrote comes from.

    Raises:
        MienError: BAD_IMPORT, MISSING_FILE, NOT_PERMITTED, TOO_LARGE.
    """
    try:
        return _chunks(path)[0]["asset"]["extras"][PROVENANCE]
    except (KeyError, TypeError, ValueError, struct.error) as error:
        raise bad_import(path, "does not say where it comes from", _REMEDY) from error


def _animated(presets: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: values for name, values in presets.items() if name not in LOOKS}


def _gltf(
    take: Take, time: np.ndarray, curves: Mapping[str, np.ndarray], group: Group
) -> tuple[dict[str, object], bytes]:
    """The JSON and the binary data of an animation with a node for each curve."""
    since = (time - min(time[0], 0.0)).astype("<f4")  # glTF has no times before 0
    rising = np.append(np.diff(since) > 0, True)  # nor one time twice
    since = since[rising]
    columns = [values[rising] for values in curves.values()]
    blocks = [since] + [np.stack((values, 0 * values, 0 * values), axis=1).astype("<f4") for values in columns]
    offsets = np.cumsum([0, *(block.nbytes for block in blocks)]).tolist()
    outputs = range(1, len(blocks))
    nodes = {name: {"node": index} for index, name in enumerate(curves)}
    input_accessor = _accessor_entry(0, len(since), "SCALAR") | {
        "min": [float(since.min())],
        "max": [float(since.max())],
    }
    document: dict[str, object] = {
        "asset": {
            "version": "2.0",
            "generator": f"Mien {VERSION}",
            "extras": {PROVENANCE: provenance(take.meta)},
        },
        "extensionsUsed": [EXTENSION],
        "extensions": {EXTENSION: {"specVersion": "1.0", "expressions": {group: nodes}}},
        "scene": 0,
        "scenes": [{"nodes": list(range(len(curves)))}],
        "nodes": [{"name": name} for name in curves],
        "animations": [
            {
                "channels": [
                    {"sampler": node, "target": {"node": node, "path": "translation"}} for node in range(len(curves))
                ],
                "samplers": [{"input": 0, "output": output, "interpolation": "LINEAR"} for output in outputs],
            }
        ],
        "accessors": [input_accessor, *(_accessor_entry(view, len(since), "VEC3") for view in outputs)],
        "bufferViews": [
            {"buffer": 0, "byteOffset": offset, "byteLength": block.nbytes}
            for offset, block in zip(offsets[:-1], blocks, strict=True)
        ],
        "buffers": [{"byteLength": offsets[-1]}],
    }
    return document, b"".join(block.tobytes() for block in blocks)


def _accessor_entry(view: int, count: int, kind: str) -> dict[str, object]:
    return {"bufferView": view, "componentType": _FLOAT, "count": count, "type": kind}


def _chunks(path: Path) -> tuple[dict, bytes]:
    """The JSON and the binary data of a binary glTF."""
    try:
        if os.path.getsize(path) > MAX_ARRAY_BYTES:
            raise MienError(ErrorCode.TOO_LARGE, f"{path} is larger than any such file.", _REMEDY)
        content = Path(path).read_bytes()
    except OSError as error:
        raise file_error(path, error, "read") from error
    magic, version, size = _HEADER.unpack_from(content)
    if (magic, version, size) != (_MAGIC, _VERSION, len(content)):
        raise ValueError("no binary glTF")
    chunks, place = {}, _HEADER.size
    while place < size:
        length, kind = _CHUNK.unpack_from(content, place)
        place += _CHUNK.size
        chunks[kind] = content[place : place + length]
        place += length
    return json.loads(chunks[_JSON]), chunks[_BINARY]


def _accessor(document: dict, binary: bytes, index: int) -> np.ndarray:
    """(N, 1 or 3) float64 of an accessor of floats without strides."""
    accessor = document["accessors"][index]
    view = document["bufferViews"][accessor["bufferView"]]
    width = {"SCALAR": 1, "VEC3": 3}[accessor["type"]]
    if accessor["componentType"] != _FLOAT or "byteStride" in view:
        raise ValueError("an accessor of another kind")
    start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
    numbers = np.frombuffer(binary, "<f4", accessor["count"] * width, start)
    return numbers.reshape(-1, width).astype(np.float64)
