# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes get ARKit's weights where their head's channels are others; a head that is no face costs no capture."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.chain.finishing import finished
from backend.heads.flame import load_flame
from backend.retarget import pairing
from blender_addon.contract.smoothing import smooth, with_raw
from tests.arkit_takes import arkit_take
from tests.fake_flame import flame_take, write_flame
from tests.retargeting import face_head, known_counterparts, opened


def test_arkit_on_other_heads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairing, "registered", known_counterparts)
    head = face_head(tmp_path)
    made = finished(None, head, smooth(with_raw(flame_take(head, 6)), 0.5))
    assert {"arkit", "raw_arkit"} <= set(made.extra)


def test_the_open_head_needs_nothing() -> None:
    take = arkit_take(3)
    assert finished(None, opened(), take) is take


def test_no_face_no_weights(tmp_path: Path) -> None:
    head = load_flame(write_flame(tmp_path / "flame2020.npz"))
    take = flame_take(head, 3)
    assert finished(None, head, take) is take
