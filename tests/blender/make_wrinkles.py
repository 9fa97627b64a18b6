# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a face in FLAME's layout, takes with maps, and the backend's dense meshes; run with the backend's Python.

    python make_wrinkles.py FOLDER

`head.npz` with UVs, `bare.npz` without; for each NAME of smooth, decoder: `NAME.take.npz` of one posed frame with its
map, `NAME.dense.npy` (N, 3) metres, head space; `uv.npy` (N, 2) of the dense mesh; `clip.take.npz` with two maps for
five frames, of 1 and -2 mm all over.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from make_head import random_take
from make_reference import vertices

from backend.detail.dense import dense_mesh
from backend.detail.exr import write_map
from backend.heads.flame import load_flame
from backend.networks.detail_decoder import LATENT, DetailDecoder
from blender_addon.contract.take import Take
from tests.face_flame import face_flame, write_model, write_template
from tests.seeded_networks import seeded


def main(folder: Path) -> None:
    """Write all of it."""
    model, template = write_model(folder / "generic_model.pkl"), write_template(folder / "head_template.obj")
    head = replace(load_flame(model, template_obj=template), eyelids=face_flame().eyelids.astype(np.float32))
    head.save(folder / "head.npz")
    load_flame(model).save(folder / "bare.npz")
    dense = dense_mesh(head)
    np.save(folder / "uv.npy", dense.uvs.numpy())
    still = _calm(random_take(head, 1))
    posed = vertices(head, still)[0]
    for name, made in (("smooth", _smooth()), ("decoder", _decoded())):
        _save(still, folder, name, [made], [1])
        np.save(folder / f"{name}.dense.npy", dense.vertices(head, posed, made))
    flat = [np.full((256, 256), value, np.float32) for value in (0.001, -0.002)]
    clip = _calm(random_take(head, 2, frames=5))
    _save(clip, folder, "clip", flat, [1, 1, 1, 4, 4])


def _calm(take: Take) -> Take:
    """Without what tears a face that was never seen: random identity and expression."""
    calm = {"identity": 0.3 * take.identity, "expression": 0.1 * take.expression, "eyelids": 0 * take.eyelids}
    return replace(take, jaw=0.3 * take.jaw, **calm)


def _smooth() -> np.ndarray:
    rows, columns = np.mgrid[0:256, 0:256] / 256 * 2 * np.pi
    return (0.0015 * np.sin(9 * columns) * np.cos(7 * rows)).astype(np.float32)


def _decoded() -> np.ndarray:
    latents = np.random.default_rng(0).standard_normal((1, LATENT)).astype(np.float32)
    with torch.no_grad():
        return seeded(DetailDecoder())(torch.from_numpy(latents))[0, 0].numpy()


def _save(take: Take, folder: Path, name: str, maps: list[np.ndarray], numbers: list[int]) -> None:
    (folder / f"{name}.displacement").mkdir()
    for number, made in zip(sorted(set(numbers)), maps, strict=True):
        write_map(folder / f"{name}.displacement" / f"{number:04d}.exr", made)
    named = tuple(f"{name}.displacement/{number:04d}.exr" for number in numbers)
    replace(take, meta=replace(take.meta, displacement=named)).save(folder / f"{name}.take.npz")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
