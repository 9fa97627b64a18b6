# SPDX-License-Identifier: GPL-3.0-or-later
"""The albedo space of the synthetic skins: linear, of unit variance, and near to looks that it has not seen."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backend.heads import load_head
from blender_addon.contract.errors import MienError
from tests.fake_heads import small_head
from training.synthetic.albedo import Painter, SkinAlbedo
from training.synthetic.skin import Look, draw_look


@pytest.fixture(scope="module")
def space() -> SkinAlbedo:
    return SkinAlbedo(load_head(), components=30, looks=150)


@pytest.fixture(scope="module")
def painter() -> Painter:
    return Painter(load_head())


def looks(count: int) -> list[Look]:
    return [draw_look(np.random.default_rng((7, number))) for number in range(count)]


def test_maps_and_codes_go_round(space: SkinAlbedo) -> None:
    codes = torch.randn(4, 30, generator=torch.Generator().manual_seed(0))
    maps = space(codes)
    assert maps.shape == (4, 3, 256, 256)
    torch.testing.assert_close(space.codes_of(maps), codes, atol=1e-3, rtol=0)
    torch.testing.assert_close(space(torch.zeros(1, 30))[0], space.mean)


def test_unseen_looks_are_near_their_projection(space: SkinAlbedo, painter: Painter) -> None:
    """What is left is grain of hair and skin; the codes are about unit normal."""
    people = looks(40)
    codes = torch.stack([space.codes_of_look(look) for look in people])
    maps = torch.stack([painter(look) for look in people])
    assert codes.shape == (40, 30)
    assert (space(codes) - maps).abs().mean() < 0.012 < 0.05 < (space.mean - maps).abs().mean()
    leading = codes[:, :5]
    assert leading.mean().abs() < 0.3
    assert 0.6 < leading.std() < 1.4


def test_the_looks_of_the_space_have_codes_of_unit_variance(painter: Painter) -> None:
    space = SkinAlbedo(load_head(), components=5, looks=30, seed=3)
    drawn = [draw_look(np.random.default_rng((0xA1BED0, 3, number))) for number in range(30)]
    codes = torch.stack([space.codes_of_look(look) for look in drawn])
    torch.testing.assert_close(codes.mean(0), torch.zeros(5), atol=1e-3, rtol=0)
    torch.testing.assert_close(codes.std(0), torch.ones(5), atol=1e-3, rtol=0)
    torch.testing.assert_close(torch.corrcoef(codes.T), torch.eye(5), atol=1e-3, rtol=0)


def test_the_same_seed_gives_the_same_space() -> None:
    one, same, other = (SkinAlbedo(load_head(), components=4, looks=12, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.basis, same.basis)
    assert not torch.allclose(one.basis, other.basis, atol=1e-2)


def test_painted_maps_show_the_look_and_have_no_holes(painter: Painter) -> None:
    look = looks(1)[0]
    albedo = painter(look)
    assert albedo.min() >= 0.01
    assert albedo.max() <= 1
    head = load_head()
    cheek = head.landmarks["mediapipe478"].faces[205]
    u, v = head.uv[head.uv_faces[cheek]].mean(0)
    texel = albedo[:, int((1 - v) * 256), int(u * 256)]
    assert (texel - torch.from_numpy(look.skin).float()).abs().max() < 0.15


def test_heads_without_uvs_and_too_few_looks_are_refused() -> None:
    with pytest.raises(MienError, match="no UV layout"):
        SkinAlbedo(small_head())
    with pytest.raises(ValueError, match="looks"):
        SkinAlbedo(load_head(), components=5, looks=5)
