# SPDX-License-Identifier: GPL-3.0-or-later
"""Write heads, random takes and the vertices of the backend's head model for them; run with the backend's Python.

    python make_reference.py FOLDER

For each case NAME: `NAME.head.npz`, `NAME.take.npz` and `NAME.vertices.npy` (T, V, 3), metres, head space.
"""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).parent))

from make_head import moving_take, random_take, synthetic_head

from backend.heads import load_head
from backend.heads.flame import load_flame
from backend.heads.model import HeadModel
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.take import Take
from tests.face_flame import face_flame, write_model, write_template

WIDE = 3.0
"""Identity coefficients of the wide case, in standard deviations."""


def main(folder: Path) -> None:
    """Write all cases."""
    egg, flame_like, opened = synthetic_head(1), synthetic_head(2, follow=True), load_head("open")
    cases = {
        "egg": (egg, random_take(egg, 1, size=(480, 640))),
        "flame_like": (flame_like, random_take(flame_like, 2)),
        "clip": (flame_like, random_take(flame_like, 3, frames=4)),
        "open": (opened, random_take(opened, 4)),
        "performance": (opened, moving_take(opened, 24, cut=15)),
        "open_wide": (opened, _wide(random_take(opened, 5))),
    }
    with tempfile.TemporaryDirectory() as name:
        file, obj = write_model(Path(name) / "generic_model.pkl"), write_template(Path(name) / "head_template.obj")
        flame = dataclasses.replace(load_flame(file, template_obj=obj), eyelids=face_flame().eyelids)
    cases["flame"] = (flame, random_take(flame, 6))
    cases["flame_clip"] = (flame, moving_take(flame, 6))
    for name, (head, take) in cases.items():
        head.save(folder / f"{name}.head.npz")
        take.save(folder / f"{name}.take.npz")
        np.save(folder / f"{name}.vertices.npy", vertices(head, take))


def _wide(take: Take) -> Take:
    return dataclasses.replace(take, identity=np.clip(take.identity * WIDE, -9.0, 9.0))


def vertices(head: HeadDescription, take: Take) -> np.ndarray:
    """Vertices (T, V, 3) of a take by the backend's head model."""
    model = HeadModel(head)
    parts = {
        name: torch.from_numpy(getattr(take, name))
        for name in ("expression", "head_rotation", "neck", "jaw", "eyes", "eyelids")
    }
    with torch.no_grad():
        return model(identity=torch.from_numpy(take.identity)[None], **parts).vertices.numpy()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
