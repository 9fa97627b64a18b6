# SPDX-License-Identifier: GPL-3.0-or-later
"""A photo captured with EMOCA from its official files, in Blender: head, wrinkles, and a character it drives."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import characters as made
import numpy as np
import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def published(run_backend: Callable[..., str], module_path: Path) -> Path:
    """The folder that make_published.py fills."""
    run_backend(Path(__file__).with_name("make_published.py"), module_path)
    return module_path


def read_take(mien: Any, folder: Path) -> Any:
    return mien("contract.take").Take.load(folder / "portrait.take.npz")


def check_head(mien: Any, mesh_object: Any, published: Path, evaluated: Callable[[Any], np.ndarray]) -> None:
    """That the mesh is the backend's, and carries the wrinkles as float data."""
    expected = mien("axes").to_blender(np.load(published / "vertices.npy")[0].astype(np.float64))
    found = evaluated(mesh_object)
    assert np.ptp(expected, axis=0).min() > 0.1
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert [item.name for item in mesh_object.modifiers] == ["Armature", "Wrinkles Base", "Subdivision", "Wrinkles"]
    lift = mesh_object.modifiers["Wrinkles"]
    assert (lift.type, lift.show_viewport, lift.show_render) == ("DISPLACE", False, True)
    image = lift.texture.image
    assert image.is_float and image.colorspace_settings.name == "Non-Color" and tuple(image.size) == (256, 256)
    pixels = np.array(image.pixels[:], np.float32).reshape(256, 256, -1)[::-1, :, 0]
    np.testing.assert_allclose(pixels, np.load(published / "map.npy"), atol=1e-7)
    assert np.ptp(pixels) > 1e-4


def test_the_head_is_the_backends_with_its_wrinkles(mien: Any, published: Path, evaluated: Any) -> None:
    import bpy

    scene, file = mien("scene"), published / "portrait.take.npz"
    head, take = mien("contract.head").HeadDescription.load(published / "head.npz"), read_take(mien, published)
    assert (take.meta.engine, take.meta.head_id, take.meta.commercial_use) == ("emoca", "flame2020", "no")
    options = scene.SceneOptions(take_files=(str(file),))
    captured = scene.add_captures(head, [take], str(published / "portrait.png"), bpy.context.scene, options)
    assert captured.warnings == ()
    check_head(mien, bpy.data.objects[captured.heads[0].head.mesh], published, evaluated)


def test_and_so_it_is_in_a_blend_that_was_saved_headless(
    mien: Any, published: Path, evaluated: Any, repository: Path, tmp_path: Path
) -> None:
    import bpy

    out = tmp_path / "head.blend"
    files = ("--head", published / "head.npz", "--take", published / "portrait.take.npz", "--out", out)
    command = [sys.executable, str(repository / "blender_addon" / "headless.py"), "--", *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    assert report["warnings"] == []
    bpy.ops.wm.open_mainfile(filepath=str(out))
    check_head(mien, bpy.data.objects[report["heads"][0]["mesh"]], published, evaluated)


def test_its_arkit_weights_drive_a_character(mien: Any, published: Path) -> None:
    import bpy

    body, _, _ = made.mpfb_character(mien)
    take, scene = read_take(mien, published), bpy.context.scene
    character = mien("character.targets").character_of(body, ())
    options = mien("character.apply").SendOptions(start=1)
    sent = mien("character.apply").send_take(character, take, mien("character.profile").Profile(), scene, options)
    names, weights = mien("contract.arkit").CHANNELS, take.extra["arkit"][0]
    assert (weights > 0.01).sum() > 3 and sent.keys > 40
    driven = [name for name in names if f"ARKit_{name}" in body.data.shape_keys.key_blocks]
    found = [made.key_values(body, f"ARKit_{name}", scene, [1])[0] for name in driven]
    expected = [weights[names.index(name)] for name in driven]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    record = mien("character.actions").read_record(bpy.data.actions[sent.action])
    assert (record["engine"], record["commercial_use"]) == ("emoca", "no")
