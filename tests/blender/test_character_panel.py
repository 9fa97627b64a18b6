# SPDX-License-Identifier: GPL-3.0-or-later
"""The section "Send to Character": list, profiles, buttons, undo, live."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import characters as made
import numpy as np
import pytest
from fake_layout import draw
from panel_driver import Panel, driven_panel

FRAMES = range(1, 25)


@pytest.fixture
def panel(mien: Any, backend_python: str, repository: Path, tmp_path: Path, monkeypatch: Any) -> Iterator[Panel]:
    """The session with a real service behind it that makes performances of the open head up (see clip_backend.py)."""
    monkeypatch.setenv("FAKE_HEAD", "open")
    script = Path(__file__).with_name("clip_backend.py")
    yield from driven_panel(mien, [backend_python, str(script)], repository, tmp_path / "heads")


def listed(mien: Any, folder: Path, take: Any) -> Any:
    """A take in the scene's list."""
    import bpy

    path = folder / f"{take.meta.source}.npz"
    take.save(path)
    item = bpy.context.scene.mien.takes.add()
    item.name, item.path, item.frames, item.smoothing = take.meta.source, str(path), len(take), 0.0
    item.head_sha256 = take.meta.head_sha256
    return item


def settings(mien: Any) -> Any:
    import bpy

    chosen = bpy.context.scene.mien.character
    mien("ui.character_properties").ensure_rows(chosen)
    mien("ui.character_state").forget()
    return chosen


def drawn(mien: Any) -> list[str]:
    import bpy

    mien("ui.character_state").forget()
    return draw(bpy.types.MIEN_PT_character)


def active(item: Any) -> None:
    import bpy

    bpy.context.view_layer.objects.active = item


def test_the_list_shows_targets_and_what_is_missing_with_its_reason(mien: Any) -> None:
    body, _, _ = made.mpfb_character(mien)
    body.data.shape_keys.key_blocks["ARKit_cheekPuff"].driver_add("value")
    active(body)
    chosen = settings(mien)
    shown = drawn(mien)
    assert shown[shown.index("mouthSmileLeft") + 1] == "ARKit_mouthSmileLeft"
    assert shown[shown.index("cheekPuff") + 1] == "Driven on 'Bob'"
    assert shown[shown.index("tongueOut") + 1] == "No shape key of this name"
    assert shown[shown.index("jawOpen") + 1] == "By Jaw Turn"
    assert shown[shown.index("Head Turn") + 1] == "head"
    assert {"53 drive, 2 missing", "Active: Bob", "prop:gain"} <= set(shown)
    assert "prop:offset" not in shown  # the first row is a turn
    chosen.active_row = [row.name for row in chosen.rows].index("cheekPuff")
    shown = drawn(mien)
    assert {"prop:offset", "prop:exponent", "prop:points"} <= set(shown)
    assert any(text.startswith("cheekPuff: Driven") for text in shown)


def test_vrm_rows_are_only_listed_for_characters_that_have_some(mien: Any) -> None:
    from types import SimpleNamespace

    import bpy

    def names() -> list[str]:
        drawn(mien)
        this = SimpleNamespace(filter_name="", bitflag_filter_item=1)
        flags, _ = bpy.types.MIEN_UL_channels.filter_items(this, bpy.context, chosen, "rows")
        return [row.name for row, flag in zip(chosen.rows, flags, strict=True) if flag]

    body, _, _ = made.mpfb_character(mien)
    chosen = settings(mien)
    active(body)
    assert len(names()) == 52 + 5
    active(made.vrm_character())
    assert len(names()) == 52 + 5 + 12


def test_an_empty_list_fills_itself_after_drawing(mien: Any) -> None:
    import bpy

    active(made.vrm_character())
    state, scene = mien("ui.character_state"), bpy.context.scene
    assert "prop:gain" not in drawn(mien) and not scene.mien.character.rows
    state._fill(scene.session_uid)  # what the timer does
    assert "prop:gain" in drawn(mien)


