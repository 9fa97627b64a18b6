# SPDX-License-Identifier: GPL-3.0-or-later
"""The tiles cover every place where a face could hide, and lead back to the full frame."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.faces import search
from backend.faces.search import COARSEST_FRACTION, FIELD, SMALLEST, Candidate, Tile

sizes = st.tuples(st.integers(64, 1600), st.integers(64, 1600))


def blank(width: int, height: int) -> np.ndarray:
    return np.zeros((height, width, 3), dtype=np.uint8)


def corners(tile: Tile) -> np.ndarray:
    """(4,) full-frame bounds of a tile."""
    height, width = tile.pixels.shape[:2]
    points = np.array([[0, 0], [width, height]]) @ tile.to_frame[:, :2].T + tile.to_frame[:, 2]
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


@settings(max_examples=80, deadline=None)
@given(size=sizes, data=st.data())
def test_every_face_lies_whole_in_a_tile_that_is_fine_enough(size: tuple[int, int], data: st.DataObject) -> None:
    width, height = size
    pixels = blank(width, height)
    face = data.draw(st.floats(SMALLEST, 0.7 * min(size)), label="face")
    x = data.draw(st.floats(0, width - face), label="x")
    y = data.draw(st.floats(0, height - face), label="y")
    tiles = search.whole(pixels)
    for field in search.levels(pixels):
        tiles += search.tiles(pixels, field, [])
    for tile in tiles:
        left, top, right, bottom = corners(tile)
        if left - 1 <= x and top - 1 <= y and x + face <= right + 1 and y + face <= bottom + 1:
            # 0.75: what the detector still finds at the finest level, see `levels`.
            fraction = face * FIELD / max(right - left, bottom - top) / FIELD
            if fraction >= 0.75 * COARSEST_FRACTION:
                return
    raise AssertionError("no tile shows this face large enough")


@settings(max_examples=40, deadline=None)
@given(size=sizes)
def test_mirrored_pictures_are_searched_in_mirrored_tiles(size: tuple[int, int]) -> None:
    pixels = blank(*size)
    for field in search.levels(pixels):
        found = {tuple(corners(tile).round(6)) for tile in search.tiles(pixels, field, [])}
        twins = {(size[0] - right, top, size[0] - left, bottom) for left, top, right, bottom in found}
        assert len(found) == len(twins)
        # A middle column can be off by half a pixel of the level either way.
        assert np.allclose(sorted(found), sorted(twins), atol=1.01 * field / FIELD)


def test_a_small_photo_needs_few_runs() -> None:
    pixels = blank(512, 512)
    assert len(search.whole(pixels)) + sum(len(list(search.tiles(pixels, f, []))) for f in search.levels(pixels)) <= 12


def test_a_large_photo_is_searched_no_finer_than_its_reduced_copy() -> None:
    fields = search.levels(blank(4000, 3000))
    assert min(fields) == pytest.approx(SMALLEST / COARSEST_FRACTION * 4000 / search.SEARCH_SIDE)


def test_known_faces_hide_the_tiles_they_fill() -> None:
    pixels = blank(512, 512)
    (field,) = search.levels(pixels)
    everything = list(search.tiles(pixels, field, []))
    assert list(search.tiles(pixels, field, [np.array([0, 0, 512, 512])])) == []
    assert len(list(search.tiles(pixels, field, [np.array([200, 200, 240, 240])]))) == len(everything)


@pytest.mark.parametrize("tiles", ["whole", "turned", "tiles"])
def test_tiles_show_what_their_transform_says(tiles: str) -> None:
    # A red dot, found again through every tile that holds it.
    pixels = blank(400, 300)
    pixels[80:100, 210:230, 0] = 255
    chosen = {
        "whole": lambda: search.whole(pixels),
        "turned": lambda: search.turned(pixels),
        "tiles": lambda: list(search.tiles(pixels, 200, [])),
    }[tiles]()
    seen = 0
    for tile in chosen:
        rows, columns = np.nonzero(tile.pixels[..., 0] > 200)
        if len(rows) < 20:
            continue
        seen += 1
        middle = np.array([columns.mean() + 0.5, rows.mean() + 0.5])
        assert tile.to_frame[:, :2] @ middle + tile.to_frame[:, 2] == pytest.approx((220, 90), abs=4)
    assert seen >= 2


def candidate(x: float, y: float, size: float, score: float) -> Candidate:
    return Candidate(np.array([x, y, x + size, y + size]), np.full((6, 2), x), score)


def test_overlapping_candidates_are_averaged() -> None:
    merged = search.merged([candidate(0, 0, 100, 0.5), candidate(300, 0, 50, 0.8), candidate(10, 10, 100, 1.0)])
    assert [found.score for found in merged] == [1.0, 0.8]
    assert merged[0].box == pytest.approx([20 / 3, 20 / 3, 100 + 20 / 3, 100 + 20 / 3])
    assert merged[0].keypoints[0, 0] == pytest.approx(20 / 3)


def test_overlap() -> None:
    one = np.array([0, 0, 10, 10])
    assert search.overlap(one, one) == 1
    assert search.overlap(one, np.array([5, 0, 15, 10])) == pytest.approx(1 / 3)
    assert search.overlap(one, np.array([20, 20, 30, 30])) == 0


@given(st.integers(1, 5000))
def test_tile_starts_are_even_and_symmetric(length: int) -> None:
    starts = search._starts(length)
    last = max(0, length - FIELD)
    assert starts[0] == 0 and starts[-1] == last
    assert [last - start for start in reversed(starts)] == pytest.approx(starts, abs=1)
    assert max(np.diff(starts), default=0) <= math.ceil(FIELD * (1 - search.OVERLAP))
