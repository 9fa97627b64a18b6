# SPDX-License-Identifier: GPL-3.0-or-later
"""Engines, heads and model files in the panel and the preferences, and what a take's face says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_layout import Layout, draw
from panel_driver import Panel, driven_panel


def _panel(mien: Any, backend_python: str, repository: Path, folder: Path) -> Iterator[Panel]:
    command = [backend_python, str(repository / "tests" / "blender" / "clip_backend.py")]
    yield from driven_panel(mien, command, repository, folder / "heads")


def _started(panel: Panel) -> Panel:
    import bpy

    bpy.ops.mien.refresh_models()
    panel.until(lambda: panel.session.models.engines)
    return panel


@pytest.fixture
def emoca(mien: Any, backend_python: str, repository: Path, tmp_path: Path, monkeypatch: Any) -> Iterator[Panel]:
    """A backend that has EMOCA and FLAME 2020."""
    monkeypatch.setenv("FAKE_MODELS", "flame2020 emoca")
    for panel in _panel(mien, backend_python, repository, tmp_path):
        yield _started(panel)


@pytest.fixture
def bare(mien: Any, backend_python: str, repository: Path, tmp_path: Path, monkeypatch: Any) -> Iterator[Panel]:
    """A backend to which nothing was added."""
    monkeypatch.setenv("FAKE_MODELS", "")
    for panel in _panel(mien, backend_python, repository, tmp_path):
        yield _started(panel)


def _preferences(mien: Any) -> list[str]:
    layout = Layout()
    mien("ui.preferences_layout").draw_preferences(mien("ui.settings").preferences(), layout)
    return layout.drawn


def test_menus_grey_what_is_missing_and_say_why(mien: Any, emoca: Panel) -> None:
    import bpy

    drawn = draw(bpy.types.MIEN_MT_engine)
    assert {"greyed:mien.choose_engine:DECA", "greyed:mien.choose_engine:SMIRK"} <= set(drawn)
    assert "greyed:mien.choose_engine:EMOCA" not in drawn
    assert "operator:mien.open_preferences:Add Models..." in drawn
    choices = {item.name: item for item in mien("ui.choices").engines(emoca.session.models)}
    assert choices["deca"].problem.startswith("DECA's networks were not added. Add it with")
    assert not choices["deca"].problem.endswith(".") and not choices["emoca"].problem
    with pytest.raises(RuntimeError, match="DECA's networks were not added"):
        bpy.ops.mien.choose_engine(engine="deca")
    with pytest.raises(RuntimeError, match="There is no engine 'magic'"):
        bpy.ops.mien.choose_engine(engine="magic")
    assert bpy.context.scene.mien.engine == "fit"


def test_an_engine_brings_its_head_and_its_options_to_the_capture(mien: Any, emoca: Panel) -> None:
    import bpy

    settings = bpy.context.scene.mien
    assert bpy.ops.mien.choose_engine(engine="emoca") == {"FINISHED"}
    assert (settings.engine, settings.head) == ("emoca", "flame2020")
    assert {"menu:MIEN_MT_engine:EMOCA", "menu:MIEN_MT_head:FLAME 2020"} <= set(draw(bpy.types.MIEN_PT_capture))
    heads = draw(bpy.types.MIEN_MT_head)
    assert {"greyed:mien.choose_head:Open Head", "greyed:mien.choose_head:FLAME 2023 Open"} <= set(heads)
    with pytest.raises(RuntimeError, match="EMOCA does not capture on Open Head. Choose FLAME 2020"):
        bpy.ops.mien.choose_head(head="open")
    drawn = draw(bpy.types.MIEN_PT_capture_options)
    assert {"menu:MIEN_MT_weights:Last Added", "prop:identity", "prop:displacement"} <= set(drawn)
    assert "prop:eyelid_space" not in drawn
    bpy.ops.mien.choose_weights(weights="EMOCA_v2_lr_cos_1.5")
    settings.displacement = 4
    options = mien("ui.asking").request_from(settings, bpy.context, "a.jpg").options
    assert (options.engine, options.head, options.weights) == ("emoca", "flame2020", "EMOCA_v2_lr_cos_1.5")
    assert (options.identity, options.displacement, options.eyelid_space) == ("engine", 4, "rest")
    settings.identity = "mica"
    with pytest.raises(mien("contract.errors").MienError, match="MICA was not added. Add its files"):
        mien("ui.asking").request_from(settings, bpy.context, "a.jpg")
    bpy.ops.mien.choose_engine(engine="fit")
    assert (settings.head, settings.weights) == ("open", "")
    options = mien("ui.asking").request_from(settings, bpy.context, "a.jpg").options
    assert (options.identity, options.displacement) == ("engine", 1), "the fit has no such options"


def test_a_file_with_an_engine_that_is_gone_says_so(mien: Any, bare: Panel, tmp_path: Path) -> None:
    import bpy

    settings = bpy.context.scene.mien
    settings.engine = "emoca"
    settings.weights = "EMOCA_v2_lr_mse_20"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
    assert bpy.context.scene.mien.engine == "emoca"
    drawn = draw(bpy.types.MIEN_PT_capture)
    assert "menu:MIEN_MT_engine:EMOCA" in drawn
    assert "EMOCA's networks were not added" in " ".join(drawn)
    (tmp_path / "photo.png").write_bytes(b"x")
    with pytest.raises(RuntimeError, match="EMOCA's networks were not added"):
        bpy.ops.mien.capture_face(filepath=str(tmp_path / "photo.png"))
    bpy.context.scene.mien.engine = "of the future"
    assert "no engine 'of the future'" in " ".join(draw(bpy.types.MIEN_PT_capture))


def test_before_the_backend_runs_the_free_engine_alone_can_be_chosen(mien: Any) -> None:
    import bpy

    mien("ui.session").end_session()
    drawn = draw(bpy.types.MIEN_MT_engine)
    assert "greyed:mien.choose_engine:EMOCA" in drawn and "greyed:mien.choose_engine:Landmark Fit" not in drawn
    options = mien("ui.asking").request_from(bpy.context.scene.mien, bpy.context, "a.jpg").options
    assert (options.engine, options.head) == ("fit", "open")


def test_the_preferences_list_models_with_licences_and_addresses(mien: Any, emoca: Panel) -> None:
    drawn = _preferences(mien)
    assert {"Landmark Fit", "EMOCA", "FLAME 2020", "MICA"} <= set(drawn)
    assert "EMOCA, non-commercial research. Commercial use: no" in drawn
    assert "GPL-3.0-or-later. Commercial use: yes" in drawn
    assert any(text.startswith("DECA's networks were not added.") for text in drawn)
    assert "operator:mien.copy_text:Copy Address" in drawn, "Blender is offline"
    assert "operator:mien.add_models:Add Files..." in drawn and "operator:mien.refresh_models" in drawn


def test_files_are_added_with_news_and_errors(mien: Any, bare: Panel, tmp_path: Path) -> None:
    import bpy

    good, bad = tmp_path / "deca.zip", tmp_path / "half.zip"
    good.write_text(json.dumps({"news": ["DECA's networks were added."], "pause": 0.1}))
    bad.write_text(json.dumps({"error": "half.zip ends in the middle."}))
    assert bpy.ops.mien.add_models(filepath=str(good), wait=True) == {"FINISHED"}
    assert "DECA's networks were added." in _preferences(mien)
    with pytest.raises(RuntimeError, match="half.zip ends in the middle. Download it again"):
        bpy.ops.mien.add_models(filepath=str(bad), wait=True)
    assert any("Download it again" in text for text in _preferences(mien))
    with pytest.raises(RuntimeError, match="gone.zip is not there"):
        bpy.ops.mien.add_models(filepath=str(tmp_path / "gone.zip"))
    chosen = mien("ui.settings").preferences()
    chosen.use_remote = True
    try:
        with pytest.raises(RuntimeError, match="run mien models add there"):
            bpy.ops.mien.add_models(filepath=str(good))
    finally:
        chosen.use_remote = False


def _listed(mien: Any, take: Any, path: Path) -> Any:
    import bpy

    take.save(path)
    return mien("ui.takes").list_take(bpy.context.scene, take, str(path), "Alice")


def test_the_emotion_of_the_frame_is_shown(mien: Any, reference: Path, tmp_path: Path) -> None:
    import bpy

    head = mien("contract.head").HeadDescription.load(reference / "clip.head.npz")
    take = mien("contract.take").Take.load(reference / "clip.take.npz")
    likely = np.full((len(take), 8), 0.02, np.float32)
    likely[0, 1], likely[2, 6], likely[2, 2] = 0.9, 0.7, 0.2
    valence = np.linspace(0.5, -0.5, len(take)).astype(np.float32)
    told = replace(take, extra={**take.extra, "emotion_probability": likely, "emotion_valence": valence})
    path = tmp_path / "take.npz"
    told.save(path)
    scene = bpy.context.scene
    scene.render.fps = 30
    scene.frame_set(5)
    options = mien("scene").SceneOptions(take_files=(str(path),))
    mien("scene").add_captures(head, [told], None, scene, options)
    _listed(mien, told, path)
    assert "Reading…" in draw(bpy.types.MIEN_PT_emotion)
    mien("ui.emotion").read_later(str(path))
    assert "progress:Happy 90%" in draw(bpy.types.MIEN_PT_emotion)
    scene.frame_set(7)
    drawn = draw(bpy.types.MIEN_PT_emotion)
    assert [text for text in drawn if text.startswith("progress")] == ["progress:Anger 70%", "progress:Sad 20%"]
    assert f"{valence[2]:+.2f}" in drawn and "Arousal" not in drawn
    _listed(mien, take, tmp_path / "plain.npz")
    mien("ui.emotion").read_later(str(tmp_path / "plain.npz"))
    assert any("tells no emotion" in text for text in draw(bpy.types.MIEN_PT_emotion))


def test_takes_say_engine_weights_and_licence(mien: Any, reference: Path, tmp_path: Path) -> None:
    import bpy

    take = mien("contract.take").Take.load(reference / "clip.take.npz")
    meta = replace(
        take.meta, engine="emoca", versions={"weights": "EMOCA_v2_lr_mse_20"}, licences=("EMOCA, research",),
        commercial_use="no",
    )  # fmt: skip
    _listed(mien, replace(take, meta=meta), tmp_path / "take.npz")
    drawn = draw(bpy.types.MIEN_PT_takes)
    assert "EMOCA" in drawn and "EMOCA_v2_lr_mse_20" in drawn
    assert " ".join(drawn).count("Non-commercial") == 1
    assert any(text.startswith("Non-commercial: EMOCA") for text in draw(bpy.types.MIEN_PT_export))


def test_a_take_of_another_head_names_the_conversion(mien: Any, reference: Path, tmp_path: Path) -> None:
    import bpy

    head = mien("contract.head").HeadDescription.load(reference / "open.head.npz")
    take = mien("contract.take").Take.load(reference / "open.take.npz")
    other = mien("contract.take").Take.load(reference / "flame.take.npz")
    mien("scene").add_captures(head, [take], None, bpy.context.scene)
    _listed(mien, other, tmp_path / "flame.npz")
    with pytest.raises(RuntimeError, match="mien convert"):
        bpy.ops.mien.apply_take()


def test_the_face_section_of_a_flame_head_is_short(mien: Any, reference: Path) -> None:
    import bpy

    head = mien("contract.head").HeadDescription.load(reference / "flame.head.npz")
    take = mien("contract.take").Take.load(reference / "flame.take.npz")
    mien("scene").add_captures(head, [take], None, bpy.context.scene)
    drawn = draw(bpy.types.MIEN_PT_face_other)
    assert drawn.count("prop:value") == 10 and {"Component 1", "Component 10"} <= set(drawn)
    assert "90 smaller components" in " ".join(drawn)
    for part, count in (("eyes", 2), ("jaw", 0), ("head", 0)):
        assert draw(getattr(bpy.types, f"MIEN_PT_face_{part}")).count("prop:value") == count
    bpy.ops.mien.reset_region(region="OTHER")
    keys = bpy.context.active_object.data.shape_keys.key_blocks
    assert all(keys[f"exp{number:03d}"].value == 0.0 for number in range(1, 101)), "also those that are not shown"