def test_a_take_is_sent_and_undone_in_one_step(mien: Any, tmp_path: Path) -> None:
    import bpy

    take = made.lively_take(mien)
    body, _, _ = made.mpfb_character(mien)
    active(body)
    listed(mien, tmp_path, take)
    bpy.context.scene.mien.start_mode, bpy.context.scene.mien.start = "GIVEN", 1
    bpy.ops.ed.undo_push(message="Before")
    assert bpy.ops.mien.send_take("EXEC_DEFAULT", True) == {"FINISHED"}  # with the undo step that a click makes
    expected = mien("contract.arkit").arkit_curves(take).weight("mouthSmileLeft")
    found = made.key_values(body, "ARKit_mouthSmileLeft", bpy.context.scene, FRAMES)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    bpy.ops.ed.undo()
    assert not bpy.data.actions
    bpy.ops.ed.redo()
    body = bpy.data.objects["Bob"]
    assert len(mien("compat").fcurves_of(body.data.shape_keys)) == 50
    assert bpy.ops.mien.clear_character("EXEC_DEFAULT", True) == {"FINISHED"}
    assert not bpy.data.actions
    bpy.ops.ed.undo()
    assert len(mien("compat").fcurves_of(bpy.data.objects["Bob"].data.shape_keys)) == 50


def test_a_take_that_is_smoothed_after_it_was_sent_is_told(mien: Any, tmp_path: Path) -> None:
    import bpy

    smoothing = mien("contract.smoothing")
    active(made.mpfb_character(mien)[0])
    item = listed(mien, tmp_path, smoothing.with_raw(made.lively_take(mien)))
    other = listed(mien, tmp_path, smoothing.with_raw(made.lively_take(mien, source="other.mp4")))
    bpy.context.scene.mien.active_take = 0
    settings(mien)
    told = "Smoothed since: send again"
    for change in ({"smoothing": 0.9}, {"smooth_lids": 0.2}):
        bpy.ops.mien.send_take()
        assert told not in drawn(mien)
        for name, value in change.items():
            setattr(item, name, value)
        assert told in drawn(mien)
    bpy.context.scene.mien.active_take = 1
    assert other.smoothing == 0.0 and told not in drawn(mien)  # which the character does not play


def test_rows_of_the_list_are_what_is_sent(mien: Any, tmp_path: Path) -> None:
    import bpy

    take = made.lively_take(mien)
    face = made.keyed_mesh("Face", ["mouthSmileLeft", "grin", "jawOpen", "browInnerUp"])
    active(face)
    listed(mien, tmp_path, take)
    bpy.context.scene.mien.start_mode, bpy.context.scene.mien.start = "GIVEN", 1
    rows = settings(mien).rows
    rows["mouthSmileLeft"].gain, rows["mouthSmileLeft"].offset = 0.5, 0.25
    rows["browInnerUp"].exponent = 2.0
    rows["jawOpen"].points = "0 0, 0.5 1, 1 1"
    rows["mouthPucker"].target = "grin"
    bpy.ops.mien.send_take()
    curves = mien("contract.arkit").arkit_curves(take)
    for key, expected in (
        ("mouthSmileLeft", curves.weight("mouthSmileLeft") * 0.5 + 0.25),
        ("browInnerUp", curves.weight("browInnerUp") ** 2),
        ("jawOpen", np.clip(curves.weight("jawOpen") * 2, 0, 1)),
        ("grin", curves.weight("mouthPucker")),
    ):
        found = made.key_values(face, key, bpy.context.scene, FRAMES)
        np.testing.assert_allclose(found, expected, atol=1e-5, err_msg=key)
    rows["jawOpen"].points = "0 0, up"
    assert any("Channel 'jawOpen'" in text for text in drawn(mien))
    with pytest.raises(RuntimeError, match="Channel 'jawOpen': .*no list of points. Write them as"):
        bpy.ops.mien.send_take()


