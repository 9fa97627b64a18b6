# SPDX-License-Identifier: GPL-3.0-or-later
"""The section "Export" and imported takes, with a made-up backend in another process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fake_layout import draw
from make_head import moving_take, synthetic_head
from panel_driver import Panel, driven_panel


@pytest.fixture
def panel(mien: Any, backend_python: str, repository: Path, tmp_path: Path) -> Iterator[Panel]:
    """The session with a real service behind it that makes performances up (see clip_backend.py)."""
    script = Path(__file__).with_name("clip_backend.py")
    yield from driven_panel(mien, [backend_python, str(script)], repository, tmp_path / "heads")


@pytest.fixture
def captured(panel: Panel, tmp_path: Path) -> Any:
    """A head that performs a take of 8 frames, active."""
    import bpy

    clip = tmp_path / "shot_010.mp4"
    clip.write_text(json.dumps({"frames": 8}))
    bpy.ops.mien.capture_performance(filepath=str(clip), wait=True)
    return bpy.context.object


def take_file(folder: Path, name: str = "farm.take.npz", seed: int = 0) -> Path:
    """A take of the made-up backend's head, as a farm would bring it."""
    head = replace(synthetic_head(), id="open")
    path = folder / name
    moving_take(head, 10, seed=seed).save(path)
    return path


def test_the_active_head_is_written_in_all_formats_one_by_one(panel: Panel, captured: Any, tmp_path: Path) -> None:
    import bpy

    out = tmp_path / "out"
    out.mkdir()
    for name in ("fbx", "glb", "usd", "abc", "mdd"):
        assert f"prop:{name}" in draw(bpy.types.MIEN_PT_export)
        setattr(bpy.context.scene.mien.export, name, True)
    assert bpy.ops.mien.export_head(filepath=str(out / "alice.fbx")) == {"FINISHED"}
    exports = panel.session.exports
    assert exports.running == ["alice.fbx", "alice.glb", "alice.usdc", "alice.abc", "alice.mdd"]
    assert "Writing alice.fbx" in draw(bpy.types.MIEN_PT_export)
    assert "operator:mien.cancel_export" in draw(bpy.types.MIEN_PT_export)
    panel.session.pump()
    assert exports.running == ["alice.glb", "alice.usdc", "alice.abc", "alice.mdd"]
    panel.until(lambda: not exports.running)
    assert not exports.problems
    assert {path.name for path in out.iterdir()} == {
        "alice.fbx", "alice.glb", "alice.usdc", "alice.abc", "alice.abc.json", "alice.mdd", "alice.mdd.json",
        "alice.obj",
    }  # fmt: skip
    assert json.loads((out / "alice.abc.json").read_text())["heads"]["Shot 010"]["engine"] == "fit"


def test_it_can_be_cancelled_between_formats(panel: Panel, captured: Any, tmp_path: Path) -> None:
    import bpy

    bpy.ops.mien.export_head(filepath=str(tmp_path / "a"), formats={"fbx", "mdd", "abc"})
    panel.session.pump()
    assert bpy.ops.mien.cancel_export() == {"FINISHED"}
    panel.session.pump()
    assert [path.name for path in tmp_path.glob("a.*")] == ["a.fbx"]
    assert not bpy.ops.mien.cancel_export.poll()


