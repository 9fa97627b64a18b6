# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of keys and bones of a take."""

from __future__ import annotations

import numpy as np
import pytest

from blender_addon.axes import FACINGS, matrices, rest_basis, rotation_matrices
from blender_addon.character.evaluate import evaluate, face_curves
from blender_addon.character.matching import match
from blender_addon.character.parts import Bone, MeshKeys, Parts
from blender_addon.character.profile import BoneTarget, KeyTarget, Profile, Response, Row
from blender_addon.contract.arkit import CHANNELS, arkit_curves
from blender_addon.contract.errors import ErrorCode, MienError
from tests.arkit_takes import arkit_take
from tests.fake_takes import small_take

FACE = MeshKeys("Face", dict.fromkeys(CHANNELS, ""))


def rest(seed: int) -> np.ndarray:
    return rotation_matrices(np.random.default_rng(seed).normal(size=3))


def bones(**changes: Bone) -> dict[str, Bone]:
    names = ("head", "jaw", "eye.L", "eye.R")
    return {name: Bone(np.zeros(3), rest(number), 0.1) for number, name in enumerate(names)} | changes


def values_of(parts: Parts, profile: Profile, take=None):
    face = face_curves(take or arkit_take())
    return evaluate(face, parts, profile, match(parts, profile))


def test_keys_get_their_channels():
    take = arkit_take()
    values = values_of(Parts((FACE,)), Profile(), take)
    curves = arkit_curves(take)
    for name in CHANNELS:
        np.testing.assert_array_equal(values.keys["Face", name], curves.weight(name))


def test_gain_offset_and_curve():
    row = Row(1.5, -0.2, Response(points=((0.0, 0.0), (0.5, 0.9), (1.0, 1.0))))
    take = arkit_take()
    values = values_of(Parts((FACE,)), Profile(rows={"browInnerUp": row}), take)
    weight = arkit_curves(take).weight("browInnerUp")
    np.testing.assert_allclose(
        values.keys["Face", "browInnerUp"], np.interp(weight, [0, 0.5, 1], [0, 0.9, 1]) * 1.5 - 0.2
    )


def test_several_channels_add_up_in_one_key_and_one_channel_drives_several():
    smile = ("mouthSmileLeft", "mouthSmileRight")
    rows = {
        smile[0]: Row(2.0, targets=(KeyTarget("grin", 0.5), KeyTarget("jawOpen"))),
        smile[1]: Row(targets=(KeyTarget("grin", 0.25),)),
    }
    face = MeshKeys("Face", {"grin": "", "jawOpen": ""})
    take = arkit_take()
    curves, values = arkit_curves(take), values_of(Parts((face,)), Profile(rows=rows), take)
    left, right = (curves.weight(name) for name in smile)
    np.testing.assert_allclose(values.keys["Face", "grin"], left + 0.25 * right)
    np.testing.assert_allclose(values.keys["Face", "jawOpen"], curves.weight("jawOpen") + 2 * left)


@pytest.mark.parametrize("facing", FACINGS)
def test_bones_turn_as_the_head_does_whatever_their_rest(facing):
    take = arkit_take()
    values = values_of(Parts((), bones()), Profile(facing=facing), take)
    head = rotation_matrices(take.head_rotation) @ rotation_matrices(take.neck)
    wanted = {"head": head, "jaw": rotation_matrices(take.jaw),
              "eye.L": rotation_matrices(take.eyes[:, :3]), "eye.R": rotation_matrices(take.eyes[:, 3:])}  # fmt: skip
    for number, (name, turns) in enumerate(wanted.items()):
        local = matrices(values.bones[name].quaternion)
        in_armature = rest(number) @ local @ rest(number).T
        np.testing.assert_allclose(in_armature, FACINGS[facing] @ turns @ FACINGS[facing].T, atol=1e-9)
        assert values.bones[name].location is None


