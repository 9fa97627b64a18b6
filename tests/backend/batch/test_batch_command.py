# SPDX-License-Identifier: GPL-3.0-or-later
"""`mien batch` with nothing stood in for: results, a second run, bad input, and being stopped."""

from __future__ import annotations

import csv
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backend.batch.record import RECORD, read_record
from backend.batch.shot_lock import LOCK
from backend.cli import main
from blender_addon.contract.errors import EXIT_CODES, ErrorCode
from tests.backend.test_capture_command import limit_file_size, linux_only, lose_privileges

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def shots(tmp_path, clip, astronaut):
    from PIL import Image

    folder = tmp_path / "shots é"
    clip(folder / "sub" / "anna.mp4", 6)
    Image.fromarray(astronaut).save(folder / "portrait.jpg")
    return folder


def run(*arguments: object) -> int:
    return main(["batch", *map(str, arguments), "--device", "cpu"])


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "backend.cli", "batch", *map(str, arguments), "--device", "cpu"]


def table(out: Path) -> dict[str, dict[str, str]]:
    with open(out / "batch.csv", encoding="utf-8", newline="") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def test_a_folder_then_again_then_with_a_change(home, shots, tmp_path, clip, capsys):
    out = tmp_path / "done"
    assert run(shots, "--out", out, "--jobs", 2) == 0
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file() and path.name != LOCK}
    anna = {f"sub/anna/{name}" for name in ("anna.take.npz", "anna.report.json", "anna.overlay.mp4", "anna.thumb.jpg")}
    photo = {f"portrait/portrait.{end}" for end in ("take.npz", "report.json", "overlay.png", "thumb.jpg")}
    assert files == anna | photo | {"sub/anna/shot.json", "portrait/shot.json", "batch.csv", "batch.html"}
    rows = table(out)
    assert {row["state"] for row in rows.values()} == {"finished"}
    assert rows["sub/anna"]["take"] == "sub/anna/anna.take.npz" and float(rows["sub/anna"]["landmark_error"]) < 0.02
    capsys.readouterr()

    before = (out / "sub" / "anna" / RECORD).stat().st_mtime_ns
    assert run(shots, "--out", out) == 0
    assert "0 of 2 shots to do" in capsys.readouterr().err
    assert (out / "sub" / "anna" / RECORD).stat().st_mtime_ns == before

    clip(shots / "sub" / "anna.mp4", 5)
    clip(shots / "new.mp4", 4)
    assert run(shots, "--out", out) == 0
    said = capsys.readouterr().err
    assert "sub/anna is done again: its source has changed" in said and "2 of 3 shots to do" in said
    assert read_record(out / "sub" / "anna").frames == 5


def test_takes_are_the_same_bytes_however_they_come_about(mien_home, model, shots, tmp_path, monkeypatch):
    """By batch with different jobs and threads, by `mien capture`, and by the service; nothing is known from before."""
    from backend.server.session_capturer import SessionCapturer
    from blender_addon.contract.options import CaptureOptions
    from tests.backend.server.test_session_capturer import Quiet

    def fresh() -> None:
        shutil.rmtree(mien_home, ignore_errors=True)
        (mien_home / "models").mkdir(parents=True)
        shutil.copy(model, mien_home / "models")

    found: dict[str, set[bytes]] = {"anna": set(), "portrait": set()}
    sources = {"anna": shots / "sub" / "anna.mp4", "portrait": shots / "portrait.jpg"}
    for number, how in enumerate((("--jobs", 2), ("--jobs", 1, "--threads", 2))):
        fresh()
        out = tmp_path / f"batch{number}"
        assert run(shots, "--out", out, *how) == 0
        for name, takes in found.items():
            (take,) = out.rglob(f"{name}.take.npz")
            takes.add(take.read_bytes())
    fresh()
    for name, source in sources.items():
        out = tmp_path / "capture"
        assert main(["capture", str(source), "--out", str(out), "--device", "cpu", "--threads", "1"]) == 0
        found[name].add((out / f"{name}.take.npz").read_bytes())
    fresh()
    capturer = SessionCapturer("cpu", None)
    for name, source in sources.items():
        (take,) = capturer.capture(CaptureOptions(str(source)), Quiet()).takes
        take.save(tmp_path / "service.npz")
        found[name].add((tmp_path / "service.npz").read_bytes())
    assert {name: len(takes) for name, takes in found.items()} == {"anna": 1, "portrait": 1}


