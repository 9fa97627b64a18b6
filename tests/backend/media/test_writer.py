# SPDX-License-Identifier: GPL-3.0-or-later
"""Written videos have the frames, the times and the colours they were given, or do not exist."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.media.clip import open_clip
from backend.media.writer import CLOCK, VideoWriter
from blender_addon.contract.errors import ErrorCode, MienError
from tests.backend.media.films import HEIGHT, WIDTH, number_in, picture


def write(path: Path, times: list[float], size: tuple[int, int] = (WIDTH, HEIGHT), rate: float = 30) -> Path:
    with VideoWriter(path, size, rate) as writer:
        for number, time in enumerate(times):
            writer.add(picture(number, *size), time)
    return path


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    gaps=st.lists(st.floats(0.004, 0.5), min_size=1, max_size=30),
    start=st.floats(0, 100),
    rate=st.sampled_from([24, 24000 / 1001, 25, 30, 60]),
)
def test_times(tmp_path: Path, gaps: list[float], start: float, rate: float) -> None:
    times = start + np.concatenate([[0], np.cumsum(gaps)])
    with open_clip(write(tmp_path / "a.mp4", times.tolist(), rate=rate)) as clip:
        assert clip.info.times == pytest.approx(times - start, abs=float(CLOCK) + 1e-9)
        assert [number_in(frame.pixels) for frame in clip.frames()] == list(range(len(times)))
        assert clip.problems == ()
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert float(stream.duration * stream.time_base) == pytest.approx(times[-1] - start + 1 / rate, abs=1e-3)


@pytest.mark.parametrize("size", [(160, 120), (161, 120), (160, 121), (145, 33)])
def test_sizes_and_colours(tmp_path: Path, size: tuple[int, int]) -> None:
    path = write(tmp_path / "видео a b.mp4", [index / 25 for index in range(6)], size, 25)
    with open_clip(path) as clip:
        assert (clip.info.width, clip.info.height) == (size[0] + size[0] % 2, size[1] + size[1] % 2)
        assert clip.info.rate == 25 and not clip.info.variable_rate
        for frame in clip.frames():
            meant = picture(frame.index, *size).astype(int)
            difference = frame.pixels[: size[1], : size[0]].astype(int) - meant
            assert np.abs(difference).mean() < 6
            assert np.abs(difference.mean(axis=(0, 1))).max() < 2


def test_plays_everywhere(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", [0, 0.04, 0.08], rate=25)
    data = path.read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert float(stream.duration * stream.time_base) == pytest.approx(0.12, abs=1e-3)
        assert stream.codec_context.colorspace == 1 and stream.codec_context.color_range == 1


def test_nothing_is_left_after_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"an older film")
    with pytest.raises(KeyError), VideoWriter(path, (64, 64), 30) as writer:
        writer.add(np.zeros((64, 64, 3), np.uint8), 0.0)
        raise KeyError
    assert path.read_bytes() == b"an older film"
    assert os.listdir(tmp_path) == ["a.mp4"]
    write(path, [0.0])
    assert os.listdir(tmp_path) == ["a.mp4"] and len(path.read_bytes()) > 1000


def test_no_frames_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MienError), VideoWriter(tmp_path / "a.mp4", (64, 64), 30):
        pass
    assert os.listdir(tmp_path) == []


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(MienError) as caught:
        VideoWriter(tmp_path / "no" / "a.mp4", (64, 64), 30)
    assert caught.value.code is ErrorCode.MISSING_FILE
    assert "a.mp4" in caught.value.message


FULL = """
import os, resource, signal, sys
import numpy as np
from backend.media.writer import VideoWriter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
random = np.random.default_rng(0)
try:
    with VideoWriter(sys.argv[1], (160, 120), 30) as writer:
        for number in range(60):
            writer.add(random.integers(0, 256, (120, 160, 3), dtype=np.uint8), number / 30)
except Exception as error:
    print(error.code.value, sys.argv[1] in error.message, os.listdir(os.path.dirname(sys.argv[1])))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of file sizes")
@pytest.mark.parametrize("limit", [0, 10, 5_000, 400_000, -3000, -10])
def test_full_disk(tmp_path: Path, repository: Path, limit: int) -> None:
    """Wherever the space ends, also within the last bytes, it is said and nothing is left."""
    if limit < 0:
        whole = tmp_path / "whole.mp4"
        random = np.random.default_rng(0)
        with VideoWriter(whole, (160, 120), 30) as writer:
            for number in range(60):
                writer.add(random.integers(0, 256, (120, 160, 3), dtype=np.uint8), number / 30)
        limit += whole.stat().st_size
        whole.unlink()
    command = [sys.executable, "-c", FULL, str(tmp_path / "a.mp4"), str(limit)]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "no_space True []", done.stderr


def test_times_nearer_than_the_clock_ticks(tmp_path: Path) -> None:
    times = [0.0, 1e-7, 2e-7, 0.5]
    with open_clip(write(tmp_path / "a.mp4", times, rate=1e6)) as clip:
        assert clip.info.times == pytest.approx(times, abs=3e-5)


@pytest.mark.parametrize(
    ("shape", "time"), [((64, 65, 3), 1.0), ((64, 64), 1.0), ((64, 64, 3), 0.0), ((64, 64, 3), float("nan"))]
)
def test_wrong_frames(tmp_path: Path, shape: tuple[int, ...], time: float) -> None:
    with pytest.raises(ValueError), VideoWriter(tmp_path / "a.mp4", (64, 64), 30) as writer:
        writer.add(np.zeros((64, 64, 3), np.uint8), 0.0)
        writer.add(np.zeros(shape, np.uint8), time)
    assert os.listdir(tmp_path) == []
