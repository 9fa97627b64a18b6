# SPDX-License-Identifier: GPL-3.0-or-later
"""Characters of other makers, built from nothing, and takes for them."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

MPFB_PREFIX = "ARKit_"
RIG = "Generated Rig"
VRM_KEYS = ("A", "I", "U", "E", "O", "Blink_L", "Blink_R", "Fcl_ALL_Joy")
POINTS = np.array([[x, y, z] for x in (-0.05, 0.05) for y in (-0.1, 0.0) for z in (1.5, 1.7)])
FACES = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]


def lively_take(mien: Any, frames: int = 24, seed: int = 0, source: str = "shot_010.mp4", cut: int = 0) -> Any:
    """A take in the open head's channels, of smooth random motion; with a cut before frame `cut`, if that is not 0."""
    arkit, contract = mien("contract.arkit"), mien("contract.take")
    rng = np.random.default_rng(seed)
    time = np.arange(frames) / 24.0

    def wave(columns: int, low: float, high: float) -> np.ndarray:
        speed, phase = rng.uniform(0.2, 2.0, columns), rng.uniform(0, 2 * np.pi, columns)
        unit = 0.5 + 0.5 * np.sin(time[:, None] * speed * 2 * np.pi + phase)
        return (low + (high - low) * unit).astype(np.float32)

    channels = tuple(name for name in arkit.CHANNELS if name not in (*arkit.BLINKS, arkit.JAW))
    meta = contract.TakeMeta(
        "open", "0" * 64, "fit", {"mien": "0.1.0"}, source, 1, ("CC0-1.0",), "yes", channels,
        rate=24.0 if frames > 1 else 0.0,
    )  # fmt: skip
    segment = (np.arange(frames) >= cut).astype(np.int32) if cut else np.zeros(frames, np.int32)
    return contract.Take(
        meta, time, np.ones(frames, bool), np.full(frames, 0.9, np.float32), np.zeros(3, np.float32),
        expression=wave(len(channels), 0.0, 1.0), eyelids=wave(2, 0.0, 1.0), head_rotation=wave(3, -0.5, 0.5),
        neck=wave(3, -0.1, 0.1), jaw=wave(3, 0.0, 0.3), eyes=wave(6, -0.3, 0.3),
        translation=wave(3, -0.05, 0.05) + np.float32([0, 0, 0.8]),
        camera_matrix=np.array([[1780.0, 0, 640], [0, 1780, 360], [0, 0, 1]]),
        image_size=np.array([1280, 720], np.int32), crop_camera=np.ones((frames, 3), np.float32),
        crop_transform=np.tile(np.eye(3), (frames, 1, 1)),
        extra={"segment": segment, "frame": np.arange(1, frames + 1, dtype=np.int32)},
    )  # fmt: skip


def keyed_mesh(name: str, keys: Sequence[str], rig: Any | None = None) -> Any:
    """A mesh object with shape keys of these names, moved by an armature."""
    import bpy

    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(POINTS.tolist(), [], FACES)
    item = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(item)
    item.shape_key_add(name="Basis", from_mix=False)
    for number, key in enumerate(keys):
        block = item.shape_key_add(name=key, from_mix=False)
        block.value = 0.0
        block.points[number % len(POINTS)].co.x += 0.01
    if rig is not None:
        item.parent = rig
        item.modifiers.new("Armature", "ARMATURE").object = rig
    return item


def boned_rig(name: str, modes: Mapping[str, str] | None = None) -> Any:
    """An armature with a head, a jaw and eyes, none of which lies along an axis."""
    import bpy

    armature = bpy.data.armatures.new(name)
    rig = bpy.data.objects.new(name, armature)
    bpy.context.scene.collection.objects.link(rig)
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    for bone_name, parent, head, tail, roll in (
        ("spine", "", (0, 0.02, 1.2), (0, 0, 1.5), 0.2),
        ("head", "spine", (0, 0, 1.5), (0.01, -0.03, 1.7), 0.4),
        ("jaw", "head", (0, -0.02, 1.55), (0.01, -0.1, 1.5), -0.7),
        ("eye.L", "head", (0.03, -0.08, 1.62), (0.035, -0.11, 1.63), 1.1),
        ("eye.R", "head", (-0.03, -0.08, 1.62), (-0.03, -0.11, 1.61), 0.3),
    ):
        bone = armature.edit_bones.new(bone_name)
        bone.head, bone.tail, bone.roll = head, tail, roll
        bone.parent = armature.edit_bones[parent] if parent else None
    bpy.ops.object.mode_set(mode="OBJECT")
    for bone_name, mode in (modes or {}).items():
        rig.pose.bones[bone_name].rotation_mode = mode
    return rig


