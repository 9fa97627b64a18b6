# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes on characters of other makers, as Blender evaluates them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import characters as made
import numpy as np
import pytest
from make_head import moving_take, synthetic_head
from staging import Stage

FRAMES = range(1, 25)


def character(mien: Any, item: Any, *selected: Any) -> Any:
    return mien("character.targets").character_of(item, selected)


def send(mien: Any, item: Any, take: Any, profile: Any = None, **options: Any) -> Any:
    import bpy

    module, profiles = mien("character.apply"), mien("character.profile")
    choices = module.SendOptions(**({"start": 1} | options))
    return module.send_take(character(mien, item), take, profile or profiles.Profile(), bpy.context.scene, choices)


def in_world(mien: Any, turns: np.ndarray) -> np.ndarray:
    """Rotations (T, 3, 3) of head space for a character that looks along -y."""
    axes = mien("axes")
    return axes.HEAD_TO_BLENDER @ turns @ axes.HEAD_TO_BLENDER.T


def turns_of(mien: Any, take: Any) -> dict[str, np.ndarray]:
    """(T, 3, 3) in the world by bone of `boned_rig`."""
    turn = mien("axes").rotation_matrices
    head = turn(take.head_rotation) @ turn(take.neck)
    parts = {"head": head, "jaw": head @ turn(take.jaw), "eye.L": head @ turn(take.eyes[:, :3]),
             "eye.R": head @ turn(take.eyes[:, 3:])}  # fmt: skip
    return {name: in_world(mien, value) for name, value in parts.items()}


def test_an_mpfb_character_takes_every_value_on_every_frame(mien: Any) -> None:
    import bpy

    body, brows, rig = made.mpfb_character(mien)
    take, scene = made.lively_take(mien), bpy.context.scene
    sent = send(mien, body, take)
    curves = mien("contract.arkit").arkit_curves(take)
    for channel in ("mouthSmileLeft", "eyeBlinkRight", "browInnerUp", "jawLeft", "mouthLeft"):
        found = made.key_values(body, f"ARKit_{channel}", scene, FRAMES)
        np.testing.assert_allclose(found, curves.weight(channel), atol=1e-6, err_msg=channel)
    found = made.key_values(brows, "browDownLeft", scene, FRAMES)
    np.testing.assert_allclose(found, curves.weight("browDownLeft"), atol=1e-6)
    for name, expected in turns_of(mien, take).items():
        np.testing.assert_allclose(made.bone_turns(rig, name, scene, FRAMES), expected, atol=2e-5, err_msg=name)
    assert set(sent.missing) == {"tongueOut"} and (sent.keys, sent.bones) == (50 + 5, 4)
    assert sent.action == "Bob Rig shot_010" and bpy.data.actions[sent.action].use_fake_user
    record = mien("character.actions").read_record(bpy.data.actions[sent.action])
    assert (record["commercial_use"], record["licences"], record["engine"]) == ("yes", ["CC0-1.0"], "fit")
    assert (sent.first, sent.last) == (1.0, 24.0) and (scene.frame_start, scene.frame_end) == (1, 24)


def test_a_turned_and_scaled_character_is_turned_about_its_own_axes(mien: Any) -> None:
    import bpy
    from mathutils import Euler

    _, _, rig = made.mpfb_character(mien)
    rig.rotation_euler, rig.scale = Euler((0.2, -0.4, 2.0)), (0.5, 0.5, 0.5)
    take = made.lively_take(mien)
    send(mien, rig, take)
    own = np.array(Euler((0.2, -0.4, 2.0)).to_matrix())
    for name, expected in turns_of(mien, take).items():
        found = made.bone_turns(rig, name, bpy.context.scene, FRAMES)
        np.testing.assert_allclose(found, own @ expected @ own.T, atol=2e-5, err_msg=name)


