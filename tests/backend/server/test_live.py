# SPDX-License-Identifier: GPL-3.0-or-later
"""Live captures through the real service: a backend process that plays a clip, and Blender's client."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from blender_addon.client.events import CaptureFailed, CaptureFinished, PreviewReady, Progress
from blender_addon.client.jobs import Client
from blender_addon.client.launch import ClientSettings
from blender_addon.contract.errors import ErrorCode
from blender_addon.contract.messages import LiveAction
from blender_addon.contract.options import CaptureOptions
from blender_addon.contract.places import BackendRecord
from blender_addon.contract.version import VERSION
from tests.client_driver import Driver
from tests.footage import panned, write

SECONDS = 40
LOADING = 90.0


@pytest.fixture
def driver(mien_home: Path, model: Path, repository: Path, tmp_path: Path) -> Iterator[Driver]:
    """A client of a real backend that has the landmark model."""
    models = mien_home / "models"
    models.mkdir(parents=True)
    (models / model.name).write_bytes(model.read_bytes())
    record = BackendRecord(sys.executable, str(repository), VERSION)
    client = Client(ClientSettings(tmp_path / "heads", record=record, device="cpu"))
    yield Driver(client)
    client.close()


def says(phrase: str):
    return lambda event: isinstance(event, Progress) and phrase in event.message


def test_a_live_capture_from_the_first_preview_to_the_takes(driver, astronaut, tmp_path):
    there = list(panned(astronaut, 25, (60.0, 0.0), (0.5, 0.2)))
    frames = itertools.islice(itertools.cycle(there + there[::-1]), 25 * SECONDS)
    clip = write(tmp_path / "resting é.mp4", frames)
    job = driver.client.capture(CaptureOptions(str(clip), live=True, device="cpu"))
    first = driver.wait_for(PreviewReady, LOADING).takes[0]
    smile = first.meta.channels.index("mouthSmileLeft")
    assert first.expression[0, smile] > 0.3

    driver.client.control_live(job, LiveAction.NEUTRAL)
    driver.until(says("Hold a neutral face"))
    driver.until(says("Live"))
    driver.client.control_live(job, LiveAction.RECORD)
    driver.until(says("Recording"))
    numbers = [driver.wait_for(PreviewReady).takes[0] for _ in range(10)]
    assert np.mean([take.expression[0, smile] for take in numbers]) < 0.2
    times = [take.time[0] for take in numbers]
    assert times == sorted(set(times)), "each preview is newer than the one before"
    driver.client.control_live(job, LiveAction.STOP_RECORDING)
    driver.until(says("Live"))
    driver.client.control_live(job, LiveAction.END)

    finished = driver.wait_for(CaptureFinished)
    (take,) = finished.takes
    assert len(take) >= 10 and take.valid.all() and take.meta.source == str(clip)
    assert take.extra["raw_expression"][:, smile].mean() < 0.2
    assert finished.report["live"]["recordings"] == 1 and finished.report["camera"]["origin"] == "assumed"

    job = driver.client.capture(CaptureOptions("camera:99", live=True, device="cpu"))
    failed = driver.wait_for(CaptureFailed)
    assert failed.job == job and failed.error.code is ErrorCode.NO_CAMERA
