# SPDX-License-Identifier: GPL-3.0-or-later
"""Registration against a head of which it is known what should be found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backend.heads import load_head
from backend.heads.correspondence import correspondence
from backend.heads.flame import load_flame
from blender_addon.contract.errors import ErrorCode, MienError
from tests.face_flame import face_flame, write_model
from tests.published_flame import emoca_flame


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("home")
        patch.setenv("MIEN_HOME", str(folder))
        yield folder


@pytest.fixture(scope="module")
def flame(home):
    return load_flame(write_model(home / "generic_model.pkl"))


def test_places_on_the_face_are_found(home, flame):
    """By shape and joints alone; FLAME's landmarks, where they were added, only help."""
    source, known = load_head("open"), face_flame()
    found = correspondence(source, flame)
    points = found.carried(source, source.template.astype(np.float64))
    wanted = known.carry @ source.template
    off = np.linalg.norm(points - wanted, axis=1) * 1e3
    eye = flame.skinning[:, 3:5].sum(axis=1) > 0.5
    face = (wanted[:, 2] > 0) & (wanted[:, 1] > -0.08) & ~eye
    lids = (np.linalg.norm(known.eyelids, axis=1).max(axis=1) > 5e-4) & ~eye
    for name, part, mean, most in (("face", face, 0.8, 2.5), ("lids", lids, 0.5, 1.2), ("eyes", eye, 0.05, 0.1)):
        print(f"{name}: {off[part].mean():.2f} mm mean, {np.quantile(off[part], 0.95):.2f} mm at the 95th percentile")
        assert off[part].mean() < mean and np.quantile(off[part], 0.95) < most


def test_there_and_back_is_where_one_was(home, flame):
    source = load_head("open")
    here, there = correspondence(source, flame), correspondence(flame, source)
    back = there.carried(flame, here.carried(source, source.template.astype(np.float64)))
    wanted = [row for row, name in enumerate(source.materials) if name in ("skin", "lips")]
    skin = np.unique(source.faces[np.isin(source.polygon_material[source.face_polygon], wanted)])
    face = skin[(source.template[skin, 2] > 0.03) & (source.template[skin, 1] > -0.06)]
    assert np.median(np.linalg.norm(back - source.template, axis=1)[face]) < 0.0006


def test_what_was_found_is_kept(home, flame, monkeypatch):
    source = load_head("open")
    first = correspondence(source, flame)
    monkeypatch.setattr("backend.heads.correspondence.register", lambda *_: pytest.fail("registered again"))
    again = correspondence(source, flame)
    assert all(np.array_equal(getattr(first, name), getattr(again, name)) for name in vars(first))


def test_one_mesh_is_itself(flame):
    other = replace(flame, sha256="1" * 64, template=flame.template * np.float32(1.1))
    assert np.array_equal(correspondence(flame, other).carried(flame, flame.template), flame.template)


def test_what_looks_like_no_head_is_refused(home):
    noise, _ = emoca_flame()
    with pytest.raises(MienError) as caught:
        correspondence(load_head("open"), noise)
    assert caught.value.code is ErrorCode.BAD_HEAD
