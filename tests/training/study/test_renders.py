# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from backend.detail.exr import write_map
from backend.heads import load_head
from backend.heads.model import HeadModel
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.projection import project
from blender_addon.contract.take import Take
from tests.arkit_takes import arkit_take
from training.study.gathering import gather
from training.study.renders import PosedHead, cut_photo, grey_head, render_takes, window_of


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Photos of the takes' size whose red tells the column and whose green tells the row."""
    folder = tmp_path / "originals"
    folder.mkdir()
    pixels = np.zeros((720, 1280, 3), np.uint8)
    pixels[..., 0] = np.round((np.arange(1280) + 0.5) * 255 / 1280)
    pixels[..., 1] = np.round((np.arange(720) + 0.5) * 255 / 720)[:, None]
    for name in ("anna", "ben", "group"):
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder


def _save(folder: Path, name: str, take: Take) -> Take:
    folder.mkdir(parents=True, exist_ok=True)
    take.save(folder / f"{name}.take.npz")
    return take


def _still(seed: int = 0, **changes: object) -> Take:
    return arkit_take(1, seed=seed, source="nowhere.jpg", **changes)


def _pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def test_renders_stand_where_the_head_stands_in_the_photo(tmp_path, photos):
    take = _save(tmp_path / "fit", "anna", _still())
    moved = _save(tmp_path / "moved", "anna", replace(take, translation=take.translation + np.float32([0.02, 0.01, 0])))
    out = tmp_path / "study"
    assert render_takes(out, {"fit": tmp_path / "fit", "moved": tmp_path / "moved"}, photos) == []
    found = gather(out)
    assert list(found.photos) == ["anna"] and list(found.renders) == ["fit", "moved"] and not found.problems
    photo = _pixels(out / "photos" / "anna.png")
    for method, shown in (("fit", take), ("moved", moved)):
        render = _pixels(out / "renders" / method / "anna.png")
        assert render.shape == photo.shape == (512, 512, 3)
        assert (render[..., 0] == render[..., 1]).all() and (render[..., 0] == render[..., 2]).all()
        head = np.argwhere(render[..., 0] != render[0, 0, 0])
        assert len(head) > 40000
        # Where the render's head ends on top and on either side, in pixels of the photo, as its colours tell.
        (left, right), top = _across(photo, [head[:, 1].min(), head[:, 1].max() + 1]), _down(photo, head[:, 0].min())
        points = project(_vertices(shown), shown.translation[0], shown.camera_matrix)
        seen = points[points[:, 1] < _down(photo, 512)]
        assert (left, right) == (pytest.approx(seen[:, 0].min(), abs=2), pytest.approx(seen[:, 0].max(), abs=2))
        assert top == pytest.approx(points[:, 1].min(), abs=2)


def _vertices(take: Take) -> np.ndarray:
    names = ("identity", "expression", "head_rotation", "neck", "jaw", "eyes", "eyelids")
    values = {name: torch.from_numpy(np.atleast_2d(getattr(take, name))) for name in names}
    return HeadModel(load_head())(**values).vertices[0].numpy()


def _across(photo: np.ndarray, columns: list[int]) -> np.ndarray:
    """Column of the whole photo at left edges of columns of the cut one."""
    inside = np.nonzero(photo[256, :, 2] == 0)[0]
    line = np.polyfit(inside + 0.5, photo[256, inside, 0] * 1280 / 255, 1)
    return np.polyval(line, columns)


def _down(photo: np.ndarray, row: int) -> float:
    inside = np.nonzero(photo[:, 256, 2] == 0)[0]
    return float(np.polyval(np.polyfit(inside + 0.5, photo[inside, 256, 1] * 720 / 255, 1), row))


def test_the_window_holds_all_heads_and_the_photo_lines_up():
    corners = [np.array([[100.0, 50], [300, 250]]), np.array([[150.0, 80], [350, 300]])]
    nothing = np.zeros((0, 3))
    heads = [PosedHead(nothing, nothing, np.zeros(3), np.eye(3), box) for box in corners]
    left, top, side = window_of(heads)
    assert side == pytest.approx(250 * 1.16)
    assert left < 100 and top < 50 and left + side > 350 and top + side > 300
    pixels = np.zeros((400, 500, 3), np.uint8)
    pixels[150:200, 200:260] = 255
    cut = cut_photo(pixels, (left, top, side)).astype(int)[..., 0]
    rows, columns = np.nonzero(cut > 128)
    scale = 512 / side
    assert columns.min() == pytest.approx((200 - left) * scale, abs=2)
    assert rows.max() == pytest.approx((200 - top) * scale, abs=2)
    beyond = cut_photo(pixels, (-100.0, -100.0, 200.0))
    assert (beyond[:200, :200] == 43).all()


