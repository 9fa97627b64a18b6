# SPDX-License-Identifier: GPL-3.0-or-later
"""Every difference between the Blender versions (4.2 to 5.2) that the add-on meets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import bpy
import numpy as np

ONE_ACTION = "slots" in bpy.types.Action.bl_rna.properties
"""Whether one action can animate several data-blocks (slots); before 4.4 each data-block needs its own."""


def new_action(name: str) -> Any:
    """A new empty action."""
    return bpy.data.actions.new(name)


def channels(owner: Any, action: Any) -> Any:
    """Assign an action to a data-block and return the collection of its F-curves there.

    Args:
        owner: Data-block with animation data (an object, shape keys).
        action: The action; from 4.4 on it may animate other data-blocks as well.
    """
    data = owner.animation_data_create()
    data.action = action
    if not hasattr(action, "slots"):
        return action.fcurves
    slot = next((s for s in action.slots if s.target_id_type == owner.id_type and s.name_display == owner.name), None)
    slot = slot or action.slots.new(id_type=owner.id_type, name=owner.name)
    data.action_slot = slot
    layer = action.layers[0] if action.layers else action.layers.new("Layer")
    strip = layer.strips[0] if layer.strips else layer.strips.new(type="KEYFRAME")
    return strip.channelbag(slot, ensure=True).fcurves


def put(fcurves: Any, path: str, index: int, frames: np.ndarray, values: np.ndarray) -> None:
    """Write one F-curve in bulk, replacing its keys; linear between them.

    Args:
        fcurves: What `channels` returned.
        path: Data path of the property.
        index: Index into an array property, 0 for a single value.
        frames: (T,) frame numbers.
        values: (T,) values.
    """
    curve = fcurves.find(path, index=index) or fcurves.new(path, index=index)
    points = curve.keyframe_points
    points.clear()
    points.add(len(frames))
    points.foreach_set("co", np.stack((frames, values), axis=-1).astype(np.float32).ravel())
    points.foreach_set("interpolation", np.ones(len(frames), dtype=np.int32))  # 1 = linear
    curve.update()


def fcurves_of(owner: Any) -> list[Any]:
    """The F-curves that animate a data-block; empty without an action."""
    data = owner.animation_data
    if data is None or data.action is None:
        return []
    action = data.action
    if not hasattr(action, "slots"):
        return list(action.fcurves)
    if data.action_slot is None or not action.layers:
        return []
    bag = action.layers[0].strips[0].channelbag(data.action_slot)
    return list(bag.fcurves) if bag else []


def new_shape_key(mesh_object: Any, name: str, low: float, high: float) -> Any:
    """Add a shape key at value 0 with the given range (5.x would start it at 1, and clamps to the range it has)."""
    key = mesh_object.shape_key_add(name=name, from_mix=False)
    key.slider_min = low
    key.slider_max = high
    key.value = 0.0
    return key


def node_tree(material: Any) -> Any:
    """The node tree of a material, made if this version does not make it by itself."""
    if bpy.app.version < (5, 0, 0):
        material.use_nodes = True
    return material.node_tree


def set_input(node: Any, names: tuple[str, ...], value: Any) -> None:
    """Set the first input socket that this version has among `names`."""
    for name in names:
        if name in node.inputs:
            node.inputs[name].default_value = value
            return
    raise KeyError(f"{node.bl_idname} has none of the inputs {', '.join(names)}")


def add_exit_handler(function: Callable[..., None]) -> None:
    """Call `function` before Blender quits, where this version can say so (5.1 on)."""
    handlers = getattr(bpy.app.handlers, "exit_pre", None)
    if handlers is not None and function not in handlers:
        handlers.append(function)


def remove_exit_handler(function: Callable[..., None]) -> None:
    """Undo `add_exit_handler`."""
    handlers = getattr(bpy.app.handlers, "exit_pre", None)
    if handlers is not None and function in handlers:
        handlers.remove(function)


def work_in_hand() -> str:
    """What the user is in the middle of, as Blender calls it ("Move", "Render", a stroke of a brush); empty if nothing.

    Blender's own operators keep pointers into the data meanwhile, and crash when a mode or an object goes away under
    them. Those of other add-ons may run for as long as Blender does, so they are not waited for.
    """
    if bpy.app.is_job_running("RENDER"):
        return "Render"
    running = [item for window in bpy.context.window_manager.windows for item in window.modal_operators]
    native = [item for item in running if not hasattr(bpy.types, item.bl_idname)]
    # The operator of a render outlives it until the mouse moves.
    return next((item.name for item in native if item.bl_idname != "RENDER_OT_render"), "")


@contextmanager
def window_context(scene_name: str | None = None) -> Iterator[None]:
    """Run operators as if from a window, from a timer too (which has no window of its own).

    Args:
        scene_name: The scene to work in; where no window shows it, one does so meanwhile.
    """
    windows = list(bpy.context.window_manager.windows)
    chosen = next((w for w in windows if w.scene.name == scene_name), windows[0] if windows else None)
    if chosen is None:
        yield
        return
    shown = chosen.scene
    wanted = bpy.data.scenes.get(scene_name or "", shown)
    if wanted != shown:
        chosen.scene = wanted
    try:
        with bpy.context.temp_override(window=chosen):
            yield
    finally:
        if chosen.scene != shown:
            chosen.scene = shown