def test_profiles_are_saved_and_loaded_as_they_are(mien: Any, tmp_path: Path) -> None:
    import bpy

    properties, rigify = mien("ui.character_properties"), mien("character.rigify").rigify_profile()
    chosen = settings(mien)
    chosen.profile = "RIGIFY"
    assert properties.profile_of(chosen) == rigify and "prop:profile" in drawn(mien)
    chosen.rows["jawOpen"].gain, chosen.rows["browInnerUp"].points = 1.3, "0 0, 0.3 0.6, 1 1"
    chosen.rows["cheekPuff"].use, chosen.widen, chosen.facing, chosen.name = "OFF", True, "Z", "Mine"
    edited = properties.profile_of(chosen)
    path = tmp_path / "mine.json"
    assert bpy.ops.mien.save_profile(filepath=str(tmp_path / "mine")) == {"FINISHED"}
    chosen.profile = "AUTO"
    assert properties.profile_of(chosen) == mien("character.profile").Profile()
    assert bpy.ops.mien.load_profile(filepath=str(path)) == {"FINISHED"}
    assert chosen.profile == "FILE"
    assert properties.profile_of(chosen) == edited == mien("character.profile_file").load_profile(path)
    path.write_text(json.dumps({"schema": 1, "channels": {"jawOpen": {"gain": "much"}}}))
    with pytest.raises(RuntimeError, match=r"mine\.json: Channel 'jawOpen': The gain 'much'.*Correct the profile"):
        bpy.ops.mien.load_profile(filepath=str(path))
    assert properties.profile_of(chosen) == edited
    with pytest.raises(RuntimeError, match="cannot be written"):
        bpy.ops.mien.save_profile(filepath=str(tmp_path / "gone" / "a.json"))


def test_scripts_name_the_character_and_the_profile(mien: Any, tmp_path: Path) -> None:
    import bpy

    take = made.lively_take(mien)
    face = made.keyed_mesh("Face", ["jawOpen"])
    active(None)
    with pytest.raises(RuntimeError, match="Capture a face first"):
        bpy.ops.mien.send_take(character="Face")
    listed(mien, tmp_path, take)
    profiles = mien("character.profile")
    mien("character.profile_file").save_profile(
        tmp_path / "half.json", profiles.Profile(rows={"jawOpen": profiles.Row(0.5)})
    )
    with pytest.raises(RuntimeError, match="There is no object 'Gone'"):
        bpy.ops.mien.send_take(character="Gone")
    with pytest.raises(RuntimeError, match="A character is a mesh or an armature. Select"):
        bpy.ops.mien.send_take()
    bpy.context.scene.mien.start_mode, bpy.context.scene.mien.start = "GIVEN", 1
    assert bpy.ops.mien.send_take(character="Face", profile=str(tmp_path / "half.json")) == {"FINISHED"}
    found = made.key_values(face, "jawOpen", bpy.context.scene, FRAMES)
    np.testing.assert_allclose(found, 0.5 * mien("contract.arkit").arkit_curves(take).weight("jawOpen"), atol=1e-6)
    assert bpy.ops.mien.clear_character(character="Face") == {"FINISHED"}


def test_buttons_say_what_is_missing(mien: Any, tmp_path: Path) -> None:
    import bpy

    with pytest.raises(RuntimeError, match="Select the character's face"):
        bpy.ops.mien.follow_live()
    active(made.vrm_character())
    with pytest.raises(RuntimeError, match="'Mei' plays no take. Send one to it first"):
        bpy.ops.mien.clear_character()
    take = made.lively_take(mien)
    meta = replace(take.meta, channels=tuple(f"e{n}" for n in range(len(take.meta.channels))))
    listed(mien, tmp_path, replace(take, meta=meta))
    with pytest.raises(RuntimeError, match="are not ARKit's. Add ARKit's weights to the take with 'mien convert"):
        bpy.ops.mien.send_take()
    Path(bpy.context.scene.mien.takes[0].path).unlink()
    mien("ui.smoothing").forget()
    with pytest.raises(RuntimeError, match="Capture the face again"):
        bpy.ops.mien.send_take()


