# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest
import torch

from backend.heads import load_head
from backend.rendering import overlay
from backend.rendering.overlay import OverlayFace, overlay_picture
from backend.rendering.raster import rasterize
from backend.rendering.wireframe import drawn_edges, edge_lines
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.projection import project
from tests.fake_heads import small_head


@pytest.fixture(scope="module")
def head() -> HeadDescription:
    return load_head("open")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlay, "MAX_HEIGHT", 144)
    monkeypatch.setattr(overlay, "MAX_WIDTH", 400)


def face(
    head: HeadDescription, x: float = 0.0, distance: float = 0.8, size: tuple[int, int] = (144, 180)
) -> OverlayFace:
    camera = np.array([[size[0] * 2.0, 0, size[1] / 2], [0, size[0] * 2.0, size[0] / 2], [0, 0, 1]])
    return OverlayFace(head, head.template, np.array([x, 0.0, distance]), camera)


def photo(size: tuple[int, int] = (144, 180)) -> np.ndarray:
    return np.full((*size, 3), (40, 90, 60), np.uint8)


def test_the_mesh_lies_where_the_camera_sees_it(head: HeadDescription) -> None:
    one = face(head)
    picture = overlay_picture(photo(), [one])
    scale = picture.shape[0] / 144
    panel = picture[:, : round(180 * scale)].astype(int)
    changed = np.abs(panel - (40, 90, 60)).max(-1) > 3
    rows, columns = (np.flatnonzero(changed.any(axis)) for axis in (1, 0))
    points = project(one.vertices, one.translation, one.camera_matrix) * scale
    assert rows[0] == pytest.approx(points[:, 1].min(), abs=2)
    assert columns[0] == pytest.approx(points[:, 0].min(), abs=2)
    assert columns[-1] == pytest.approx(points[:, 0].max(), abs=2)
    assert not changed[:, : columns[0]].any()


@pytest.mark.parametrize("size", [(144, 180), (900, 300), (200, 900), (3000, 4000), (20, 30)])
@pytest.mark.parametrize("count", [0, 1, 3, 6])
def test_pictures_stay_within_the_limits(
    head: HeadDescription, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], count: int
) -> None:
    monkeypatch.setattr(overlay, "_portraits", lambda _, height: np.zeros((height, int(1.34 * height), 3), np.uint8))
    picture = overlay_picture(photo(size), [face(head, 0.1 * i, 1.5, size) for i in range(count)])
    assert picture.dtype == np.uint8
    assert picture.shape[0] <= 144
    assert picture.shape[1] <= 400


def test_without_faces_it_is_the_photo() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (144, 150, 3)).astype(np.uint8)
    np.testing.assert_array_equal(overlay_picture(noise, []), noise)


def test_a_small_head_in_a_large_photo_is_cropped_to(head: HeadDescription) -> None:
    far = face(head, 0.4, 8.0, (1440, 1800))
    pixels = photo((1440, 1800))
    pixels[:20] = 255
    picture = overlay_picture(pixels, [far])
    changed = np.abs(picture.astype(int) - (40, 90, 60)).max(-1) > 3
    width = np.flatnonzero(changed.any(0))[0]
    assert width > 5
    assert changed[:, : picture.shape[0] // 2].mean() > 0.1
    assert (picture[0] != 255).any(-1).all()


def test_a_head_behind_the_camera_is_not_drawn(head: HeadDescription) -> None:
    behind = face(head, 0.0, -1.0)
    picture = overlay_picture(photo(), [behind])
    panel = picture[:, : round(180 * picture.shape[0] / 144)]
    assert (panel == (40, 90, 60)).all()


def test_diagonals_of_quads_are_not_edges(head: HeadDescription) -> None:
    drawn = drawn_edges(head).numpy()
    sides = set()
    for polygon in head.polygons.tolist():
        corners = [v for v in polygon if v >= 0]
        sides |= {frozenset(pair) for pair in zip(corners, corners[1:] + corners[:1], strict=True)}
    for corner in range(3):
        ends = np.delete(head.faces, corner, axis=1)
        expected = [frozenset(pair) in sides for pair in ends.tolist()]
        # A quad's diagonal may be the side of another polygon; everything else must agree.
        assert (drawn[:, corner] <= expected).all()
    assert (~drawn).sum() == 2 * (head.polygons[:, 3] >= 0).sum()
    triangles = small_head()
    assert drawn_edges(triangles).all()


def test_lines_run_along_the_sides_and_not_across() -> None:
    square = torch.tensor([[[-0.75, -0.75, 1], [0.75, -0.75, 1], [0.75, 0.75, 1], [-0.75, 0.75, 1]]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    fragments = rasterize(square, faces, (80, 80))
    drawn = torch.tensor([[True, False, True], [True, True, False]])
    lines = edge_lines(fragments, (square[0, :, :2] + 1) * 40, faces, drawn, 1.0)
    assert (lines[10, 10:70] > 0.99).all()
    assert (lines[10:70, 69] > 0.99).all()
    assert (lines[13:67, 13:67] == 0).all()
    assert (lines[:10] == 0).all()