def test_a_face_is_brighter_towards_the_camera():
    points = np.array([[x, y, 0.08 * np.cos(12 * x) * np.cos(12 * y)] for y in np.linspace(-0.1, 0.1, 30)
                       for x in np.linspace(-0.1, 0.1, 30)])  # fmt: skip
    index = np.arange(900).reshape(30, 30)
    a, b, c, d = index[:-1, :-1].ravel(), index[:-1, 1:].ravel(), index[1:, 1:].ravel(), index[1:, :-1].ravel()
    faces = np.concatenate((np.stack((a, b, c), 1), np.stack((a, c, d), 1)))
    camera = np.array([[1000.0, 0, 256], [0, 1000, 256], [0, 0, 1]])
    posed = PosedHead(points, faces, np.array([0, 0, 1.0]), camera, np.zeros((2, 2)))
    picture = grey_head(posed, (0.0, 0.0, 512.0)).astype(int)[..., 0]
    assert picture[0, 0] == round(0.17 * 255)
    assert picture[256, 256] > picture[256, 330] + 15 and picture[256, 256] > picture[340, 256] + 15


def test_single_bad_takes_are_told_and_the_rest_is_made(tmp_path, photos):
    takes = tmp_path / "fit"
    _save(takes, "anna", _still())
    _save(takes / "deeper", "group.face2", _still(1))
    _save(takes, "clip", arkit_take(4))
    _save(takes, "nobody", _still(2))
    _save(takes, "ben", _still(3, image_size=np.array([640, 480], np.int32)))
    (takes / "broken.take.npz").write_bytes(b"PK\x03\x04 and nothing")
    problems = render_takes(tmp_path / "study", {"fit": takes}, photos)
    told = " / ".join(problems)
    assert len(problems) == 4
    for word in ("clip", "nobody", "ben", "broken"):
        assert word in told
    assert list(gather(tmp_path / "study").photos) == ["anna", "group.face2"]


def test_photos_are_found_where_the_takes_say(tmp_path, photos):
    _save(tmp_path / "fit", "anna", arkit_take(1, source=str(photos / "ben.png")))
    assert render_takes(tmp_path / "study", {"fit": tmp_path / "fit"}) == []
    assert (tmp_path / "study" / "photos" / "anna.png").is_file()


def test_whole_photos_are_not_written_over(tmp_path, photos):
    study = tmp_path / "study"
    study.mkdir()
    photos.rename(study / "photos")
    _save(tmp_path / "fit", "anna", _still())
    with pytest.raises(MienError, match="lies where") as error:
        render_takes(study, {"fit": tmp_path / "fit"}, study / "photos")
    assert error.value.code == ErrorCode.USAGE
    assert sorted(path.name for path in (study / "photos").iterdir()) == ["anna.png", "ben.png", "group.png"]


def test_a_folder_without_takes_is_refused(tmp_path):
    with pytest.raises(MienError, match="no takes") as error:
        render_takes(tmp_path / "study", {"fit": tmp_path})
    assert error.value.code == ErrorCode.MISSING_FILE


def test_wrinkles_are_drawn_where_the_take_has_them(tmp_path, photos):
    takes = tmp_path / "fit"
    takes.mkdir()
    random = np.random.default_rng(0)
    write_map(takes / "anna.exr", (0.002 * random.standard_normal((256, 256))).astype(np.float32))
    take = _still()
    take = _save(takes, "anna", replace(take, meta=replace(take.meta, displacement=("anna.exr",))))
    pictures = []
    for detail in (False, True):
        out = tmp_path / f"study{detail}"
        assert render_takes(out, {"fit": takes}, photos, detail=detail) == []
        pictures.append(_pixels(out / "renders" / "fit" / "anna.png"))
    plain, wrinkled = pictures
    assert (np.abs(plain - wrinkled) > 8).mean() > 0.05
    assert np.abs(plain.mean() - wrinkled.mean()) < 20
