# SPDX-License-Identifier: GPL-3.0-or-later
"""An export leaves the scene as it was and the disk with a whole file or none."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from make_head import moving_take, synthetic_head
from reimport import SUFFIXES
from staging import Stage

resource = pytest.importorskip("resource", reason="limits of files are not there on Windows")
FORMATS = list(SUFFIXES)


@pytest.fixture
def stage(mien: Any, tmp_path: Path) -> Stage:
    """A head that performs 12 frames."""
    head = synthetic_head(1)
    made = tmp_path / "made"
    made.mkdir()
    return Stage(mien, head, moving_take(head, 12), made, start=1)


def export(mien: Any, name: str, stage: Stage, folder: Path, **options: Any) -> Path:
    """Write the head."""
    import bpy

    path = folder / f"head{SUFFIXES[name]}"
    mien("exports.formats").export_heads(name, bpy.context.scene, [stage.mesh], path, **options)
    return path


def state() -> dict[str, Any]:
    """What an export must not change."""
    import bpy

    kinds = ("objects", "meshes", "armatures", "cameras", "actions", "shape_keys", "scenes", "materials", "images",
             "collections", "texts", "worlds", "node_groups")  # fmt: skip
    active = bpy.context.view_layer.objects.active
    return {
        **{kind: sorted((item.name, item.session_uid) for item in getattr(bpy.data, kind)) for kind in kinds},
        "scene": (bpy.context.scene.name, bpy.context.scene.frame_current, bpy.context.scene.render.fps_base),
        "selected": sorted(item.name for item in bpy.context.view_layer.objects if item.select_get()),
        "active": (active.name, active.mode),
        "window": bpy.context.window_manager.windows[0].scene.name,
        "addons": sorted(item.module for item in bpy.context.preferences.addons),
    }


@contextmanager
def full_disk(size: int = 3000) -> Iterator[None]:
    """No file can grow beyond this many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


@pytest.mark.parametrize("mode", ["OBJECT", "EDIT", "POSE", "SCULPT"])
@pytest.mark.parametrize("name", FORMATS)
def test_the_scene_stays_as_it_was(mien: Any, stage: Stage, tmp_path: Path, name: str, mode: str) -> None:
    import bpy

    bpy.context.scene.frame_set(7)
    bpy.context.view_layer.objects.active = stage.rig if mode == "POSE" else stage.mesh
    bpy.ops.object.mode_set(mode=mode)
    values = [key.value for key in stage.mesh.data.shape_keys.key_blocks]
    drivers = len(stage.mesh.data.shape_keys.animation_data.drivers)
    before = state()
    out = tmp_path / "out"
    out.mkdir()
    export(mien, name, stage, out)
    assert state() == before
    assert [key.value for key in stage.mesh.data.shape_keys.key_blocks] == values
    assert len(stage.mesh.data.shape_keys.animation_data.drivers) == drivers
    bpy.ops.object.mode_set(mode="OBJECT")


@pytest.mark.parametrize("name", FORMATS)
def test_undo_has_no_new_step(mien: Any, stage: Stage, tmp_path: Path, name: str) -> None:
    import bpy

    bpy.ops.ed.undo_push(message="Before")
    bpy.context.scene.render.fps = 30
    bpy.ops.ed.undo_push(message="Rate")
    export(mien, name, stage, tmp_path)
    bpy.ops.ed.undo()
    assert bpy.context.scene.render.fps == 24
    assert stage.names.mesh in bpy.data.objects


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("there", [False, True], ids=["none", "older"])
def test_a_full_disk_leaves_nothing_or_the_older_file(
    mien: Any, stage: Stage, tmp_path: Path, name: str, there: bool
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    if there:
        (out / f"head{SUFFIXES[name]}").write_bytes(b"older")
    before = state()
    with full_disk(), pytest.raises(mien("contract.errors").MienError, match=f"head{SUFFIXES[name]} cannot") as caught:
        export(mien, name, stage, out)
    assert caught.value.code == "no_space"
    assert [(path.name, path.read_bytes()) for path in out.iterdir()] == (
        [(f"head{SUFFIXES[name]}", b"older")] if there else []
    )
    assert state() == before


@pytest.mark.parametrize("name", FORMATS)
def test_places_that_cannot_be_written(mien: Any, stage: Stage, tmp_path: Path, name: str) -> None:
    error = mien("contract.errors").MienError
    with pytest.raises(error, match="none/head") as caught:
        export(mien, name, stage, tmp_path / "none")
    assert caught.value.code == "missing_file"
    (tmp_path / f"head{SUFFIXES[name]}").mkdir()
    with pytest.raises(error, match="it is a folder") as caught:
        export(mien, name, stage, tmp_path)
    assert caught.value.code == "not_permitted"


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_write_protected_folder(mien: Any, stage: Stage, tmp_path: Path) -> None:
    out = tmp_path / "locked"
    out.mkdir(mode=0o500)
    for name in FORMATS:
        with pytest.raises(mien("contract.errors").MienError, match="locked/head") as caught:
            export(mien, name, stage, out)
        assert caught.value.code == "not_permitted"


@pytest.mark.parametrize("name", FORMATS)
def test_a_head_that_is_linked_from_another_file(mien: Any, stage: Stage, tmp_path: Path, name: str) -> None:
    import bpy

    library, collection = str(tmp_path / "library.blend"), stage.names.collection
    bpy.ops.wm.save_as_mainfile(filepath=library)
    count = len(stage.mesh.data.vertices)
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    with bpy.data.libraries.load(library, link=True) as (_, into):
        into.collections = [collection]
    bpy.context.scene.collection.children.link(into.collections[0])
    mesh = next(item for item in bpy.data.objects if item.type == "MESH")
    kinds = ("objects", "meshes", "actions", "shape_keys")
    before = {kind: sorted(item.name for item in getattr(bpy.data, kind)) for kind in kinds}
    path = tmp_path / f"linked{SUFFIXES[name]}"
    mien("exports.formats").export_heads(name, bpy.context.scene, [mesh], path)
    assert before == {kind: sorted(item.name for item in getattr(bpy.data, kind)) for kind in kinds}
    if name == "mdd":
        assert tuple(np.frombuffer(path.read_bytes(), ">i4", 2)) == (12, count)


def test_a_sidecar_that_cannot_be_placed_takes_the_file_along(mien: Any, stage: Stage, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "head.abc").write_bytes(b"older")
    (out / "head.abc.json").mkdir()
    with pytest.raises(mien("contract.errors").MienError, match="it is a folder"):
        export(mien, "abc", stage, out)
    assert (out / "head.abc").read_bytes() == b"older"
    assert sorted(path.name for path in out.iterdir()) == ["head.abc", "head.abc.json"]


def test_files_that_are_placed_before_one_that_fails_go_back(mien: Any, tmp_path: Path, monkeypatch: Any) -> None:
    whole = mien("exports.whole")
    (tmp_path / "a").write_bytes(b"old a")
    real = whole._move

    def move(source: Path, target: Path) -> None:
        if target == tmp_path / "b":
            raise OSError(5, "made up")
        real(source, target)

    monkeypatch.setattr(whole, "_move", move)
    with pytest.raises(mien("contract.errors").MienError):
        whole.write_files(tmp_path / "a", {"a": b"new", "b": b"new", "c/d": b"new"})
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"old a")]


