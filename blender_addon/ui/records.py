# SPDX-License-Identifier: GPL-3.0-or-later
"""Captures that run, remembered in the scene that they are for, so that they survive a closed file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import bpy
from bpy.props import StringProperty

from ..contract.errors import MienError
from ..contract.messages import is_job_id
from .request import Request
from .running import Running


class MienJob(bpy.types.PropertyGroup):
    """A capture that runs for this scene."""

    job: StringProperty(name="Job", description="Id of the capture at the backend")
    request: StringProperty(name="Request", description="What was asked for, as JSON")


def scene_of(uid: int) -> Any | None:
    """The scene with this `session_uid`; None when it is gone."""
    return next((scene for scene in bpy.data.scenes if scene.session_uid == uid), None)


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
        if [item.job for item in jobs] == [item.job for item in wanted]:
            continue
        jobs.clear()
        for capture in wanted:
            item = jobs.add()
            item.job = capture.job
            item.request = json.dumps(capture.request.to_json())


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
                yield Running(item.job, request)


def _values(text: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}
