# SPDX-License-Identifier: GPL-3.0-or-later
"""A character in the scene: which meshes and which armature it is, and what of them can be keyed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np

from ..animation.paths import bone_path, key_path
from ..contract.errors import ErrorCode, MienError
from ..rig import names
from ..rig.armature import rig_of, rotation_property
from .matching import Found, match
from .parts import Bone, MeshKeys, Parts
from .profile import Profile
from .rigify import is_rigify, rigify_profile
from .sources import JAW, TOLD_BY
from .words import bone_meaning, key_meaning

_FOLLOWS = 0.5
"""Weight from which a vertex counts as moved by its bone, and part of such vertices that a key must move."""
_STILL = 1e-5
_TOLD_BY_LOOKS = ("lookUp", "lookDown", "lookLeft", "lookRight")
_followers: dict[tuple[object, ...], dict[int, np.ndarray]] = {}


@dataclass(frozen=True)
class Character:
    """References, for use at once.

    Attributes:
        name: For actions.
        meshes: Mesh objects with shape keys.
        rig: The armature object, or None.
        body: All its mesh objects, also without keys.
    """

    name: str
    meshes: tuple[Any, ...]
    rig: Any | None
    body: tuple[Any, ...]

    def owners(self) -> Iterator[Any]:
        """The data-blocks that are animated: the armature object, then the shape keys."""
        if self.rig is not None:
            yield self.rig
        yield from (mesh.data.shape_keys for mesh in self.meshes)


def character_of(item: Any, selected: Iterable[Any] = ()) -> Character:
    """The character that an object belongs to.

    Its meshes are the object, those that its armature moves or carries, and selected ones that no other armature moves.
    The armature of a captured head is never a character's.

    Args:
        item: A mesh or armature object.
        selected: More objects.

    Raises:
        MienError: USAGE for other objects, and for heads that Mien captured.
    """
    if item is None or item.type not in {"MESH", "ARMATURE"}:
        message = "A character is a mesh or an armature." if item is None else f"'{item.name}' is no mesh or armature."
        raise MienError(ErrorCode.USAGE, message, "Select the character's face or its rig.", {"cause": "kind"})
    rig = item if item.type == "ARMATURE" else armature_of(item)
    if rig is not None and any(rig_of(head) == rig for head in bpy.data.objects if names.is_mien_head(head)):
        rig = None  # what hangs on a captured head goes by its keys alone: the bones have their performance
    if names.is_mien_head(item) or (item.type == "ARMATURE" and rig is None):
        message = f"'{item.name}' is a captured head."
        raise MienError(ErrorCode.USAGE, message, "Press Apply to Head in Takes, or select another character.",
                        {"cause": "head"})  # fmt: skip
    own = [item] if item.type == "MESH" else []
    if rig is not None:
        own += [mesh for mesh in bpy.data.objects if mesh.type == "MESH" and armature_of(mesh) == rig]
    own += [mesh for mesh in selected if mesh.type == "MESH" and armature_of(mesh) in (None, rig)]
    body = [mesh for mesh in dict.fromkeys(own) if not names.is_mien_head(mesh)]
    by_data = {mesh.data.shape_keys: mesh for mesh in reversed(body) if mesh.data.shape_keys is not None}
    meshes = tuple(mesh for mesh in body if mesh in by_data.values())
    return Character((rig or item).name, meshes, rig, tuple(body))


def armature_of(mesh: Any) -> Any | None:
    """The armature object that moves a mesh object, or carries it."""
    rig = rig_of(mesh)
    while rig is None and mesh.parent is not None:
        mesh = mesh.parent
        rig = mesh if mesh.type == "ARMATURE" else None
    return rig


def read_parts(character: Character) -> Parts:
    """What a character has, as plain values."""
    meshes = tuple(_mesh_keys(mesh) for mesh in character.meshes)
    rig = character.rig
    if rig is None:
        return Parts(meshes)
    return Parts(meshes, _bones(rig), _metres(rig), dict(_moved_bones(character)))


def _metres(rig: Any) -> float:
    """Metres in one unit of an armature, by its size and the units of its scene."""
    scene = next(iter(rig.users_scene), None)
    unit = scene.unit_settings.scale_length if scene is not None else 1.0
    return float(rig.matrix_world.median_scale * unit) or 1.0


def match_character(parts: Parts, profile: Profile) -> dict[str, Found]:
    """Match a character; what the profile leaves open on Rigify's faces is answered by the built-in one."""
    return match(parts, profile, rigify_profile() if is_rigify(parts.bones) and not profile.only else None)