def mpfb_character(mien: Any, name: str = "Bob") -> tuple[Any, Any, Any]:
    """A body with face units, brows with some of them, and a rig whose bones are in different rotation modes."""
    rig = boned_rig(f"{name} Rig", {"jaw": "ZXY", "eye.L": "XYZ", "eye.R": "AXIS_ANGLE"})
    channels = [name for name in mien("contract.arkit").CHANNELS if name not in ("jawOpen", "tongueOut")]
    body = keyed_mesh(name, [f"{MPFB_PREFIX}{channel}" for channel in channels], rig)
    brows = keyed_mesh(f"{name} Brows", [channel for channel in channels if channel.startswith("brow")], rig)
    return body, brows, rig


def vrm_character(name: str = "Mei") -> Any:
    """A face with VRM's old names."""
    return keyed_mesh(name, VRM_KEYS)


def rigify_character(new_face: bool = False) -> Any:
    """A rig that Rigify generates from its human, of its old or its new kind of face, in the open file.

    Another process generates it: what Rigify leaves behind in Python crashes Blender 4.2 later, when it is collected.
    """
    import bpy

    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "rigify.blend"
        command = [sys.executable, __file__, str(made), *(["--new-face"] if new_face else [])]
        subprocess.run(command, check=True, capture_output=True, timeout=300)
        with bpy.data.libraries.load(str(made)) as (there, here):
            here.objects = [name for name in there.objects if name == RIG]
    (rig,) = here.objects
    bpy.context.scene.collection.objects.link(rig)
    return rig


def _generate(new_face: bool) -> None:
    """Let Rigify generate a rig of a head in an empty file."""
    import bpy

    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    bpy.ops.preferences.addon_enable(module="rigify")
    bpy.ops.object.armature_human_metarig_add()
    metarig = bpy.context.object
    if new_face:
        bpy.ops.pose.rigify_upgrade_face()
    bpy.ops.object.mode_set(mode="EDIT")
    bones = metarig.data.edit_bones
    kept = {"spine", *(f"spine.00{number}" for number in range(1, 7))}
    face = next(bone.name for bone in bones if bone.name == "face")
    for bone in list(bones):
        if bone.name not in kept and face not in (bone.name, *(parent.name for parent in bone.parent_recursive)):
            bones.remove(bone)
    bpy.ops.object.mode_set(mode="OBJECT")
    bpy.ops.pose.rigify_generate()
    metarig.data.rigify_target_rig.name = RIG


def bone_turns(rig: Any, name: str, scene: Any, frames: Sequence[int]) -> np.ndarray:
    """(T, 3, 3): how a bone is turned from its rest, in world axes, as Blender evaluates it."""
    import bpy

    bpy.context.view_layer.update()
    rest = np.array((rig.matrix_world @ rig.data.bones[name].matrix_local).to_3x3().normalized())
    return np.stack([turn @ rest.T for turn in _at(scene, frames, lambda: _world(rig, name))])


def _world(rig: Any, name: str) -> np.ndarray:
    import bpy

    found = rig.evaluated_get(bpy.context.evaluated_depsgraph_get())
    return np.array((found.matrix_world @ found.pose.bones[name].matrix).to_3x3().normalized())


def key_values(item: Any, key: str, scene: Any, frames: Sequence[int]) -> np.ndarray:
    """(T,): a shape key's value as Blender evaluates it."""
    import bpy

    def read() -> float:
        found = item.evaluated_get(bpy.context.evaluated_depsgraph_get())
        return float(found.data.shape_keys.key_blocks[key].value)

    return np.array(_at(scene, frames, read))


def _at(scene: Any, frames: Sequence[int], read: Callable[[], Any]) -> list[Any]:
    import bpy

    found = []
    for frame in frames:
        scene.frame_set(frame)
        bpy.context.view_layer.update()
        found.append(read())
    return found


def main() -> None:
    """Save a generated rig to the file of the command line."""
    import bpy

    _generate("--new-face" in sys.argv)
    bpy.ops.wm.save_as_mainfile(filepath=sys.argv[1])
    sys.stdout.flush()
    os._exit(0)  # as a module it may crash when it is taken apart after Rigify was loaded


if __name__ == "__main__":
    main()