def test_a_gain_on_a_turn_is_on_its_angle():
    take = arkit_take()
    values = values_of(Parts((), bones()), Profile(rows={"jaw": Row(0.5)}), take)
    half = matrices(values.bones["jaw"].quaternion)
    whole = rest(1).T @ FACINGS["-Y"] @ rotation_matrices(take.jaw) @ FACINGS["-Y"].T @ rest(1)
    np.testing.assert_allclose(half @ half, whole, atol=1e-9)


def test_weights_move_turn_and_draw_bones():
    there = bones(goal=Bone(np.array([0.0, 0.0, -0.3]), rest(9), 0.1))
    rows = {
        "jawLeft": Row(targets=(BoneTarget(("jaw",), (1.0, 0.5, 0.0)),)),
        "jawForward": Row(targets=(BoneTarget(("jaw",), turn=(0.3, 0.0, 0.0)),)),
        "eyeBlinkLeft": Row(targets=(BoneTarget(("eye.L",), toward=("goal",), share=0.8),)),
    }
    take = arkit_take()
    curves, values = arkit_curves(take), values_of(Parts((), there), Profile(rows=rows, only=True), take)
    left, forward, blink = (curves.weight(name)[:, None] for name in rows)
    in_armature = values.bones["jaw"].location @ rest(1).T
    np.testing.assert_allclose(in_armature, left * (FACINGS["-Y"] @ [0.1, 0.05, 0.0]), atol=1e-12)
    tilt = matrices(values.bones["jaw"].quaternion)
    np.testing.assert_allclose(
        rest(1) @ tilt @ rest(1).T,
        FACINGS["-Y"] @ rotation_matrices(forward * [0.3, 0, 0]) @ FACINGS["-Y"].T, atol=1e-9,
    )  # fmt: skip
    np.testing.assert_allclose(values.bones["eye.L"].location @ rest(2).T, 0.8 * blink * [0, 0, -0.3], atol=1e-12)


def test_what_an_eye_aims_at_goes_where_the_eye_looks():
    aim = Bone(np.array([0.02, -0.5, 1.6]), rest(8), 0.02)
    eye = Bone(np.array([0.03, -0.1, 1.6]), rest(7), 0.02)
    rows = {"eyeLeft": Row(targets=(BoneTarget(("aim",), pivot=("eye",)),))}
    take = arkit_take()
    values = values_of(Parts((), {"aim": aim, "eye": eye}), Profile(rows=rows, only=True), take)
    target = aim.head + values.bones["aim"].location @ rest(8).T
    turned = FACINGS["-Y"] @ rotation_matrices(take.eyes[:, :3]) @ FACINGS["-Y"].T
    np.testing.assert_allclose(target, eye.head + turned @ (aim.head - eye.head), atol=1e-9)


def test_the_heads_place_is_off_by_default_and_in_units_of_the_armature():
    take, parts = arkit_take(), Parts((), bones(), scale=0.01)
    assert values_of(parts, Profile(), take).bones["head"].location is None
    moved = values_of(parts, Profile(place=True, facing="Z"), take).bones["head"].location
    went = (take.translation - take.translation[0]) * [1, -1, -1]  # camera space to head space
    np.testing.assert_allclose(moved @ rest(0).T * 0.01, went, atol=1e-7)


def test_turns_do_not_jump_inside_a_shot():
    values = values_of(Parts((), bones()), Profile(), arkit_take(frames=200))
    for motion in values.bones.values():
        assert np.linalg.norm(np.diff(motion.quaternion, axis=0), axis=1).max() < 0.3


def test_any_basis_is_a_rotation():
    for facing in FACINGS:
        basis = rest_basis(rest(3), facing)
        np.testing.assert_allclose(basis @ basis.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(basis) == pytest.approx(1.0)


def test_takes_of_other_heads_are_refused():
    with pytest.raises(MienError) as caught:
        face_curves(small_take())
    assert caught.value.code is ErrorCode.CANNOT_EXPORT
