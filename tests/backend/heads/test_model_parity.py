# SPDX-License-Identifier: GPL-3.0-or-later
"""The head model against the numbers of the published FLAME layers, on the synthetic FLAME of each recipe."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch

from backend.heads.contour import ContourTable, contour_landmarks, contour_row
from backend.heads.model import HeadModel
from blender_addon.contract.head import HeadDescription, Landmarks
from tests.fake_heads import make_head, named_rng, normalised

V, F = 5023, 9976


def softmax(values: np.ndarray) -> np.ndarray:
    return normalised(np.exp(values - values.max(-1, keepdims=True)))


def embedding(faces: np.ndarray, barycentric: np.ndarray) -> Landmarks:
    return Landmarks(faces.reshape(-1).astype(np.int32), barycentric.reshape(-1, 3).astype(np.float32))


@lru_cache
def emoca_flame() -> tuple[HeadDescription, ContourTable]:
    """parity/emoca/README.md, flame.npz."""

    def points(name: str, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        faces = named_rng(f"lmk.{name}_faces").integers(0, F, shape)
        return faces, normalised(named_rng(f"lmk.{name}_bary").uniform(0.05, 1, (*shape, 3)))

    shapes = 0.01 * named_rng("flame.shapedirs").standard_normal((V, 3, 400))
    correctives = 0.001 * named_rng("flame.posedirs").standard_normal((V, 3, 36))
    head = make_head(
        0.1 * named_rng("flame.v_template").standard_normal((V, 3)),
        named_rng("flame.f").integers(0, V, (F, 3)),
        identity=shapes[..., :300],
        expression=shapes[..., 300:],
        eyelids=np.zeros((V, 3, 0)),
        pose_correctives=correctives.reshape(-1, 36).T,
        joint_regressor=normalised(named_rng("flame.J_regressor").uniform(0, 1, (5, V)) ** 200),
        skinning=softmax(3 * named_rng("flame.weights").standard_normal((V, 5))),
        landmarks={
            "static51": embedding(*points("static", (51,))),
            "ibug68": embedding(*points("full", (1, 68))),
            "mediapipe105": embedding(*points("mp", (105,))),
        },
    )
    return head, contour_table(*points("dynamic", (79, 17)))


@lru_cache
def smirk_flame() -> tuple[HeadDescription, ContourTable]:
    """parity/smirk/README.md, FLAME recipe."""

    def points(faces: str, barycentric: str, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        weights = normalised(named_rng(barycentric).uniform(0, 1, (*shape, 3)))
        return named_rng(faces).integers(0, F, shape), weights

    def lmk(name: str, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        return points(f"lmk.{name}_lmk_faces_idx", f"lmk.{name}_lmk_bary_coords", shape)

    shapes = 0.002 * named_rng("flame.shapedirs").standard_normal((V, 3, 400))
    lids = [0.01 * named_rng(f"flame.{side}_eyelid").standard_normal((V, 3)) for side in "lr"]
    head = make_head(
        0.1 * named_rng("flame.v_template").standard_normal((V, 3)),
        named_rng("flame.f").integers(0, V, (F, 3)),
        identity=shapes[..., :300],
        expression=shapes[..., 300:],
        eyelids=np.stack(lids, -1),
        pose_correctives=(0.002 * named_rng("flame.posedirs").standard_normal((V, 3, 36))).reshape(-1, 36).T,
        joint_regressor=normalised(named_rng("flame.J_regressor").uniform(0, 1, (5, V))),
        skinning=normalised(named_rng("flame.weights").uniform(0, 1, (V, 5))),
        landmarks={
            "static51": embedding(*lmk("static", (51,))),
            "ibug68": embedding(*lmk("full", (1, 68))),
            "mediapipe105": embedding(*points("mp.lmk_face_idx", "mp.lmk_b_coords", (105,))),
        },
    )
    return head, contour_table(*lmk("dynamic", (79, 17)))


def contour_table(faces: np.ndarray, barycentric: np.ndarray) -> ContourTable:
    return ContourTable(torch.from_numpy(faces), torch.from_numpy(barycentric.astype(np.float32)))


def test_emoca_layer(parity: Path) -> None:
    head, table = emoca_flame()
    model, known = HeadModel(head), np.load(parity / "emoca" / "flame.npz")
    sample = {name: torch.from_numpy(known[name]) for name in ("shape", "exp", "pose", "eye_pose")}
    turn, jaw, subset = sample["pose"][:, :3], sample["pose"][:, 3:], known["vert_idx"]

    def check(value: torch.Tensor, name: str) -> None:
        np.testing.assert_allclose(value.numpy(), known[name], atol=2e-6, rtol=0, err_msg=name)

    output = model(sample["shape"], sample["exp"], turn, jaw=jaw)
    check(output.vertices[:, subset], "verts")
    check(output.vertices.mean(1), "verts_mean")
    check(output.joints, "joints")
    check(
        model(sample["shape"], sample["exp"], turn, jaw=jaw, eyes=sample["eye_pose"]).vertices[:, subset], "verts_eye"
    )
    check(model().vertices[:, subset], "verts_zero")
    contour = contour_landmarks(output.vertices, model.faces, table, turn)
    check(torch.cat((contour, model.landmarks(output.vertices, "static51")), 1), "landmarks2d")
    check(model.landmarks(output.vertices, "ibug68"), "landmarks3d")
    check(model.landmarks(output.vertices, "mediapipe105"), "landmarks2d_mediapipe")


def test_emoca_contour_rows(parity: Path) -> None:
    known = np.load(parity / "emoca" / "flame.npz")
    rows = contour_row(torch.from_numpy(known["dyn_pose"][:, :3]))
    assert rows.tolist() == known["dyn_lut_row"].tolist()


@pytest.mark.parametrize("case", ["a_full", "b_no_eyelid", "c_eye_neck", "d_short_padded", "e_zero_expression_pose"])
def test_smirk_layer(parity: Path, case: str) -> None:
    head, table = smirk_flame()
    model, known = HeadModel(head, eyelid_space="posed"), np.load(parity / "smirk" / "flame_forward.npz")
    given = {name.removeprefix("in."): torch.from_numpy(known[name]) for name in known if name.startswith("in.")}
    identity, expression = given["shape_params"], given["expression_params"]
    turn, jaw, eyelids = given["pose_params"], given["jaw_params"], given["eyelid_params"]
    neck, eyes = None, None
    if case == "b_no_eyelid":
        eyelids = None
    if case == "c_eye_neck":
        neck, eyes = given["neck_pose_params"], given["eye_pose_params"]
    if case == "d_short_padded":
        identity, expression = identity[:, :100], expression[:, :20]
    if case == "e_zero_expression_pose":
        expression, jaw, turn = None, None, torch.tensor([[0.2, -0.7, 0.0]]).expand(3, -1)
    vertices = model(identity, expression, turn, neck, jaw, eyes, eyelids).vertices
    contour = contour_landmarks(vertices, model.faces, table, turn, neck)
    results = {
        "vertices": vertices[:, known["vertex_subset"]],
        "landmarks_fan": torch.cat((contour, model.landmarks(vertices, "static51")), 1),
        "landmarks_fan_3d": model.landmarks(vertices, "ibug68"),
        "landmarks_mp": model.landmarks(vertices, "mediapipe105"),
    }
    for name, value in results.items():
        expected = known[f"{case}.{name}"]
        limit = 1e-5 * np.abs(expected).max()
        np.testing.assert_allclose(value.numpy(), expected, atol=limit, rtol=0, err_msg=name)
