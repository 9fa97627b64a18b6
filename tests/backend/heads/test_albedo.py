# SPDX-License-Identifier: GPL-3.0-or-later
"""Albedo from codes against DECA's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from backend.heads.albedo import AlbedoSpace

TEXELS = 512


def synthetic_space() -> tuple[np.ndarray, np.ndarray]:
    k = np.arange(TEXELS * TEXELS * 3, dtype=np.float64)
    basis = np.stack([0.01 * np.cos(0.0007 * k * (j + 1)) for j in range(5)] + 2 * [0 * k], 1)
    mean = 0.5 + 0.25 * np.sin(0.001 * k)
    return mean.reshape(TEXELS, TEXELS, 3), basis.astype(np.float32).reshape(TEXELS, TEXELS, 3, -1)


def test_deca(parity: Path) -> None:
    known = np.load(parity / "emoca" / "texture.npz")
    found = AlbedoSpace(*synthetic_space(), components=5)(torch.from_numpy(known["texcode"])).numpy()
    assert found.shape == (2, 3, 256, 256)
    np.testing.assert_allclose(found[:, :, ::8, ::8], known["albedo_sub"], atol=2e-6)
    np.testing.assert_allclose(found[:, :, 7], known["albedo_row7"], atol=2e-6)


def test_files_in_0_to_255_and_other_layouts() -> None:
    mean, basis = synthetic_space()
    space = AlbedoSpace(mean, basis, 5)
    flat = AlbedoSpace(255 * mean.ravel(), 255 * basis.reshape(-1, basis.shape[-1]), 5, white=255)
    codes = torch.ones(1, 5)
    torch.testing.assert_close(space(codes), flat(codes))
    torch.testing.assert_close(space(0 * codes)[0, 0, 3, 5].item(), mean[6, 10, 2], atol=1e-6, rtol=0)


def test_another_size() -> None:
    with pytest.raises(ValueError, match="multiple of 256"):
        AlbedoSpace(np.zeros((300, 300, 3)), np.zeros((300, 300, 3, 2)))
