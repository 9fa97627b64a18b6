# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest
import torch

from backend.heads import load_head
from backend.heads.model import HeadModel
from backend.rendering.portrait import FRONT, SIDE, View, encoded, linear, render_head, unrotated
from blender_addon.contract.head import HeadDescription

SIZE = (120, 96)


@pytest.fixture(scope="module")
def head() -> HeadDescription:
    return load_head("open")


def covered(picture: np.ndarray) -> np.ndarray:
    """Pixels of a plain picture that differ from its ground."""
    return np.abs(picture.astype(int) - picture[0, 0]).max(-1) > 8


@pytest.mark.parametrize("style", ["plain", "studio"])
def test_pictures_have_the_size_asked_for_and_are_repeatable(head: HeadDescription, style: str) -> None:
    picture = render_head(head.template, head, FRONT, SIZE, style)
    assert picture.shape == (*SIZE, 3)
    assert picture.dtype == np.uint8
    assert len(np.unique(picture)) > 30
    np.testing.assert_array_equal(picture, render_head(head.template, head, FRONT, SIZE, style))


@pytest.mark.parametrize("view", [FRONT, SIDE, View(30, -20)])
@pytest.mark.parametrize("size", [SIZE, (60, 200)])
def test_the_head_fills_the_picture_without_being_cut(head: HeadDescription, view: View, size: tuple[int, int]) -> None:
    mask = covered(render_head(head.template, head, view, size))
    assert not mask[[0, -1]].any()
    assert not mask[:, [0, -1]].any()
    assert max(mask.any(1).mean(), mask.any(0).mean()) > 0.8


def test_the_front_of_a_symmetric_head_is_symmetric(head: HeadDescription) -> None:
    picture = render_head(head.template, head, FRONT, SIZE).astype(int)
    assert np.abs(picture - picture[:, ::-1]).mean() < 2


def test_views_turn_the_head_as_they_say(head: HeadDescription) -> None:
    """The nose tip, foremost of the template, is what sticks out of the profile."""
    nose = head.template[head.template[:, 2].argmax()]
    assert (SIDE.rotation() @ nose)[0] < -0.08
    assert (View(yaw=90).rotation() @ nose)[0] > 0.08
    assert (View(pitch=30).rotation() @ np.array([0.0, 0, 1]))[1] < 0
    left, right = (covered(render_head(head.template, head, view, SIZE)) for view in (SIDE, View(yaw=90)))
    assert (left != right[:, ::-1]).mean() < 0.01


def test_unrotated_undoes_the_head_rotation(head: HeadDescription) -> None:
    model = HeadModel(head)
    pose = {"identity": 0.5 * torch.ones(1, 10), "jaw": torch.tensor([[0.3, 0, 0]])}
    turned = model(**pose, head_rotation=torch.tensor([[0.3, -0.7, 0.2]])).vertices[0].numpy()
    still = model(**pose).vertices[0].numpy()
    back = unrotated(turned, head)
    assert np.linalg.norm(back - unrotated(still, head), axis=1).max() < 1e-5
    assert np.linalg.norm((back - back.mean(0)) - (still - still.mean(0)), axis=1).max() < 0.01


def test_srgb_and_linear_are_inverse() -> None:
    values = torch.linspace(0, 1, 256)
    torch.testing.assert_close(encoded(linear(values)), values, atol=1e-5, rtol=0)
    assert linear(torch.tensor(0.5)).item() == pytest.approx(0.21404, abs=1e-5)
