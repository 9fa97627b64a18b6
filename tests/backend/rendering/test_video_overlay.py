# SPDX-License-Identifier: GPL-3.0-or-later
"""The film over a capture: lines where the head is, and a strip with what was found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from backend.heads import load_head
from backend.heads.model import HeadModel
from backend.rendering.video_overlay import STRIP, FrameOverlay, OverlayFrame
from blender_addon.contract.projection import camera_matrix, project
from tests.fake_takes import small_head

SIZE = (360, 480)
MATRIX = camera_matrix(700.0, SIZE[1], SIZE[0])
GREY = np.full((*SIZE, 3), 128, np.uint8)


@pytest.fixture(scope="module")
def model() -> HeadModel:
    return HeadModel(load_head("open"))


@pytest.fixture(scope="module")
def overlay(model: HeadModel) -> FrameOverlay:
    return FrameOverlay([model.head])


def face(model: HeadModel, x: float = 0.0, **changes: object) -> OverlayFrame:
    vertices = model.head.template
    return replace(OverlayFrame(vertices, np.array([x, 0, 1.0]), MATRIX, "person 1", 0.9, False), **changes)


def strip_height(picture: np.ndarray) -> int:
    return max(14, round(STRIP * picture.shape[0] / 720))


def drawn(picture: np.ndarray) -> np.ndarray:
    """(H, W) bool: pixels above the strip that were painted."""
    return (picture != GREY).any(-1)[: -strip_height(picture)]


def test_the_head_is_drawn_where_it_is_and_nowhere_else(model: HeadModel, overlay: FrameOverlay) -> None:
    before = GREY.copy()
    picture = overlay.draw(before, [face(model)])
    assert np.array_equal(before, GREY)
    assert picture.shape == GREY.shape and picture.dtype == np.uint8
    rows, columns = np.nonzero(drawn(picture))
    points = project(model.head.template, face(model).translation, MATRIX)
    box = np.concatenate([points.min(0), points.max(0)])
    found = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    assert np.abs(found - box).max() < 4


def test_a_mirrored_head_is_drawn_mirrored(model: HeadModel, overlay: FrameOverlay) -> None:
    left, right = (overlay.draw(GREY, [face(model, x)]).astype(int)[: -strip_height(GREY)] for x in (-0.1, 0.1))
    assert np.abs(left - right[:, ::-1]).mean() < 0.5
    assert np.abs(left - right).mean() > 3


def test_each_person_has_a_colour_and_filled_frames_another(model: HeadModel, overlay: FrameOverlay) -> None:
    changes = ({}, {"person": 2}, {"filled": True})
    tints = []
    for change in changes:
        picture = overlay.draw(GREY, [face(model, **change)])[: -strip_height(GREY)].astype(float)
        tints.append(picture[drawn(np.concatenate([picture, GREY[-strip_height(GREY) :]]))].mean(0))
    assert tints[0].argmax() == 2 and tints[0].argmin() == 0
    assert tints[1].argmax() == 0 and tints[1].argmin() == 2
    assert tints[2][0] > tints[2][1:].max() + 20
    assert np.abs(tints[1] - tints[2]).max() > 10


def test_people_are_drawn_side_by_side(model: HeadModel, overlay: FrameOverlay) -> None:
    one, other = face(model, -0.18), face(model, 0.18, person=2, label="person 2")
    both = overlay.draw(GREY, [one, other])
    single = overlay.draw(GREY, [one])
    half = SIZE[1] // 2
    assert np.array_equal(drawn(both)[:, :half], drawn(single)[:, :half])
    assert drawn(both)[:, half:].sum() > 1000 > drawn(single)[:, half:].sum()


def test_closed_lids_hide_the_irises(model: HeadModel, overlay: FrameOverlay) -> None:
    with torch.inference_mode():
        shut = model(eyelids=torch.ones(1, 2)).vertices[0].numpy()
    iris = model.head.landmarks["mediapipe478"]
    pictures = [overlay.draw(GREY, [face(model, vertices=v)]).astype(int) for v in (model.head.template, shut)]
    corners = model.head.faces[iris.faces[[468, 473]]]
    centres = project(model.head.template[corners].mean(1), face(model).translation, MATRIX).astype(int)
    spread = [
        np.mean([np.ptp(picture[y - 4 : y + 5, x - 4 : x + 5].mean(-1)) for x, y in centres]) for picture in pictures
    ]
    assert spread[0] > 1.5 * spread[1]


def test_the_strip_shows_confidence(model: HeadModel, overlay: FrameOverlay) -> None:
    height = strip_height(GREY)
    amounts = []
    for confidence in (0.1, 0.5, 0.9):
        strip = overlay.draw(GREY, [face(model, confidence=confidence, label="")])[-height:].astype(int)
        bar = strip[round(height * 0.5), : 3 * height]
        amounts.append(int((bar.max(1) > 200).sum()))
    assert amounts[0] < amounts[1] < amounts[2]
    assert amounts[2] - amounts[0] == pytest.approx(0.8 * 2 * height, abs=3)


def test_the_strip_has_room_for_everybody(overlay: FrameOverlay, model: HeadModel) -> None:
    people = [face(model, 50.0, person=number, label=f"Person {number}") for number in range(1, 7)]

    def strip(count: int) -> np.ndarray:
        return overlay.draw(GREY, people[:count], "Frame 21")[-strip_height(GREY) :]

    widths = [int(np.flatnonzero((strip(count) > 60).any((0, 2)))[-1]) for count in (1, 2, 5, 6)]
    assert widths[0] < widths[1] < SIZE[1] - 8 and max(widths[2:]) < SIZE[1] - 2
    assert not np.array_equal(strip(5), strip(6))


def test_the_title_is_written(model: HeadModel, overlay: FrameOverlay) -> None:
    height = strip_height(GREY)
    plain, titled = (overlay.draw(GREY, [], title)[-height:] for title in ("", "frame 12"))
    assert not np.array_equal(plain, titled)
    assert np.array_equal(overlay.draw(GREY, [])[:-height], GREY[:-height])


@pytest.mark.parametrize("place", [(0, 0, -1.0), (0, 0, 0.05), (5.0, 0, 1.0)])
def test_who_is_behind_or_beside_the_camera_is_not_drawn(
    model: HeadModel, overlay: FrameOverlay, place: tuple[float, float, float]
) -> None:
    picture = overlay.draw(GREY, [face(model, translation=np.array(place))])
    assert not drawn(picture).any()


def test_a_head_at_the_picture_s_edge_is_cut_off(model: HeadModel, overlay: FrameOverlay) -> None:
    picture = overlay.draw(GREY, [face(model, 0.33)])
    assert drawn(picture)[:, -1].any() and not drawn(picture)[:, :200].any()


def test_heads_with_fewer_materials_can_be_drawn() -> None:
    head = small_head()
    overlay = FrameOverlay([head])
    picture = overlay.draw(GREY, [OverlayFrame(head.template, np.array([0, 0, 9.0]), MATRIX, "", 1.0, False)])
    assert drawn(picture).any()


def test_frames_lower_than_the_strip_do_not_fail(overlay: FrameOverlay) -> None:
    assert overlay.draw(np.zeros((8, 16, 3), np.uint8), [], "frame").shape == (8, 16, 3)
