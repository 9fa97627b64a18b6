# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that users brought, converted: one safetensors file a part in the data folder, with where it comes from.

What stands in a part, by its kind; networks have their published names (`backend.networks`), S is the number of shapes:

| kind | arrays |
|---|---|
| flame2020, flame2023, flame2023_open | v_template (V,3), shapedirs (V,3,S), posedirs (36,3V), J_regressor (5,V), weights (V,5), f (F,3) int32; the setting `expressions` says how many of the last shapes are expressions |
| head_template | uv (T,2) v up, uv_faces (F,3) int32, faces (F,3) int32 |
| landmark_embedding | static_faces (51,), static_barycentric (51,3), dynamic_faces (79,17), dynamic_barycentric (79,17,3), full_faces (68,), full_barycentric (68,3) |
| mediapipe_embedding | faces (105,), barycentric (105,3), indices (105,) |
| eyelids | offsets (V,3) metres; `name` is left or right, the person's |
| flame_masks | one (N,) int32 array of vertices for each region, by its name |
| albedo_space | mean (P,P,3), components (P,P,3,K), 0 to 1, RGB; `name` is bfm or flame |
| texture_data | pixels (N,) row * 256 + column, faces (M,3) of them, corners (N,3) vertices, barycentric (N,3) |
| fixed_displacement | displacement (256,256) metres |
| uv_masks | mask (256,256) 0 to 1; `name` is face or face_eye |
| deca | E_flame.*, E_detail.*, D_detail.* |
| emoca | E_flame.*, E_expression.*, E_detail.*, D_detail.*; settings `head_rotation` and `jaw`, true or false, say what E_expression gives |
| smirk | encoder.*, and where the file has it translator.* |
| mica | arcface.*, regressor.* |
| emotion_network | backbone.*, linear.* |
| emotion_mlp | model.* |
| face_recognition | the ResNet-50 of VGGFace2, without a prefix |
"""  # noqa: E501

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from torch import Tensor

from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import atomic_write, file_error, make_folder
from blender_addon.contract.places import models_dir

PartKind = Literal[
    "flame2020", "flame2023", "flame2023_open", "head_template", "landmark_embedding", "mediapipe_embedding", "eyelids",
    "flame_masks", "albedo_space", "texture_data", "fixed_displacement", "uv_masks", "deca", "emoca", "smirk", "mica",
    "emotion_network", "emotion_mlp", "face_recognition",
]  # fmt: skip
SUFFIX = ".safetensors"
FORMAT = 1
_HEADER = "mien"
_REMEDY = "Add the original file again with 'mien models add'."


@dataclass(frozen=True)
class Part:
    """A converted file.

    Attributes:
        kind: What it is.
        path: Of the safetensors file.
        name: Which one, where there may be several of a kind; else empty.
        origin: Name of the file that it came from.
        sha256: Of that file.
        settings: What was decided when it was converted, by name.
    """

    kind: PartKind
    path: Path
    name: str
    origin: str
    sha256: str
    settings: Mapping[str, str]

    def arrays(self) -> dict[str, np.ndarray]:
        """All its arrays.

        Raises:
            MienError: MISSING_FILE, NOT_PERMITTED or BAD_HEAD for a file that is damaged.
        """
        return {name: tensor.numpy() for name, tensor in self.tensors().items()}

    def tensors(self, prefix: str = "") -> dict[str, Tensor]:
        """Its tensors whose names begin with `prefix`, by the rest of their names. Raises as `arrays` does."""
        with _opened(self.path) as file:
            names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118  # no mapping
            return {name.removeprefix(prefix): file.get_tensor(name) for name in names}


def write_part(
    kind: PartKind,
    arrays: Mapping[str, np.ndarray],
    *,
    origin: str,
    sha256: str,
    name: str = "",
    settings: Mapping[str, str] = MappingProxyType({}),
    folder: Path | None = None,
) -> Part:
    """Store a converted file, whole or not at all; it replaces the part of the same kind and name.

    Raises:
        MienError: NO_SPACE, NOT_PERMITTED.
    """
    folder = folder or parts_dir()
    make_folder(folder, private=True)
    path = folder / f"{kind}{'.' if name else ''}{name}{SUFFIX}"
    about = {"format": FORMAT, "kind": kind, "name": name, "origin": origin, "sha256": sha256} | {
        "settings": dict(settings)
    }
    content = {key: np.ascontiguousarray(value) for key, value in arrays.items()}
    data = save(content, {_HEADER: json.dumps(about)})
    atomic_write(path, partial(_write, data))
    return Part(kind, path, name, origin, sha256, MappingProxyType(dict(settings)))


def read_part(path: Path) -> Part:
    """What a converted file is; its arrays stay on disk.

    Raises:
        MienError: MISSING_FILE, NOT_PERMITTED or BAD_HEAD.
    """
    with _opened(path) as file:
        try:
            about = json.loads((file.metadata() or {})[_HEADER])
            if about["format"] != FORMAT or about["kind"] not in get_args(PartKind):
                raise ValueError("another format")
            values = (about["kind"], path, about["name"], about["origin"], about["sha256"])
            return Part(*values, MappingProxyType(dict(about["settings"])))
        except (KeyError, ValueError, TypeError) as error:
            raise _damaged(path) from error


def parts(kind: PartKind | None = None, folder: Path | None = None) -> tuple[Part, ...]:
    """The parts that are there, of one kind or all, the newest first; files that cannot be read are left out."""
    try:
        paths = [path for path in (folder or parts_dir()).iterdir() if path.suffix == SUFFIX]
    except FileNotFoundError:
        return ()
    found = []
    for path in sorted(paths, key=lambda path: (-path.stat().st_mtime_ns, path.name)):
        with suppress(MienError):
            if kind is None or path.name.split(".")[0] == kind:
                found.append(read_part(path))
    return tuple(found)


def find(kind: PartKind, name: str = "", folder: Path | None = None) -> Part | None:
    """The part of a kind, the newest where no name is given; None where there is none."""
    return next((part for part in parts(kind, folder) if not name or part.name == name), None)


def parts_dir() -> Path:
    """Folder of the parts."""
    return models_dir() / "added"


def _write(data: bytes, file: object) -> None:
    file.write(data)  # type: ignore[attr-defined]


def _opened(path: Path) -> safe_open:
    try:
        os.stat(path)
        return safe_open(path, framework="pt")
    except OSError as error:
        raise file_error(path, error, "read") from error
    except SafetensorError as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> MienError:
    return MienError(ErrorCode.BAD_HEAD, f"{path} is damaged.", _REMEDY, {"path": str(path)})


