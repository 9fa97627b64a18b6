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


def bent(head, metres: float):
    """The head bent smoothly in a way that no identity of the open head is; eyeballs stay balls."""
    random, places = np.random.default_rng(1), head.template.astype(np.float64)
    moves = np.zeros_like(places)
    for _ in range(12):
        away = ((places - places[random.integers(len(places))]) ** 2).sum(axis=1)
        moves += random.normal(size=3) * metres * np.exp(-away / (2 * 0.03**2))[:, None]
    for joint in (3, 4):
        ball = head.skinning[:, joint] > 0.5
        moves[ball] = moves[ball].mean(axis=0)
    return replace(head, template=(places + moves).astype(np.float32), sha256="2" * 64)


def misplaced(head) -> dict[str, np.ndarray]:
    """Millimetres by which places on a head in the mesh of `face_flame` are off, by part of the face."""
    source, known = load_head("open"), face_flame()
    wanted = known.carry @ source.template
    found = correspondence(source, head).carried(source, source.template.astype(np.float64))
    off = np.linalg.norm(found - wanted, axis=1) * 1e3
    eye = head.skinning[:, 3:5].sum(axis=1) > 0.5
    lips = np.zeros(len(source.template))
    lips[source.faces[source.polygon_material[source.face_polygon] == source.materials.index("lips")]] = 1
    parts = {
        "face": (wanted[:, 2] > 0) & (wanted[:, 1] > -0.08) & ~eye,
        "lips": (known.carry @ lips > 0.5) & ~eye,
        "lids": (np.linalg.norm(known.eyelids, axis=1).max(axis=1) > 5e-4) & ~eye,
        "eyes": eye,
    }
    return {name: off[part] for name, part in parts.items()}


def check(off: dict[str, np.ndarray], bounds: dict[str, tuple[float, float]]) -> None:
    for name, (mean, most) in bounds.items():
        at_95 = np.quantile(off[name], 0.95)
        print(f"{name}: {off[name].mean():.2f} mm mean, {at_95:.2f} mm at the 95th percentile")
        assert off[name].mean() < mean and at_95 < most


def test_places_on_the_face_are_found(home, flame):
    """By shape and eyes alone; FLAME's landmarks, where they were added, only help."""
    check(misplaced(flame), {"face": (0.3, 1.2), "lips": (0.4, 1.6), "lids": (0.3, 1.2), "eyes": (0.05, 0.1)})


def test_so_they_are_on_a_face_that_no_open_head_has(home, flame):
    check(misplaced(bent(flame, 0.0013)), {"face": (1.5, 4), "lips": (1.5, 3), "lids": (1, 2), "eyes": (0.05, 0.1)})


def test_neither_place_nor_size_nor_other_joints_matter(home, flame):
    joints = flame.joint_regressor.copy()
    joints[1:3] = 0.75 * joints[1:3] + 0.25 * joints[:2]
    larger = (flame.template + np.float32([0.003, 0.03, -0.02])) * np.float32(1.1)
    other = replace(flame, template=larger, joint_regressor=joints, sha256="3" * 64)
    check(misplaced(other), {"face": (0.3, 1.2), "lips": (0.4, 1.6)})


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
