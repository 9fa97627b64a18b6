# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that users brought, converted: one safetensors file a part in the data folder, with where it comes from.

What stands in a part, by its kind; networks have their published names (`backend.networks`), S is the number of shapes. Numbers are float32 or as stated,
indices int32, counters of networks int64:

| kind | arrays |
|---|---|
| flame2020, flame2023, flame2023_open | v_template (V,3), shapedirs (V,3,S), posedirs (36,3V), J_regressor (5,V), weights (V,5), f (F,3) int32; the settings `identities` and `expressions` say how many of the shapes are which, expressions last; name female, male or no_jaw of those variants, emoca of the one in an EMOCA checkpoint |
| head_template | uv (T,2) v up, uv_faces (F,3) int32, faces (F,3) int32 |
| landmark_embedding | static_faces (51,), static_barycentric (51,3), dynamic_faces (79,17), dynamic_barycentric (79,17,3), full_faces (68,), full_barycentric (68,3) |
| mediapipe_embedding | faces (105,), barycentric (105,3), indices (105,) |
| eyelids | offsets (V,3) metres; `name` is left or right, the person's |
| flame_masks | one (N,) int32 array of vertices for each region, by its name |
| albedo_space | mean (P,P,3), components (P,P,3,K), 0 to 1, RGB, the first K = 50 of the file; `name` is bfm or flame |
| texture_data | pixels (N,) row * 256 + column, faces (M,3) of them, corners (N,3) vertices, barycentric (N,3) |
| fixed_displacement | displacement (256,256) metres |
| uv_masks | mask (256,256) 0 to 1; `name` is face or face_eye |
| deca | E_flame.*, E_detail.*, D_detail.* |
| emoca | E_flame.*, E_expression.*, E_detail.*, D_detail.*; settings `head_rotation` and `jaw`, true or false, say what E_expression gives |
| smirk | encoder.*, and where the file has it translator.* |
| mica | arcface.*, regressor.* |
| emotion_network | backbone.*, linear.*; the setting `backbone` says which it is, the ResNet-50 where there is none |
| emotion_mlp | model.* |
| face_recognition | the ResNet-50 of VGGFace2, without a prefix |
| lip_reading | frontend3D.*, trunk.*; the setting `activation` is swish or prelu |

What comes out of an EMOCA checkpoint beside its networks has the name emoca, the mask its usual one, and stands behind
files of their own kind. A part that is changed most lately is the one that is used where no name is asked for.
"""  # noqa: E501

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from safetensors import SafetensorError, safe_open

from backend.weights.stored import Readable, readable
from backend.weights.tensor_file import write_tensors
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import atomic_write, file_error, make_folder
from blender_addon.contract.places import models_dir

if TYPE_CHECKING:  # takes a second to load, and lists of parts need none of it
    from torch import Tensor

PartKind = Literal[
    "flame2020", "flame2023", "flame2023_open", "head_template", "landmark_embedding", "mediapipe_embedding", "eyelids",
    "flame_masks", "albedo_space", "texture_data", "fixed_displacement", "uv_masks", "deca", "emoca", "smirk", "mica",
    "emotion_network", "emotion_mlp", "face_recognition", "lip_reading",
]  # fmt: skip
SUFFIX = ".safetensors"
FORMAT = 1
_HEADER = "mien"
_UNFIT = re.compile(r"^\.+|[^A-Za-z0-9_.+-]")
_LONGEST_NAME = 80
_TICK = 10_000_000
"""Nanoseconds by which one part is newer than another: some file systems round."""
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

    def arrays(self, *names: str) -> dict[str, np.ndarray]:
        """Its arrays, all or those named.

        Raises:
            MienError: MISSING_FILE, NOT_PERMITTED or BAD_HEAD for a file that is damaged.
            KeyError: There is none of a name.
        """
        with _opened(self.path, "np") as file:
            there = list(file.keys())  # no mapping
            if unknown := set(names) - set(there):
                raise KeyError(min(unknown))
            return {name: file.get_tensor(name) for name in names or there}

    def tensors(self, prefix: str = "") -> dict[str, Tensor]:
        """Its tensors whose names begin with `prefix`, by the rest of their names. Raises as `arrays` does."""
        with _opened(self.path, "pt") as file:
            names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118  # no mapping
            return {name.removeprefix(prefix): file.get_tensor(name) for name in names}

    @property
    def size(self) -> int:
        """Bytes on the disk; 0 where it has gone."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0


