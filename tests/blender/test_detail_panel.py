# SPDX-License-Identifier: GPL-3.0-or-later
"""The section "Detail" and its operators."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fake_layout import draw
from test_wrinkles import build, wrinkles  # noqa: F401  # a fixture


def test_a_head_without_maps_says_where_they_come_from(mien: Any, reference: Path) -> None:
    import bpy

    scene, head = mien("scene"), mien("contract.head").HeadDescription.load(reference / "egg.head.npz")
    take = mien("contract.take").Take.load(reference / "egg.take.npz")
    scene.add_captures(head, [take], None, bpy.context.scene)
    (text,) = draw(bpy.types.MIEN_PT_detail)[:1]
    assert "no wrinkle maps" in text
    assert not bpy.ops.mien.set_wrinkles.poll()
    with pytest.raises(RuntimeError, match="no wrinkle maps"):
        bpy.ops.mien.set_wrinkles()


def test_properties_and_operators_follow_one_another(mien: Any, wrinkles: Path) -> None:  # noqa: F811
    import bpy

    mesh_object, _ = build(mien, wrinkles, "smooth")
    detail = mesh_object.mien_detail
    drawn = draw(bpy.types.MIEN_PT_detail)
    assert {'prop:["Wrinkles"]', "prop:kind", "prop:render_levels", "prop:viewport"} <= set(drawn)
    assert (detail.kind, detail.viewport, detail.render_levels, detail.viewport_levels) == ("MODIFIER", False, 2, 2)
    assert bpy.ops.mien.set_wrinkles(kind="MATERIAL", viewport=True, render_levels=3, viewport_levels=1) == {"FINISHED"}
    assert (detail.kind, detail.viewport, detail.render_levels, detail.viewport_levels) == ("MATERIAL", True, 3, 1)
    assert not mesh_object.modifiers["Wrinkles"].show_viewport and mesh_object.modifiers["Subdivision"].show_viewport
    detail.kind = "MODIFIER"
    assert mesh_object.modifiers["Wrinkles"].show_viewport
    detail.viewport, detail.render_levels = False, 4
    assert mesh_object.modifiers["Subdivision"].render_levels == 3
    detail.kind = "OFF"
    assert not mesh_object.modifiers["Wrinkles"].show_render
    assert mesh_object["Wrinkles"] == 1.0
    assert bpy.ops.mien.remove_wrinkles() == {"FINISHED"}
    assert detail.kind == "OFF" and not bpy.ops.mien.remove_wrinkles.poll()
