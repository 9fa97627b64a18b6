# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast a performance goes to files of other programs, and how large they are; run with a Python that has bpy.

    python tests/blender/bench_exports.py [--head HEAD.npz] [--frames 300]

Prints one line a format. Nothing here passes or fails.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path[:0] = [str(FOLDER), str(FOLDER.parents[1])]

import bpy  # noqa: E402
from make_head import moving_take, synthetic_head  # noqa: E402

from blender_addon.animation.apply import ApplyOptions, apply_take  # noqa: E402
from blender_addon.contract.head import HeadDescription  # noqa: E402
from blender_addon.exports.formats import SCENE_EXPORTS, export_heads  # noqa: E402
from blender_addon.rig.build import BuildOptions, build_head  # noqa: E402


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Time exports from Blender.")
    parser.add_argument("--head", type=Path, help="a head's file; a small synthetic one by default")
    parser.add_argument("--frames", type=int, default=300)
    options = parser.parse_args()
    head = HeadDescription.load(options.head) if options.head else synthetic_head(1)
    take = moving_take(head, options.frames)
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    scene = bpy.context.scene
    mesh = bpy.data.objects[build_head(head, take.identity, "Bench", scene, BuildOptions()).mesh]
    apply_take(mesh, take, scene, ApplyOptions(start=1))
    print(f"Blender {bpy.app.version_string}: {len(take)} frames of the head '{head.id}' to files")
    with tempfile.TemporaryDirectory() as folder:
        for name, export in SCENE_EXPORTS.items():
            path = Path(folder) / name / f"bench{export.suffix}"
            path.parent.mkdir()
            start = time.perf_counter()
            export_heads(name, scene, [mesh], path)
            seconds = time.perf_counter() - start
            size = sum(made.stat().st_size for made in path.parent.iterdir()) / 1e6
            print(f"{name:<58} {seconds:>7.2f} s {size:>7.1f} MB", flush=True)
    sys.stdout.flush()
    os._exit(0)  # bpy 4.2 as a module crashes when it is taken apart after the glTF exporter was loaded


if __name__ == "__main__":
    main()
