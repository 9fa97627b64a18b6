# SPDX-License-Identifier: GPL-3.0-or-later
"""Synthetic faces on the user's FLAME: its coefficients are the truth, and it looks and acts as the open head would."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from backend.heads import load_head
from backend.rendering.camera import project_weak
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.models import EMOTIONS
from tests.face_flame import face_flame
from tests.fake_heads import small_head
from tests.stored_flame import add_flame
from training.model.layout import CodeLayout, true_code
from training.synthetic.dataset import SyntheticFaces
from training.synthetic.own_channels import OwnChannels, own_channels
from training.synthetic.picture import take_picture
from training.synthetic.scene import draw_moment, draw_person
from training.synthetic.skin import surface

PARAMETERS = ("identity", "expression", "head_rotation", "jaw", "eyes", "eyelids")


@pytest.fixture(scope="module")
def faces(flame: HeadDescription) -> SyntheticFaces:
    return SyntheticFaces(3, 2, seed=2, head=flame)


@pytest.fixture(scope="module")
def items(faces: SyntheticFaces) -> list[dict[str, torch.Tensor]]:
    return [faces[index] for index in range(len(faces))]


@pytest.fixture(scope="module")
def channels(flame: HeadDescription) -> OwnChannels:
    return own_channels(flame)


def test_a_units_motion_is_that_of_the_open_head(channels: OwnChannels) -> None:
    """Which is known here, since this FLAME is made of the open head's vertices."""
    opened, made = load_head(), face_flame()
    units = np.concatenate((opened.expression, opened.eyelids), axis=2)
    random = np.random.default_rng(0)
    known = (made.carry @ units.reshape(len(units), -1)).reshape(-1, 3, units.shape[2])
    ours = made.fields["shapedirs"][..., 300:]
    errors = []
    for _ in range(40):
        moment = draw_moment(opened, random)
        wanted = known @ np.concatenate((moment.expression, moment.eyelids))
        found = ours @ channels.of(moment).expression
        if (size := np.linalg.norm(wanted)) > 0.02:
            errors.append(np.linalg.norm(found - wanted) / size)
    assert len(errors) > 20
    assert np.median(errors) < 0.15
    expressive = [row for row, name in enumerate(opened.expression_names) if not name.startswith("eyeLook")]
    assert channels.missed[expressive].max() < 0.3
    assert np.median(channels.missed) < 0.1


def test_the_truth_is_within_what_encoders_give(flame: HeadDescription, items: list) -> None:
    layout = CodeLayout.of(flame)
    assert (layout.identity, layout.expression, layout.eyelids) == (100, 50, 0)
    for item in items:
        assert item["identity"].shape == (300,)
        assert item["expression"].shape == (100,)
        assert not item["identity"][100:].any()
        assert not item["expression"][50:].any()
        assert not item["eyelids"].any()
        assert item["expression"].abs().max() < 8
    code = true_code({name: value[None] for name, value in items[0].items()}, layout)
    assert code.expression.shape == (1, 50)


def test_the_parameters_give_the_landmarks(faces: SyntheticFaces, items: list) -> None:
    for item in items:
        vertices = faces.model(**{name: item[name][None] for name in PARAMETERS}).vertices
        for name, stored in (("ibug68", "landmarks"), ("mediapipe478", "mediapipe")):
            points = project_weak(faces.model.landmarks(vertices, name), item["crop_camera"][None])[0]
            torch.testing.assert_close(points[:, :2], item[stored][:, :2], atol=1e-5, rtol=0)


def test_pictures_show_faces(items: list) -> None:
    """Seen landmarks of the inner face lie in the mask, which has no hole at an open mouth."""
    for item in items:
        assert item["image"].std() > 0.03
        assert 0.1 < item["mask"].mean() < 0.7
        points = item["landmarks"][[30, 33, 39, 42, 48, 54]]
        seen = points[points[:, 2] > 0]
        column, row = ((seen[:, :2] + 1) * 112).long().clamp(0, 223).T
        assert (item["mask"][0, row, column] > 0.4).all()


def test_an_open_mouth_is_dark_and_of_the_face(faces: SyntheticFaces, channels: OwnChannels) -> None:
    random = np.random.default_rng(1)
    surprise = channels.of(draw_moment(load_head(), random, EMOTIONS.index("surprise")))
    jaw, ahead = np.array([0.35, 0, 0], np.float32), np.zeros(3, np.float32)
    moment = replace(surprise, jaw=jaw, head_rotation=ahead)
    shown = 0
    for seed in range(8):
        person = draw_person(faces.head, 0, seed)
        picture = take_picture(faces.model, person, moment, np.random.default_rng(seed))
        places = ((picture.landmarks478[:, :2] + 1) * 112).astype(int).clip(0, 223)
        (column, row), (x, y) = places[[13, 14]].mean(0).astype(int), places[205]
        if picture.mask[row, column] > 0.9 and picture.mask[y, x] > 0.9:  # nothing is before it
            assert picture.pixels[row, column].mean() < 0.5 * picture.pixels[y, x].mean()
            shown += 1
    assert shown >= 4


def test_skin_lips_and_eyes_are_where_they_belong(flame: HeadDescription) -> None:
    paint, marks = surface(flame), flame.landmarks["mediapipe478"]

    def at(values: torch.Tensor, numbers: list[int]) -> torch.Tensor:
        corners = torch.from_numpy(flame.faces[marks.faces[numbers]]).long()
        return (values[corners] * torch.from_numpy(marks.barycentric[numbers])[..., None]).sum(1)

    assert at(paint.shares[:, :1], [205, 425, 151]).min() > 0.9
    assert at(paint.shares[:, 1:2], [0, 17]).min() > 0.4
    assert at(paint.shares[:, 2:3], [469, 474]).min() > 0.2
    opened = load_head()
    corners = opened.template[opened.faces[opened.landmarks["mediapipe478"].faces]]
    there = np.einsum("nk,nkd->nd", opened.landmarks["mediapipe478"].barycentric, corners)
    inner = [1, 205, 425, 0, 17, 105, 334]
    assert np.abs(at(paint.points, inner).numpy() - there[inner]).max() < 0.004


def test_items_are_the_same_in_other_processes(faces: SyntheticFaces, items: list) -> None:
    copy = pickle.loads(pickle.dumps(faces))[3]
    assert all(torch.equal(copy[name], items[3][name]) for name in items[3] if name != "albedo")
    torch.testing.assert_close(copy["albedo"], items[3]["albedo"])


def test_heads_without_uvs_have_no_albedo_and_no_face_is_refused(
    mien_home: object, flame: HeadDescription, items: list
) -> None:
    add_flame(uvs=False)
    bare = SyntheticFaces(1, 1, seed=2, head=load_head("flame2020"))[0]
    assert set(items[0]) - set(bare) == {"albedo"}
    assert torch.equal(bare["image"], items[0]["image"])
    with pytest.raises(MienError) as caught:
        own_channels(small_head())
    assert caught.value.code is ErrorCode.BAD_HEAD
