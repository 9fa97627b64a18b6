# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast takes become keys, against keyframe_insert in the same run; run with a Python that has bpy.

    python tests/blender/bench_keys.py [--head HEAD.npz] [--frames 1000]

Prints one line a measurement, in milliseconds: the best of some runs. Nothing here passes or fails.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
sys.path[:0] = [str(FOLDER), str(FOLDER.parents[1])]

import bpy  # noqa: E402
import numpy as np  # noqa: E402
from characters import lively_take, mpfb_character, rigify_character  # noqa: E402
from make_head import moving_take, synthetic_head  # noqa: E402

from blender_addon import compat  # noqa: E402
from blender_addon.animation.apply import ApplyOptions, apply_take  # noqa: E402
from blender_addon.animation.head import curves_of, parts_for  # noqa: E402
from blender_addon.animation.pose import pose_head  # noqa: E402
from blender_addon.animation.smooth import curves_changed, resmooth  # noqa: E402
from blender_addon.character.actions import clear_sent  # noqa: E402
from blender_addon.character.apply import SendOptions, send_take  # noqa: E402
from blender_addon.character.pose import pose_character  # noqa: E402
from blender_addon.character.profile import Profile  # noqa: E402
from blender_addon.character.targets import character_of, match_character, read_parts  # noqa: E402
from blender_addon.contract.head import HeadDescription  # noqa: E402
from blender_addon.contract.smoothing import smooth  # noqa: E402
from blender_addon.contract.take import Take  # noqa: E402
from blender_addon.rig.build import BuildOptions, build_head  # noqa: E402
from blender_addon.rig.preview import add_preview, update_preview  # noqa: E402


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Time keys in Blender.")
    parser.add_argument("--head", type=Path, help="a head's file; a small synthetic one by default")
    parser.add_argument("--frames", type=int, default=1000)
    options = parser.parse_args()
    head = HeadDescription.load(options.head) if options.head else synthetic_head(1)
    take = moving_take(head, options.frames)
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    scene = bpy.context.scene
    print(f"Blender {bpy.app.version_string}, head {head.id}: {len(head.template)} vertices, {len(take)} frames")
    built = _timed("build a head", 1, lambda: build_head(head, take.identity, "Bench", scene, BuildOptions()))
    mesh = bpy.data.objects[built.mesh]
    _timed("apply the take", 3, lambda: apply_take(mesh, take, scene, ApplyOptions(start=1)))
    curves = len(compat.fcurves_of(mesh.parent)) + len(compat.fcurves_of(mesh.data.shape_keys))
    print(f"  ({curves} curves)")
    _timed("  of it the values", 3, lambda: curves_of(parts_for(mesh, take), take, take.translation[0]))
    _timed("tell whether curves were edited", 3, lambda: curves_changed(mesh))
    _timed("smooth anew in the curves", 3, lambda: resmooth(mesh, take, 0.7))
    _timed("  of it the filter", 3, lambda: smooth(take, 0.7))
    _timed("keyframe_insert of the same", 1, lambda: _insert(mesh, take))
    frame = _first(take)
    _timed("pose without keys", 20, lambda: pose_head(mesh, frame))
    _timed("  and the evaluation", 20, lambda: (pose_head(mesh, frame), bpy.context.view_layer.update()))
    _characters(options.frames, scene)
    preview = _timed("add a preview", 1, lambda: add_preview(head, frame, scene))
    _timed("update the preview", 10, lambda: update_preview(bpy.data.objects[preview.mesh], head, frame))


def _characters(frames: int, scene: Any) -> None:
    """Takes on characters of other makers: shape keys and bones, and a generated Rigify face."""
    take = lively_take(_module, frames)
    body, brows, rig = mpfb_character(_module, "Bench Character")
    options, profile, one = SendOptions(1), Profile(), lively_take(_module, 1)
    for label, item in (("52 keys and 4 bones", body), ("Rigify's controls", rigify_character())):
        character = character_of(item)
        _timed(f"send to {label}", 3, lambda found=character: send_take(found, take, profile, scene, options))
        curves = sum(len(compat.fcurves_of(owner)) for owner in character.owners())
        print(f"  ({curves} curves)")
        _timed("  of it what goes where", 3, lambda found=character: match_character(read_parts(found), profile))
        clear_sent(character)
        _timed("  a live frame on it", 20, lambda found=character: pose_character(found, one, profile))


def _module(name: str) -> Any:
    return importlib.import_module(f"blender_addon.{name}")


def _timed(label: str, runs: int, call: Callable[[], Any]) -> Any:
    best, result = np.inf, None
    for _ in range(runs):
        begun = time.perf_counter()
        result = call()
        best = min(best, time.perf_counter() - begun)
    print(f"{label:34s}{best * 1000:10.2f} ms", flush=True)
    return result


def _first(take: Take) -> Take:
    """The first frame as a take of its own."""
    meta, arrays = take.to_arrays()
    cut = {name: value[:1] if len(value) == len(take) and value.ndim else value for name, value in arrays.items()}
    for name in ("camera_matrix", "image_size", "identity"):
        cut[name] = arrays[name]
    return Take.from_arrays(meta, cut)


def _insert(mesh: Any, take: Take) -> None:
    """What a script would do with Blender's own function: one call for each key."""
    rig, keys = mesh.parent, mesh.data.shape_keys
    rig.animation_data_clear()
    keys.animation_data.action = None
    curves = curves_of(parts_for(mesh, take), take, take.translation[0])
    for owner, found in ((rig, curves.rig), (keys, curves.keys)):
        for curve in found:
            path, _, name = curve.path.rpartition(".")
            target = owner.path_resolve(path)
            single = isinstance(getattr(target, name), float)
            for number, value in enumerate(curve.values.tolist()):
                if single:
                    setattr(target, name, value)
                    target.keyframe_insert(name, frame=1 + number)
                else:
                    getattr(target, name)[curve.index] = value
                    target.keyframe_insert(name, index=curve.index, frame=1 + number)


if __name__ == "__main__":
    main()