def test_a_list_with_ranges_and_people(home, shots, tmp_path):
    list_ = tmp_path / "shots.csv"
    list_.write_text(
        "file,name,range,smoothing\n"
        "shots é/sub/anna.mp4,first,1:3,0\n"
        "shots é/sub/anna.mp4,rest,4:,\n"
        "shots é/portrait.jpg,,2:3,\n"
        "gone.mov,,,\n",
        encoding="utf-8",
    )
    out = tmp_path / "done"
    assert run("--manifest", list_, "--out", out) == EXIT_CODES[ErrorCode.SHOTS_FAILED]
    rows = table(out)
    assert (rows["first"]["frames"], rows["rest"]["frames"]) == ("3", "3")
    assert "is for clips" in rows["shots é/portrait"]["reasons"]
    assert rows["gone"]["failures"] == "capture:missing_file" and "gone.mov" in rows["gone"]["reasons"]
    options = json.loads((out / "first" / RECORD).read_text())["made_from"]["options"]
    assert (options["smoothing"], options["last_frame"]) == (0.0, 3)


def test_shards_write_one_report(home, tmp_path, clip):
    for number in range(3):
        clip(tmp_path / "shots" / f"s{number}.mp4", 3, start=60 + number)
    out = tmp_path / "done"
    assert run(tmp_path / "shots", "--out", out, "--shard", "1/2") == 0
    assert [row["state"] for row in table(out).values()] == ["finished", "waiting", "finished"]
    assert run(tmp_path / "shots", "--out", out, "--shard", "2/2") == 0
    assert {row["state"] for row in table(out).values()} == {"finished"}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], ErrorCode.USAGE, "a folder of shots or a list"),
        (["shots é", "--manifest", "x.csv"], ErrorCode.USAGE, "one of both"),
        (["nowhere"], ErrorCode.MISSING_FILE, "nowhere"),
        (["shots é", "--to", "doc"], ErrorCode.USAGE, "There is no format 'doc'"),
        (["shots é", "--shard", "3/2"], ErrorCode.USAGE, "3/2 is not a share"),
        (["shots é", "--focal", "1"], ErrorCode.USAGE, "Focal length 1.0"),
        (["shots é", "--head", "none.pkl"], ErrorCode.MISSING_FILE, "none.pkl cannot be read"),
        (["shots é", "--to", "facs,vhap"], ErrorCode.CANNOT_EXPORT, "'vhap' is FLAME's"),
        (["--manifest", "bad.csv"], ErrorCode.BAD_MANIFEST, "line 1: there is no column 'colour'"),
        (["shots é", "--ray", "ray://there"], ErrorCode.USAGE, "not the address of a Ray cluster's head"),
        (["shots é", "--ray", "127.0.0.2:9"], ErrorCode.USAGE, "No Ray cluster answers at 127.0.0.2:9"),
    ],
)
def test_mistakes_are_found_before_any_work(home, shots, tmp_path, monkeypatch, capsys, arguments, code, said):
    monkeypatch.chdir(tmp_path)
    Path("bad.csv").write_text("file,colour\nx,red\n")
    assert run(*arguments, "--out", "done") == EXIT_CODES[code]
    assert said in capsys.readouterr().err
    assert not list(Path("done").rglob("*.npz")) and not list(Path().glob("done/.mien-*"))


@pytest.mark.parametrize("out", [".", "shots é"])
def test_sources_among_the_results(home, shots, tmp_path, monkeypatch, capsys, out):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert run(shots, "--out", out) == EXIT_CODES[ErrorCode.USAGE]
    assert "where the results go" in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


