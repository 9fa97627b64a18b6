# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast clips and live captures are, and how much memory they take."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import skimage.data
from PIL import Image

from backend.chain.photo import capture_photo
from backend.media.clip import open_clip
from backend.media.writer import VideoWriter
from backend.progress import NoProgress, no_progress
from backend.session import Session
from backend.weights.landmarker import landmarker_file
from blender_addon.client.events import CaptureFinished, PreviewReady
from blender_addon.client.jobs import Client
from blender_addon.client.launch import ClientSettings
from blender_addon.contract.messages import LiveAction
from blender_addon.contract.options import CaptureOptions
from blender_addon.contract.places import BackendRecord
from blender_addon.contract.version import VERSION
from tests.bench_rows import row
from tests.client_driver import Driver

ROOT = Path(__file__).resolve().parents[1]
SIZE = (1280, 720)
RATE = 30.0
SHORT, LONG = 300, 3000
PHOTOS = 6
LIVE_SECONDS = 8.0
STAGES = ("open", "faces", "people", "identity", "frames", "smooth")


def portrait_clip(path: Path, frames: int) -> Path:
    """A 720p clip of a portrait before a camera that sways: a face of about 260 pixels, some grain, H.264."""
    portrait = skimage.data.astronaut()
    random = np.random.default_rng(1)
    grain = random.normal(0, 2, (8, SIZE[1], SIZE[0], 1)).astype(np.int16)
    with VideoWriter(path, SIZE, RATE) as writer:
        for frame in range(frames):
            time_of = frame / RATE
            turn = cv2.getRotationMatrix2D((225, 130), 6 * np.sin(1.3 * time_of), 2.7 + 0.2 * np.sin(0.7 * time_of))
            turn[:, 2] += (415 + 60 * np.sin(0.9 * time_of), 230 + 25 * np.sin(1.7 * time_of))
            picture = cv2.warpAffine(portrait, turn, SIZE, borderMode=cv2.BORDER_REFLECT)
            noisy = np.clip(picture + grain[frame % len(grain)], 0, 255).astype(np.uint8)
            writer.add(noisy, time_of)
    return path


def video(session: Session, folder: Path) -> None:
    """Print speed and memory of clips of two lengths, each in a process of its own, and the latency of a live one."""
    session.finder()  # so that the model is there
    short, long = (portrait_clip(folder / f"{frames}.mp4", frames) for frames in (SHORT, LONG))
    results = {SHORT: _in_own_process(short), LONG: _in_own_process(long)}
    fast = results[SHORT]
    row(f"{SHORT} frames, 1280x720, warm, all stages", f"{fast['fps']:.0f} frames/s", "at least 45")
    for stage in STAGES:
        row(f"  {stage}", f"{fast['seconds'][stage]:.2f} s")
    alone = _decoding(short)
    row("  ratio to decoding alone", f"{SHORT / fast['fps'] / alone:.1f} x")
    row("  ratio to capturing each frame as a photo", f"{_as_photos(session, short) * fast['fps']:.1f} x faster")
    row("  peak memory of the process", f"{fast['memory'] / 1e9:.2f} GB", "at most 1.5 GB")
    row(f"{LONG} frames", f"{results[LONG]['fps']:.0f} frames/s")
    more = results[LONG]["memory"] / fast["memory"] - 1
    row("  peak memory", f"{results[LONG]['memory'] / 1e9:.2f} GB", "no more than the short clip's")
    row("  more than the short clip", f"{more:+.1%}")
    _live(short, folder)


def _in_own_process(clip: Path) -> dict:
    """Capture a clip in a warm process; frames per second, seconds of each stage, peak memory in bytes."""
    code = "import backend, sys, tests.video_benchmarks as own; own.capture_alone(sys.argv[1])"  # threads as in `mien`
    command = [sys.executable, "-c", code, str(clip)]
    with tempfile.TemporaryDirectory() as home:
        models = Path(home) / "models"
        models.mkdir()
        file = landmarker_file(no_progress)
        (models / file.name).write_bytes(file.read_bytes())
        environment = os.environ | {"MIEN_HOME": home}
        done = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def _decoding(clip: Path) -> float:
    """Seconds to read every frame and nothing else."""
    start = time.perf_counter()
    with open_clip(clip) as opened:
        for _ in opened.frames():
            pass
    return time.perf_counter() - start


def _as_photos(session: Session, clip: Path) -> float:
    """Seconds a frame when single frames are captured as photos."""
    with open_clip(clip) as opened, tempfile.TemporaryDirectory() as folder:
        paths = []
        for frame in opened.frames(0, PHOTOS):
            paths.append(Path(folder) / f"{frame.index}.bmp")
            Image.fromarray(frame.pixels).save(paths[-1])
        capture_photo(session, CaptureOptions(str(paths[0]), device="cpu"))
        start = time.perf_counter()
        for path in paths[1:]:
            capture_photo(session, CaptureOptions(str(path), device="cpu"))
        return (time.perf_counter() - start) / PHOTOS


def _live(clip: Path, folder: Path) -> None:
    """The clip played live through a real backend: how late results are, from the picture to the message."""
    record = BackendRecord(sys.executable, str(ROOT), VERSION)
    driver = Driver(Client(ClientSettings(folder / "heads", record=record, device="cpu")))
    try:
        job = driver.client.capture(CaptureOptions(str(clip), live=True, device="cpu"))
        driver.wait_for(PreviewReady, 60)
        previews, end = 0, time.monotonic() + LIVE_SECONDS
        while time.monotonic() < end:
            driver.until(lambda event: isinstance(event, PreviewReady))
            previews += 1
        driver.client.control_live(job, LiveAction.END)
        live = driver.wait_for(CaptureFinished, 30).report["live"]
        latency = live["latency_ms"]
        row("live, 1280x720, from the picture to the message, median", f"{latency['median']:.0f} ms", "at most 60 ms")
        row("  the slowest twentieth", f"{latency['p95']:.0f} ms")
        row("  previews that arrived", f"{previews / LIVE_SECONDS:.0f} a second")
    finally:
        driver.client.close()


def capture_alone(clip: str) -> None:
    """In a process of its own: warm up, capture, print what it took."""
    from backend.pipeline import capture

    session = Session("cpu")
    capture(session, CaptureOptions(clip, device="cpu", last_frame=20), NoProgress())
    start = time.perf_counter()
    result = capture(session, CaptureOptions(clip, device="cpu"), NoProgress())
    seconds = time.perf_counter() - start
    frames = result.report["clip"]["frames"]
    print(json.dumps({"fps": frames / seconds, "seconds": result.report["seconds"], "memory": _peak_memory()}))


def _peak_memory() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

