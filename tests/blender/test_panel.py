# SPDX-License-Identifier: GPL-3.0-or-later
"""Panels, menus and operators without a window: what they draw, what they say, what they undo."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_layout import draw


@pytest.fixture
def head(mien: Any, reference: Path) -> Any:
    """The open head in the scene, active; the session is fresh."""
    import bpy

    mien("ui.session").end_session()
    contract = mien("contract.head").HeadDescription.load(reference / "open.head.npz")
    take = mien("contract.take").Take.load(reference / "open.take.npz")
    captured = mien("scene").add_captures(contract, [take], None, bpy.context.scene)
    yield bpy.data.objects[captured.heads[0].head.mesh]
    mien("ui.session").end_session()


def _classes(mien: Any) -> tuple[type, ...]:
    return mien("ui")._classes()


def _panels(mien: Any) -> list[type]:
    import bpy

    return [cls for cls in _classes(mien) if issubclass(cls, bpy.types.Panel)]


def test_every_panel_draws_and_shows_the_order_of_work(mien: Any, head: Any) -> None:
    import bpy

    labels = [cls.bl_label for cls in _panels(mien) if not hasattr(cls, "bl_parent_id")]
    closed = ["Detail", "Emotion", "Send to Character", "Export"]
    assert labels == ["Mien", "Source", "Capture", "Takes", "Face", *closed]
    for cls in _panels(mien):
        assert cls.bl_category == "Mien"
        if not hasattr(cls, "poll") or cls.poll(bpy.context):
            assert draw(cls)
            if hasattr(cls, "draw_header_preset"):
                assert len(draw(cls, "draw_header_preset")) == 2


def test_the_face_section_has_every_control_of_the_head(mien: Any, head: Any) -> None:
    import bpy

    regions = mien("rig.regions")
    drawn = [cls.bl_label for cls in _panels(mien) if hasattr(cls, "region") and cls.poll(bpy.context)]
    assert drawn == ["Brows", "Eyes", "Nose and Cheeks", "Mouth", "Jaw", "Head"]
    rows = regions.controls(key.name for key in head.data.shape_keys.key_blocks)
    shown = [key for controls in rows.values() for control in controls for key in control.keys]
    names = [key.name for key in head.data.shape_keys.key_blocks]
    assert sorted(shown) == sorted(n for n in names if n != "Basis" and not n.startswith("Corrective"))
    assert all(len(control.label.split()) <= 3 for controls in rows.values() for control in controls)


def test_labels_are_short_and_tooltips_are_sentences_without_a_stop(mien: Any) -> None:
    import bpy

    checked = 0
    for cls in _classes(mien):
        texts = [(cls.bl_label, cls.__doc__)] if issubclass(cls, bpy.types.Operator) else []
        own = getattr(cls, "__annotations__", {})
        for prop in cls.bl_rna.properties:
            if prop.identifier in own and not prop.is_hidden:
                texts.append((prop.name, prop.description))
        for label, tooltip in texts:
            assert 1 <= len(label.split()) <= 3, label
            assert label[0].isupper()
            assert tooltip and not tooltip.endswith("."), (label, tooltip)
            checked += 1
        if issubclass(cls, bpy.types.Operator):
            assert re.fullmatch(r"mien\.[a-z_]+", cls.bl_idname)
    assert checked > 40


def test_polls_say_what_is_missing(mien: Any) -> None:
    import bpy

    for operator, words in (
        (bpy.ops.mien.cancel, "No capture is running"),
        (bpy.ops.mien.update_joints, "Select a head"),
        (bpy.ops.mien.reset_region, "Select a head"),
        (bpy.ops.mien.key_region, "Select a head"),
        (bpy.ops.mien.apply_take, "Capture a face first"),
        (bpy.ops.mien.remove_take, "no takes"),
    ):
        assert not operator.poll()
        with pytest.raises(RuntimeError, match=words):
            operator()


def test_update_joints_asks_for_identity_keys(mien: Any, head: Any) -> None:
    import bpy

    with pytest.raises(RuntimeError, match="capture it with Identity Keys"):
        bpy.ops.mien.update_joints()


def test_reset_and_key_a_region(mien: Any, head: Any) -> None:
    import bpy

    compat = mien("compat")
    keys, rig = head.data.shape_keys.key_blocks, head.parent
    bpy.ops.mien.reset_region(region="JAW")
    assert keys["jawForward"].value == 0.0 and tuple(rig.pose.bones["jaw"].rotation_euler) == (0.0, 0.0, 0.0)
    assert keys["mouthSmileLeft"].value > 0.0
    bpy.context.scene.frame_set(20)
    keys["jawForward"].value = 0.75
    rig.pose.bones["jaw"].rotation_euler = (0.3, 0.0, 0.0)
    bpy.ops.mien.key_region(region="JAW")
    bpy.context.scene.frame_set(1)
    bpy.context.scene.frame_set(20)
    assert keys["jawForward"].value == pytest.approx(0.75)
    assert rig.pose.bones["jaw"].rotation_euler.x == pytest.approx(0.3)
    moved = [curve for curve in compat.fcurves_of(rig) if len(curve.keyframe_points) == 2]
    assert {curve.data_path for curve in moved} == {'pose.bones["jaw"].rotation_euler'}


def test_a_region_with_locked_curves_is_not_keyed_in_silence(mien: Any, head: Any) -> None:
    import bpy

    mien("compat").fcurves_of(head.data.shape_keys)[0].lock = True
    with pytest.raises(RuntimeError, match="locked or from another file. Unlock them"):
        for region in mien("rig.regions").Region:
            bpy.ops.mien.key_region(region=region.name)


def test_a_take_that_is_gone_says_what_to_do(mien: Any, head: Any, tmp_path: Path) -> None:
    import bpy

    take = bpy.context.scene.mien.takes.add()
    take.path, take.head_sha256 = str(tmp_path / "gone.npz"), head["mien_head_sha256"]
    with pytest.raises(RuntimeError, match="gone.npz .*Capture the face again"):
        bpy.ops.mien.apply_take()


def test_bones_may_have_any_rotation_mode(mien: Any, head: Any, reference: Path, evaluated: Any) -> None:
    import bpy

    before, rig = evaluated(head), head.parent
    take = mien("contract.take").Take.load(reference / "open.take.npz")
    for mode in ("AXIS_ANGLE", "QUATERNION", "ZYX"):
        for bone in rig.pose.bones:
            bone.rotation_mode = mode
        for region in ("JAW", "HEAD", "EYES"):
            bpy.ops.mien.reset_region(region=region)
        assert np.abs(evaluated(head) - before).max() > 1e-3
        mien("animation.apply").apply_take(head, take, bpy.context.scene)
        np.testing.assert_allclose(evaluated(head), before, atol=1e-6)
        bpy.ops.mien.key_region(region="JAW")
        assert draw(bpy.types.MIEN_PT_face_jaw)


def test_a_linked_head_says_that_it_cannot_be_changed(mien: Any, head: Any, tmp_path: Path) -> None:
    import bpy

    name, path = head.name, str(tmp_path / "library.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    with bpy.data.libraries.load(path, link=True) as (_, wanted):
        wanted.collections = [name]
    bpy.context.scene.collection.children.link(bpy.data.collections[name])
    bpy.context.view_layer.objects.active = bpy.data.objects[name]
    for operator in (bpy.ops.mien.reset_region, bpy.ops.mien.key_region):
        with pytest.raises(RuntimeError, match="linked from another file; make it local"):
            operator(region="JAW")
    assert "prop:value" in draw(bpy.types.MIEN_PT_face_jaw)


def test_update_joints_works_in_every_mode_and_keeps_it(mien: Any, reference: Path) -> None:
    import bpy

    contract = mien("contract.head").HeadDescription.load(reference / "egg.head.npz")
    take = mien("contract.take").Take.load(reference / "egg.take.npz")
    options = mien("scene").SceneOptions(build=mien("rig.build").BuildOptions(identity_keys=True))
    captured = mien("scene").add_captures(contract, [take], None, bpy.context.scene, options)
    head = bpy.data.objects[captured.heads[0].head.mesh]
    jaw = head.parent.data.bones["jaw"].head_local.copy()
    head.data.shape_keys.key_blocks["Identity 001"].value = 5.0
    for item, mode in (
        (head, "EDIT"),
        (head, "SCULPT"),
        (head.parent, "POSE"),
        (head.parent, "EDIT"),
        (head, "OBJECT"),
    ):
        bpy.context.view_layer.objects.active = item
        bpy.ops.object.mode_set(mode=mode)
        assert bpy.ops.mien.update_joints() == {"FINISHED"}
        assert bpy.context.object == item and item.mode == mode
        bpy.ops.object.mode_set(mode="OBJECT")
        assert (head.parent.data.bones["jaw"].head_local - jaw).length > 1e-4


def test_the_rig_counts_as_its_head(mien: Any, head: Any) -> None:
    import bpy

    bpy.context.view_layer.objects.active = head.parent
    assert mien("ui.active_head").active_head(bpy.context) == head
    bpy.context.view_layer.objects.active = bpy.context.scene.camera
    assert mien("ui.active_head").active_head(bpy.context) is None


def test_choosing_a_photo(mien: Any, tmp_path: Path) -> None:
    import bpy

    settings = bpy.context.scene.mien
    with pytest.raises(RuntimeError, match="neither a photo nor a clip"):
        bpy.ops.mien.choose_source(filepath=str(_file(tmp_path / "notes.txt")))
    with pytest.raises(RuntimeError, match="Cannot be read"):
        bpy.ops.mien.choose_source(filepath=str(tmp_path / "gone.jpg"))
    with pytest.raises(RuntimeError, match="rename the file"):
        bpy.ops.mien.choose_source(filepath=str(tmp_path / "\udce9.jpg"))
    assert settings.source == ""
    image = bpy.data.images.new("photo", 64, 48)
    image.filepath_raw, image.file_format = str(tmp_path / "photo.png"), "PNG"
    image.save()
    assert bpy.ops.mien.choose_source(filepath=str(tmp_path / "photo.png")) == {"FINISHED"}
    assert settings.source == str(tmp_path / "photo.png")
    remembered = bpy.ops.mien.choose_source.get_rna_type().properties["filepath"]
    assert remembered.is_skip_save  # or the file button would take the last photo again
    assert mien("ui.facts").facts(settings.source).text.startswith("64 x 48, ")
    assert "64 x 48" in " ".join(draw(bpy.types.MIEN_PT_source))
    handler = bpy.types.MIEN_FH_source
    assert handler.bl_import_operator == "mien.choose_source"
    assert ".heic" in handler.bl_file_extensions and ".jpg" in handler.bl_file_extensions


def test_capturing_without_a_photo_says_what_to_do(mien: Any, tmp_path: Path) -> None:
    import bpy

    with pytest.raises(RuntimeError, match="Choose one with the file button"):
        bpy.ops.mien.capture_face()
    with pytest.raises(RuntimeError, match="gone.jpg: Cannot be read"):
        bpy.ops.mien.capture_face(filepath=str(tmp_path / "gone.jpg"))


def test_a_missing_backend_is_said_with_the_way_out(mien: Any, tmp_path: Path, monkeypatch: Any) -> None:
    import bpy

    monkeypatch.setenv("MIEN_HOME", str(tmp_path))
    session = mien("ui.session")
    session.end_session()
    drawn = draw(bpy.types.MIEN_PT_state)
    assert "Not installed" in drawn and "operator:mien.open_preferences:Preferences" in drawn
    with pytest.raises(RuntimeError, match="not installed"):
        bpy.ops.mien.capture_face(filepath=str(_file(tmp_path / "photo.png")), wait=True)
    assert any("not installed" in text for text in draw(bpy.types.MIEN_PT_capture))
    preferences = draw_preferences(mien)
    assert "python scripts/mien.py setup" in preferences
    assert not any("preferences say" in text for text in preferences)  # they do so right here
    assert {"operator:mien.check_backend:Check", "operator:mien.restart_backend:Restart"} <= set(preferences)
    session.end_session()


def test_preferences_show_where_the_backend_lives(mien: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("MIEN_HOME", str(tmp_path))
    places = mien("contract.places")
    places.write_backend_record(places.BackendRecord("/opt/python", "/opt/mien", "0.1.0"))
    drawn = draw_preferences(mien)
    assert {"Folder: /opt/mien", "Python: /opt/python", f"Data: {tmp_path}"} <= set(drawn)
    chosen = mien("ui.settings").preferences()
    chosen.use_remote = True
    try:
        shown = {"prop:remote_address", "prop:remote_key", "operator:mien.copy_key:Copy Key"}
        assert shown <= set(draw_preferences(mien))
    finally:
        chosen.use_remote = False


def test_other_computers_need_online_access_and_this_one_does_not(mien: Any, tmp_path: Path) -> None:
    import bpy

    assert not bpy.app.online_access
    session, chosen = mien("ui.session"), mien("ui.settings").preferences()
    session.end_session()
    bpy.context.scene.mien.source = str(_file(tmp_path / "photo.png"))
    chosen.use_remote, chosen.remote_key = True, "A" * 40
    try:
        chosen.remote_address = "tcp://gpu.example:47600"
        for operator in (bpy.ops.mien.check_backend, bpy.ops.mien.restart_backend, bpy.ops.mien.capture_face):
            with pytest.raises(RuntimeError, match="may not use the network. Switch on Allow Online Access"):
                operator()
        assert not session.session().running
        drawn = draw(bpy.types.MIEN_PT_state)
        assert "Offline" in drawn and "operator:mien.open_preferences:Preferences" in drawn
        assert any("Allow Online Access" in text for text in draw_preferences(mien))
        for here in ("tcp://127.0.0.1:47600", "tcp://localhost:47600", "tcp://[::1]:47600", "tcp://"):
            chosen.remote_address = here
            assert mien("ui.settings").network_problem() is None
    finally:
        chosen.use_remote, chosen.remote_address, chosen.remote_key = False, "tcp://", ""
        session.end_session()


def test_drawing_reads_no_files(mien: Any, tmp_path: Path, monkeypatch: Any) -> None:
    import bpy

    monkeypatch.setenv("MIEN_HOME", str(tmp_path))
    mien("ui.session").end_session()
    places = mien("contract.places")
    places.write_backend_record(places.BackendRecord("/opt/python", "/opt/mien", "0.1.0"))
    draw(bpy.types.MIEN_PT_state)
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: pytest.fail("a file was read"))
    assert "Starts when needed" in draw(bpy.types.MIEN_PT_state)
    assert "Folder: /opt/mien" in draw_preferences(mien)


def draw_preferences(mien: Any) -> list[str]:
    """What the add-on's preferences draw."""
    from fake_layout import Layout

    layout = Layout()
    mien("ui.preferences_layout").draw_preferences(mien("ui.settings").preferences(), layout)
    return layout.drawn