def clip(folder: Path, **todo: Any) -> str:
    """A source that tells the made-up backend what to do."""
    path = folder / "shot_010.mp4"
    path.write_text(json.dumps(todo))
    return str(path)


def test_the_character_performs_as_the_captured_head_does(panel: Panel, mien: Any, tmp_path: Path) -> None:
    import bpy

    scene = bpy.context.scene
    scene.frame_set(11)
    bpy.ops.mien.capture_performance(filepath=clip(tmp_path, frames=24), wait=True)
    head = bpy.context.object
    scene.mien.takes[0].smoothing = 0.9
    scene.frame_set(50)  # where the head has it counts
    body, _, rig = made.mpfb_character(mien)
    active(head)
    with pytest.raises(RuntimeError, match="captured head. Press Apply to Head"):
        bpy.ops.mien.send_take()
    scene.mien.character.target = body
    assert bpy.ops.mien.send_take() == {"FINISHED"}
    frames = range(11, 35)
    for key in ("mouthSmileLeft", "mouthFunnel", "browInnerUp"):
        np.testing.assert_allclose(
            made.key_values(body, f"ARKit_{key}", scene, frames), made.key_values(head, key, scene, frames), atol=1e-6
        )
    np.testing.assert_allclose(
        made.bone_turns(rig, "head", scene, frames), made.bone_turns(head.parent, "neck", scene, frames), atol=2e-5
    )
    np.testing.assert_allclose(
        made.bone_turns(rig, "jaw", scene, frames), made.bone_turns(head.parent, "jaw", scene, frames), atol=2e-5
    )
    mien("animation.nla").push_to_nla(head)
    for owner in (head.parent, head.data.shape_keys):  # later, and half as fast
        strip = owner.animation_data.nla_tracks[0].strips[0]
        strip.frame_start_ui = 40.5
        strip.scale = 2.0
    assert bpy.ops.mien.send_take() == {"FINISHED"}
    for key in ("mouthSmileLeft", "mouthFunnel"):
        np.testing.assert_allclose(
            made.key_values(body, f"ARKit_{key}", scene, range(41, 87)),
            made.key_values(head, key, scene, range(41, 87)),
            atol=2e-5,
        )


def test_the_character_follows_a_live_capture_and_stands_as_before_afterwards(
    panel: Panel, mien: Any, tmp_path: Path
) -> None:
    import bpy

    body, _, rig = made.mpfb_character(mien)
    smile, head = body.data.shape_keys.key_blocks["ARKit_mouthSmileLeft"], rig.pose.bones["head"]
    smile.value = 0.125
    active(body)
    assert bpy.ops.mien.follow_live() == {"FINISHED"}
    bpy.ops.mien.start_live(live_from="FILE", filepath=clip(tmp_path))
    seen: set[float] = set()
    panel.until(lambda: seen.add(round(smile.value, 4)) or len(seen) > 3)
    assert abs(head.rotation_quaternion.w) < 1.0
    bpy.ops.mien.follow_live()  # off
    assert smile.value == pytest.approx(0.125) and tuple(head.rotation_quaternion) == (1.0, 0.0, 0.0, 0.0)
    bpy.ops.mien.follow_live()
    panel.until(lambda: abs(smile.value - 0.125) > 1e-3)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "live.blend"), copy=True)
    assert smile.value == pytest.approx(0.125)  # so it is in the file
    panel.until(lambda: abs(smile.value - 0.125) > 1e-3)
    bpy.ops.mien.stop_live()
    panel.finish()
    assert panel.session.error is None
    assert smile.value == pytest.approx(0.125) and not body.data.shape_keys.animation_data


def test_a_deleted_character_gives_way_to_the_active_object(mien: Any) -> None:
    import bpy

    picked, other = made.vrm_character(), made.keyed_mesh("Face", ["jawOpen"])
    settings(mien).target = picked
    active(other)
    assert any(text == "7 drive, 50 missing" for text in drawn(mien))
    bpy.context.scene.collection.objects.unlink(picked)
    assert mien("ui.character_state").chosen_item(bpy.context.scene, bpy.context.view_layer) == other
