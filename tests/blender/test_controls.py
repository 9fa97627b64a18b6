# SPDX-License-Identifier: GPL-3.0-or-later
"""Names, regions, dots, and what stands in the way of a view."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from make_head import random_take, synthetic_head


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/photos/anna_01.jpg", "Anna 01"),
        ("alice.jpg", "Alice"),
        ("McKay.Portrait.png", "McKay Portrait"),
        ("...", "Head"),
        ("été à Paris.jpg", "Été à Paris"),
        ("x" * 200 + ".jpg", "X" + "x" * 39),
        ("ü" * 50 + ".jpg", "Ü" + "ü" * 19),
    ],
)
def test_heads_are_named_after_the_photo(mien: Any, path: str, name: str) -> None:
    names = mien("rig.names")
    assert names.from_file(path) == name
    assert len(f"{names.camera_name(name)} 99".encode()) < 63


def test_taken_names_get_numbers(mien: Any) -> None:
    taken = {"Anna", "Anna 2"}
    assert mien("rig.names").unique("Anna", taken.__contains__) == "Anna 3"
    assert mien("rig.names").unique("Bea", taken.__contains__) == "Bea"


def test_regions_part_the_keys(mien: Any) -> None:
    regions = mien("rig.regions")
    keys = ["Basis", "Identity 001", "Corrective jaw 11", "browInnerUp", "mouthLeft", "mouthRight", "eyeBlinkLeft"]
    keys += ["eyeBlinkRight", "cheekPuff", "noseSneerLeft", "tongueOut", "jawOpen", "exp001", "mouthSmileLeft"]
    rows = regions.controls(keys)
    found = [key for controls in rows.values() for control in controls for key in control.keys]
    assert sorted(found) == sorted(keys[3:])
    assert rows[regions.Region.MOUTH][0] == regions.Control("Sideways", ("mouthLeft", "mouthRight"))
    assert rows[regions.Region.EYES] == [regions.Control("Blink", ("eyeBlinkLeft", "eyeBlinkRight"))]
    assert rows[regions.Region.OTHER] == [regions.Control("Component 1", ("exp001",))]
    assert regions.Control("Smile Left", ("mouthSmileLeft",)) in rows[regions.Region.MOUTH]
    assert regions.Control("Tongue Out", ("tongueOut",)) in rows[regions.Region.MOUTH]


def test_dots_are_round_and_premultiplied(mien: Any) -> None:
    dots = mien("ui.dots")
    picture = dots.picture("green")
    assert picture.shape == (32, 32, 4)
    assert picture[16, 16, 3] == 1.0 and picture[0, 0].max() == 0.0
    assert (picture[..., :3] <= picture[..., 3:]).all()
    np.testing.assert_array_equal(picture, picture[::-1, ::-1])


def test_objects_between_camera_and_head_are_found(mien: Any, tmp_path: Any) -> None:
    import bpy

    synthetic_head().save(tmp_path / "head.npz")
    random_take(synthetic_head()).save(tmp_path / "take.npz")
    head = mien("contract.head").HeadDescription.load(tmp_path / "head.npz")
    take = mien("contract.take").Take.load(tmp_path / "take.npz")
    scene = bpy.context.scene
    captured = mien("scene").add_captures(head, [take], None, scene)
    heads = [bpy.data.objects[captured.heads[0].head.mesh]]
    view = mien("ui.view")
    bpy.context.view_layer.update()
    assert view.objects_in_the_way(scene, heads) == []
    bpy.ops.mesh.primitive_cube_add(size=2.0)
    cube = bpy.context.object
    assert view.objects_in_the_way(scene, heads) == [cube]
    cube.location = (0.0, 8.0, 0.0)
    bpy.context.view_layer.update()
    assert view.objects_in_the_way(scene, heads) == []
    cube.location = (0.0, -0.5, 0.0)
    cube.hide_set(True)
    bpy.context.view_layer.update()
    assert view.objects_in_the_way(scene, heads) == []
