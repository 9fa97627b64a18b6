# SPDX-License-Identifier: GPL-3.0-or-later
"""Displacement maps on their way from the backend to beside the takes."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from blender_addon.client.displacement import AT_ONCE, MapFetch
from blender_addon.client.events import CaptureFinished
from blender_addon.client.jobs import Client
from blender_addon.client.launch import ClientSettings
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.messages import Displacement
from blender_addon.contract.places import jobs_dir
from tests.client_driver import Driver, fake_command, source
from tests.fake_takes import small_take

pytestmark = pytest.mark.usefixtures("mien_home")
JOB = "a" * 32


@pytest.fixture
def driver(tmp_path: Path):
    client = Client(ClientSettings(tmp_path / "heads", command=fake_command(), takes_folder=tmp_path / "takes"))
    yield Driver(client)
    client.close()


def test_maps_lie_beside_the_takes_before_the_capture_is_finished(driver, tmp_path):
    job = driver.client.capture(source(tmp_path, takes=2, maps=True))
    finished = driver.wait_for(CaptureFinished)
    for number, take in enumerate(finished.takes, start=1):
        assert take.meta.displacement == (f"{job}-{number}.displacement/0001.exr",)
        assert (tmp_path / "takes" / take.meta.displacement[0]).read_bytes() == b"map of person %d" % number
    assert finished.problems == ()


def test_a_finished_job_whose_maps_are_gone_still_gives_its_takes(driver, tmp_path):
    options = source(tmp_path, takes=2, maps=True)
    job = driver.client.capture(options)
    driver.wait_for(CaptureFinished)
    shutil.rmtree(jobs_dir() / job / "person_00002.displacement")
    driver.client.resume(job, options)
    finished = driver.wait_for(CaptureFinished)
    assert [take.meta.displacement for take in finished.takes] == [(), ()]
    (problem,) = finished.problems
    assert "wrinkles could not be fetched" in problem


class Link:
    """Keeps what is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple] = []

    def send(self, request, now, on_reply) -> None:
        self.asked.append((request, on_reply))


def test_a_few_travel_at_once_and_a_lost_connection_loses_none(tmp_path):
    named = tuple(f"person_00001.displacement/{number:04d}.exr" for number in (1, 1, 3, 4, 5, 6, 7))
    take = small_take(frames=7)
    fetch = MapFetch(JOB, [replace(take, meta=replace(take.meta, displacement=named))], tmp_path)
    first, second = Link(), Link()
    fetch.step(first, 0.0)
    assert [request.frame for request, _ in first.asked] == [0, 2, 3, 4][:AT_ONCE]
    fetch.reset()
    while not fetch.over:
        fetch.step(second, 0.0)
        request, on_reply = second.asked.pop(0)
        data = bytes([request.frame]) * 3
        on_reply(Displacement(JOB, 0, request.frame, "../../elsewhere", np.frombuffer(data, np.uint8)))
    written = {path.name: path.read_bytes()[0] for path in (tmp_path / f"{JOB}-1.displacement").iterdir()}
    assert written == {"0001.exr": 0, "0003.exr": 2, "0004.exr": 3, "0005.exr": 4, "0006.exr": 5, "0007.exr": 6}
    assert fetch.takes[0].meta.displacement[1] == f"{JOB}-1.displacement/0001.exr"


def test_one_refusal_gives_all_up_and_says_why(tmp_path):
    take = small_take()
    fetch = MapFetch(JOB, [replace(take, meta=replace(take.meta, displacement=("x/0001.exr",)))], tmp_path)
    fetch.step(link := Link(), 0.0)
    link.asked[0][1](MienError(ErrorCode.MISSING_FILE, "It is gone.", "Capture again."))
    assert fetch.over and fetch.takes[0].meta.displacement == ()
    assert "It is gone." in fetch.problems[0]