def write_part(
    kind: PartKind,
    arrays: Mapping[str, np.ndarray | Readable],
    *,
    origin: str,
    sha256: str,
    name: str = "",
    settings: Mapping[str, str] = MappingProxyType({}),
    folder: Path | None = None,
    first: bool = True,
    told: Callable[[int], None] = lambda _: None,
) -> Part:
    """Store a converted file, whole or not at all; it replaces the part of the same kind and name.

    Args:
        kind, name, origin, sha256, settings: See `Part`; the name is made fit for a file's.
        arrays: What the table above says, in memory or to be read one by one.
        folder: Of the parts; the data folder's by default.
        first: Whether it is used before the others of its kind, or after them.
        told: Gets the number of bytes after each array.

    Raises:
        MienError: NO_SPACE, NOT_PERMITTED, or what reading an array raises.
    """
    folder = folder or parts_dir()
    make_folder(folder, private=True)
    name = _UNFIT.sub("_", name)[:_LONGEST_NAME]
    path = folder / f"{kind}{'.' if name else ''}{name}{SUFFIX}"
    others = [part for part in parts(kind, folder) if part.path != path]
    about = {"format": FORMAT, "kind": kind, "name": name, "origin": origin, "sha256": sha256} | {
        "settings": dict(settings)
    }
    content = {key: readable(value) for key, value in arrays.items()}
    atomic_write(path, lambda file: write_tensors(file, content, {_HEADER: json.dumps(about)}, told))
    part = Part(kind, path, name, origin, sha256, MappingProxyType(dict(settings)))
    use(part, first=first, others=others)
    return part


def use(part: Part, *, first: bool = True, others: Sequence[Part] | None = None) -> None:
    """Let a part be the one of its kind that is used where no name is asked for, or the last that would be.

    Args:
        part: The part.
        first: Or last.
        others: Those of its kind; looked for where None.

    Raises:
        MienError: MISSING_FILE, NOT_PERMITTED.
    """
    if others is None:
        others = [other for other in parts(part.kind, part.path.parent) if other.path != part.path]
    try:
        times = [other.path.stat().st_mtime_ns for other in others]
        now = time.time_ns()
        stamp = max([now, *(at + _TICK for at in times)]) if first else min([now, *(at - _TICK for at in times)])
        os.utime(part.path, ns=(stamp, stamp))
    except OSError as error:
        raise file_error(part.path, error) from error


def read_part(path: Path) -> Part:
    """What a converted file is; its arrays stay on disk.

    Raises:
        MienError: MISSING_FILE, NOT_PERMITTED or BAD_HEAD.
    """
    with _opened(path, "np") as file:
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
    for path in sorted(paths, key=lambda path: (-_changed(path), path.name)):
        with suppress(MienError):
            if kind is None or path.name.split(".")[0] == kind:
                found.append(read_part(path))
    return tuple(found)


def find(kind: PartKind, name: str = "", folder: Path | None = None) -> Part | None:
    """The part of a kind, the newest where no name is given; None where there is none.

    One without a name of its own goes by its kind.
    """
    return next((part for part in parts(kind, folder) if not name or (part.name or kind) == name), None)


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:  # removed in the meantime
        return 0


def parts_dir() -> Path:
    """Folder of the parts."""
    return models_dir() / "added"


def _opened(path: Path, framework: Literal["np", "pt"]) -> safe_open:
    try:
        os.stat(path)
        return safe_open(path, framework=framework)
    except OSError as error:
        raise file_error(path, error, "read") from error
    except SafetensorError as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> MienError:
    return MienError(ErrorCode.BAD_HEAD, f"{path} is damaged.", _REMEDY, {"path": str(path)})
