# SPDX-License-Identifier: GPL-3.0-or-later
from pathlib import Path

import numpy as np
import torch
from scipy.special import sph_harm_y

from backend.rendering.shading import SH_CONSTANTS, directional_shading, sh_basis, sh_shading, vertex_normals


def unit(seed: int, count: int) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(count, 3, dtype=torch.float64, generator=rng), dim=-1)


def test_sh_agrees_with_deca(parity: Path) -> None:
    known = np.load(parity / "emoca" / "geometry.npz")
    np.testing.assert_allclose(SH_CONSTANTS, known["sh_constant_factor"], atol=1e-6)
    normals = torch.from_numpy(known["sh_normals"]).movedim(1, -1)
    shading = sh_shading(normals, torch.from_numpy(known["sh_coeff"]))
    np.testing.assert_allclose(shading.movedim(-1, 1).numpy(), known["sh_shading"], atol=2e-6)


def test_preview_lights_agree_with_deca(parity: Path) -> None:
    known = np.load(parity / "emoca" / "geometry.npz")
    normals = torch.from_numpy(known["sh_normals"]).movedim(1, -1).flatten(1, 2)
    shading = directional_shading(normals).expand(-1, -1, 3)
    np.testing.assert_allclose(shading.numpy(), known["dir_shading"], atol=2e-6)


def test_vertex_normals_agree_with_deca(parity: Path) -> None:
    known = np.load(parity / "emoca" / "geometry.npz")
    rng = np.random.Generator(np.random.PCG64(8))
    np.testing.assert_allclose(rng.standard_normal((2, 120, 3)).astype(np.float32), known["mesh_V"])
    normals = vertex_normals(torch.from_numpy(known["mesh_V"]), torch.from_numpy(known["mesh_F"]))
    np.testing.assert_allclose(normals.numpy(), known["mesh_normals"], atol=2e-5)


def test_basis_is_the_real_spherical_harmonics_times_the_cosine_lobe() -> None:
    """Band l of an irradiance map is scaled by pi, 2pi/3, pi/4 (Ramamoorthi and Hanrahan); band 0 here lacks its pi."""
    normals = unit(0, 40)
    basis, (x, y, z) = sh_basis(normals).numpy(), normals.numpy().T
    theta, phi = np.arccos(z), np.arctan2(y, x)
    for column, band, order, lobe in (
        (0, 0, 0, 1),
        (1, 1, 1, 2 * np.pi / 3),
        (7, 2, 2, np.pi / 4),
        (8, 2, 0, np.pi / 4),
    ):
        harmonic = sph_harm_y(band, order, theta, phi).real * (np.sqrt(2) if order else 1)
        np.testing.assert_allclose(np.abs(basis[:, column] / harmonic), lobe, rtol=1e-9)


def test_normals_of_a_sphere_point_outwards() -> None:
    corners = torch.tensor([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1], [9, 9, 9]])
    faces = torch.tensor(
        [[0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4], [2, 0, 5], [1, 2, 5], [3, 1, 5], [0, 3, 5]], dtype=torch.int32
    )
    normals = vertex_normals(corners[None], faces)[0]
    torch.testing.assert_close(normals[:6], corners[:6])
    assert not normals[6].any()


def test_light_from_behind_is_dark_and_lights_add_up() -> None:
    normals = torch.tensor([[0.0, 0, -1], [0, 0, 1]])
    shading = directional_shading(normals, directions=((0, 0, 2.0), (0, 0, 5.0)), intensity=0.5)
    torch.testing.assert_close(shading, torch.tensor([[0.0], [0.5]]))
