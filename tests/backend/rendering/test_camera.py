# SPDX-License-Identifier: GPL-3.0-or-later
from pathlib import Path

import numpy as np
import torch

from backend.rendering.camera import project_perspective, project_weak
from backend.rendering.raster import rasterize
from blender_addon.contract.projection import project, to_camera, weak_project

CAMERA = np.array([[900.0, 2.0, 310.0], [0, 880.0, 250.0], [0, 0, 1]])
TRANSLATION = np.array([0.05, -0.02, 0.7])
SIZE = (480, 640)


def test_perspective_agrees_with_the_contract() -> None:
    points = np.random.default_rng(0).normal(0, 0.1, (2, 50, 3))
    arguments = (torch.from_numpy(TRANSLATION), torch.from_numpy(CAMERA), SIZE)
    ndc = project_perspective(torch.from_numpy(points), *arguments).numpy()
    pixels = (ndc[..., :2] + 1) * np.array([SIZE[1], SIZE[0]]) / 2
    np.testing.assert_allclose(pixels, project(points, TRANSLATION, CAMERA), atol=1e-9)
    np.testing.assert_allclose(-1 / ndc[..., 2], to_camera(points, TRANSLATION)[..., 2], atol=1e-12)


def test_weak_perspective_agrees_with_the_contract() -> None:
    points, camera = np.random.default_rng(1).normal(0, 0.1, (50, 3)), np.array([8.0, 0.01, -0.02])
    ndc = project_weak(torch.from_numpy(points)[None], torch.from_numpy(camera)[None])[0].numpy()
    np.testing.assert_allclose((ndc[:, :2] + 1) * 112, weak_project(points, camera, np.eye(3)), atol=1e-9)


def test_weak_perspective_agrees_with_deca(parity: Path) -> None:
    known = np.load(parity / "emoca" / "geometry.npz")
    found = project_weak(torch.from_numpy(known["proj_X"]), torch.from_numpy(known["proj_cam"]))
    np.testing.assert_allclose(found.numpy(), known["proj_out_flipped"], atol=1e-6)


def test_what_is_behind_the_camera_is_not_drawn_and_has_no_gradient() -> None:
    vertices = torch.tensor(
        [[[-0.1, -0.1, 0], [0.1, -0.1, 0], [0, 0.1, 0], [0, 0, 0.7], [0.1, 0.1, 0.5], [-0.3, 0, 3]]]
    )
    vertices.requires_grad_()
    faces = torch.tensor([[0, 1, 2], [0, 1, 3], [3, 4, 5]])
    ndc = project_perspective(vertices, torch.from_numpy(TRANSLATION).float(), torch.from_numpy(CAMERA).float(), SIZE)
    found = rasterize(ndc, faces, SIZE)
    assert set(found.pix_to_face.unique().tolist()) == {-1, 0}
    found.zbuf.sum().backward()
    assert vertices.grad.isfinite().all()
    assert not vertices.grad[0, 3:].any()


def test_depth_is_exact_inside_a_tilted_triangle() -> None:
    """A point halfway over the image is not halfway in depth; the z-buffer must know."""
    vertices = torch.tensor([[[-0.5, -0.2, 0.4], [0.5, -0.2, -4.0], [0.0, 0.3, 0.0]]])
    translation, camera = torch.tensor([0.0, 0.0, 1.0]), torch.tensor([[100.0, 0, 50], [0, 100, 50], [0, 0, 1]])
    found = rasterize(
        project_perspective(vertices, translation, camera, (100, 100)), torch.tensor([[0, 1, 2]]), (100, 100)
    )
    row, column = (int(i) for i in found.mask[0].nonzero()[found.mask[0].sum() // 2])
    depth = -1 / found.zbuf[0, row, column].item()
    point = np.array([(column + 0.5 - 50) / 100, (row + 0.5 - 50) / 100, 1]) * depth
    corners = to_camera(vertices[0].numpy(), translation.numpy())
    normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
    assert abs((point - corners[0]) @ normal) / np.linalg.norm(normal) < 1e-5
