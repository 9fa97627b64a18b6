# SPDX-License-Identifier: GPL-3.0-or-later
"""FAN's landmarks around the package's network with seeded weights: its published weights are not at hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from backend.faces import fan
from backend.faces.fan import crop_squares, fan_installed, fan_landmarks, fan_weights, load_fan, peaks
from backend.session import Session
from blender_addon.contract.errors import ErrorCode, MienError
from tests.seeded_networks import seeded

needs_fan = pytest.mark.skipif(not fan_installed(), reason="face-alignment is not installed (mien setup --fan)")
BOX = np.array([40.0, 30.0, 140.0, 160.0])


@pytest.fixture(autouse=True)
def nothing_is_kept(mien_home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    load_fan.cache_clear()
    yield
    load_fan.cache_clear()


def spots(places: np.ndarray) -> np.ndarray:
    """Heatmaps (B,68,64,64) with a bump at places (B,68,2), pixel centres at +0.5."""
    x, y = np.meshgrid(np.arange(64) + 0.5, np.arange(64) + 0.5)
    return np.exp(-((x - places[..., :1, None]) ** 2 + (y - places[..., 1:, None]) ** 2) / 2)


def test_peaks_are_within_a_quarter_of_a_pixel() -> None:
    places = np.random.default_rng(0).uniform(2, 62, (3, 68, 2))
    assert np.abs(peaks(spots(places)) - places).max() <= 0.25 + 1e-9
    corner = np.zeros((1, 68, 64, 64))
    corner[..., 0, 63] = 1
    assert (peaks(corner) == [63.5, 0.5]).all()


def test_landmarks_lie_where_the_frame_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a network that finds the brightest place, a bump in the frame comes back in the frame's pixels."""
    truth = np.array([101.3, 81.6])
    x, y = np.meshgrid(np.arange(320) + 0.5, np.arange(240) + 0.5)
    bump = 255 * np.exp(-((x - truth[0]) ** 2 + (y - truth[1]) ** 2) / 200)
    frame = np.repeat(bump[..., None], 3, axis=-1).round().astype(np.uint8)

    def brightest(crops: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.avg_pool2d(crops.mean(1, keepdim=True), 4).expand(-1, 68, -1, -1)

    monkeypatch.setattr(fan, "load_fan", lambda device: brightest)
    boxes = np.stack([BOX, BOX + [30, -20, 43, -12], BOX - [60, 50, 30, 40]])  # the last reaches out of the frame
    found = fan_landmarks(frame, boxes)
    assert found.shape == (3, 68, 2)
    sides = crop_squares(boxes)[1][:, None, None]
    assert (np.abs(found - truth) <= 0.3 * sides / 64).all()
    assert np.array_equal(fan_landmarks(frame, BOX), found[0])


def test_a_box_without_size_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="without size"):
        crop_squares(np.array([[1.0, 1, 1, 5]]))


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fan, "fan_installed", lambda: False)
    with pytest.raises(MienError, match="face-alignment") as raised:
        fan_landmarks(np.zeros((9, 9, 3), np.uint8), BOX)
    assert raised.value.code is ErrorCode.SETUP_FAILED and "setup --fan" in raised.value.remedy


def test_a_session_runs_it_on_its_own_device(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded, session = [], Session("cpu", threads=1)
    session.device = torch.device("cuda", 1)
    monkeypatch.setattr(fan, "load_fan", loaded.append)
    monkeypatch.setattr(fan, "fan_landmarks", lambda frame, boxes, device="cpu": str(device))
    find = session.fan()
    assert loaded == ["cuda:1"] and find(np.zeros((9, 9, 3), np.uint8), BOX) == "cuda:1"


def test_a_session_tells_at_once_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fan, "fan_installed", lambda: True)
    with pytest.raises(MienError) as raised:
        Session("cpu", threads=1).fan()
    assert raised.value.code is ErrorCode.MISSING_FILE


def test_without_weights_or_with_others(monkeypatch: pytest.MonkeyPatch, mien_home: Path) -> None:
    monkeypatch.setattr(fan, "fan_installed", lambda: True)
    with pytest.raises(MienError) as raised:
        load_fan("cpu")
    assert raised.value.code is ErrorCode.MISSING_FILE
    assert fan.SOURCE in raised.value.remedy and str(mien_home / "models") in raised.value.message
    path = mien_home / "models" / fan.FILE_NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"another")
    with pytest.raises(MienError) as raised:
        load_fan("cpu")
    assert raised.value.code is ErrorCode.WRONG_HASH


def test_weights_are_found_where_face_alignment_keeps_them(tmp_path: Path) -> None:
    path = tmp_path / "torch" / "hub" / "checkpoints" / fan.FILE_NAME
    path.parent.mkdir(parents=True)
    path.touch()
    assert fan_weights() == path


@needs_fan
def test_as_the_package_finds_them(mien_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package's own network and decoding of one image, and its mirroring; it cuts to whole pixels."""
    from face_alignment.models import FAN
    from face_alignment.utils import flip, get_preds_fromhm

    network = seeded(FAN(4))
    path = mien_home / "models" / fan.FILE_NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(network.state_dict(), path)
    monkeypatch.setattr(fan, "SHA256_START", "")
    frame = np.random.default_rng(0).integers(0, 256, (200, 220, 3), np.uint8)
    boxes = np.stack([BOX, BOX + 7])
    found = fan_landmarks(frame, boxes)
    middle, side = crop_squares(boxes)
    crops = fan._crops(torch.from_numpy(frame), middle, side)
    with torch.inference_mode():
        heatmaps = network(crops)[-1] + flip(network(flip(crops))[-1], is_label=True)
    points, frame_points, _ = get_preds_fromhm(heatmaps.numpy(), middle[0], side[0] / 200)
    same = np.isclose(peaks(heatmaps.numpy()), points).all(-1)
    assert same.all()
    close = np.abs(np.floor(found[0]) - frame_points[0]).max(-1) <= 1
    assert close.mean() > 0.97  # under seeded weights a few heatmaps have two peaks of one height