@pytest.mark.parametrize(("size", "unit"), [(1.0, 1.0), (0.01, 1.0), (1.0, 0.01)])
def test_the_head_goes_as_far_as_it_went_in_scenes_of_all_units(mien: Any, size: float, unit: float) -> None:
    import bpy

    scene, rig = bpy.context.scene, made.boned_rig("Rig")
    rig.scale, scene.unit_settings.scale_length = (size,) * 3, unit
    bpy.context.view_layer.update()
    take = made.lively_take(mien)
    send(mien, rig, take, mien("character.profile").Profile(place=True))
    places = []
    for frame in FRAMES:
        scene.frame_set(frame)
        places.append(np.array(rig.matrix_world @ rig.pose.bones["head"].head) * unit)
    far = np.linalg.norm(np.array(places) - places[0], axis=1)
    np.testing.assert_allclose(far, np.linalg.norm(take.translation - take.translation[0], axis=1), atol=1e-5)


def test_a_vrm_character_takes_its_expressions(mien: Any) -> None:
    import bpy

    face = made.vrm_character()
    take, scene = made.lively_take(mien), bpy.context.scene
    sent = send(mien, face, take)
    expected = mien("contract.vrm").vrm_weights(mien("contract.arkit").arkit_curves(take))
    for key, name in (("A", "aa"), ("I", "ih"), ("U", "ou"), ("E", "ee"), ("O", "oh"), ("Blink_L", "blinkLeft")):
        np.testing.assert_allclose(made.key_values(face, key, scene, FRAMES), expected[name], atol=1e-6, err_msg=key)
    assert not made.key_values(face, "Fcl_ALL_Joy", scene, FRAMES).any()
    assert {"lookUp", "browInnerUp", "head"} <= set(sent.missing) and "jawOpen" not in sent.missing


@pytest.mark.parametrize("new_face", [False, True])
def test_a_rigify_face_turns_looks_and_blinks(mien: Any, new_face: bool) -> None:
    import bpy

    rig = made.rigify_character(new_face)
    take, scene = made.lively_take(mien), bpy.context.scene
    sent = send(mien, rig, take)
    assert sent.missing == () and sent.keys == 0 and sent.bones > 30
    wanted = turns_of(mien, take)
    for bone, name in (("head", "head"), ("jaw_master", "jaw")):
        np.testing.assert_allclose(made.bone_turns(rig, bone, scene, FRAMES), wanted[name], atol=2e-5)
    ahead = np.array([0.0, -1.0, 0.0])
    for side in "LR":
        found = made.bone_turns(rig, f"MCH-eye.{side}", scene, FRAMES) @ ahead
        angles = np.degrees(np.arccos(np.clip((found * (wanted[f"eye.{side}"] @ ahead)).sum(1), -1, 1)))
        assert angles.max() < 0.1
    gaps = [_lid_gap(mien, rig, closed) for closed in (0.0, 1.0)]
    assert gaps[0] > 0.01 and abs(gaps[1]) < 0.05 * gaps[0]
    corner = _corner(mien, rig)
    assert corner[0] > 0 and corner[2] > 0  # to the person's left and up


def _still(mien: Any, take: Any, **weights: float) -> Any:
    """One frame of a face that does nothing but this."""
    from dataclasses import replace

    channels = take.meta.channels
    zero = np.zeros((1, 3), np.float32)
    lids = np.float32([[weights.get("eyeBlinkLeft", 0.0), 0.0]])
    expression = np.float32([[weights.get(name, 0.0) for name in channels]])
    return replace(take, expression=expression, eyelids=lids, head_rotation=zero, neck=zero, jaw=zero,
                   eyes=np.zeros((1, 6), np.float32))  # fmt: skip


def _posed(mien: Any, rig: Any, **weights: float) -> dict[str, np.ndarray]:
    import bpy

    take = _still(mien, made.lively_take(mien, 1), **weights)
    rig.animation_data.action = None
    mien("character.pose").pose_character(character(mien, rig), take, mien("character.profile").Profile())
    bpy.context.view_layer.update()
    return {bone.name: np.array(bone.head) for bone in rig.pose.bones}


