# SPDX-License-Identifier: GPL-3.0-or-later
"""`mien capture` of clips with nothing stood in for: results, bad input, and a process that is killed half-way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import av
import numpy as np
import pytest

from backend.cli import main
from backend.store.observations import FRAME
from backend.store.records import RecordFile
from blender_addon.contract.errors import EXIT_CODES, ErrorCode
from blender_addon.contract.take import Take
from tests.fake_takes import same_arrays
from tests.footage import RATE, SIZE, empty, panned, write

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def home(mien_home, model) -> Path:
    """A data folder of the test's own that has the landmark model."""
    models = mien_home / "models"
    models.mkdir(parents=True)
    (models / model.name).write_bytes(model.read_bytes())
    return mien_home


@pytest.fixture
def clip(tmp_path, astronaut) -> Path:
    folder = tmp_path / "shots é ü 片"
    folder.mkdir()
    return write(folder / "take one.mp4", panned(astronaut, 60, (60.0, 0.0), step=(0.5, 0.2)))


def run(*arguments: object) -> int:
    return main(["capture", *map(str, arguments), "--device", "cpu", "--threads", "1"])


def test_results_stand_beside_the_clip(home, clip, capsys):
    assert run(clip, "--range", "5:24") == 0
    names = {path.name for path in clip.parent.iterdir()}
    results = {"take one.take.npz", "take one.overlay.mp4", "take one.report.json"}
    assert names == {clip.name} | results
    take = Take.load(clip.with_name("take one.take.npz"))
    assert take.extra["frame"].tolist() == list(range(5, 25))
    with av.open(str(clip.with_name("take one.overlay.mp4"))) as video:
        drawn = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert len(drawn) == 20 and drawn[0].shape == (SIZE[1], SIZE[0], 3)
    report = json.loads(clip.with_name("take one.report.json").read_text())
    assert report["clip"]["frames"] == 20 and report["clip"]["rate"] == RATE
    assert {"faces", "identity", "frames", "smooth", "overlay", "total"} <= set(report["seconds"])
    said = capsys.readouterr()
    assert "20 frames" in said.out and "static camera" in said.out
    assert "Following faces" in said.err


def test_numbered_pictures_with_a_gap(home, tmp_path, astronaut):
    from PIL import Image

    folder = tmp_path / "shot_010"
    folder.mkdir()
    numbers = [number for number in range(1001, 1013) if number != 1006]
    for number, picture in zip(numbers, panned(astronaut, 11, (60.0, 0.0), (0.5, 0.0)), strict=True):
        Image.fromarray(picture).save(folder / f"plate.{number}.png")
    assert run(folder / "plate.####.png", "--fps", "25", "--no-overlay", "--out", tmp_path / "out") == 0
    take = Take.load(tmp_path / "out" / "plate.take.npz")
    assert take.extra["frame"].tolist() == numbers
    assert np.allclose(take.time, (np.array(numbers) - 1001) / 25)
    report = json.loads((tmp_path / "out" / "plate.report.json").read_text())
    assert report["clip"]["missing"] == [1006]
    assert not (tmp_path / "out" / "plate.overlay.mp4").exists()


def _cut_off(clip: Path) -> None:
    clip.write_bytes(clip.read_bytes()[:300])


def _only_sound(clip: Path) -> None:
    with av.open(str(clip), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=16000)
        for start in range(0, 16000, 1024):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16000, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _nobody(clip: Path) -> None:
    write(clip, empty(8))


@pytest.mark.parametrize(
    ("harm", "code", "said"),
    [
        (_cut_off, ErrorCode.BAD_CLIP, "cut off"),
        (_only_sound, ErrorCode.BAD_CLIP, "sound"),
        (_nobody, ErrorCode.NO_FACE, "No face was found in the 8 frames"),
        (lambda clip: clip.write_bytes(b""), ErrorCode.BAD_CLIP, "empty"),
        (lambda clip: clip.unlink(), ErrorCode.MISSING_FILE, "cannot be read"),
    ],
)
def test_bad_clips_are_explained(home, clip, capsys, harm, code, said):
    harm(clip)
    assert run(clip) == EXIT_CODES[code]
    line = capsys.readouterr().err.splitlines()[-1]
    assert said in line and str(clip) in line
    assert {path.name for path in clip.parent.iterdir()} <= {clip.name}


