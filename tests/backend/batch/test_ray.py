# SPDX-License-Identifier: GPL-3.0-or-later
"""Batches on a real Ray cluster of two one-CPU workers on this machine, loopback addresses only."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.batch.record import RECORD, read_record
from blender_addon.contract.errors import EXIT_CODES, ErrorCode
from tests.backend.batch.test_batch_command import command, table

ROOT = Path(__file__).resolve().parents[3]
HOST = "127.0.0.1"
"""The only address for which Ray's servers do not listen on all of the machine's."""
MEMORY = 80_000_000

pytest.importorskip("ray")
pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="tried on Linux only"),
    pytest.mark.slow,
]


@pytest.fixture
def cluster(home, tmp_path, monkeypatch) -> Iterator:
    """A head without CPUs and two workers with one each; their processes find the test's data folder."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    # Not the test's own folder: the paths of sockets must be short.
    folder = tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True)
    monkeypatch.setenv("RAY_TMPDIR", folder.name)
    # Ray takes loopback for a mistake and puts the machine's own address in its place, unless it is told that there are
    # no other machines; here and in the processes that the tests start.
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    from ray._private import ray_constants
    from ray.cluster_utils import Cluster

    monkeypatch.setattr(ray_constants, "ENABLE_RAY_CLUSTER", False)

    arguments = {"node_ip_address": HOST, "object_store_memory": MEMORY}
    with folder:
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **arguments})
        try:
            cluster.workers = [cluster.add_node(num_cpus=1, **arguments) for _ in range(2)]
            yield cluster
        finally:
            cluster.shutdown()


def start(shots: Path, out: Path, *more: object) -> subprocess.Popen:
    return subprocess.Popen(
        command(shots, "--out", out, *more), cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_a_worker_that_dies_loses_nothing_and_the_bytes_are_the_local_ones(cluster, home, tmp_path, clip):
    shots, far, near = tmp_path / "shots", tmp_path / "far", tmp_path / "near"
    for number in range(6):
        clip(shots / f"s{number}.mp4", 60 if number == 2 else 4 + number, start=60 + number)
    (shots / "bad.mp4").write_bytes(b"no clip")
    with start(shots, far, "--ray", cluster.address) as process:
        _wait(lambda: list(far.rglob(RECORD)) and list(far.rglob("progress.json")), process)
        cluster.remove_node(cluster.workers[0], allow_graceful=False)
        out, said = process.communicate(timeout=150)
    assert process.returncode == EXIT_CODES[ErrorCode.SHOTS_FAILED], said
    states = {name: row["state"] for name, row in table(far).items()}
    assert states == {f"s{number}": "finished" for number in range(6)} | {"bad": "failed"}
    assert read_record(far / "s0").device == "CPU"
    assert not list(far.rglob(".mien-*")) and not list(far.rglob("progress.json"))

    shutil.rmtree(home / "clips")  # nothing is known from before
    with start(shots, near, "--jobs", 2) as process:
        process.communicate(timeout=150)
    for number in range(6):
        name = f"s{number}/s{number}.take.npz"
        assert (far / name).read_bytes() == (near / name).read_bytes()


def test_nobody_else_reaches_the_test_cluster(cluster):
    port = int(cluster.address.rpartition(":")[2])
    socket.create_connection((HOST, port), timeout=5).close()
    with pytest.raises(ConnectionRefusedError):  # loopback as well on Linux, but another address of this machine
        socket.create_connection(("127.0.0.2", port), timeout=5)


def test_a_cluster_that_does_not_fit(cluster, tmp_path, clip):
    clip(tmp_path / "shots" / "a.mp4", 3)
    with start(tmp_path / "shots", tmp_path / "out", "--ray", cluster.address, "--threads", 4) as process:
        _, said = process.communicate(timeout=100)
    assert process.returncode == EXIT_CODES[ErrorCode.USAGE]
    assert "No machine of the cluster has 4 CPUs" in said


def _wait(for_: object, process: subprocess.Popen) -> None:
    end = time.monotonic() + 100
    while not for_():  # type: ignore[operator]
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "the batch did not get so far"
        time.sleep(0.05)


class TestProbe:
    """What a machine is asked before it gets shots."""

    def test_the_same_folder(self, tmp_path):
        from backend.batch.node import probe
        from blender_addon.contract.version import VERSION

        marker = tmp_path / "marker"
        marker.write_text("token")
        assert probe(VERSION, str(marker), "token") == ""
        assert "sees another folder" in probe(VERSION, str(marker), "other")
        assert "does not see the results' folder" in probe(VERSION, str(tmp_path / "none" / "marker"), "token")
        assert probe("99.0", str(marker), "token").startswith("has Mien ")


def test_usage_statistics_are_off(monkeypatch):
    from backend.batch.on_ray import load_ray

    monkeypatch.delenv("RAY_USAGE_STATS_ENABLED", raising=False)
    load_ray()
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    from ray._common.usage import usage_lib

    assert not usage_lib.usage_stats_enabled()
