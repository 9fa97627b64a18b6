# SPDX-License-Identifier: GPL-3.0-or-later
"""Menus of engines, heads and weights, with what cannot be chosen greyed, and the operators behind their entries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bpy
from bpy.props import StringProperty

from . import choices
from .choices import Choice
from .session import session


class _Choose:
    """What choosing an engine and a head have in common."""

    what: str

    @classmethod
    def entries(cls, settings: Any) -> list[Choice]:
        """What there is to choose from."""
        raise NotImplementedError

    @classmethod
    def description(cls, context: Any, properties: Any) -> str:
        """Say what an entry is, or why it is greyed."""
        found = _entry(cls.entries(context.scene.mien), getattr(properties, cls.what))
        return cls.__doc__ if found is None else found.problem or found.facts or cls.__doc__

    def execute(self, context: Any) -> set[str]:
        """Choose it, unless something is missing."""
        settings, name = context.scene.mien, getattr(self, self.what)
        found = _entry(self.entries(settings), name)
        if found is None or found.problem:
            known = ", ".join(item.name for item in self.entries(settings))
            problem = found.problem if found else f"There is no {self.what} '{name}'. Choose one of: {known}"
            self.report({"ERROR"}, f"{problem}.")
            return {"CANCELLED"}
        setattr(settings, self.what, name)
        return {"FINISHED"}


class MIEN_OT_choose_engine(_Choose, bpy.types.Operator):
    """Let this engine estimate the face, on the head that suits it"""

    bl_idname = "mien.choose_engine"
    bl_label = "Choose Engine"
    bl_options = {"REGISTER", "UNDO"}
    what = "engine"

    engine: StringProperty(name="Engine", description="Name of the engine, such as fit or emoca")

    @classmethod
    def entries(cls, settings: Any) -> list[Choice]:
        """All engines."""
        return choices.engines(session().models)


class MIEN_OT_choose_head(_Choose, bpy.types.Operator):
    """Let this head take on the face"""

    bl_idname = "mien.choose_head"
    bl_label = "Choose Head"
    bl_options = {"REGISTER", "UNDO"}
    what = "head"

    head: StringProperty(name="Head", description="Id of the head, such as open or flame2020")

    @classmethod
    def entries(cls, settings: Any) -> list[Choice]:
        """All heads."""
        return choices.heads(session().models, settings.engine)


class MIEN_OT_choose_weights(_Choose, bpy.types.Operator):
    """Use these weights of the engine"""

    bl_idname = "mien.choose_weights"
    bl_label = "Choose Weights"
    bl_options = {"REGISTER", "UNDO"}
    what = "weights"

    weights: StringProperty(
        name="Weights", description="Name of the weights, as mien models lists them; the last ones if empty"
    )

    @classmethod
    def entries(cls, settings: Any) -> list[Choice]:
        """All weights of the engine."""
        names = choices.weights(session().models, settings.engine)
        latest = [Choice("", "Last Added", "The weights that were added or chosen last")]
        return latest + [Choice(name, name, f"The weights {name}") for name in names]


class _Menu:
    """A menu of choices."""

    operator: type

    def draw(self, context: Any) -> None:
        """Draw an entry for each, greyed where it cannot be chosen."""
        chosen = getattr(context.scene.mien, self.operator.what)
        draw_choices(self.layout, self.operator, self.operator.entries(context.scene.mien), chosen)


class MIEN_MT_engine(_Menu, bpy.types.Menu):
    """What estimates the face"""

    bl_label = "Engine"
    operator = MIEN_OT_choose_engine


class MIEN_MT_head(_Menu, bpy.types.Menu):
    """Head model that takes on the face"""

    bl_label = "Head"
    operator = MIEN_OT_choose_head


class MIEN_MT_weights(_Menu, bpy.types.Menu):
    """Weights of the engine"""

    bl_label = "Weights"
    operator = MIEN_OT_choose_weights


def draw_choices(layout: Any, operator: type, entries: Sequence[Choice], chosen: str) -> None:
    """Draw the entries of a menu, what can be chosen first."""
    for item in sorted(entries, key=lambda item: bool(item.problem)):
        row = layout.row()
        row.enabled = not item.problem
        icon = "CHECKMARK" if item.name == chosen else "BLANK1"
        button = row.operator(operator.bl_idname, text=item.title, icon=icon)
        setattr(button, operator.what, item.name)
    if any(item.problem for item in entries):
        layout.separator()
        layout.operator("mien.open_preferences", text="Add Models...", icon="BLANK1")


def _entry(entries: Sequence[Choice], name: str) -> Choice | None:
    return next((item for item in entries if item.name == name), None)


CLASSES = (
    MIEN_OT_choose_engine,
    MIEN_OT_choose_head,
    MIEN_OT_choose_weights,
    MIEN_MT_engine,
    MIEN_MT_head,
    MIEN_MT_weights,
)
