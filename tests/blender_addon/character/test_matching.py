# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of keys and bones find their channels; what finds none says why."""

from __future__ import annotations

import numpy as np
import pytest

from blender_addon.character.matching import NO_KEY, State, match, missing
from blender_addon.character.parts import Bone, MeshKeys, Parts
from blender_addon.character.profile import BoneTarget, KeyTarget, Profile, Row
from blender_addon.character.rigify import is_rigify, rigify_profile
from blender_addon.character.sources import SOURCES
from blender_addon.character.words import bone_meaning, key_meaning
from blender_addon.contract.arkit import CHANNELS


def keys(*names: str, mesh: str = "Face", **reasons: str) -> MeshKeys:
    return MeshKeys(mesh, dict.fromkeys(names, "") | reasons)


def bone(**changes: object) -> Bone:
    return Bone(**({"head": np.zeros(3), "rest": np.eye(3), "length": 0.1} | changes))


def snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def short_side(name: str, left: str, right: str) -> str:
    if name in ("jawLeft", "jawRight", "mouthLeft", "mouthRight"):
        return name
    return name.replace("Left", left).replace("Right", right)


SPELLINGS = {
    "ARKit": lambda name: name,
    "Live Link": lambda name: name[0].upper() + name[1:],
    "prefix": lambda name: f"ARKit_{name}",
    "numbered": lambda name: f"A25_{'_'.join(part.capitalize() for part in snake(name).split('_'))}",
    "exporter": lambda name: f"blendShape2.{name}",
    "snake": snake,
    "upper": lambda name: name.upper(),
    "lower": lambda name: name.lower(),
    "short side": lambda name: short_side(name, "_L", "_R"),
    "dot side": lambda name: short_side(snake(name), "left", "right").replace("_left", ".l").replace("_right", ".r"),
    "copy": lambda name: f"{name}.001",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_channel_is_found_in_every_spelling(spelling):
    for channel in CHANNELS:
        meaning = key_meaning(SPELLINGS[spelling](channel))
        assert meaning is not None and meaning.sources[channel] == 1.0, SPELLINGS[spelling](channel)
        assert len(meaning.sources) == 1


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("A", "aa"), ("I", "ih"), ("U", "ou"), ("E", "ee"), ("O", "oh"), ("aa", "aa"), ("oh", "oh"),
        ("Fcl_MTH_A", "aa"), ("Fcl_MTH_I", "ih"), ("Fcl_MTH_U", "ou"), ("Fcl_MTH_E", "ee"), ("Fcl_MTH_O", "oh"),
        ("vrc.v_aa", "aa"), ("Blink", "blink"), ("Blink_L", "blinkLeft"), ("blinkRight", "blinkRight"),
        ("Fcl_EYE_Close", "blink"), ("Fcl_EYE_Close_R", "blinkRight"), ("LookUp", "lookUp"), ("LookLeft", "lookLeft"),
    ],
)  # fmt: skip
def test_vrm_names(name, source):
    assert dict(key_meaning(name).sources) == {source: 1.0}


@pytest.mark.parametrize(
    "name", ["Basis", "Fcl_ALL_Joy", "Fcl_MTH_Angry", "mouth", "jaw", "Smile", "nose_big", "Ears_A", "_"]
)
def test_names_that_say_nothing(name):
    assert key_meaning(name) is None


@pytest.mark.parametrize(
    ("name", "turn"),
    [
        ("head", "head"), ("Head", "head"), ("mixamorig:Head", "head"), ("J_Bip_C_Head", "head"), ("c_head.x", "head"),
        ("jaw", "jaw"), ("CC_Base_JawRoot", "jaw"), ("eye.L", "eyeLeft"), ("RightEye", "eyeRight"),
        ("J_Adj_L_FaceEye", "eyeLeft"), ("eyeball_r", "eyeRight"),
    ],
)  # fmt: skip
def test_bone_names(name, turn):
    assert set(bone_meaning(name).sources) == {turn}
    assert all(
        bone_meaning(other) is None for other in ("forehead", "neck", "HeadTop_End", "eyes", "eyebrow.L", "hand.L")
    )


def test_a_missing_channel_is_shown():
    found = match(Parts((keys(*CHANNELS[:-1]),)), Profile())
    assert list(found) == list(SOURCES)
    assert (found["tongueOut"].state, found["tongueOut"].text) == (State.MISSING, NO_KEY)
    assert set(missing(found)) == {"tongueOut", "head", "jaw", "eyeLeft", "eyeRight"}


def test_the_closest_name_counts_and_the_other_is_told():
    for names in (("A25_mouth_smile_left", "MouthSmile_L", "mouthSmileLeft"), ("mouthSmileLeft", "MouthSmile_L")):
        answer = match(Parts((keys(*names),)), Profile())["mouthSmileLeft"]
        assert [link.target for link in answer.links] == [KeyTarget("mouthSmileLeft")]
        assert "'MouthSmile_L' would fit, too" in answer.note
    first = match(Parts((keys("MouthSmile_L", "mouth_smile.l"),)), Profile())["mouthSmileLeft"]
    assert first.text == "MouthSmile_L"


def test_two_halves_of_a_channel_are_both_driven_and_a_key_without_sides_is_the_mean():
    found = match(Parts((keys("browInnerUp_L", "browInnerUp_R", "eyeBlink"),)), Profile())
    assert [link.target.name for link in found["browInnerUp"].links] == ["browInnerUp_L", "browInnerUp_R"]
    for side in ("Left", "Right"):
        answer = found[f"eyeBlink{side}"]
        assert answer.links[0].target == KeyTarget("eyeBlink", 0.5) and "mean of both" in answer.note


