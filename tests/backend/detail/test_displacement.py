# SPDX-License-Identifier: GPL-3.0-or-later
"""Displaced surfaces against DECA's and EMOCA's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from backend.detail.displacement import (
    Convention,
    dense_vertices,
    detail_normals,
    displacement_map,
    texel_uvs,
)
from backend.detail.uv_maps import uv_fragments, uv_maps

SIZE = 256


def synthetic_maps() -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Positions, normals, predicted and fixed displacement, mask of the recipe."""
    v, u = np.meshgrid(np.arange(SIZE) / 255, np.arange(SIZE) / 255, indexing="ij")
    positions = np.stack((u - 0.5, 0.5 - v, 0.1 * np.sin(6 * u) * np.cos(5 * v)))
    normals = np.stack((0.3 * np.sin(4 * u), 0.3 * np.cos(3 * v), np.ones_like(u)))
    normals /= np.linalg.norm(normals, axis=0)
    mask = ((u - 0.5) ** 2 + (v - 0.5) ** 2 < 0.16).astype(np.float64)
    predicted, fixed = 0.01 * np.sin(40 * u) * np.sin(33 * v), 0.001 * np.cos(11 * u + 7 * v)
    arrays = (positions[None], normals[None], predicted[None, None], fixed, mask[None, None])
    return tuple(torch.from_numpy(array.astype(np.float32)) for array in arrays)


@pytest.mark.parametrize(("convention", "border"), [("deca", "deca_border_rows"), ("emoca", "emoca_border_rows")])
def test_detail_normals(parity: Path, convention: Convention, border: str) -> None:
    known = np.load(parity / "emoca" / "detail.npz")
    found = detail_normals(*synthetic_maps(), convention).numpy()
    np.testing.assert_allclose(found[..., ::4, ::4], known[f"{convention}_uv_detail_normals_sub4"], atol=2e-5)
    np.testing.assert_allclose(found[..., :8, :8], known[border], atol=2e-5)


def test_dense_vertices(parity: Path) -> None:
    known = {name: torch.from_numpy(array) for name, array in np.load(parity / "emoca" / "detail.npz").items()}
    arguments = (known["um_valid_ids"].long(), known["um_faces"].long(), known["um_bary"])
    found = dense_vertices(known["um_V"][None], known["um_N"][None], known["um_disp"][None, None], *arguments)
    np.testing.assert_allclose(found[0].numpy(), known["um_out"].numpy(), atol=1e-5)


def test_no_displacement_of_a_plane_leaves_its_normals() -> None:
    positions, _, predicted, fixed, mask = synthetic_maps()
    positions[:, 2] = 0
    flat = torch.tensor([0.0, 0, 1]).view(1, 3, 1, 1).expand_as(positions)
    found = detail_normals(positions, flat, 0 * predicted, 0 * fixed, mask, "emoca")
    torch.testing.assert_close(found, flat)
    assert torch.equal(displacement_map(predicted, fixed)[0, 0], predicted[0, 0] + fixed)


def test_maps_in_uv_space_are_upright_and_texels_know_their_uv() -> None:
    """A square that fills the layout and carries its own UV as values."""
    uv = torch.tensor([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    values = torch.stack((uv, 2 * uv))
    maps = uv_maps(uv_fragments(uv, faces, 8), faces, values)
    assert maps.shape == (2, 2, 8, 8)
    texels = texel_uvs(torch.arange(64), 8)
    torch.testing.assert_close(maps[0].flatten(1).t(), texels)
    torch.testing.assert_close(maps[1], 2 * maps[0])
    assert maps[0, 1, 0, 0] > 0.9
