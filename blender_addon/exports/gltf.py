# SPDX-License-Identifier: GPL-3.0-or-later
"""glTF in one binary file: metres, Y up, morph targets, skin, a sample on each frame, seconds that begin at 0.

A glTF camera has no lens shift, so footage whose centre is off the middle lines up to that extent only.
"""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

from ..contract.errors import ErrorCode, MienError
from .operators import enabled, operator, run
from .stage import Stage

_SAME = 1e-5  # of the length; half a frame in 10,000 is five times as much


def write(stage: Stage, path: Path) -> None:
    """Write what is on the stage.

    Raises:
        MienError: CANNOT_EXPORT where the exporter gets the times wrong.
    """
    render, base = stage.copies.scene.render, stage.copies.scene.render.fps_base
    length = (len(stage.motion.frames) - 1) / stage.subject.rate
    try:
        # Exporters up to that of 5.2 multiply by the base where they should divide: such get its inverse.
        for tried in dict.fromkeys((1.0 / base, base)):
            render.fps_base = tried
            _export(path)
            if math.isclose(_seconds(path), length, rel_tol=_SAME, abs_tol=_SAME):
                return
    finally:
        render.fps_base = base
    message = f"{path} would play for {_seconds(path):.3f} s instead of {length:.3f} s."
    raise MienError(ErrorCode.CANNOT_EXPORT, message, "Give the scene a whole number of frames per second.")


def _export(path: Path) -> None:
    with enabled("io_scene_gltf2"):
        run(
            operator("export_scene", "gltf"),
            path,
            check_existing=False,
            export_format="GLB",
            use_selection=True,
            use_active_scene=True,
            export_cameras=True,
            export_extras=True,
            export_yup=True,
            export_apply=False,
            export_animations=True,
            export_animation_mode="SCENE",
            export_anim_scene_split_object=False,
            export_frame_range=True,
            export_force_sampling=True,
            export_optimize_animation_size=False,
            export_anim_slide_to_zero=True,
            export_def_bones=False,
            export_all_influences=True,
            export_morph=True,
            export_morph_normal=False,
            export_morph_animation=True,
            export_morph_reset_sk_data=True,
            export_skins=True,
            export_rest_position_armature=True,
            will_save_settings=False,
        )


def _seconds(path: Path) -> float:
    """Time of the last sample of a glTF's animations; 0 without any."""
    content = _description(path)
    inputs = (sampler["input"] for item in content.get("animations", ()) for sampler in item["samplers"])
    return max((float(content["accessors"][index]["max"][0]) for index in inputs), default=0.0)


def _description(path: Path) -> dict[str, Any]:
    """The JSON of a binary glTF (glTF 2.0, section 4.4)."""
    with open(path, "rb") as file:
        *_, size, _kind = struct.unpack("<4sIIII", file.read(20))
        found: dict[str, Any] = json.loads(file.read(size))
        return found
