# SPDX-License-Identifier: GPL-3.0-or-later
"""The dense mesh of one frame of a take as Wavefront OBJ with UVs: the head with its wrinkles, some 40,000 vertices."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from backend.heads import load_head
from backend.outputs import write_json, write_together
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.provenance import provenance
from blender_addon.contract.take import Take

if TYPE_CHECKING:
    from backend.detail.dense import DenseMesh

SUFFIX = ".detail.obj"


@dataclass(frozen=True, eq=False)
class DenseObj:
    """What is needed to write the mesh.

    Attributes:
        take: The take.
        frame: Which frame, from 0.
        head: Its head.
        mesh: The dense mesh of that.
        map: File of the displacement map.
    """

    take: Take
    frame: int
    head: HeadDescription
    mesh: DenseMesh
    map: Path

    @classmethod
    def of(cls, take: Take, path: Path, head: str | None, number: int) -> DenseObj:
        """Find the head and the map of a frame.

        Args:
            take: The take.
            path: Its file, which the maps stand beside.
            head: The head's file or id; None for one that was added.
            number: Of the frame, from 1.

        Raises:
            MienError: CANNOT_EXPORT for a take without maps or whose head is not there; USAGE for a frame that the take
                does not have; MISSING_FILE for a map that is gone; WRONG_HEAD, BAD_HEAD.
        """
        from backend.detail.dense import dense_mesh

        if not take.meta.displacement:
            message = f"{path} has no displacement maps, so there is no dense mesh of it."
            remedy = "Capture the source with an engine that sees wrinkles: deca or emoca."
            raise MienError(ErrorCode.CANNOT_EXPORT, message, remedy)
        if number > len(take):
            message = f"{path} has no frame {number}."
            raise MienError(ErrorCode.USAGE, message, f"Choose one from 1 to {len(take)}.")
        found = _head_of(take, path, head)
        take.require_head(found)
        file = path.parent / take.meta.displacement[number - 1]
        if not file.is_file():
            message = f"The displacement map {file} is missing."
            remedy = "Keep the folder of the maps beside the take, or capture the source again."
            raise MienError(ErrorCode.MISSING_FILE, message, remedy, {"path": str(file)})
        return cls(take, number - 1, found, dense_mesh(found), file)

    def write(self, target: Path) -> list[Path]:
        """Write the mesh, and beside it where it comes from; both or none.

        Raises:
            MienError: NO_SPACE, NOT_PERMITTED, MISSING_FILE, BAD_TAKE for a damaged map.
        """
        from backend.detail.exr import read_map

        vertices = self.mesh.vertices(self.head, self._posed(), read_map(self.map))
        uvs, faces = self.mesh.uvs.numpy(), self.mesh.faces.numpy()
        origin = target.with_name(f"{target.name}.json")
        about = partial(write_json, values=provenance(self.take.meta))
        write_together({target: partial(_write, vertices=vertices, uvs=uvs, faces=faces), origin: about})
        return [target, origin]

    def _posed(self) -> np.ndarray:
        import torch

        from backend.heads.model import HeadModel

        names = ("expression", "head_rotation", "neck", "jaw", "eyes")
        names += ("eyelids",) if self.head.eyelids.shape[2] else ()
        parts = {name: torch.from_numpy(getattr(self.take, name)[self.frame][None]) for name in names}
        with torch.inference_mode():
            return HeadModel(self.head)(torch.from_numpy(self.take.identity)[None], **parts).vertices[0].numpy()


def _head_of(take: Take, path: Path, named: str | None) -> HeadDescription:
    if named is not None:
        return load_head(named)
    try:
        return load_head("open" if take.meta.head_id == "open" else take.meta.head_sha256)
    except MienError as error:
        message = f"{path} is on the head '{take.meta.head_id}', which is not there."
        raise MienError(ErrorCode.CANNOT_EXPORT, message, "Name its file with --head.", {"cause": "head"}) from error


def _write(path: Path, vertices: np.ndarray, uvs: np.ndarray, faces: np.ndarray) -> None:
    with open(path, "w", encoding="ascii", newline="\n") as file:
        file.write("o head\n")
        file.writelines(f"v {x:.7f} {y:.7f} {z:.7f}\n" for x, y, z in vertices.tolist())
        file.writelines(f"vt {u:.7f} {v:.7f}\n" for u, v in uvs.tolist())
        file.writelines(f"f {a}/{a} {b}/{b} {c}/{c}\n" for a, b, c in (faces + 1).tolist())
