# SPDX-License-Identifier: GPL-3.0-or-later
"""The camera against the contract's projection, and the photo behind the head."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from make_head import random_take, synthetic_head

PIXEL_TOLERANCE = 0.05


def _pixels(scene: Any, camera: Any, points: np.ndarray) -> np.ndarray:
    """Where Blender's camera sees world points (N, 3), in pixels from the top left."""
    import bpy_extras.object_utils
    from mathutils import Vector

    views = [bpy_extras.object_utils.world_to_camera_view(scene, camera, Vector(point)) for point in points]
    found = np.array([(view.x, 1.0 - view.y) for view in views])
    return found * (scene.render.resolution_x, scene.render.resolution_y)


def _take(seed: int, size: tuple[int, int], stretch: float = 1.0) -> Any:
    take = random_take(synthetic_head(), seed, size=size)
    take.camera_matrix[1, 1] *= stretch
    return take


def _in_package(mien: Any, head: Any, take: Any, folder: Path) -> tuple[Any, Any]:
    """The same head and take as the add-on's own classes."""
    head.save(folder / "head.npz")
    take.save(folder / "take.npz")
    contract = mien("contract.head").HeadDescription, mien("contract.take").Take
    return contract[0].load(folder / "head.npz"), contract[1].load(folder / "take.npz")


@pytest.mark.parametrize("stretch", [1.0, 1.2, 0.7])
@pytest.mark.parametrize("size", [(640, 480), (480, 640), (1000, 1000), (4032, 3024)])
def test_blenders_camera_projects_as_the_contract_says(
    mien: Any, evaluated: Any, tmp_path: Path, size: tuple[int, int], stretch: float
) -> None:
    import bpy

    head, take = _in_package(mien, synthetic_head(), _take(3, size, stretch), tmp_path)
    scene = bpy.context.scene
    captured = mien("scene").add_captures(head, [take], None, scene).heads[0]
    world = evaluated(bpy.data.objects[captured.head.mesh])
    project, axes = mien("contract.projection").project, mien("axes")
    expected = project(axes.to_head(world), take.translation[0], take.camera_matrix)
    error = np.abs(_pixels(scene, bpy.data.objects[captured.camera], world) - expected).max()
    print(f"{size} {stretch}: {error:.2e} px")
    assert error < PIXEL_TOLERANCE
    assert (scene.camera.name, scene.render.resolution_percentage) == (captured.camera, 100)


def test_faces_of_one_photo_share_a_camera_and_line_up(mien: Any, evaluated: Any, tmp_path: Path) -> None:
    import bpy

    head = synthetic_head()
    pairs = [_in_package(mien, head, random_take(head, seed), tmp_path) for seed in (4, 5)]
    scene = bpy.context.scene
    captured = mien("scene").add_captures(pairs[0][0], [take for _, take in pairs], None, scene).heads
    assert captured[0].camera == captured[1].camera
    assert len([item for item in bpy.data.objects if item.type == "CAMERA"]) == 1
    project, axes = mien("contract.projection").project, mien("axes")
    for item, (_, take) in zip(captured, pairs, strict=True):
        world = evaluated(bpy.data.objects[item.head.mesh])
        placed = np.array(bpy.data.objects[item.head.rig].matrix_world)[:3, 3]
        expected = project(axes.to_head(world - placed), take.translation[0], take.camera_matrix)
        assert np.abs(_pixels(scene, scene.camera, world) - expected).max() < PIXEL_TOLERANCE


def test_a_scene_keeps_its_camera_when_asked_to(mien: Any, tmp_path: Path) -> None:
    import bpy

    scene = bpy.context.scene
    own = bpy.data.objects.new("Mine", bpy.data.cameras.new("Mine"))
    scene.collection.objects.link(own)
    scene.camera = own
    size = scene.render.resolution_x, scene.render.resolution_y
    head, take = _in_package(mien, synthetic_head(), _take(1, (640, 480)), tmp_path)
    module = mien("scene")
    module.add_captures(head, [take], None, scene, module.SceneOptions(use_camera=False))
    assert scene.camera == own
    assert (scene.render.resolution_x, scene.render.resolution_y) == size