def _lid_gap(mien: Any, rig: Any, closed: float) -> float:
    heads = _posed(mien, rig, eyeBlinkLeft=closed)
    return float((heads["DEF-lid.T.L.002"] - heads["DEF-lid.B.L.002"])[2])


def _corner(mien: Any, rig: Any) -> np.ndarray:
    still, smiling = _posed(mien, rig), _posed(mien, rig, mouthSmileLeft=1.0)
    name = next(name for name in ("lips.L", "lip_end.L.001") if name in still)
    return smiling[name] - still[name]


def test_gain_offset_and_curve_are_honoured(mien: Any) -> None:
    import bpy

    profiles = mien("character.profile")
    body, _, _ = made.mpfb_character(mien)
    response = profiles.Response(points=((0.0, 0.0), (0.5, 0.8), (1.0, 1.0)))
    rows = {"mouthSmileLeft": profiles.Row(0.5, 0.1, response), "mouthPucker": profiles.Row(use=False)}
    take, scene = made.lively_take(mien), bpy.context.scene
    send(mien, body, take, profiles.Profile(rows=rows))
    weight = mien("contract.arkit").arkit_curves(take).weight("mouthSmileLeft")
    found = made.key_values(body, "ARKit_mouthSmileLeft", scene, FRAMES)
    np.testing.assert_allclose(found, np.interp(weight, [0, 0.5, 1], [0, 0.8, 1]) * 0.5 + 0.1, atol=1e-6)
    assert not made.key_values(body, "ARKit_mouthPucker", scene, FRAMES).any()


def test_values_are_held_within_the_sliders_or_the_sliders_widened(mien: Any) -> None:
    import bpy

    profiles = mien("character.profile")
    body, _, _ = made.mpfb_character(mien)
    take, arkit = made.lively_take(mien), mien("contract.arkit")
    weights = arkit.arkit_curves(take).weights
    channel = int(np.ptp(weights[:, :51], axis=0).argmax())
    name = arkit.CHANNELS[channel]
    key = body.data.shape_keys.key_blocks[f"ARKit_{name}"]
    rows, expected = {name: profiles.Row(2.0, -0.5)}, weights[:, channel] * 2 - 0.5
    assert expected.min() < 0 and expected.max() > 1
    sent = send(mien, body, take, profiles.Profile(rows=rows))
    assert any(f"'{key.name}'" in text and "Widen Sliders" in text for text in sent.warnings)
    found = made.key_values(body, key.name, bpy.context.scene, FRAMES)
    np.testing.assert_allclose(found, np.clip(expected, 0, 1), atol=1e-6)
    sent = send(mien, body, take, profiles.Profile(rows=rows, widen=True))
    assert not sent.warnings and key.slider_min < 0 and key.slider_max > 1
    found = made.key_values(body, key.name, bpy.context.scene, FRAMES)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_cuts_hold(mien: Any) -> None:
    body, _, _ = made.mpfb_character(mien)
    send(mien, body, made.lively_take(mien, cut=10))
    for curve in mien("compat").fcurves_of(body.data.shape_keys):
        held = [point.co[0] for point in curve.keyframe_points if point.interpolation == "CONSTANT"]
        assert held == [10.0]


def test_a_posed_frame_is_the_keyed_one(mien: Any) -> None:
    from dataclasses import replace

    import bpy

    body, brows, rig = made.mpfb_character(mien)
    take, scene = made.lively_take(mien), bpy.context.scene
    profile = mien("character.profile").Profile(place=True)
    send(mien, body, take, profile)
    scene.frame_set(18)
    bpy.context.view_layer.update()
    keyed = _state(body, brows, rig)
    mien("character.actions").clear_sent(character(mien, body))
    one = {name: getattr(take, name)[17:18] for name in
           ("time", "valid", "confidence", "expression", "eyelids", "head_rotation", "neck", "jaw", "eyes",
            "translation", "crop_camera", "crop_transform")}  # fmt: skip
    frame = replace(take, **one, extra={})
    saved = mien("character.pose").save_pose(character(mien, body))
    bpy.context.view_layer.update()
    before = _state(body, brows, rig)
    mien("character.pose").pose_character(character(mien, body), frame, profile, take.translation[0])
    bpy.context.view_layer.update()
    np.testing.assert_allclose(_state(body, brows, rig), keyed, atol=2e-6)
    mien("character.pose").put_back(saved, bpy.data.objects)
    bpy.context.view_layer.update()
    np.testing.assert_allclose(_state(body, brows, rig), before, atol=1e-7)


