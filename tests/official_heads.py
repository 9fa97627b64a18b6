# SPDX-License-Identifier: GPL-3.0-or-later
"""FLAME's files and those that belong to it, in their official layouts, of heads that are not FLAME."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image
from scipy import sparse
from torch import Tensor

from backend.detail.displacement import _grid
from tests.face_flame import MEDIAPIPE_105, embedded, face_flame
from tests.published_flame import F, V, emoca_flame
from tests.seeded_networks import named_rng

State = dict[str, Tensor]
HeadKind = Literal["face", "random"]
TEMPLATE_UVS = 5118
TEXELS = 256
ALBEDO_SIZE = 512
REGIONS = (
    "eye_region", "neck", "left_eyeball", "right_eyeball", "right_ear", "right_eye_region", "forehead", "lips", "nose",
    "scalp", "boundary", "face", "left_ear", "left_eye_region",
)  # fmt: skip
"""Of `FLAME_masks.pkl`."""
RELEASE_FILES: Mapping[str, tuple[str, ...]] = {
    "flame2020": ("generic_model.pkl", "female_model.pkl", "male_model.pkl"),
    "flame2023": ("flame2023.pkl", "flame2023_no_jaw.pkl"),
    "flame2023_open": ("flame2023_Open.pkl",),
}
RELEASE_ZIPS = {"flame2020": "FLAME2020.zip", "flame2023": "FLAME2023.zip", "flame2023_open": "FLAME2023Open.zip"}


@dataclass(frozen=True)
class FlameSource:
    """What FLAME's files hold, of a head that is not FLAME.

    Attributes:
        fields: of the model's pickle.
        uv, uv_faces: (T, 2) v up, (F, 3).
        landmarks: faces and barycentric weights of the embeddings "static", "dynamic", "full" and "mediapipe".
    """

    fields: Mapping[str, np.ndarray]
    uv: np.ndarray
    uv_faces: np.ndarray
    landmarks: Mapping[str, tuple[np.ndarray, np.ndarray]]


@cache
def flame_source(head: HeadKind = "random", seed: int = 0) -> FlameSource:
    """The head of `tests.face_flame` ("face": looks like one), or that of the parity recipes ("random": quick)."""
    return _face_source(seed) if head == "face" else _random_source()


def write_flame_model(path: Path, head: HeadKind = "random", seed: int = 0) -> Path:
    """FLAME's pickle."""
    fields = dict(flame_source(head, seed).fields)
    fields["J_regressor"] = sparse.csc_matrix(fields["J_regressor"])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(fields, protocol=2))
    return path


def write_flame_zip(folder: Path, release: str = "flame2020", head: HeadKind = "random", seed: int = 0) -> Path:
    """The download of a release of FLAME; all models in it are the same."""
    path = folder / RELEASE_ZIPS[release]
    folder.mkdir(parents=True, exist_ok=True)
    model = write_flame_model(folder / ".model.pkl", head, seed)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in RELEASE_FILES[release]:
            archive.write(model, name)
        archive.writestr("Readme.pdf", b"%PDF-1.4 ")
    model.unlink()
    return path


def write_template_obj(path: Path, head: HeadKind = "random", seed: int = 0) -> Path:
    """`head_template.obj`."""
    source = flame_source(head, seed)
    lines = ["mtllib head_template.mtl"]
    lines += ["v {:.6f} {:.6f} {:.6f}".format(*row) for row in source.fields["v_template"]]
    lines += ["vt {:.6f} {:.6f}".format(*row) for row in source.uv]
    for corners, uv_corners in zip(source.fields["f"].astype(int) + 1, source.uv_faces + 1, strict=True):
        lines.append("f " + " ".join(f"{a}/{b}" for a, b in zip(corners, uv_corners, strict=True)))
    path.write_text("\n".join(lines) + "\n")
    return path


def write_landmark_embedding(path: Path, head: HeadKind = "random", seed: int = 0) -> Path:
    """`landmark_embedding.npy`: a pickled dictionary, the outline in it as tensors."""
    marks = flame_source(head, seed).landmarks
    content = {
        "static_lmk_faces_idx": marks["static"][0].astype(np.int64),
        "static_lmk_bary_coords": marks["static"][1].astype(np.float64),
        "dynamic_lmk_faces_idx": torch.from_numpy(marks["dynamic"][0].astype(np.int64)),
        "dynamic_lmk_bary_coords": torch.from_numpy(marks["dynamic"][1]),
        "full_lmk_faces_idx": marks["full"][0].reshape(1, 68).astype(np.int64),
        "full_lmk_bary_coords": marks["full"][1].reshape(1, 68, 3).astype(np.float32),
    }
    np.save(path, np.array(content, dtype=object), allow_pickle=True)
    return path


