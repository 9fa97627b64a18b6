# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands in for Blender's UILayout, which does not exist without a window: checks what is drawn and remembers it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any


class Layout:
    """A layout that refuses properties, operators, menus and icons that do not exist."""

    def __init__(self, drawn: list[str] | None = None) -> None:
        import bpy

        self.drawn: list[str] = [] if drawn is None else drawn
        self.enabled = True
        self._icons = set(bpy.types.UILayout.bl_rna.functions["prop"].parameters["icon"].enum_items.keys())

    def _nested(self, **_: Any) -> Layout:
        nested = Layout(self.drawn)
        nested.enabled = self.enabled
        return nested

    row = column = box = split = _nested

    def _check_icon(self, icon: str) -> None:
        assert icon in self._icons, f"no icon {icon}"

    def label(self, text: str = "", icon: str = "NONE", icon_value: int = 0) -> None:
        """A label."""
        self._check_icon(icon)
        self.drawn.append(text)

    def prop(self, data: Any, name: str, text: str | None = None, icon: str = "NONE", **_: Any) -> None:
        """A property."""
        known = name[2:-2] in data.keys() if name.startswith('["') else name in data.bl_rna.properties
        assert known, f"{data} has no property {name}"
        self._check_icon(icon)
        self.drawn.append(f"prop:{name}")

    def operator(self, name: str, text: str | None = None, icon: str = "NONE", **_: Any) -> SimpleNamespace:
        """An operator."""
        import bpy

        prefix, verb = name.split(".")
        assert hasattr(bpy.types, f"{prefix.upper()}_OT_{verb}"), f"no operator {name}"
        self._check_icon(icon)
        self.drawn.append(f"operator:{name}" + (f":{text}" if text else ""))
        if not self.enabled:
            self.drawn.append(f"greyed:{name}" + (f":{text}" if text else ""))
        return SimpleNamespace()

    def separator(self, **_: Any) -> None:
        """Some room."""

    def menu(self, name: str, text: str | None = None, icon: str = "NONE") -> None:
        """A menu."""
        import bpy

        assert hasattr(bpy.types, name)
        self._check_icon(icon)
        self.drawn.append(f"menu:{name}" + (f":{text}" if text else ""))

    def progress(self, factor: float = 0.0, type: str = "BAR", text: str = "") -> None:
        """A progress bar."""
        assert 0.0 <= factor <= 1.0
        self.drawn.append(f"progress:{text}")

    def template_icon(self, icon_value: int, scale: float = 1.0) -> None:
        """A picture."""
        self.drawn.append("picture")

    def template_list(
        self, name: str, _id: str, data: Any, items: str, active_data: Any, active: str, **_: Any
    ) -> None:
        """A list; draws its items."""
        import bpy

        for item in getattr(data, items):
            cls = getattr(bpy.types, name)
            cls.draw_item(SimpleNamespace(), bpy.context, Layout(self.drawn), data, item, 0, active_data, active)


def draw(cls: Any, method: str = "draw") -> list[str]:
    """What a panel, menu or preferences class draws now."""
    import bpy

    layout = Layout()
    getattr(cls, method)(_Drawn(cls, layout), bpy.context)
    return layout.drawn


class _Drawn:
    """An instance of a class of Blender's, without Blender making it."""

    def __init__(self, cls: Any, layout: Layout) -> None:
        self._cls = cls
        self.layout = layout

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cls, name)