def test_of_a_clip_that_was_cut_off_what_is_there_is_captured(home, clip, capsys):
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    assert run(clip, "--no-overlay") == 0
    said = capsys.readouterr().out
    count = len(Take.load(clip.with_name("take one.take.npz")))
    assert 10 < count < 50
    assert f"cut off: its header promises 60 frames and {count} are there" in said


@pytest.mark.parametrize("option", [("--range", "1001:1003"), ("--fps", "25"), ("--reference", "b.png")])
def test_what_only_clips_have_is_refused_for_a_picture(home, tmp_path, astronaut, capsys, option):
    from PIL import Image

    picture = tmp_path / "shots" / "plate.1001.png"
    picture.parent.mkdir()
    Image.fromarray(astronaut).save(picture)
    assert run(picture, *option) == EXIT_CODES[ErrorCode.USAGE]
    said = capsys.readouterr().err
    assert f"{option[0]} is for clips" in said and str(picture) in said and "####" in said
    assert list(picture.parent.iterdir()) == [picture]


def test_one_frame_of_a_clip_named_like_a_pattern(home, clip, capsys):
    clip = clip.rename(clip.with_name("take_%d.mp4"))
    assert run(clip, "--range", "7:7", "--no-overlay") == 0
    assert {path.name for path in clip.parent.iterdir()} == {clip.name, "take_%d.take.npz", "take_%d.report.json"}
    assert "\n1 frame, " in capsys.readouterr().out


@pytest.mark.parametrize("ending", ["take.npz", "overlay.mp4", "report.json"])
def test_a_folder_in_place_of_a_result_is_refused_before_the_work(home, clip, capsys, ending):
    target = clip.with_name(f"take one.{ending}")
    target.mkdir()
    assert run(clip) == EXIT_CODES[ErrorCode.NOT_PERMITTED]
    said = capsys.readouterr().err
    assert str(target) in said and "Following faces" not in said
    assert {path.name for path in clip.parent.iterdir()} == {clip.name, target.name}


def test_a_range_after_the_end_is_told_as_it_was_given(home, clip, capsys):
    assert run(clip, "--range", "61:") == EXIT_CODES[ErrorCode.USAGE]
    assert f"The range 61: is outside of {clip}." in capsys.readouterr().err


@pytest.mark.parametrize("text", ["5", "b:9", "9:5", "1:99"])
def test_bad_ranges(home, clip, capsys, text):
    assert run(clip, "--range", text) == EXIT_CODES[ErrorCode.USAGE]
    assert {path.name for path in clip.parent.iterdir()} == {clip.name}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_killed_capture_goes_on_at_the_next_frame(home, clip, tmp_path):
    command = [sys.executable, "-m", "backend.cli", "capture", str(clip), "--no-overlay", "--device", "cpu"]
    command += ["--out", str(tmp_path / "killed")]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        done = _wait_for_frames(home, process)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    (frames,) = (home / "clips").glob("*/frames.bin")
    before = _looked_at(frames)
    assert done <= len(before) < 60
    assert run(clip, "--no-overlay", "--out", tmp_path / "resumed") == 0
    after = _looked_at(frames)
    assert after[: len(before)].tobytes() == before.tobytes()  # nothing was looked at again
    assert after["index"].tolist() == list(range(60))
    frames.parent.rename(tmp_path / "away")
    assert run(clip, "--no-overlay", "--out", tmp_path / "whole") == 0
    resumed, whole = (Take.load(tmp_path / name / "take one.take.npz") for name in ("resumed", "whole"))
    assert same_arrays(resumed, whole)


def _looked_at(path: Path) -> np.ndarray:
    with closing(RecordFile(path, FRAME)) as file:
        return file.read(0, len(file))


def _wait_for_frames(home: Path, process: subprocess.Popen) -> int:
    """Wait until a few frames were looked at; how many."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        assert process.poll() is None, "the capture was over before it could be killed"
        sizes = [path.stat().st_size // (FRAME.itemsize + 4) for path in (home / "clips").glob("*/frames.bin")]
        if sizes and sizes[0] >= 5:
            return sizes[0]
        time.sleep(0.005)
    raise AssertionError("no frame was looked at within a minute")