def test_an_exporter_that_is_switched_off_is_switched_on_meanwhile(mien: Any, stage: Stage, tmp_path: Path) -> None:
    import bpy

    for name, module in (("fbx", "io_scene_fbx"), ("glb", "io_scene_gltf2")):
        bpy.ops.preferences.addon_disable(module=module)
        before = state()
        assert module not in before["addons"]
        assert export(mien, name, stage, tmp_path).is_file()
        assert state() == before
        bpy.ops.preferences.addon_enable(module=module)


def test_a_blender_without_the_exporter_says_so(mien: Any, stage: Stage, tmp_path: Path, monkeypatch: Any) -> None:
    operators = mien("exports.operators")
    monkeypatch.setattr(operators.addon_utils, "check", lambda module: (False, False))
    monkeypatch.setattr(operators.addon_utils, "enable", lambda module, **options: None)
    with pytest.raises(mien("contract.errors").MienError, match="lacks the add-on io_scene_fbx") as caught:
        export(mien, "fbx", stage, tmp_path)
    assert caught.value.code == "cannot_export"


def test_a_blender_that_was_built_without_the_exporter_says_so(mien: Any) -> None:
    with pytest.raises(mien("contract.errors").MienError, match="built without the exporter wm.no_export") as caught:
        mien("exports.operators").operator("wm", "no_export")
    assert caught.value.code == "cannot_export"


def test_what_no_file_carries_is_told(mien: Any, stage: Stage, tmp_path: Path) -> None:
    import bpy

    formats = mien("exports.formats")
    stage.mesh.modifiers.new("Bumps", "DISPLACE")
    told = formats.export_heads("mdd", bpy.context.scene, [stage.mesh], tmp_path / "x.mdd")
    assert len(told) == 1 and "'Bumps'" in told[0]


def test_what_makes_no_sense_is_refused(mien: Any, stage: Stage, tmp_path: Path) -> None:
    import bpy

    formats, error = mien("exports.formats"), mien("contract.errors").MienError
    for name, meshes, frames in (("max", [stage.mesh], None), ("fbx", [], None), ("fbx", [stage.mesh], (9, 3))):
        with pytest.raises(error) as caught:
            formats.export_heads(name, bpy.context.scene, meshes, tmp_path / "x", frames)
        assert caught.value.code == "usage"


def test_a_range_and_its_times(mien: Any, stage: Stage, tmp_path: Path) -> None:
    path = export(mien, "mdd", stage, tmp_path, frames=(4, 9))
    content = path.read_bytes()
    frames, points = np.frombuffer(content, ">i4", 2)
    assert (frames, points) == (6, len(stage.mesh.data.vertices))
    np.testing.assert_allclose(np.frombuffer(content, ">f4", 6, 8), np.arange(6) / 24, atol=1e-7)
    assert len(content) == 8 + 6 * 4 + 6 * points * 12


@pytest.mark.parametrize("lowest", [-1.0, -10.0])
def test_sides_of_a_key_add_up_to_it(mien: Any, lowest: float) -> None:
    targets, random = mien("exports.targets"), np.random.default_rng(0)
    for span in ((-3.0, 2.0), (0.0, 0.5), (0.2, 1.7), (-0.4, 0.0)):
        target = targets.Target("a", random.normal(size=(5, 3)), random.uniform(*span, 20))
        made = list(targets.sides(target, lowest))
        summed = sum(side.values[:, None, None] * side.offsets for side in made)
        np.testing.assert_allclose(summed, target.values[:, None, None] * target.offsets, atol=1e-12)
        assert all(0.0 <= side.values.min() and side.values.max() <= 1.0 for side in made)
        assert [side.name for side in made] == (["a", "a_minus"] if span[0] < 0 or lowest < -2 else ["a"])
        for side in made:
            np.testing.assert_allclose(side.offsets, target.offsets * side.scale)
