# SPDX-License-Identifier: GPL-3.0-or-later
"""Every difference between the Blender versions (4.2 to 5.2) that the add-on meets."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import bpy
import numpy as np

ONE_ACTION = "slots" in bpy.types.Action.bl_rna.properties
"""Whether one action can animate several data-blocks (slots); before 4.4 each data-block needs its own."""

TURNS_MOVIES = bpy.app.version >= (4, 5, 0)
"""Whether movies are shown as their rotation tag says."""


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
    slot = _slot(action, owner) or action.slots.new(id_type=owner.id_type, name=owner.name)
    data.action_slot = slot
    return _bag(action, slot)


def own_channels(owner: Any, action: Any) -> Any:
    """As `channels`, for an action that animates several data-blocks of one kind: each gets a slot of its own name."""
    data = owner.animation_data_create()
    data.action = action
    if not hasattr(action, "slots"):
        return action.fcurves
    kin = (slot for slot in action.slots if slot.target_id_type == owner.id_type and slot.name_display == owner.name)
    slot = next(kin, None) or action.slots.new(id_type=owner.id_type, name=owner.name)
    data.action_slot = slot
    return _bag(action, slot)


def channels_in(action: Any, owner: Any) -> Any:
    """The collection of F-curves that an action has for a data-block, assigned to it or not; made if it has none."""
    if not hasattr(action, "slots"):
        return action.fcurves
    return _bag(action, _slot(action, owner) or action.slots.new(id_type=owner.id_type, name=owner.name))


def fcurves_in(action: Any, owner: Any) -> list[Any]:
    """The F-curves that an action has for a data-block, assigned to it or not."""
    if not hasattr(action, "slots"):
        return list(action.fcurves)
    slot = _slot(action, owner)
    if slot is None or not action.layers or not action.layers[0].strips:
        return []
    bag = action.layers[0].strips[0].channelbag(slot)
    return list(bag.fcurves) if bag else []


def fcurves_of(owner: Any) -> list[Any]:
    """The F-curves that animate a data-block; empty without an action."""
    data = owner.animation_data
    return [] if data is None or data.action is None else fcurves_in(data.action, owner)


def _slot(action: Any, owner: Any) -> Any | None:
    """The slot by which an action animates a data-block: the assigned one, or by name, or by kind."""
    data = owner.animation_data
    if data is not None and data.action == action and data.action_slot is not None:
        return data.action_slot
    kin = [slot for slot in action.slots if slot.target_id_type == owner.id_type]
    named = [slot for slot in kin if slot.name_display == owner.name]
    return next(iter((*named, *kin)), None)


def _bag(action: Any, slot: Any) -> Any:
    layer = action.layers[0] if action.layers else action.layers.new("Layer")
    strip = layer.strips[0] if layer.strips else layer.strips.new(type="KEYFRAME")
    return strip.channelbag(slot, ensure=True).fcurves


def put(
    fcurves: Any,
    path: str,
    index: int,
    frames: np.ndarray,
    values: np.ndarray,
    holds: np.ndarray | None = None,
    group: str = "",
) -> None:
    """Write one F-curve in bulk, replacing its keys; linear between them.

    Args:
        fcurves: What `channels` returned.
        path: Data path of the property.
        index: Index into an array property, 0 for a single value.
        frames: (T,) frame numbers.
        values: (T,) values.
        holds: (T,) bool, keys after which the value stays until the next one.
        group: Name of the group of channels for a new curve.
    """
    curve = fcurves.find(path, index=index) or _new_curve(fcurves, path, index, group)
    points = curve.keyframe_points
    points.clear()
    points.add(len(frames))
    points.foreach_set("co", np.stack((frames, values), axis=-1).astype(np.float32).ravel())
    interpolation = np.ones(len(frames), dtype=np.int32)  # 0 = constant, 1 = linear
    if holds is not None:
        interpolation[holds] = 0
    points.foreach_set("interpolation", interpolation)
    curve.update()


def _new_curve(fcurves: Any, path: str, index: int, group: str) -> Any:
    parameters = fcurves.bl_rna.functions["new"].parameters.keys()
    name = next((name for name in ("group_name", "action_group") if name in parameters), None)
    return fcurves.new(path, index=index, **({name: group} if name and group else {}))


def values_of(curve: Any) -> np.ndarray:
    """Values (T,) float32 of an F-curve's keys."""
    return _coordinates(curve)[1::2]


def set_values(curve: Any, values: np.ndarray) -> None:
    """Give an F-curve's keys new values (T,); they stay on their frames, with their interpolation."""
    coordinates = _coordinates(curve)
    coordinates[1::2] = values
    curve.keyframe_points.foreach_set("co", coordinates)
    curve.update()


def _coordinates(curve: Any) -> np.ndarray:
    coordinates = np.empty(len(curve.keyframe_points) * 2, dtype=np.float32)
    curve.keyframe_points.foreach_get("co", coordinates)
    return coordinates


def push_down(owner: Any, name: str) -> str:
    """Turn a data-block's action into a strip on a new NLA track, and detach it.

    Returns:
        Name of the strip.
    """
    data = owner.animation_data
    action = data.action
    slot = data.action_slot if hasattr(action, "slots") else None
    first, last = action.frame_range
    data.action = None
    track = data.nla_tracks.new()
    track.name = name
    strip = track.strips.new(name, math.floor(first), action)
    if slot is not None:
        strip.action_slot = slot
    strip.action_frame_start, strip.action_frame_end = first, max(last, first + 1.0)
    strip.frame_start_ui = first
    strip.extrapolation = "HOLD_FORWARD"  # lower strips show until this one begins
    return strip.name


def strips_of(scene: Any) -> list[Any]:
    """All strips of a scene's video sequencer."""
    editor = scene.sequence_editor
    if editor is None:
        return []
    return list(editor.strips_all if hasattr(editor, "strips_all") else editor.sequences_all)


def content_start(strip: Any) -> float:
    """Scene frame on which the first picture of a strip's movie would be shown."""
    return float(strip.content_start if hasattr(strip, "content_start") else strip.frame_start)


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
