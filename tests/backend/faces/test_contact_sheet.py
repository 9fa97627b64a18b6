# SPDX-License-Identifier: GPL-3.0-or-later
"""Thumbnails show the face, and the sheet shows all of them with different numbers."""

from __future__ import annotations

import numpy as np
import pytest

from backend.faces.contact_sheet import GAP, contact_sheet, thumbnail


def test_a_thumbnail_shows_the_face_in_its_middle() -> None:
    pixels = np.zeros((200, 300, 3), np.uint8)
    pixels[60:140, 100:160] = (200, 30, 10)
    small = thumbnail(pixels, np.array([100, 60, 160, 140]), 68)
    assert small.shape == (68, 68, 3)
    red = small[..., 0] > 100
    rows, columns = np.flatnonzero(red.any(axis=1)), np.flatnonzero(red.any(axis=0))
    # 1.7 times the longer side of 80 becomes 68 pixels: the face is 40 high and 30 wide.
    assert (len(rows), len(columns)) == (40, 30)
    assert rows.mean() == columns.mean() == 33.5


@pytest.mark.parametrize("box", [(-50, -50, 30, 40), (290, 190, 340, 240), (400, 400, 450, 460)])
def test_a_thumbnail_at_or_beyond_the_edge(box: tuple[int, ...]) -> None:
    small = thumbnail(np.full((200, 300, 3), 255, np.uint8), np.array(box), 64)
    assert small.shape == (64, 64, 3)
    assert (small == 0).any()


@pytest.mark.parametrize(("count", "rows", "columns"), [(1, 1, 1), (6, 1, 6), (7, 2, 6), (13, 3, 6)])
def test_every_face_is_on_the_sheet(count: int, rows: int, columns: int) -> None:
    shades = [60 + 10 * index for index in range(count)]
    sheet = contact_sheet([(index + 1, np.full((96, 96, 3), shade, np.uint8)) for index, shade in enumerate(shades)])
    assert sheet.shape == (rows * (96 + GAP) + GAP, columns * (96 + GAP) + GAP, 3)
    for index, shade in enumerate(shades):
        top, left = (GAP + place * (96 + GAP) for place in divmod(index, 6))
        assert (sheet[top : top + 60, left : left + 96] == shade).all()


@pytest.mark.parametrize("size", [48, 128, 200])
def test_numbers_differ_and_fit(size: int) -> None:
    blank = np.full((size, size, 3), 120, np.uint8)
    plates = []
    for number in (1, 2, 7, 12, 100):
        sheet = contact_sheet([(number, blank)])[GAP:-GAP, GAP:-GAP]
        changed = (sheet != 120).any(axis=-1)
        assert changed.any() and not changed[: size // 2].any() and not changed[:, -2:].any()
        assert sheet.max() > 200  # the number itself
        plates.append(sheet.tobytes())
    assert len(set(plates)) == 5


def test_the_thumbnails_given_are_left_as_they_were() -> None:
    blank = np.full((64, 64, 3), 120, np.uint8)
    contact_sheet([(1, blank)])
    assert (blank == 120).all()


def test_nothing_to_show() -> None:
    with pytest.raises(ValueError, match="thumbnails"):
        contact_sheet([])
    with pytest.raises(ValueError, match="one size"):
        contact_sheet([(1, np.zeros((64, 64, 3), np.uint8)), (2, np.zeros((32, 32, 3), np.uint8))])
