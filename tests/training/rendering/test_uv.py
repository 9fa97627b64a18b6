# SPDX-License-Identifier: GPL-3.0-or-later
"""Maps in UV space: where texels lie on the head, which are face, and wrinkles in them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from backend.detail.displacement import detail_normals
from backend.heads import load_head
from backend.heads.model import HeadModel
from backend.rendering.shading import vertex_normals
from backend.weights.parts import write_part
from blender_addon.contract.errors import MienError
from blender_addon.contract.head import HeadDescription
from tests.fake_heads import small_head
from training.rendering.face_region import face_region
from training.rendering.renderer import FaceRenderer
from training.rendering.uv import UVSpace
from training.synthetic.light import ambient

INNER = {"nose tip": 1, "left cheek": 425, "right cheek": 205, "left iris": 473, "upper lip": 0, "chin": 199}
"""Landmarks of MediaPipe inside the face."""


@pytest.fixture(scope="module")
def space() -> UVSpace:
    return UVSpace(load_head())


@pytest.fixture(scope="module")
def posed() -> Tensor:
    turn = torch.tensor([[0.0, 0.0, 0.0], [0.1, 0.4, 0.0]])
    return HeadModel(load_head())(head_rotation=turn, jaw=torch.tensor([[0.1, 0.0, 0.0]])).vertices


def at_landmarks(maps: Tensor, head: HeadDescription, numbers: list[int]) -> Tensor:
    """(N, C) what maps (1, C, S, S) say at landmarks of MediaPipe."""
    marks = head.landmarks["mediapipe478"]
    uv = np.einsum("nk,nkd->nd", marks.barycentric[numbers], head.uv[head.uv_faces[marks.faces[numbers]]])
    grid = torch.from_numpy(uv.astype(np.float32)) * torch.tensor([2.0, -2.0]) + torch.tensor([-1.0, 1.0])
    return functional.grid_sample(maps, grid[None, None], align_corners=False)[0, :, 0].T


def test_landmarks_lie_at_their_uvs(space: UVSpace, posed: Tensor) -> None:
    head, inner = load_head(), list(INNER.values())
    maps = space.carried(posed)
    assert maps.shape == (2, 3, 256, 256)
    for view in range(2):
        wanted = HeadModel(head).landmarks(posed, "mediapipe478")[view, inner]
        assert (at_landmarks(maps[view : view + 1], head, inner) - wanted).norm(dim=1).max() < 1e-3
    assert torch.equal(maps[:, :, space.covered[0, 0] == 0], torch.zeros(2, 3, int((space.covered == 0).sum())))


def test_values_have_gradients_and_move_to_a_device_and_type(posed: Tensor) -> None:
    double = UVSpace(load_head(), 32).double()
    values = posed.double().requires_grad_()
    double.carried(values).sum().backward()
    assert (values.grad != 0).any()
    assert not list(double.state_dict())


def check_mask(space: UVSpace, head: HeadDescription) -> None:
    """The face is in it, ears and neck and the back of the head are not."""
    assert set(space.mask.unique().tolist()) == {0, 1}
    assert 0.1 < space.mask.mean() < 0.6
    assert at_landmarks(space.mask, head, list(INNER.values())).min() > 0.9
    behind = (space.carried(torch.from_numpy(head.template)[None])[:, 2:] < -0.01) & (space.covered > 0)
    assert behind.float().mean() > 0.1
    assert space.mask[behind].mean() < 0.005


def test_the_face_of_the_open_head_is_inside_its_outline(space: UVSpace) -> None:
    check_mask(space, load_head())
    region = face_region(load_head())
    assert set(np.unique(region)) == {0, 1}
    assert region[load_head().template[:, 2] < 0].max() == 0


def test_the_mask_in_pictures_has_no_gaps(space: UVSpace, posed: Tensor) -> None:
    """Where two islands of the layout meet, at the lids, nothing is left out."""
    light = torch.from_numpy(ambient()).float()[None, :, None].expand(1, -1, 3)
    renderer = FaceRenderer(load_head(), mask=space.mask)
    mask = renderer(posed[:1], torch.tensor([[9.0, 0.0, 0.02]]), torch.ones(1, 3, 8, 8), light).mask[0, 0]
    rows, columns = (mask > 0.5).nonzero().float().median(0).values.long().tolist()
    inner = mask[rows - 60 : rows + 40, columns - 40 : columns + 40]
    assert (inner > 0.95).float().mean() > 0.995


def test_the_face_of_flame_is_carried_over_or_the_mask_that_was_added(flame: HeadDescription) -> None:
    check_mask(UVSpace(flame), flame)
    drawn = np.zeros((256, 256), np.float32)
    drawn[40:180, 60:200] = 1
    write_part("uv_masks", {"mask": drawn}, origin="uv_face_eye_mask.png", sha256="d" * 64, name="face_eye")
    write_part(
        "fixed_displacement", {"displacement": 0.001 * drawn}, origin="fixed_displacement_256.npy", sha256="e" * 64
    )
    added = UVSpace(flame)
    np.testing.assert_array_equal(added.mask[0, 0].numpy(), drawn)
    np.testing.assert_array_equal(added.fixed.numpy(), np.float32(0.001) * drawn)
    assert UVSpace(flame, 128).mask.shape == (1, 1, 128, 128)
    assert UVSpace(load_head()).fixed.abs().max() == 0
    given = torch.rand(1, 1, 256, 256)
    assert torch.equal(UVSpace(flame, mask=given).mask, given)


def test_no_displacement_leaves_the_normals_about_as_they_are(space: UVSpace, posed: Tensor) -> None:
    flat = space.detail_normals(posed, torch.zeros(2, 1, 256, 256))
    coarse = functional.normalize(space.normals(posed), dim=1)
    skin = (space.mask > 0)[0, 0] & (functional.avg_pool2d(space.covered, 5, 1, 2)[0, 0] > 0.99)
    cosine = (flat * coarse).sum(1)[:, skin]
    assert cosine.median() > 0.995
    assert (cosine > 0.9).float().mean() > 0.95


@pytest.mark.parametrize("convention", ["deca", "emoca"])
def test_wrinkles_are_those_of_the_published_formula(space: UVSpace, posed: Tensor, convention: str) -> None:
    """Its parts are compared with recorded values in the tests of `backend.detail`."""
    waves = 0.001 * torch.sin(torch.arange(256) / 3.0).expand(1, 1, 256, 256)
    found = space.detail_normals(posed, waves, convention)
    faces = torch.from_numpy(load_head().faces).long()
    normals = space.carried(vertex_normals(posed, faces))
    expected = detail_normals(space.carried(posed), normals, waves, space.fixed, space.mask, convention)
    torch.testing.assert_close(found, expected)
    flat = space.detail_normals(posed, 0 * waves, convention)
    face, rest = space.mask[0, 0] > 0, (functional.max_pool2d(space.mask, 3, 1, 1)[0, 0] == 0)
    bent = (found - flat).norm(dim=1)
    assert bent[:, face].mean() > 0.05
    assert bent[:, rest].max() == 0


def test_heads_without_uvs_are_refused() -> None:
    with pytest.raises(MienError, match="no UV layout"):
        UVSpace(small_head())
