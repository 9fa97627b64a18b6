# SPDX-License-Identifier: GPL-3.0-or-later
"""Captures that run, remembered in the scene that they are for, so that they survive a closed file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import bpy
from bpy.props import StringProperty

from ..contract.errors import MienError
from ..contract.messages import is_job_id
from ..rig import names
from .request import Request
from .running import Running


class MienJob(bpy.types.PropertyGroup):
    """A capture that runs for this scene."""

    job: StringProperty(name="Job", description="Id of the capture at the backend")
    request: StringProperty(name="Request", description="What was asked for, as JSON")


def scene_of(uid: int) -> Any | None:
    """The scene with this `session_uid`; None when it is gone."""
    return next((scene for scene in bpy.data.scenes if scene.session_uid == uid), None)


def reused_head(request: Request) -> Any | None:
    """The head that a performance is for, whatever it is called by now; None for a new one, or when it is gone."""
    if not request.reuse:
        return None
    if not request.reuse_uid:
        mesh = bpy.data.objects.get(request.reuse)
    else:
        mesh = next((item for item in bpy.data.objects if item.session_uid == request.reuse_uid), None)
    return mesh if mesh is not None and names.is_mien_head(mesh) else None


def with_present_name(request: Request) -> Request:
    """The request with the name that its head has now, by which a file finds it again."""
    mesh = reused_head(request)
    return request if mesh is None else replace(request, reuse=mesh.name, reuse_uid=mesh.session_uid)


def write(captures: Iterable[Running]) -> None:
    """Let the scenes' records be those of the captures that run for them; repeated calls change nothing."""
    by_scene: dict[int, list[Running]] = {}
    for capture in captures:
        by_scene.setdefault(capture.request.scene, []).append(capture)
    for scene in bpy.data.scenes:
        if scene.library is not None:
            continue
        wanted = by_scene.get(scene.session_uid, [])
        jobs = scene.mien.jobs
        values = [(capture.job, json.dumps(with_present_name(capture.request).to_json())) for capture in wanted]
        if [(item.job, item.request) for item in jobs] == values:
            continue
        jobs.clear()
        for job, text in values:
            item = jobs.add()
            item.job, item.request = job, text


def read() -> Iterator[Running | MienError]:
    """The captures that the open file remembers; an error for each that cannot be read."""
    seen: set[str] = set()
    for scene in bpy.data.scenes:
        if scene.library is not None:
            continue
        for item in scene.mien.jobs:
            if not is_job_id(item.job) or item.job in seen:  # a copied scene has copies of its records
                continue
            seen.add(item.job)
            try:
                request = Request.from_json(_values(item.request), scene.session_uid)
            except MienError as error:
                yield error
            else:
                yield Running(item.job, with_present_name(request))


def _values(text: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}