def _mesh_keys(mesh: Any) -> MeshKeys:
    keys = mesh.data.shape_keys
    blocks = [block for block in keys.key_blocks if block != keys.reference_key]
    whole = _block_problem(keys) or ("" if keys.use_relative else "Keys are absolute")
    driven = _driven(keys)
    reasons = {block.name: whole or ("Driven" if key_path(block.name) in driven else "") for block in blocks}
    return MeshKeys(mesh.name, reasons, frozenset(block.name for block in blocks if block.mute))


def _bones(rig: Any) -> dict[str, Bone]:
    whole, driven = _block_problem(rig).lower(), _driven(rig)
    found = {}
    for bone in rig.data.bones:
        path, rest = bone_path(bone.name), np.array(bone.matrix_local)
        turned = path + rotation_property(rig.pose.bones[bone.name])
        no_turn = whole and f"is {whole}" or ("is driven" if turned in driven else "")
        no_move = whole and f"is {whole}" or ("is driven" if f"{path}location" in driven else "")
        if bone.use_connect and bone.parent:
            no_move = no_move or "is connected and cannot move"
        found[bone.name] = Bone(rest[:3, 3], rest[:3, :3], bone.length, no_turn, no_move)
    return found


def _block_problem(owner: Any) -> str:
    """Why nothing of a data-block can be keyed."""
    if owner.library is not None:
        return "Linked"
    data = owner.animation_data
    return "In tweak mode" if data is not None and data.use_tweak_mode else ""


def _driven(owner: Any) -> frozenset[str]:
    data = owner.animation_data
    return frozenset(curve.data_path for curve in data.drivers) if data is not None else frozenset()


def _moved_bones(character: Character) -> Iterator[tuple[str, str]]:
    """Bones of turns whose vertices keys move by themselves, with one such key."""
    meanings = {bone.name: bone_meaning(bone.name) for bone in character.rig.data.bones}
    turns = {name: next(iter(meaning.sources)) for name, meaning in meanings.items() if meaning}
    for mesh in character.meshes:
        groups = {group.index: group.name for group in mesh.vertex_groups if group.name in turns}
        members = _members(mesh, frozenset(groups)) if groups else {}
        for index, inside in members.items():
            keys = (name for name in _keys_for(mesh, turns[groups[index]]) if _moves(mesh, inside, name))
            if (key := next(keys, None)) is not None:
                yield groups[index], key


def _keys_for(mesh: Any, turn: str) -> Iterator[str]:
    """Keys that could do what a turn does."""
    for block in mesh.data.shape_keys.key_blocks:
        meaning = key_meaning(block.name)
        sources = meaning.sources if meaning else ()
        if any(TOLD_BY.get(source) == turn for source in sources):
            yield block.name
        elif turn == JAW and "aa" in sources or turn.startswith("eye") and any(s in _TOLD_BY_LOOKS for s in sources):
            yield block.name


def _moves(mesh: Any, inside: np.ndarray, key: str) -> bool:
    """Whether a key moves most of some vertices."""
    keys = mesh.data.shape_keys
    ways = _coordinates(keys.key_blocks[key])[inside] - _coordinates(keys.reference_key)[inside]
    return float(np.mean(np.abs(ways).max(axis=1) > _STILL)) > _FOLLOWS


def _members(mesh: Any, groups: frozenset[int]) -> dict[int, np.ndarray]:
    """The vertices that follow each of some groups, of those with any. Walking through them is slow and kept."""
    uid = (mesh.data.session_uid, len(mesh.data.vertices), groups)
    if uid not in _followers:
        found: dict[int, list[int]] = {}
        for vertex in mesh.data.vertices:
            for entry in vertex.groups:
                if entry.group in groups and entry.weight > _FOLLOWS:
                    found.setdefault(entry.group, []).append(vertex.index)
        _followers[uid] = {group: np.array(indexes) for group, indexes in found.items()}
    return _followers[uid]


def _coordinates(block: Any) -> np.ndarray:
    points = np.empty(3 * len(block.points), np.float32)
    block.points.foreach_get("co", points)
    return points.reshape(-1, 3)


def forget() -> None:
    """Look anew at which vertices follow which bones."""
    _followers.clear()