def test_an_export_waits_while_the_user_is_in_the_middle_of_something(
    panel: Panel, mien: Any, captured: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    import bpy

    in_hand = ["Move"]
    monkeypatch.setattr(mien("compat"), "work_in_hand", lambda: in_hand[0])
    bpy.ops.mien.export_head(filepath=str(tmp_path / "a"), formats={"mdd"})
    for _ in range(5):
        panel.session.pump()
    assert panel.session.exports.running == ["a.mdd"]
    in_hand[0] = ""
    panel.session.pump()
    assert (tmp_path / "a.mdd").is_file()


def test_one_that_fails_is_told_and_does_not_stop_the_others(panel: Panel, captured: Any, tmp_path: Path) -> None:
    import bpy

    (tmp_path / "a.fbx").mkdir()
    with pytest.raises(RuntimeError, match="a.fbx cannot be written: it is a folder"):
        bpy.ops.mien.export_head(filepath=str(tmp_path / "a"), formats={"fbx", "mdd"}, wait=True)
    assert (tmp_path / "a.mdd").is_file()
    assert "it is a folder" in " ".join(draw(bpy.types.MIEN_PT_export))
    bpy.ops.mien.export_head(filepath=str(tmp_path / "b"), formats={"mdd"}, wait=True)
    assert "it is a folder" not in " ".join(draw(bpy.types.MIEN_PT_export))


def test_an_exporters_fault_ends_no_capture(
    panel: Panel, mien: Any, captured: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    import bpy

    def fail(*_: Any) -> None:
        raise ZeroDivisionError("made up")

    monkeypatch.setattr(mien("ui.exporting"), "export_heads", fail)
    clip = tmp_path / "long.mp4"
    clip.write_text(json.dumps({"frames": 20, "frame_seconds": 0.02}))
    bpy.ops.mien.capture_performance(filepath=str(clip))
    bpy.ops.mien.export_head(filepath=str(tmp_path / "a"), formats={"mdd"})
    mien("ui.ticker").tick()
    assert panel.session.exports.problems[0].code == "internal" and panel.session.running
    panel.finish()
    assert len(bpy.context.scene.mien.takes) == 2


def test_a_head_that_goes_before_its_turn_is_told(panel: Panel, captured: Any, tmp_path: Path) -> None:
    import bpy

    bpy.ops.mien.export_head(filepath=str(tmp_path / "a"), formats={"mdd"})
    bpy.data.objects.remove(captured)
    panel.session.pump()
    assert "is gone" in panel.session.exports.problems[0].message
    with pytest.raises(RuntimeError, match="Select a head"):
        bpy.ops.mien.export_head(filepath=str(tmp_path / "a"))


def test_all_selected_heads_go_into_one_file(panel: Panel, mien: Any, captured: Any, tmp_path: Path) -> None:
    import bpy

    bpy.ops.mien.import_take(filepath=str(take_file(tmp_path)), to="NEW")
    for item in bpy.data.objects:
        item.select_set(mien("rig.names").is_mien_head(item))
    bpy.ops.mien.export_head(filepath=str(tmp_path / "both"), formats={"mdd"}, all_selected=True, wait=True)
    points = np.frombuffer((tmp_path / "both.mdd").read_bytes(), ">i4", 2)[1]
    assert points == 2 * len(captured.data.vertices)


def test_a_take_is_written_by_the_backend(panel: Panel, mien: Any, captured: Any, tmp_path: Path) -> None:
    import bpy

    listed = [item.name for item in panel.session.exports.formats]
    assert "npz" in listed
    path = tmp_path / "mine.take.npz"
    path.write_bytes(b"older")
    assert bpy.ops.mien.export_take(filepath=str(path), format="npz") == {"FINISHED"}
    assert path.read_bytes() == b"older"  # Blender goes on
    panel.until(lambda: not panel.session.exports.running)
    take = mien("contract.take").Take
    assert len(take.load(path)) == len(take.load(bpy.context.scene.mien.takes[0].path)) == 8
    bpy.context.scene.mien.takes[0].smoothing = 0.9
    bpy.ops.mien.export_take(filepath=str(path), format="npz", wait=True)
    seen = mien("contract.smoothing").smooth(take.load(bpy.context.scene.mien.takes[0].path), 0.9)
    np.testing.assert_array_equal(take.load(path).expression, seen.expression)
    assert take.load(path).meta.smoothing == 0.9
    with pytest.raises(RuntimeError, match="no take format 'nonsense'"):
        bpy.ops.mien.export_take(filepath=str(path), format="nonsense", wait=True)
    with pytest.raises(RuntimeError, match="none/x.take.npz"):
        bpy.ops.mien.export_take(filepath=str(tmp_path / "none" / "x.take.npz"), format="npz", wait=True)


def test_the_chosen_format_is_kept_by_its_name(panel: Panel, mien: Any) -> None:
    import bpy

    form, settings = mien("contract.exporting").TakeFormat, bpy.context.scene.mien.export
    few, more = mien("ui.exporting").NPZ, form("livelink", "Live Link Face", ".csv")
    exports = panel.session.exports
    exports.formats = (few, more)
    assert settings.take_format == "npz"
    settings.take_format = "livelink"
    exports.formats = (form("arkit", "ARKit", ".csv"), few, more)
    assert settings.take_format == "livelink"
    exports.formats = (few,)  # another Blender, before the backend runs
    assert settings.take_format == "npz"
    exports.formats = (more, few)
    assert settings.take_format == "livelink"


def test_formats_are_fetched_from_the_panel_where_no_backend_runs(mien: Any, monkeypatch: Any) -> None:
    import bpy

    session = mien("ui.session").session()
    button = "operator:mien.check_backend:More Formats"
    monkeypatch.setattr(type(session), "client_error", None)
    assert button in draw(bpy.types.MIEN_PT_export)
    session.exports.handle(mien("client.events").FormatsListed((mien("ui.exporting").NPZ,)))
    assert button not in draw(bpy.types.MIEN_PT_export)
    mien("ui.session").end_session()


def test_a_name_that_is_no_files_is_refused_at_once(panel: Panel, captured: Any, tmp_path: Path) -> None:
    import bpy

    with pytest.raises(RuntimeError, match="'a:b' is no name for a file on every system"):
        bpy.ops.mien.export_take(filepath=str(tmp_path / "a:b.take.npz"), format="npz")
    assert not panel.session.exports.running


@pytest.mark.parametrize("verb", ["head", "take"])
def test_the_file_browser_proposes_a_name(panel: Panel, mien: Any, captured: Any, monkeypatch: Any, verb: str) -> None:
    import bpy

    captured.name = bpy.context.scene.mien.takes[0].name = "Ann/a: 1"
    chosen = SimpleNamespace(filepath="", format="npz", formats={"fbx"}, execute=None)
    monkeypatch.setattr(mien("ui.export_operators").ExportHelper, "invoke", lambda *_: {"RUNNING_MODAL"})
    operator = getattr(mien("ui.export_operators"), f"MIEN_OT_export_{verb}")
    assert operator.invoke(chosen, bpy.context, None) == {"RUNNING_MODAL"}
    assert chosen.filepath == {"head": "Ann_a_ 1.fbx", "take": "Ann_a_ 1.take.npz"}[verb]


def test_a_take_is_written_after_the_backend_was_killed(panel: Panel, captured: Any, tmp_path: Path) -> None:
    import bpy

    panel.session.restart()
    path = tmp_path / "mine.take.npz"
    bpy.ops.mien.export_take(filepath=str(tmp_path / "mine"), format="npz", wait=True)
    assert path.is_file()


def test_a_farms_take_comes_with_a_head_that_is_fetched(panel: Panel, mien: Any, tmp_path: Path) -> None:
    import bpy

    bpy.ops.ed.undo_push(message="Before")
    bpy.context.scene.render.fps = 30
    bpy.ops.ed.undo_push(message="Rate")
    assert "operator:mien.import_take" in draw(bpy.types.MIEN_PT_takes)
    bpy.context.scene.frame_set(21)
    path = take_file(tmp_path)
    assert bpy.ops.mien.import_take("EXEC_DEFAULT", True, filepath=str(path)) == {"FINISHED"}
    assert panel.session.imports.running == ["farm.take.npz"]
    assert any("waits for its head" in text for text in draw(bpy.types.MIEN_PT_takes))
    panel.until(lambda: not panel.session.imports.running)
    head = bpy.data.objects["Shot 010"]
    assert tuple(head.parent.animation_data.action.frame_range) == (21, 30)
    (take,) = bpy.context.scene.mien.takes
    assert (take.path, take.frames, take.name) == (str(path), 10, head.parent.animation_data.action.name)
    bpy.ops.ed.undo()
    assert not bpy.data.objects and not bpy.context.scene.mien.takes and bpy.context.scene.render.fps == 30
    bpy.ops.ed.undo()
    assert bpy.context.scene.render.fps == 24


def test_a_take_goes_onto_the_active_head_or_only_into_the_list(panel: Panel, captured: Any, tmp_path: Path) -> None:
    import bpy

    settings, count = bpy.context.scene.mien, len(bpy.data.objects)
    before = captured.parent.animation_data.action
    bpy.ops.ed.undo_push(message="Before")
    bpy.ops.mien.import_take(filepath=str(take_file(tmp_path)))
    bpy.ops.ed.undo()
    settings, captured = bpy.context.scene.mien, bpy.context.object
    assert len(settings.takes) == 1
    before = captured.parent.animation_data.action
    bpy.ops.mien.import_take(filepath=str(take_file(tmp_path)))
    assert len(bpy.data.objects) == count and captured.parent.animation_data.action != before
    bpy.ops.mien.import_take(filepath=str(take_file(tmp_path, "other.take.npz", 1)), to="NONE")
    assert [take.frames for take in settings.takes] == [8, 10, 10]
    assert bpy.ops.mien.apply_take() == {"FINISHED"}
    bpy.ops.mien.import_take(filepath=str(take_file(tmp_path, "third.take.npz", 2)), to="NEW")
    assert len(bpy.data.objects) > count


def test_takes_that_are_none_are_told_and_the_others_come(panel: Panel, captured: Any, tmp_path: Path) -> None:
    import bpy

    take_file(tmp_path, "a.npz")
    (tmp_path / "b.npz").write_bytes(b"nothing")
    with pytest.raises(RuntimeError, match="b.npz is not an array file"):
        bpy.ops.mien.import_take(
            filepath=str(tmp_path / "a.npz"), files=[{"name": "b.npz"}, {"name": "a.npz"}], to="NONE"
        )
    assert [take.frames for take in bpy.context.scene.mien.takes] == [8, 10]


def test_a_head_that_the_backend_lacks_is_told(panel: Panel, mien: Any, tmp_path: Path) -> None:
    import bpy

    stranger = synthetic_head(7)
    moving_take(stranger, 4).save(tmp_path / "x.npz")
    bpy.ops.mien.import_take(filepath=str(tmp_path / "x.npz"))
    panel.until(lambda: not panel.session.imports.running)
    assert panel.session.imports.problem.code == "wrong_head"
    assert "has no head" in " ".join(draw(bpy.types.MIEN_PT_takes))
    assert not bpy.data.objects


@pytest.mark.parametrize(
    ("name", "suffix", "stem"),
    [
        ("a.take.npz", ".take.npz", "a"),
        ("a.npz", ".take.npz", "a"),
        ("shot.v2", ".livelink.csv", "shot.v2"),
        ("a.CSV", ".livelink.csv", "a"),
        ("a", "", "a"),
        (".npz", ".npz", ".npz"),
    ],
)
def test_names_lose_the_suffix_of_their_format_only(mien: Any, name: str, suffix: str, stem: str) -> None:
    assert mien("ui.exporting").stem_of(name, suffix) == stem