def _png(path: Path, pixels: np.ndarray, orientation: int | None = None) -> Path:
    """Write an RGB PNG (H, W, 3) uint8, with an orientation tag if asked."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width = pixels.shape[:2]
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    if orientation is not None:
        content += chunk(b"eXIf", _exif(orientation))
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    path.write_bytes(content + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
    return path


def _exif(orientation: int, order: str = "<") -> bytes:
    mark = b"II" if order == "<" else b"MM"
    entry = struct.pack(f"{order}HHIHH", 0x0112, 3, 1, orientation, 0)
    return mark + struct.pack(f"{order}HIH", 42, 8, 1) + entry + struct.pack(f"{order}I", 0)


def _stored(upright: np.ndarray, orientation: int) -> np.ndarray:
    """How a camera stores an image with an orientation tag: what the tag's words say about rows and columns."""
    turned = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: upright.swapaxes(0, 1)[::-1],  # row 0 of the file is the right side: its top is the picture's right
        7: upright.swapaxes(0, 1)[::-1, ::-1],
        8: upright.swapaxes(0, 1)[:, ::-1],
    }
    return np.ascontiguousarray(turned[orientation])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_are_shown_upright(mien: Any, tmp_path: Path, orientation: int) -> None:
    upright = np.random.default_rng(orientation).integers(0, 255, (20, 30, 3)).astype(np.uint8)
    path = _png(tmp_path / "photo.png", _stored(upright, orientation), orientation)
    image = mien("camera.background").load_photo(path)
    assert tuple(image.size) == (30, 20)
    pixels = np.empty(30 * 20 * 4, np.float32)
    image.pixels.foreach_get(pixels)
    np.testing.assert_allclose(pixels.reshape(20, 30, 4)[::-1, :, :3] * 255.0, upright, atol=0.6)
    assert bool(image.packed_file) == (orientation != 1)


@pytest.mark.parametrize("order", ["<", ">"])
def test_orientation_of_a_jpeg_is_read(mien: Any, tmp_path: Path, order: str) -> None:
    block = b"Exif\0\0" + _exif(6, order)
    content = b"\xff\xd8\xff\xe0" + struct.pack(">H", 4) + b"ab"
    content += b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + b"\xff\xda\0\0"
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    read = mien("camera.orientation").read_orientation
    assert read(path) == 6
    path.write_bytes(content[:30])
    assert read(path) == 1
    path.write_bytes(b"nothing of the kind")
    assert read(path) == 1


def test_the_photo_is_behind_the_head(mien: Any, tmp_path: Path) -> None:
    import bpy

    photo = _png(tmp_path / "anna_01.png", np.zeros((48, 64, 3), np.uint8))
    head, take = _in_package(mien, synthetic_head(), _take(1, (64, 48)), tmp_path)
    captured = mien("scene").add_captures(head, [take], str(photo), bpy.context.scene)
    assert captured.warnings == ()
    camera = bpy.data.objects[captured.heads[0].camera].data
    (background,) = camera.background_images
    assert camera.show_background_images
    assert (background.display_depth, background.frame_method, background.alpha) == ("BACK", "FIT", 1.0)
    assert Path(bpy.path.abspath(background.image.filepath)) == photo


def test_a_photo_that_cannot_be_shown_is_said_and_the_head_is_there(mien: Any, tmp_path: Path) -> None:
    import bpy

    head, take = _in_package(mien, synthetic_head(), _take(1, (64, 48)), tmp_path)
    bad = tmp_path / "photo.heic"
    bad.write_bytes(b"not an image")
    scene = bpy.context.scene
    for photo, words in ((bad, "cannot show"), (tmp_path / "gone.jpg", "cannot be read")):
        captured = mien("scene").add_captures(head, [take], str(photo), scene)
        assert captured.heads[0].head.mesh in bpy.data.objects
        assert len(captured.warnings) == 1
        assert photo.name in captured.warnings[0]
        assert words in captured.warnings[0] or "not an image that Blender can show" in captured.warnings[0]
    other = _png(tmp_path / "small.png", np.zeros((10, 10, 3), np.uint8))
    captured = mien("scene").add_captures(head, [take], str(other), scene)
    assert "changed since it was captured" in captured.warnings[0]