def test_without_ray(home, shots, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)  # what makes an import of it fail
    assert run(shots, "--out", tmp_path / "done", "--ray", "auto") == EXIT_CODES[ErrorCode.SETUP_FAILED]
    assert "setup --ray" in capsys.readouterr().err


@linux_only
def test_results_that_may_not_be_written(home, shots, tmp_path):
    out = tmp_path / "done"
    out.mkdir(mode=0o500)
    done = subprocess.run(
        command(shots, "--out", out), cwd=ROOT, capture_output=True, text=True, preexec_fn=lose_privileges
    )
    assert done.returncode == EXIT_CODES[ErrorCode.NOT_PERMITTED]
    assert str(out) in done.stderr and not list(out.iterdir())


@linux_only
def test_a_full_disk_leaves_nothing_half_written(home, shots, tmp_path):
    out = tmp_path / "done"
    done = subprocess.run(
        command(shots, "--out", out, "--threads", 1),
        cwd=ROOT, capture_output=True, text=True, preexec_fn=limit_file_size,
    )  # fmt: skip
    assert done.returncode == EXIT_CODES[ErrorCode.NO_SPACE], done.stderr
    assert "Stopped with 0 of 2 shots finished" in done.stderr and "portrait.overlay.png cannot be" in done.stderr
    rows = table(out)
    assert rows["portrait"]["failures"] == "capture:no_space" and "portrait" in rows["portrait"]["reasons"]
    assert {path.name for path in (out / "portrait").iterdir()} == {RECORD, LOCK}
    assert not hidden(out)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGTERM])
def test_a_batch_that_is_stopped(home, tmp_path, clip, ended_by):
    clip(tmp_path / "shots" / "a.mp4", 3)
    clip(tmp_path / "shots" / "b.mp4", 600)
    clip(tmp_path / "shots" / "c.mp4", 3)
    out = tmp_path / "done"
    with subprocess.Popen(command(tmp_path / "shots", "--out", out), cwd=ROOT, stderr=subprocess.PIPE) as process:
        _wait(lambda: (out / "a" / RECORD).exists() and (out / "b" / "progress.json").exists(), process)
        process.send_signal(ended_by)
        _, said = process.communicate(timeout=60)
    assert process.returncode == EXIT_CODES[ErrorCode.CANCELLED]
    assert "Stopped with 1 of 3 shots finished" in said.decode()
    assert [row["state"] for row in table(out).values()] == ["finished", "waiting", "waiting"]
    assert "batch.html" in said.decode() and (out / "batch.html").exists()
    assert not hidden(out) and not list(out.rglob("progress.json"))


def test_two_batches_with_the_same_folder_share_the_work(home, tmp_path, clip):
    for number in range(4):
        clip(tmp_path / "shots" / f"s{number}.mp4", 25, start=60 + number)
    out = tmp_path / "done"
    arguments = command(tmp_path / "shots", "--out", out, "--threads", 1)
    both = [subprocess.Popen(arguments, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=200)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert {row["state"] for row in table(out).values()} == {"finished"}
    assert not hidden(out) and not list(out.rglob("progress.json"))
    told = sorted({found.groups() for found in re.finditer(r"(s\d) is \w+ \((.*) s\)", " ".join(said))})
    assert [name for name, _ in told] == list(table(out))  # each was done once, whoever tells of it
    rounded = [pytest.approx(float(row["seconds"]), abs=0.06) for row in table(out).values()]
    assert [float(seconds) for _, seconds in told] == rounded


def hidden(out: Path) -> list[Path]:
    """What a capture or a batch has not cleared up."""
    return [path for path in out.rglob(".*") if path.name != LOCK]


def _wait(for_: object, process: subprocess.Popen) -> None:
    end = time.monotonic() + 90
    while not for_():  # type: ignore[operator]
        assert process.poll() is None, "the batch ended before it could be stopped"
        assert time.monotonic() < end, "the batch did not get so far"
        time.sleep(0.02)