def write_mediapipe_embedding(path: Path, head: HeadKind = "random", seed: int = 0) -> Path:
    """`mediapipe_landmark_embedding.npz`."""
    faces, weights = flame_source(head, seed).landmarks["mediapipe"]
    indices = np.array(MEDIAPIPE_105)
    np.savez(path, lmk_face_idx=faces.astype(np.uint32), lmk_b_coords=weights, landmark_indices=indices)
    return path


def write_eyelids(folder: Path, seed: int = 0) -> tuple[Path, Path]:
    """`l_eyelid.npy` and `r_eyelid.npy` of the head that looks like a face."""
    paths = folder / "l_eyelid.npy", folder / "r_eyelid.npy"
    for index, path in enumerate(paths):
        np.save(path, face_flame(seed).eyelids[..., index])
    return paths


def write_flame_masks(path: Path) -> Path:
    """`FLAME_masks.pkl`: regions of made-up vertices; the eyeballs are FLAME's."""
    regions = {name: np.sort(named_rng(name).permutation(V)[:200]) for name in REGIONS}
    regions |= {"left_eyeball": np.arange(3931, 4477), "right_eyeball": np.arange(4477, V)}
    path.write_bytes(pickle.dumps(regions, protocol=2))
    return path


def write_albedo_space(path: Path, kind: Literal["bfm", "flame"] = "bfm", components: int = 199) -> Path:
    """`FLAME_albedo_from_BFM.npz` (0 to 1) or `FLAME_texture.npz` (0 to 255), blue first; the real ones fill 0.6 GB."""
    rng, shape = named_rng(kind), (ALBEDO_SIZE, ALBEDO_SIZE, 3)
    names, white = (("MU", "PC"), 1.0) if kind == "bfm" else (("mean", "tex_dir"), 255.0)
    mean = (white * rng.uniform(0, 1, shape)).astype(np.float32)
    basis = (white * rng.uniform(-0.1, 0.1, (*shape, components))).astype(np.float32)
    rest = {"vt": rng.uniform(0, 1, (5, 2)), "ft": np.zeros((4, 3), np.int64)}
    np.savez(path, **{names[0]: mean, names[1]: basis}, **rest)
    return path


def texture_data(pixels: int = 400) -> dict[str, object]:
    """The dictionary in `texture_data_256.npy`, of a made-up dense mesh; the real one has about 59,000 pixels."""
    rng = named_rng("texture_data")
    ids = np.sort(rng.permutation(TEXELS * TEXELS)[:pixels])
    rows, columns = np.divmod(np.arange(TEXELS * TEXELS), TEXELS)
    weights = rng.uniform(0.05, 1, (pixels, 3))
    return {
        "img_size": TEXELS,
        "f": rng.integers(0, pixels, (500, 3)),
        "x_coords": columns.astype(np.float64),
        "y_coords": rows.astype(np.float64),
        "valid_pixel_ids": ids,
        "valid_pixel_3d_faces": rng.integers(0, V, (pixels, 3)),
        "valid_pixel_b_coords": weights / weights.sum(1, keepdims=True),
    }


def write_texture_data(path: Path, pixels: int = 400) -> Path:
    """`texture_data_256.npy`."""
    np.save(path, np.array(texture_data(pixels), dtype=object), allow_pickle=True)
    return path


def fixed_displacement() -> np.ndarray:
    """(256, 256) float64 metres."""
    return named_rng("fixed_displacement").uniform(-0.0013, 0.0016, (TEXELS, TEXELS))


def write_fixed_displacement(path: Path) -> Path:
    """`fixed_displacement_256.npy`."""
    np.save(path, fixed_displacement())
    return path


def mask_pixels(which: Literal["face", "face_eye"]) -> np.ndarray:
    """(256, 256) uint8: an oval; with the eyes it has no holes."""
    y, x = np.mgrid[-1 : 1 : TEXELS * 1j, -1 : 1 : TEXELS * 1j]
    inside = x**2 + y**2 < 0.7
    if which == "face":
        inside &= (abs(x) - 0.3) ** 2 + (y + 0.2) ** 2 > 0.02
    return np.where(inside, 255, 0).astype(np.uint8)


def write_masks(folder: Path) -> tuple[Path, Path]:
    """`uv_face_mask.png` and `uv_face_eye_mask.png`."""
    paths = []
    for which in ("face", "face_eye"):
        grey = mask_pixels(which)  # type: ignore[arg-type]
        path = folder / f"uv_{which}_mask.png"
        Image.fromarray(np.stack([grey] * 3 + [np.full_like(grey, 255)], axis=-1)).save(path)
        paths.append(path)
    return paths[0], paths[1]