def _state(*items: Any) -> np.ndarray:
    """Values of all keys and matrices of all bones."""
    values: list[float] = []
    for item in items:
        if item.type == "MESH":
            values += [block.value for block in item.data.shape_keys.key_blocks]
        else:
            values += [number for bone in item.pose.bones for row in bone.matrix for number in row]
    return np.array(values)


def test_a_second_take_and_the_same_one_again(mien: Any) -> None:
    import bpy

    body, _, rig = made.mpfb_character(mien)
    take, other = made.lively_take(mien), made.lively_take(mien, seed=5, source="shot_020.mp4")
    first = send(mien, body, take, take_file="/a.npz")
    count = len(bpy.data.actions)
    again = send(mien, body, take, take_file="/a.npz")
    assert again.action == first.action and len(bpy.data.actions) == count  # an unedited one is replaced
    curve = mien("compat").fcurves_of(body.data.shape_keys)[0]
    curve.keyframe_points[3].co[1] = 0.123
    edited = rig.animation_data.action
    if not mien("compat").ONE_ACTION:
        edited = body.data.shape_keys.animation_data.action
    name = edited.name
    send(mien, body, take, take_file="/a.npz")
    assert name in bpy.data.actions  # an edited one is kept
    second = send(mien, body, other, take_file="/b.npz")
    assert second.action == "Bob Rig shot_020" and first.action in bpy.data.actions
    found = made.key_values(body, "ARKit_mouthSmileLeft", bpy.context.scene, FRAMES)
    expected = mien("contract.arkit").arkit_curves(other).weight("mouthSmileLeft")
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_copy_has_its_own_take(mien: Any) -> None:
    import bpy

    body, brows, rig = made.mpfb_character(mien)
    take, other = made.lively_take(mien), made.lively_take(mien, seed=7, source="shot_030.mp4")
    send(mien, body, take)
    for item in (body, brows, rig):
        item.select_set(True)
    bpy.ops.object.duplicate()
    copies = {item.name.split(".")[0]: item for item in bpy.context.selected_objects}
    sent = send(mien, copies["Bob"], other)
    assert sent.action == "Bob Rig.001 shot_030"
    scene, arkit = bpy.context.scene, mien("contract.arkit")
    for item, shown in ((body, take), (copies["Bob"], other)):
        found = made.key_values(item, "ARKit_jawForward", scene, FRAMES)
        np.testing.assert_allclose(found, arkit.arkit_curves(shown).weight("jawForward"), atol=1e-6)
    np.testing.assert_allclose(made.bone_turns(rig, "head", scene, FRAMES), turns_of(mien, take)["head"], atol=2e-5)


def test_other_work_on_the_rig_goes_on_as_a_strip_and_clear_leaves_it(mien: Any) -> None:
    import bpy

    body, _, rig = made.mpfb_character(mien)
    spine = rig.pose.bones["spine"]
    spine.rotation_mode = "XYZ"
    for frame, angle in ((1, 0.0), (24, 0.5)):
        spine.rotation_euler.x = angle
        spine.keyframe_insert("rotation_euler", frame=frame)
    rig.animation_data.action.name = "Walk"
    scene, actions = bpy.context.scene, mien("character.actions")
    sent = send(mien, body, made.lively_take(mien))
    assert any("'Walk' goes on as a strip" in text for text in sent.warnings)
    scene.frame_set(24)
    assert rig.pose.bones["spine"].rotation_euler.x == pytest.approx(0.5, abs=1e-5)
    assert actions.clear_sent(character(mien, body)) > 50
    assert rig.animation_data.action is None and sent.action not in bpy.data.actions
    assert not any(block.value for block in list(body.data.shape_keys.key_blocks)[1:])
    for name in ("head", "jaw", "eye.R"):
        assert np.allclose(np.array(rig.pose.bones[name].matrix_basis), np.eye(4), atol=1e-6)
    scene.frame_set(24)
    assert rig.pose.bones["spine"].rotation_euler.x == pytest.approx(0.5, abs=1e-5)
    with pytest.raises(mien("contract.errors").MienError, match="plays no take"):
        actions.clear_sent(character(mien, body))