def test_the_addon_can_be_disabled_and_enabled_again(mien: Any, head: Any, evaluated: Any) -> None:
    import bpy

    module = mien("ui").__package__.rpartition(".")[0]
    before = evaluated(head)
    name = head.name
    for _ in range(2):
        bpy.ops.preferences.addon_disable(module=module)
        assert not hasattr(bpy.types, "MIEN_OT_capture_face") and not hasattr(bpy.types.Scene, "mien")
        np.testing.assert_allclose(evaluated(bpy.data.objects[name]), before, atol=1e-7)
        bpy.ops.preferences.addon_enable(module=module)
        assert hasattr(bpy.types, "MIEN_OT_capture_face") and bpy.context.scene.mien.face == 1


def _file(path: Path) -> Path:
    path.write_bytes(b"x")
    return path


def test_faces_of_a_photo_can_be_chosen(mien: Any, tmp_path: Path) -> None:
    import bpy

    module = mien("ui.session")
    module.end_session()
    settings = bpy.context.scene.mien
    settings.source = str(_file(tmp_path / "group.png"))
    buttons = [f"operator:mien.choose_face:{label}" for label in ("1", "2", "3", "All")]
    assert not set(buttons) & set(draw(bpy.types.MIEN_PT_source))
    module.session().people = mien("ui.people").People(settings.source, (0, 0, 0))
    assert set(buttons) <= set(draw(bpy.types.MIEN_PT_source))
    request = mien("ui.asking").request_from
    bpy.ops.mien.choose_face(face=2)
    assert (settings.face, settings.all_faces) == (2, False)
    assert request(settings, bpy.context, settings.source).options.face == 2
    bpy.ops.mien.choose_face(face=0)
    assert request(settings, bpy.context, settings.source).options.all_faces
    assert "operator:mien.capture_face:Capture All Faces" in draw(bpy.types.MIEN_PT_capture)
    settings.source = str(_file(tmp_path / "other.png"))
    drawn = draw(bpy.types.MIEN_PT_source)
    assert not set(buttons) & set(drawn) and {"prop:face", "prop:all_faces"} <= set(drawn)  # never chosen unseen
    settings.all_faces, settings.face = False, 3
    assert "operator:mien.capture_face:Capture Face 3" in draw(bpy.types.MIEN_PT_capture)
    assert "prop:face" in draw(bpy.types.MIEN_PT_source)
    settings.all_faces = True
    bpy.ops.mien.choose_source(filepath=settings.source)
    assert (settings.face, settings.all_faces) == (1, False)
    assert "prop:face" not in draw(bpy.types.MIEN_PT_source)
    module.end_session()


def test_settings_reach_the_capture(mien: Any) -> None:
    import bpy

    settings = bpy.context.scene.mien
    request = mien("ui.asking").request_from
    first = request(settings, bpy.context, "a.jpg")
    assert (first.options.focal_mm, first.options.face, first.options.head) == (None, None, "open")
    assert first.scene_options.build == mien("rig.build").BuildOptions()
    assert first.scene_options.use_camera and first.look_through
    settings.focal_auto, settings.focal_mm = False, 85.0
    settings.identity_keys, settings.rotation_mode, settings.subdivision = True, "QUATERNION", False
    settings.use_camera = False
    second = request(settings, bpy.context, "a.jpg")
    assert second.options.focal_mm == 85.0
    assert second.scene_options.build == mien("rig.build").BuildOptions(True, "QUATERNION", False)
    assert not second.scene_options.use_camera
