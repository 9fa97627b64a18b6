# SPDX-License-Identifier: GPL-3.0-or-later
"""From the panel's settings to a request."""

from __future__ import annotations

from typing import Any

import bpy

from ..animation.head import parts_of, require_free
from ..contract.errors import ErrorCode, MienError
from ..contract.options import CAMERA_PREFIX, CaptureOptions
from ..rig.build import BuildOptions
from ..scene import SceneOptions
from . import choices
from .active_head import active_head
from .facts import Facts, facts_now
from .kinds import Kind
from .request import Request
from .session import session


def request_from(settings: Any, context: Any, source: str) -> Request:
    """A capture with the panel's settings.

    Args:
        settings: The panel's.
        context: Whose scene gets the head, and whose active head is used if the settings say so.
        source: Path of the source.

    Raises:
        MienError: USAGE for settings that make no sense, or when the active head shall perform and cannot be changed;
            BAD_HEAD when it is damaged.
    """
    found = facts_now(source)
    moving = found.kind.moves
    ranged = moving and settings.use_range
    options = CaptureOptions(
        source=source,
        face=None if settings.all_faces or settings.face == 1 else settings.face,
        all_faces=settings.all_faces,
        **engine_options(settings),
        focal_mm=None if settings.focal_auto else settings.focal_mm,
        first_frame=settings.range_first if ranged else None,
        last_frame=settings.range_last if ranged else None,
        fps=settings.fps if found.kind is Kind.SEQUENCE else None,
        smoothing=round(settings.smoothing, 4),  # stored in single precision
        references=tuple(bpy.path.abspath(item.path) for item in settings.references if item.path),
    )
    start = _start(settings, context.scene, found) if moving else context.scene.frame_current
    return Request(
        options,
        context.scene.session_uid,
        scene_options(settings, start),
        settings.look_through,
        **reusing(_reused(settings, context)),
    )


def live_request(settings: Any, context: Any) -> Request:
    """A live capture with the panel's settings; it drives the active head, where there is one.

    Raises:
        MienError: USAGE without a source.
    """
    file = settings.live_from == "FILE"
    source = bpy.path.abspath(settings.source) if file else f"{CAMERA_PREFIX}{settings.live_device}"
    options = CaptureOptions(
        source=source,
        **engine_options(settings),
        focal_mm=None if settings.focal_auto else settings.focal_mm,
        fps=settings.fps if file and facts_now(source).kind is Kind.SEQUENCE else None,
        smoothing=round(settings.smoothing, 4),
        live=True,
    )
    head = active_head(context)
    chosen = scene_options(settings, context.scene.frame_current, timing="source", use_camera=False)
    return Request(options, context.scene.session_uid, chosen, settings.look_through, **reusing(head))


def engine_options(settings: Any) -> dict[str, Any]:
    """Engine, head and what they have options for, as the panel shows them: other engines' options do not count.

    Raises:
        MienError: USAGE for an engine or a head that is not there, as far as is known.
    """
    models, engine = session().models, settings.engine
    problem = choices.capture_problem(models, engine, settings.head, settings.weights)
    if not problem and engine != "fit" and settings.identity == "mica":
        problem = choices.mica_problem(models, settings.head)
    if problem:
        message, _, remedy = problem.partition(". ")
        raise MienError(ErrorCode.USAGE, f"{message}.", f"{remedy or 'Choose another one'}.")
    options: dict[str, Any] = {"engine": engine, "head": settings.head}
    if engine == "fit":
        return options
    status = choices.engine_of(models, engine)
    options["weights"] = settings.weights
    options["identity"] = settings.identity
    if engine == "smirk":
        options["eyelid_space"] = settings.eyelid_space
    if status is None or status.sees_wrinkles:
        options["displacement"] = settings.displacement
    return options


def scene_options(settings: Any, start: int, timing: str | None = None, use_camera: bool | None = None) -> SceneOptions:
    """How heads get into the scene, by the panel's settings."""
    build = BuildOptions(
        identity_keys=settings.identity_keys,
        rotation_mode=settings.rotation_mode,
        subdivision=settings.subdivision,
    )
    return SceneOptions(
        build,
        use_camera=settings.use_camera if use_camera is None else use_camera,
        start=start,
        timing=timing or settings.timing,
        neck_share=round(settings.neck_share, 4),
    )


def _start(settings: Any, scene: Any, found: Facts) -> int:
    if settings.start_mode == "GIVEN":
        return int(settings.start)
    if settings.start_mode == "CURRENT":
        return int(scene.frame_current)
    first = settings.range_first if settings.use_range else found.first
    return int(first + (settings.scene_shift if settings.start_mode == "SCENE" else 0))


def _reused(settings: Any, context: Any) -> Any | None:
    return active_head(context) if settings.reuse_head and not settings.all_faces else None


def reusing(head: Any | None) -> dict[str, Any]:
    """The fields of a request about the head that shall perform; said now where it could not, not after the capture.

    Args:
        head: Its mesh object; None to build a new one.

    Raises:
        MienError: USAGE when it cannot be changed (see `require_free`), BAD_HEAD when it is damaged.
    """
    if head is None:
        return {}
    require_free(parts_of(head))
    return {"reuse": head.name, "reuse_uid": head.session_uid}