def test_the_action_can_become_a_strip(mien: Any) -> None:
    import bpy

    body, _, rig = made.mpfb_character(mien)
    take, scene = made.lively_take(mien), bpy.context.scene
    send(mien, body, take)
    for owner in (rig, body.data.shape_keys):
        mien("compat").push_down(owner, "shot_010")
    found = made.key_values(body, "ARKit_mouthSmileLeft", scene, FRAMES)
    np.testing.assert_allclose(found, mien("contract.arkit").arkit_curves(take).weight("mouthSmileLeft"), atol=1e-6)
    np.testing.assert_allclose(made.bone_turns(rig, "jaw", scene, FRAMES), turns_of(mien, take)["jaw"], atol=2e-5)
    mien("character.actions").clear_sent(character(mien, body))  # the brows still play it
    with pytest.raises(mien("contract.errors").MienError, match="are strips.*Delete the strips"):
        mien("character.actions").clear_sent(character(mien, body))
    np.testing.assert_allclose(made.key_values(body, "ARKit_mouthSmileLeft", scene, FRAMES), found, atol=1e-6)


def test_what_cannot_be_keyed_says_why(mien: Any, tmp_path: Any) -> None:
    import bpy

    targets, profile = mien("character.targets"), mien("character.profile").Profile()
    body, brows, rig = made.mpfb_character(mien)
    blocks = body.data.shape_keys.key_blocks
    blocks["ARKit_mouthPucker"].driver_add("value")
    blocks["ARKit_cheekPuff"].mute = True
    rig.pose.bones["jaw"].driver_add("rotation_euler")
    found = targets.match_character(targets.read_parts(character(mien, body)), profile)
    assert found["mouthPucker"].text == "Driven on 'Bob'" and found["jaw"].text == "'jaw' is driven"
    assert found["cheekPuff"].note == "Muted on 'Bob'"
    sent = send(mien, body, made.lively_take(mien))
    assert {"mouthPucker", "jaw", "jawOpen"} <= set(sent.missing)
    assert not any("mouthPucker" in curve.data_path for curve in mien("compat").fcurves_of(body.data.shape_keys))
    mien("compat").push_down(rig, "strip")
    rig.animation_data.nla_tracks[0].strips[0].select = True
    rig.animation_data.nla_tracks.active = rig.animation_data.nla_tracks[0]
    rig.animation_data.use_tweak_mode = True
    with pytest.raises(mien("contract.errors").MienError, match="being tweaked. Leave tweak mode"):
        send(mien, body, made.lively_take(mien))
    rig.animation_data.use_tweak_mode = False
    path = str(tmp_path / "library.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    with bpy.data.libraries.load(path, link=True) as (_, wanted):
        wanted.objects = ["Bob", "Bob Rig"]
    with pytest.raises(mien("contract.errors").MienError, match="drives nothing of 'Bob Rig': .*[Ll]inked"):
        send(mien, bpy.data.objects["Bob"], made.lively_take(mien))


def test_bones_whose_vertices_keys_move_are_left_to_the_keys(mien: Any) -> None:
    targets, profiles = mien("character.targets"), mien("character.profile")
    rig = made.boned_rig("Rig")
    face = made.keyed_mesh("Face", ["jawOpen", "eyeLookUpLeft"], rig)
    face.vertex_groups.new(name="jaw").add([0], 1.0, "REPLACE")  # which jawOpen moves
    face.vertex_groups.new(name="eye.L").add([5], 1.0, "REPLACE")  # which eyeLookUpLeft does not
    found = targets.match_character(targets.read_parts(character(mien, face)), profiles.Profile())
    assert found["jaw"].text == "The key 'jawOpen' moves that" and found["jawOpen"].text == "jawOpen"
    assert found["eyeLeft"].text == "eye.L" and found["eyeLookUpLeft"].text == "eyeLookUpLeft"


def test_what_is_no_character_is_refused(mien: Any) -> None:
    import bpy

    error = mien("contract.errors").MienError
    light = bpy.data.objects.new("Lamp", None)
    for item, words in ((None, "A character is a mesh"), (light, "'Lamp' is no mesh")):
        with pytest.raises(error, match=words):
            character(mien, item)
    plain = made.keyed_mesh("Plain", ["Fat", "Thin"])
    with pytest.raises(error, match="drives nothing of 'Plain'. Choose a character"):
        send(mien, plain, made.lively_take(mien))
    assert not bpy.data.actions


def test_teeth_on_a_captured_head_leave_its_performance_alone(mien: Any, tmp_path: Path) -> None:
    head = synthetic_head(1)
    stage = Stage(mien, head, moving_take(head, 6), tmp_path, start=1)
    teeth = made.keyed_mesh("Teeth", ["jawOpen", "mouthSmileLeft"], stage.rig)
    before = stage.action
    sent = send(mien, teeth, made.lively_take(mien))
    assert (sent.keys, sent.bones) == (2, 0)
    assert stage.action == before and not stage.rig.animation_data.nla_tracks
    assert mien("animation.smooth").record_of(stage.mesh) is not None
    for item in (stage.mesh, stage.rig):
        with pytest.raises(mien("contract.errors").MienError, match="captured head"):
            character(mien, item, teeth)


def test_meshes_of_other_characters_are_left_alone(mien: Any) -> None:
    body, brows, rig = made.mpfb_character(mien)
    other, _, _ = made.mpfb_character(mien, "Ann")
    loose = made.keyed_mesh("Lashes", ["eyeBlinkLeft"])
    found = character(mien, body, other, loose)
    assert found.meshes == (body, brows, loose) and found.rig == rig
    twin = loose.copy()  # shares the mesh
    assert character(mien, body, loose, twin).meshes == (body, brows, loose)


def test_a_take_of_another_head_is_refused_with_its_reason(mien: Any) -> None:
    from dataclasses import replace

    body, _, _ = made.mpfb_character(mien)
    take = made.lively_take(mien)
    meta = replace(take.meta, head_id="flame2023", channels=tuple(f"e{n}" for n in range(len(take.meta.channels))))
    with pytest.raises(mien("contract.errors").MienError, match="flame2023.*are not ARKit's. Add"):
        send(mien, body, replace(take, meta=meta))


def test_a_take_keeps_the_timing_of_the_head_that_performs_it(mien: Any) -> None:
    import bpy

    body, _, _ = made.mpfb_character(mien)
    take, scene = made.lively_take(mien), bpy.context.scene
    scene.render.fps = 48
    sent = send(mien, body, take, start=101, timing="source", rate=48.0)
    assert (sent.first, sent.last) == (101.0, 101.0 + 23 * 2)
    scene.frame_set(103)
    found = body.evaluated_get(bpy.context.evaluated_depsgraph_get()).data.shape_keys
    expected = mien("contract.arkit").arkit_curves(take).weight("mouthSmileLeft")[1]
    assert found.key_blocks["ARKit_mouthSmileLeft"].value == pytest.approx(expected, abs=1e-5)


def test_the_scene_takes_over_the_rate_of_a_take_again_and_again(mien: Any) -> None:
    import bpy

    rig = made.boned_rig("Rig")
    for _ in range(2):
        bpy.context.scene.render.fps = 30
        assert send(mien, rig, made.lively_take(mien)).warnings == ()
        assert bpy.context.scene.render.fps == 24