def _random_source() -> FlameSource:
    head, contour = emoca_flame()
    fields = {
        "v_template": head.template.astype(np.float64),
        "shapedirs": np.concatenate([head.identity, head.expression], axis=2).astype(np.float64),
        "posedirs": head.pose_correctives.T.reshape(V, 3, 36).astype(np.float64),
        "J_regressor": head.joint_regressor.astype(np.float64),
        "weights": head.skinning.astype(np.float64),
        "f": head.faces.astype(np.uint32),
        "kintree_table": _tree(),
    }
    marks = {name: _pair(head.landmarks[key]) for name, key in _EMBEDDINGS.items()}
    marks["dynamic"] = contour.faces.numpy(), contour.barycentric.numpy()
    rng = named_rng("uv")
    uv, uv_faces = rng.uniform(0, 1, (TEMPLATE_UVS, 2)).astype(np.float32), rng.integers(0, TEMPLATE_UVS, (F, 3))
    return FlameSource(fields, uv, uv_faces.astype(np.int32), marks)


_EMBEDDINGS = {"static": "static51", "full": "ibug68", "mediapipe": "mediapipe105"}


def _face_source(seed: int) -> FlameSource:
    from backend.heads import load_head

    made, open_head = face_flame(seed), load_head("open")
    faces, weights = embedded(open_head.landmarks["ibug68"], seed)
    media = embedded(open_head.landmarks["mediapipe478"], seed)
    chosen = np.array(MEDIAPIPE_105)
    marks = {
        "static": (faces[17:], weights[17:]),
        "dynamic": (np.tile(faces[:17], (79, 1)), np.tile(weights[:17], (79, 1, 1))),
        "full": (faces, weights),
        "mediapipe": (media[0][chosen], media[1][chosen]),
    }
    return FlameSource(made.fields | {"kintree_table": _tree()}, made.uv, made.uv_faces, marks)


def _tree() -> np.ndarray:
    return np.array([[4294967295, 0, 1, 1, 1], [0, 1, 2, 3, 4]], np.uint32)


def _pair(landmarks: object) -> tuple[np.ndarray, np.ndarray]:
    return landmarks.faces, landmarks.barycentric.astype(np.float64)  # type: ignore[attr-defined]


def flame_buffers(source: FlameSource, mediapipe: bool, identity: int = 100, expression: int = 50) -> State:
    """The buffers of the published FLAME layers."""
    fields, marks = source.fields, source.landmarks
    shapes = fields["shapedirs"]
    buffers: dict[str, np.ndarray] = {
        "eye_pose": np.zeros((1, 6), np.float32),
        "neck_pose": np.zeros((1, 3), np.float32),
        "faces_tensor": fields["f"].astype(np.int64),
        "v_template": fields["v_template"],
        "shapedirs": np.concatenate([shapes[..., :identity], shapes[..., 300 : 300 + expression]], axis=2),
        "posedirs": fields["posedirs"].reshape(-1, 36).T,
        "J_regressor": fields["J_regressor"],
        "parents": np.array([-1, 0, 1, 1, 1]),
        "lbs_weights": fields["weights"],
        "lmk_faces_idx": marks["static"][0],
        "lmk_bary_coords": marks["static"][1],
        "dynamic_lmk_faces_idx": marks["dynamic"][0],
        "dynamic_lmk_bary_coords": marks["dynamic"][1],
        "full_lmk_faces_idx": marks["full"][0].reshape(1, 68),
        "full_lmk_bary_coords": marks["full"][1].reshape(1, 68, 3),
        "neck_kin_chain": np.array([1, 0]),
    }
    if mediapipe:
        buffers["lmk_faces_idx_mediapipe"], buffers["lmk_bary_coords_mediapipe"] = marks["mediapipe"]
    return {name: _tensor(array) for name, array in buffers.items()}


def render_buffers(source: FlameSource) -> State:
    uv = np.concatenate([source.uv, np.ones((len(source.uv), 1))], axis=1)
    uv = uv * (2, -2, 1) + (-1, 1, 0)
    buffers: dict[str, np.ndarray] = {
        "dense_faces": _grid(TEXELS, 0, 0).numpy()[None],
        "faces": source.fields["f"].astype(np.int64)[None],
        "raw_uvcoords": source.uv[None],
        "uvcoords": uv[None],
        "uvfaces": source.uv_faces.astype(np.int64)[None],
        "face_uvcoords": uv[source.uv_faces][None],
        "face_colors": np.full((1, len(source.uv_faces), 3, 3), 180 / 255),
        "constant_factor": np.array([0.28209479, *[1.02332671] * 3, *[0.85808554] * 3, 0.42904277, 0.24770796]),
    }
    return {name: _tensor(array) for name, array in buffers.items()}


def _tensor(array: np.ndarray) -> Tensor:
    kind = np.int64 if array.dtype.kind in "iu" else np.float32
    return torch.from_numpy(np.ascontiguousarray(array, kind))
