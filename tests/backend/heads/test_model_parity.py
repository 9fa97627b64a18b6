# SPDX-License-Identifier: GPL-3.0-or-later
"""The head model against the numbers of the published FLAME layers, on the synthetic FLAME of each recipe."""

from pathlib import Path

import numpy as np
import pytest
import torch

from backend.heads.contour import contour_landmarks, contour_row
from backend.heads.model import HeadModel
from tests.published_flame import emoca_flame, smirk_flame


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
