# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of engines, heads and files in the preferences, with the same facts as `mien models`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bpy

from ..contract.messages import Models
from ..contract.models import EngineStatus, HeadStatus, PartStatus
from .choices import part_of, use_label
from .dots import Colour, dot
from .panel_base import draw_lines
from .session import Session

_WIDTH = 90
_SHARE = 0.4


def draw_models(layout: Any, current: Session, remote: bool) -> None:
    """Draw the list, and how to add what is missing.

    Args:
        layout: Where.
        current: Whose models.
        remote: Whether the backend is on another computer.
    """
    models = current.models
    row = layout.row(align=True)
    row.label(text="Models")
    row.operator("mien.refresh_models", icon="FILE_REFRESH")
    row.operator("mien.add_models", text="Add Files...", icon="ADD")
    if remote:
        layout.label(text="To add files, run 'mien models add' on the remote computer", icon="INFO")
    _draw_adding(layout, current)
    if not models.engines:
        layout.label(text="Press Refresh to see which engines and heads are ready", icon="INFO")
        return
    _draw_group(layout, "Engines", models.engines, models)
    _draw_group(layout, "Heads", models.heads, models)
    if models.parts:
        column = layout.column()
        column.label(text="Files That You Bring")
        for part in models.parts:
            _draw_part(column, part)


def _draw_adding(layout: Any, current: Session) -> None:
    adding = current.adding
    if adding.running:
        layout.progress(factor=adding.done, type="BAR", text=adding.text)
    for sentence in adding.news:
        draw_lines(layout, sentence, _WIDTH, "CHECKMARK")
    if adding.problem:
        draw_lines(layout, str(adding.problem), _WIDTH, "ERROR")


def _draw_group(layout: Any, title: str, items: Sequence[EngineStatus | HeadStatus], models: Models) -> None:
    column = layout.column()
    column.label(text=title)
    for item in items:
        name = item.name if isinstance(item, EngineStatus) else item.id
        _draw_row(column, item.title, "green" if item.ready else "red", item.licence, item.commercial_use)
        if not item.ready:
            row = column.row()
            draw_lines(row, f"{item.reason} {item.remedy}".strip(), _WIDTH, "BLANK1")
            if part := part_of(models, name):  # what an engine or a head is called like is what it cannot do without
                draw_address(row, part)


def _draw_part(layout: Any, part: PartStatus) -> None:
    _draw_row(layout, part.title, "green" if part.ready else "grey", part.licence, part.commercial_use)
    row = layout.row()
    draw_lines(row, f"From {part.origin}" if part.ready else f"Gives {part.adds}", _WIDTH, "BLANK1")
    if not part.ready:
        draw_address(row, part)


def _draw_row(layout: Any, title: str, colour: Colour, licence: str, use: str) -> None:
    split = layout.split(factor=_SHARE)
    split.label(text=title, icon_value=dot(colour))
    split.label(text=f"{licence}. {use_label(use)}")


def draw_address(layout: Any, part: PartStatus) -> None:
    """Draw the button that opens the page on which one gets a file; where Blender shall stay offline, its address."""
    if not part.where.startswith(("https://", "http://")):  # nothing else is opened on a backend's word
        return
    side = layout.row()
    side.alignment = "RIGHT"
    if bpy.app.online_access:
        side.operator("wm.url_open", text="Open Website", icon="URL").url = part.where
    else:
        side.operator("mien.copy_text", text="Copy Address", icon="COPYDOWN").text = part.where