def test_all_meshes_of_a_character_follow_each_by_its_own_names():
    parts = Parts((keys("browInnerUp", "jawOpen"), keys("BrowInnerUp", mesh="Brows"), keys("jawOpen", mesh="Teeth")))
    found = match(parts, Profile())
    links = {(link.target.name, mesh) for link in found["browInnerUp"].links for mesh in link.meshes}
    assert links == {("browInnerUp", "Face"), ("BrowInnerUp", "Brows")}
    assert found["jawOpen"].links[0].meshes == ("Face", "Teeth")


def test_keys_that_cannot_be_keyed_say_why():
    parts = Parts((keys(jawOpen="Driven", browInnerUp="Driven"), keys("browInnerUp", mesh="Brows")))
    found = match(parts, Profile())
    assert (found["jawOpen"].state, found["jawOpen"].text) == (State.MISSING, "Driven on 'Face'")
    assert found["browInnerUp"].links[0].meshes == ("Brows",)
    assert found["browInnerUp"].note == "Driven on 'Face'"
    muted = Parts((MeshKeys("Face", {"jawOpen": ""}, frozenset({"jawOpen"})),))
    assert match(muted, Profile())["jawOpen"].note == "Muted on 'Face'"


def test_bones_say_why_too_and_stand_in_for_their_keys():
    bones = {"head": bone(no_turn="is driven"), "jaw": bone(), "eye.L": bone(), "spine": bone()}
    found = match(Parts((), bones), Profile())
    assert (found["head"].state, found["head"].text) == (State.MISSING, "'head' is driven")
    assert (found["jawOpen"].state, found["jawOpen"].text) == (State.COVERED, "By Jaw Turn")
    assert found["eyeLookUpLeft"].state is State.COVERED and found["eyeLookUpRight"].state is State.MISSING


def test_a_bone_whose_vertices_a_key_moves_is_left_to_the_key():
    parts = Parts((keys("jawOpen"),), {"jaw": bone()}, moved={"jaw": "jawOpen"})
    found = match(parts, Profile())
    assert (found["jaw"].state, found["jaw"].text) == (State.OFF, "The key 'jawOpen' moves that")
    assert match(parts, Profile(rows={"jaw": Row(use=True)}))["jaw"].state is State.DRIVES


def test_vrm_stands_in_where_the_channels_have_no_keys():
    vrm = keys("A", "I", "U", "E", "O", "Blink_L", "Blink_R", "Blink")
    found = match(Parts((vrm,)), Profile())
    assert found["aa"].state is State.DRIVES and found["jawOpen"].text == "By aa"
    assert found["eyeBlinkLeft"].state is State.COVERED and found["browInnerUp"].state is State.MISSING
    assert found["blink"].state is State.OFF  # the sides do it
    assert "lookUp" in missing(found)
    both = match(Parts((MeshKeys("Face", {**vrm.keys, "jawOpen": ""}),)), Profile())
    assert both["aa"].state is State.OFF and both["aa"].text == "jawOpen has a key of its own"


def test_the_profile_decides():
    parts = Parts((keys("jawOpen", "smirk"),), {"head": bone(), "jaw.x": bone(no_move="is connected and cannot move")})
    rows = {
        "mouthSmileLeft": Row(targets=(KeyTarget("smirk"), KeyTarget("grin"))),
        "mouthPucker": Row(targets=(KeyTarget("gone"),)),
        "jawForward": Row(targets=(BoneTarget(("jaw.x",), (0.0, 0.0, 1.0)),)),
        "jawLeft": Row(targets=(BoneTarget(("head",)),)),
        "jawOpen": Row(use=False),
    }
    found = match(parts, Profile(rows=rows, place=True))
    assert (found["mouthSmileLeft"].state, found["mouthSmileLeft"].note) == (State.DRIVES, "No shape key 'grin'")
    assert found["mouthPucker"].text == "No shape key 'gone'"
    assert found["jawForward"].text == "'jaw.x' is connected and cannot move"
    assert found["jawLeft"].text == "The profile does not say how far 'head' goes"
    assert (found["jawOpen"].state, found["jawOpen"].text) == (State.OFF, "Switched off")
    assert found["headPosition"].state is State.DRIVES
    only = match(parts, Profile(rows=rows, only=True))
    assert only["head"].state is State.MISSING and only["mouthSmileLeft"].state is State.DRIVES


def test_a_rigify_face_is_answered_by_the_built_in_profile_where_there_is_no_key():
    names = {name for row in rigify_profile().rows.values() for target in row.targets
             for name in (*target.names, *target.toward, *target.pivot)}  # fmt: skip
    bones = {name: bone() for name in names}
    assert is_rigify(bones) and not is_rigify({"head", "jaw"})
    found = match(Parts((keys("mouthSmileLeft"),), bones), Profile(), rigify_profile())
    assert found["mouthSmileLeft"].text == "mouthSmileLeft"
    assert found["mouthSmileRight"].text == "lips.R +1"
    assert found["eyeLeft"].links[0].target.pivot == ("MCH-eye.L",)
    assert missing(found) == ()
    del bones["lips.L"], bones["lip_end.L.001"]
    lacking = match(Parts((), bones), Profile(), rigify_profile())
    assert "No bone 'lips.L'" in lacking["mouthPucker"].text
