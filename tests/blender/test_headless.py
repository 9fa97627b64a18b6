# SPDX-License-Identifier: GPL-3.0-or-later
"""headless.py as other programs run it: a process, arguments, one line of JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blender_addon.contract.errors import EXIT_CODES, ErrorCode


def _run(repository: Path, *arguments: str | Path) -> tuple[int, dict[str, Any]]:
    command = [sys.executable, str(repository / "blender_addon" / "headless.py"), "--", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(lines) == 1, done.stdout + done.stderr
    return done.returncode, json.loads(lines[0])


def test_a_blend_is_built_and_opens_with_everything(
    mien: Any, repository: Path, reference: Path, evaluated: Any, tmp_path: Path
) -> None:
    import bpy

    photo = tmp_path / "photo.png"
    image = bpy.data.images.new("photo", 640, 480)
    image.filepath_raw, image.file_format = str(photo), "PNG"
    image.save()
    out = tmp_path / "head.blend"
    out.write_bytes(b"what was there before")
    case = ("--head", reference / "open.head.npz", "--take", reference / "open.take.npz")
    status, report = _run(repository, *case, "--source", photo, "--out", out)
    assert (status, report["ok"], report["warnings"]) == (0, True, [])
    print(f"{report['seconds']} s in Blender {report['blender']}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["head.blend", "photo.png"]
    photo.unlink()
    bpy.ops.wm.open_mainfile(filepath=str(out))
    made = report["heads"][0]
    expected = mien("axes").to_blender(np.load(reference / "open.vertices.npy")[0].astype(np.float64))
    np.testing.assert_allclose(evaluated(bpy.data.objects[made["mesh"]]), expected, atol=1e-5)
    camera = bpy.context.scene.camera
    assert camera.name == made["camera"]
    packed = camera.data.background_images[0].image
    assert packed.packed_file and tuple(packed.size) == (640, 480)
    assert bpy.data.actions[made["action"]]
    assert bpy.data.objects[made["rig"]].type == "ARMATURE"


def test_a_clip_becomes_a_performance_with_its_footage(
    mien: Any, repository: Path, clips: Path, evaluated: Any, tmp_path: Path
) -> None:
    import bpy
    from make_head import moving_take, synthetic_head

    head, take = synthetic_head(1), moving_take(synthetic_head(1), 20, size=(64, 48))
    head.save(tmp_path / "head.npz")
    take.save(tmp_path / "take.npz")
    files = ("--head", tmp_path / "head.npz", "--take", tmp_path / "take.npz", "--source", clips / "even.mp4")
    out = tmp_path / "shot.blend"
    status, report = _run(repository, *files, "--out", out, "--start", "1001", "--rate", "48", "--timing", "source")
    assert (status, report["ok"], len(report["warnings"])) == (0, True, 1)
    bpy.ops.wm.open_mainfile(filepath=str(out))
    scene, made = bpy.context.scene, report["heads"][0]
    assert (scene.render.fps, scene.frame_start, scene.frame_end, scene.frame_current) == (48, 1001, 1039, 1001)
    background = scene.camera.data.background_images[0]
    assert background.image.filepath == str(clips / "even.mp4")  # wherever the .blend goes
    scene.frame_set(1001 + 2 * 7)
    mesh = bpy.data.objects[made["mesh"]]
    moved = mien("axes").head_offset(take.translation[7], take.translation[0])
    expected = mien("axes").to_blender(mien("rig.posed").posed_vertices(head, take, 7)) + moved
    np.testing.assert_allclose(evaluated(mesh), expected, atol=1e-5)
    record = mien("animation.smooth").record_of(mesh)
    assert (record.take_file, record.timing, record.rate) == (str(tmp_path / "take.npz"), "source", 48.0)
    shown = bpy.context.evaluated_depsgraph_get()
    user = scene.camera.evaluated_get(shown).data.background_images[0].image_user
    assert scene.frame_current - user.frame_start + 1 + user.frame_offset == 8
    status, report = _run(repository, *files, "--out", out, "--rate", "0")
    assert (status, report["error"]["code"]) == (2, "usage")


def test_two_takes_become_two_heads(repository: Path, reference: Path, tmp_path: Path) -> None:
    takes = ("--take", reference / "open.take.npz", "--take", reference / "open_wide.take.npz")
    out = tmp_path / "both.blend"
    _, report = _run(repository, "--head", reference / "open.head.npz", *takes, "--out", out, "--name", "Anna")
    assert [item["mesh"] for item in report["heads"]] == ["Anna", "Anna 2"]
    assert out.is_file()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_read_only_folder_is_refused(repository: Path, reference: Path, tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    case = ("--head", reference / "egg.head.npz", "--take", reference / "egg.take.npz")
    status, report = _run(repository, *case, "--out", folder / "head.blend")
    assert status == EXIT_CODES[ErrorCode.NOT_PERMITTED]
    assert "head.blend" in report["error"]["message"]


def test_places_that_cannot_hold_the_file_are_refused(repository: Path, reference: Path, tmp_path: Path) -> None:
    case = ("--head", reference / "egg.head.npz", "--take", reference / "egg.take.npz")
    status, report = _run(repository, *case, "--out", tmp_path / "none" / "head.blend")
    assert status == EXIT_CODES[ErrorCode.MISSING_FILE]
    assert "none/head.blend" in report["error"]["message"]
    status, report = _run(repository, *case, "--out", tmp_path)
    assert status == EXIT_CODES[ErrorCode.NOT_PERMITTED]
    assert list(tmp_path.iterdir()) == []


def test_wrong_use_and_wrong_files_are_explained(repository: Path, reference: Path, tmp_path: Path) -> None:
    status, report = _run(repository, "--head", "x.npz")
    assert (status, report["error"]["code"]) == (2, "usage")
    out = tmp_path / "head.blend"
    wrong = ("--head", reference / "egg.head.npz", "--take", reference / "open.take.npz", "--out", out)
    status, report = _run(repository, *wrong)
    assert (status, report["error"]["code"]) == (EXIT_CODES[ErrorCode.WRONG_HEAD], "wrong_head")
    assert report["error"]["remedy"]
    status, report = _run(repository, "--head", tmp_path / "no.npz", "--take", "y.npz", "--out", out)
    assert report["error"]["code"] == "missing_file"
    assert not out.exists()


def test_formats_are_written_beside_the_blend_and_one_that_fails_stops_none(
    repository: Path, reference: Path, tmp_path: Path
) -> None:
    (tmp_path / "taken.glb").mkdir()
    case = ("--head", reference / "egg.head.npz", "--take", reference / "egg.take.npz", "--out", tmp_path / "a.blend")
    asked = [f"fbx={tmp_path}/a.fbx", f"glb={tmp_path}/taken.glb", f"mdd={tmp_path}/a.mdd", f"max={tmp_path}/a.max"]
    status, report = _run(repository, *case, *(text for name in asked for text in ("--export", name)))
    assert (status, report["ok"], set(report["exports"])) == (0, True, {"fbx", "mdd"})
    assert {name: error["code"] for name, error in report["failed"].items()} == {"glb": "not_permitted", "max": "usage"}
    files = {path.name for path in tmp_path.iterdir() if path.is_file()}
    assert files == {"a.blend", "a.fbx", "a.mdd", "a.obj", "a.mdd.json"}
    origin = json.loads((tmp_path / "a.mdd.json").read_text())["heads"]
    assert next(iter(origin.values()))["engine"] == "fit"


def test_a_single_export_needs_no_blend_and_its_failure_is_the_error(
    repository: Path, reference: Path, tmp_path: Path
) -> None:
    case = ("--head", reference / "egg.head.npz", "--take", reference / "egg.take.npz")
    status, report = _run(repository, *case, "--export", f"usd={tmp_path}/a.usdc")
    assert status == 0 and "blend" not in report and (tmp_path / "a.usdc").is_file()
    status, report = _run(repository, *case, "--export", f"usd={tmp_path}/none/a.usdc")
    assert (status, report["error"]["code"]) == (EXIT_CODES[ErrorCode.MISSING_FILE], "missing_file")
    status, report = _run(repository, *case)
    assert (status, report["error"]["code"]) == (2, "usage")


def test_the_process_ends_well_after_every_format(repository: Path, reference: Path, tmp_path: Path) -> None:
    """Blender's exporters leave things behind that its Python module of 4.2 crashes on at exit."""
    case = ("--head", reference / "egg.head.npz", "--take", reference / "egg.take.npz")
    asked = [f"{name}={tmp_path}/a.{name}" for name in ("fbx", "glb", "usdc", "abc", "mdd")]
    named = [text.replace("usdc=", "usd=") for text in asked]
    status, report = _run(repository, *case, *(text for name in named for text in ("--export", name)))
    assert (status, report["failed"]) == (0, {})
