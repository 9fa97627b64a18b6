# SPDX-License-Identifier: GPL-3.0-or-later
"""The losses equal the published code's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from training.losses import agreement, landmarks, mediapipe, mrf, regularisers
from training.losses.detail import eroded, smoothness_loss

Given = dict[str, Tensor]


@pytest.fixture(scope="module")
def given(parity: Path) -> Given:
    with np.load(parity / "emoca" / "losses.npz") as stored:
        return {name: torch.from_numpy(stored[name]) for name in stored}


@pytest.fixture(scope="module")
def known(parity: Path) -> dict[str, float]:
    return json.loads((parity / "emoca" / "losses.json").read_text())


CASES: dict[str, Callable[[Given], Tensor]] = {
    "weighted_landmark_loss": lambda x: landmarks.landmark_loss(x["pred"], x["gt"], landmarks.WEIGHTS),
    "weighted_landmark_loss_vis": lambda x: landmarks.landmark_loss(x["pred"], x["gt_vis"], landmarks.WEIGHTS),
    "landmark_loss_unweighted": lambda x: landmarks.landmark_loss(x["pred"], x["gt"]),
    "eyed_loss": lambda x: landmarks.eye_closure_loss(x["pred"], x["gt"][..., :2]),
    "eyed_loss_gt3": lambda x: landmarks.eye_closure_loss(x["pred"], x["gt"]),
    "lipd_loss": lambda x: landmarks.lip_closure_loss(x["pred"], x["gt"]),
    "mouth_corner_loss": lambda x: landmarks.mouth_corner_loss(x["pred"], x["gt"]),
    "mp_landmark_loss": lambda x: mediapipe.landmark_loss(x["mp_pred"], x["mp_gt"]),
    "mp_lipd_loss": lambda x: mediapipe.lip_closure_loss(x["mp_pred"], x["mp_gt"]),
    "mp_mouth_corner_loss": lambda x: mediapipe.mouth_corner_loss(x["mp_pred"], x["mp_gt"]),
    "mp_eyed_loss": lambda x: mediapipe.eye_closure_loss(x["mp_pred"], x["mp_gt"], "published"),
    "mrf_loss": lambda x: mrf.layer_loss(x["mrf_gen"], x["mrf_tar"]),
    "mrf_loss_sw": lambda x: mrf.layer_loss(x["mrf_tar"], x["mrf_gen"]),
    "PCC_torch": lambda x: agreement.pcc(x["va_pred"], x["va_gt"]),
    "CCC_torch": lambda x: agreement.ccc(x["va_pred"], x["va_gt"]),
    "sum_sq_half": lambda x: regularisers.code_loss(x["reg_shape"]),
    "light_reg": lambda x: regularisers.light_loss(x["reg_light"]),
}
ELSEWHERE = {"SAGR_torch", "RMSE_torch", "CCC_numpy_pop"}
"""Metrics, which are compared where they are tested."""


@pytest.mark.parametrize("name", CASES)
def test_scalars_agree(name: str, given: Given, known: dict[str, float]) -> None:
    before = {key: value.clone() for key, value in given.items()}
    assert CASES[name](given).item() == pytest.approx(known[name], rel=1e-4 if name.startswith("mrf") else 1e-5)
    assert all(torch.equal(before[key], value) for key, value in given.items()), "an input was changed in place"


def test_all_recorded_scalars_are_compared(known: dict[str, float]) -> None:
    assert set(known) == set(CASES) | ELSEWHERE


def test_the_embedded_points_are_those_recorded(given: Given) -> None:
    assert mediapipe.EMBEDDED == tuple(given["mp_embedding_indices"].tolist())


def test_smoothness_and_erosion_agree(parity: Path) -> None:
    with np.load(parity / "emoca" / "geometry.npz") as stored:
        smoothness = smoothness_loss(torch.from_numpy(stored["smooth_in"]))
        assert smoothness.item() == pytest.approx(float(stored["smooth_loss"]), rel=1e-5)
        shrunk = eroded(torch.from_numpy(stored["erosion_in"]).float())
        np.testing.assert_array_equal(shrunk.numpy(), stored["erosion_out"])
